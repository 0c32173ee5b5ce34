"""What a profile tells, as plain data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trainer.profiling.machine import Machine
from trainer.profiling.memory import PeakMemory
from trainer.profiling.operations import Operations
from trainer.profiling.timing import Timing


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What training took.

    Attributes:
        source: what tells it: `training.json` of the bundle, or rows of a `runs.jsonl`.
        runs: trainings it is the mean of.
        epochs: of one.
        seconds: of one, by the clock on the wall, validation included.
        processor_seconds: of one; None where the source does not tell.
        threads: of torch; None where the source does not tell.
        device: it was trained on; None where the source does not tell.
    """

    source: str
    runs: int
    epochs: float
    seconds: float
    processor_seconds: float | None
    threads: int | None
    device: str | None


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that was to be reached.

    Attributes:
        what: in words.
        limit_ms: milliseconds.
        measured_ms: likewise.
    """

    what: str
    limit_ms: float
    measured_ms: float

    @property
    def kept(self) -> bool:
        """Whether it was reached."""
        return self.measured_ms < self.limit_ms


@dataclass(frozen=True, slots=True)
class Profile:
    """A bundle's profile.

    Attributes:
        model: name and version.
        model_sha256: of the graph, 12 digits.
        model_type: architecture; None where the manifest does not tell.
        window: rows and sensors.
        targets: names.
        measured: the date.
        machine: where, and how busy it was before.
        load_after: how busy it was at the end.
        versions: of the libraries.
        parameters: numbers of the network; None where the manifest does not tell.
        operations: floating-point operations of one window; None without weights to build the network from.
        bytes: by file, `int8` the graph made for timing.
        training: None where nothing tells.
        memory: by work; empty where it was not asked for or the system does not tell.
        windows: what was run.
        timings: by runtime, device and batch.
        int8_moved: by how much an answer of the int8 graph lies from the other at most, absolute; None without one.
        bars: what was to be reached.
        left_out: by what was not measured, why.
    """

    model: str
    model_sha256: str
    model_type: str | None
    window: tuple[int, int]
    targets: tuple[str, ...]
    measured: str
    machine: Machine
    load_after: float | None
    versions: Mapping[str, str]
    parameters: int | None
    operations: Operations | None
    bytes: Mapping[str, int]
    training: TrainingCost | None
    memory: Mapping[str, PeakMemory]
    windows: str
    timings: tuple[Timing, ...]
    int8_moved: float | None
    bars: tuple[Bar, ...]
    left_out: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "bars": [{**asdict(bar), "kept": bar.kept} for bar in self.bars]}
