"""What trainings came to: one row a run in a `runs.jsonl`, from which an interrupted series goes on.

    log = RunLog(Path("runs.jsonl"))
    if log.find(key) is None:
        log.append(row)

A row is written with one call and carried to the disk before the next run begins; a row that a kill cut in two is
dropped when the file is next read, and its run is made again.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import msgspec

from models.errors import ContractError
from trainer.config import TrainingConfig

TRAINING = 2
"""Raise it when the same configuration trains another network: runs from before are then made again.

2: balanced sampling gives every target as many positive windows.
"""


class Scores(msgspec.Struct, frozen=True):
    """How one split's judged windows were scored: means over the targets, and each target."""

    roc_auc: float
    pr_auc: float
    targets: dict[str, dict[str, float]]


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One finished training.

    Attributes:
        recipe: its name.
        seed: of weights, dropout and sampling.
        configuration: digest of the data and of all fields but seed and alerts: runs that differ in luck alone share
            it.
        key: tells one run from another, see `run_key`.
        data_fingerprint: of the dataset.
        git_commit: of the code.
        model_type: architecture.
        parameters: numbers of the model.
        epochs: trained.
        best_epoch: the one kept.
        seconds: of training, validation after each epoch included, on the clock.
        processor_seconds: the same, of the process's processor time, loader processes not counted.
        threads: of torch.
        validation: scores on validation of the weights kept; they were chosen by them.
        test: scores on the test split.
        history: one entry an epoch.
        change: what an ablation changed of the recipe; None for the recipe itself.
    """

    recipe: str
    seed: int
    configuration: str
    key: str
    data_fingerprint: str
    git_commit: str
    model_type: str
    parameters: int
    epochs: int
    best_epoch: int
    seconds: float
    processor_seconds: float
    threads: int
    validation: Scores
    test: Scores
    history: list[dict[str, Any]]
    change: str | None = None


def run_key(config: TrainingConfig, data_fingerprint: str) -> str:
    """A digest of all that decides a run: training's version, its configuration but for alerts, and the data."""
    return _digest([TRAINING, _deciding(config), data_fingerprint])


def configuration_key(config: TrainingConfig, data_fingerprint: str) -> str:
    """A digest of all that decides a run but the seed."""
    return _digest([TRAINING, {**_deciding(config), "seed": None}, data_fingerprint])


def _deciding(config: TrainingConfig) -> dict[str, Any]:
    """The fields that training goes by; thresholds and delays are chosen when it is over."""
    return {**config.as_dict(), "alert": {}}


def _digest(said: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()[:16]


_BEGINNING = b'{"recipe":'


class RunLog:
    """The rows of a `runs.jsonl`; several processes may append to one file.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[RunRow]:
        """All whole rows, in the order they were written.

        Raises:
            ContractError: a row is none; names its line.
        """
        if not self.path.exists():
            return []
        whole, _, rest = self.path.read_bytes().rpartition(b"\n")  # without a line's end it was cut in two
        self._check_half_row(rest)
        rows = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                rows.append(msgspec.json.decode(line, type=RunRow))
            except msgspec.DecodeError as error:
                raise ContractError(
                    f"expected a run, got {error} at {self.path}, line {number}: mend or remove it"
                ) from None
        return rows

    def find(self, key: str) -> RunRow | None:
        """The row of a run, if it was made."""
        return next((row for row in self.rows() if row.key == key), None)

    def append(self, row: RunRow) -> None:
        """Add a row and see it to the disk.

        Raises:
            OSError: the system will not take it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # what looks like half a row may be another process's, half written
            self._drop_half_row(handle)
            os.write(handle, msgspec.json.encode(row) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)

    def _drop_half_row(self, handle: int) -> None:
        whole, end, rest = os.pread(handle, os.fstat(handle).st_size, 0).rpartition(b"\n")
        if rest:
            self._check_half_row(rest)
            os.ftruncate(handle, len(whole + end))

    def _check_half_row(self, rest: bytes) -> None:
        """Whose file is this? Only what this class began to write is taken for half a row."""
        if not _BEGINNING.startswith(rest[: len(_BEGINNING)]):
            raise ContractError(
                f"expected runs, one a line, got `{rest[:20].decode(errors='replace')}` at the end of {self.path}: "
                "name another file, or end its last line"
            )


def latest(rows: Iterable[RunRow], data_fingerprint: str) -> list[RunRow]:
    """On one dataset, each recipe's rows of the configuration it had last: older ones are of another recipe.

    What an ablation changed of a recipe is none of its rows.
    """
    mine = [row for row in rows if row.data_fingerprint == data_fingerprint and row.change is None]
    last = {row.recipe: row.configuration for row in mine}
    return [row for row in mine if row.configuration == last[row.recipe]]


def by_recipe(rows: Iterable[RunRow]) -> Mapping[str, list[RunRow]]:
    """The rows of each recipe, in the order in which the recipes first occur, by seed."""
    groups: dict[str, list[RunRow]] = {}
    for row in rows:
        groups.setdefault(row.recipe, []).append(row)
    return {recipe: sorted(group, key=lambda row: row.seed) for recipe, group in groups.items()}


def mean_and_deviation(values: Iterable[float]) -> tuple[float, float]:
    """Mean and standard deviation (n - 1); of one value the deviation is NaN."""
    numbers = list(values)
    return fmean(numbers), stdev(numbers) if len(numbers) > 1 else float("nan")
