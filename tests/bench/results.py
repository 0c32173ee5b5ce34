"""What a benchmark finds: rows of one run, written as a page for people and as JSON for machines."""

import json
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from peers import PEERS

from trainer.git import head_commit
from trainer.profiling.machine import this_machine
from worker.brokers.jars import KAFKA_VERSION

FOLDER = Path(__file__).parent
REPETITIONS = 5
_VERSIONS = ("numpy", "scipy", "pyarrow", "torch", "onnxruntime-gpu", "confluent-kafka", "msgspec")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        name: what was measured.
        value: the median of the repetitions.
        low: the lowest.
        high: the highest.
        unit: of the three.
        against: what it is held against.
        ratio: value over what it is held against; of a pair, the median over the repetitions.
        target: the least ratio wanted; None where there is none.
        reached: whether it is; None without a target.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    against: str
    ratio: float
    target: float | None
    reached: bool | None


@dataclass(frozen=True, slots=True)
class Absent:
    """Something that was not measured.

    Attributes:
        why: what, and why not.
    """

    why: str


def repeat(measure: Callable[[], float]) -> list[float]:
    """The figure of several repetitions in this process."""
    return [measure() for _ in range(REPETITIONS)]


def row(name: str, values: Sequence[float], unit: str, against: str, of: float, target: float | None) -> Row:
    """A row from the repetitions of a figure where more is better."""
    median = statistics.median(values)
    ratio = median / of
    return Row(
        name,
        median,
        min(values),
        max(values),
        unit,
        against,
        ratio,
        target,
        None if target is None else ratio >= target,
    )


def row_paired(
    name: str, values: Sequence[float], unit: str, against: str, others: Sequence[float], target: float | None
) -> Row:
    """A row whose ratio is the median of the repetitions' own, where the two were measured within a minute or two."""
    others_median = statistics.median(others)
    plain = row(name, values, unit, f"{others_median:,.0f} {against}", others_median, None)
    ratio = statistics.median(ours / other for ours, other in zip(values, others, strict=True))
    return replace(plain, ratio=ratio, target=target, reached=None if target is None else ratio >= target)


def row_within(name: str, values: Sequence[float], unit: str, most: float) -> Row:
    """A row from the repetitions of a figure where less is better; its ratio is what is allowed over it."""
    less = row(name, values, unit, f"{most:g} {unit} allowed", most, None)
    ratio = most / max(less.value, most / 1000)
    return replace(less, ratio=ratio, target=1.0, reached=ratio >= 1)


def write(rows: Sequence[Row], absent: Sequence[str], seconds: float) -> None:
    """Write `RESULTS.md` and `results.json` beside this file.

    Args:
        rows: what was measured.
        absent: what was not, and why.
        seconds: that it took.
    """
    here = this_machine()
    machine = f"{here.cores} cores of {here.processor}, {here.system} {platform.release()}"
    ours = [f"{name} {version(name)}" for name in _VERSIONS]
    others = sorted({peer.requirement.replace("==", " ") for peer in PEERS.values()})
    versions = ", ".join([f"Python {platform.python_version()}", f"Apache Kafka {KAFKA_VERSION}", *ours, *others])
    commit = head_commit()[:12]
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {date}, at {commit}, in {seconds:.0f} s: {machine};",
        f"{versions}.",
        "",
        f"Shared, noisy hardware: medians of {REPETITIONS} repetitions with their range. What counts is the ratio,",
        "measured in one run; where both were measured within minutes, it is the median of the repetitions' own.",
        "",
        "| what | median (range) | against | ratio | at least | reached |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in rows:
        digits = 0 if one.high >= 100 else 1
        span = f"{one.value:,.{digits}f} ({one.low:,.{digits}f} to {one.high:,.{digits}f}) {one.unit}"
        target = "" if one.target is None else f"{one.target:g}"
        reached = {None: "", True: "yes", False: "**no**"}[one.reached]
        lines.append(f"| {one.name} | {span} | {one.against} | {one.ratio:.2f} | {target} | {reached} |")
    lines += ["", *(f"Not measured: {one}." for one in absent)] if absent else []
    (FOLDER / "RESULTS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = {"date": date, "commit": commit, "machine": machine, "versions": versions, "absent": list(absent)}
    found["rows"] = [asdict(one) for one in rows]
    (FOLDER / "results.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print("\n".join(lines))
