"""Searching a space for the best recipe: a study on disk that goes on where it was stopped.

    tune("data/line", load_config("tiny"), "lstm", 20, Path("runs/study"))

    runs/study/study.db       all trials (SQLite, optuna's own tables)
    runs/study/trials.json    the same for reading
    runs/study/best.toml      the winner, a whole recipe for `trainer train --recipe`

Trials are judged by the best validation ROC-AUC of their epochs, never by the test split, and given up when they are
worse than the median of the others at the same epoch. A trial that was cut off is repeated with the same values; the
sampler of the n-th trial is seeded with the study's seed and n alone. So a study that was stopped and went on tries
the same values as one that was not.
"""

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import optuna
import tomli_w
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DatabaseError

from models.errors import ContractError, UsageError
from models.whole_file import write_whole
from trainer.config import TrainingConfig, changed
from trainer.datasets.dataset import Dataset
from trainer.errors import TrainingError
from trainer.experiments.space import Space, load_space
from trainer.train_sequence import EpochRecord, EpochReport, StepReport, train_on_dataset

STUDY_FILE = "study.db"
TRIALS_FILE = "trials.json"
BEST_FILE = "best.toml"
_LOCK_FILE = ".lock"
_ERROR = "error"


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: optuna's.
        state: `complete`, `pruned` (given up early), `failed` (see `error`) or `interrupted` (and repeated since).
        roc_auc: best on validation; of a pruned trial, as far as it came.
        values: what was tried, by field.
        epochs: validation ROC-AUC by epoch.
        seconds: wall time; None of an interrupted trial.
        error: why it failed.
    """

    number: int
    state: str
    roc_auc: float | None
    values: dict[str, Any]
    epochs: list[float]
    seconds: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Study:
    """What a study has found so far.

    Attributes:
        folder: the study's.
        trials: in the order they were begun.
        best: the best complete one, None if there is none.
        config: the winner's configuration.
    """

    folder: Path
    trials: list[TrialRecord]
    best: TrialRecord | None
    config: TrainingConfig | None

    @property
    def finished(self) -> int:
        """Trials that came to an end of their own."""
        return sum(trial.state != "interrupted" for trial in self.trials)


TrialReport = Callable[[TrialRecord, Study], None]
TrialBegun = Callable[[int], None]
"""Called before a trial with its number among the finished ones, from 1."""


def tune(
    data: str | Path,
    config: TrainingConfig,
    space: str,
    trials: int,
    folder: Path,
    *,
    seed: int = 0,
    startup_trials: int = 4,
    warmup_epochs: int = 2,
    on_begin: TrialBegun | None = None,
    on_trial: TrialReport | None = None,
    on_epoch: EpochReport | None = None,
    on_step: StepReport | None = None,
) -> Study:
    """Begin a study, or go on with it, until so many trials have finished.

    Args:
        data: folder of a dataset.
        config: what all trials have in common.
        space: name of a space, or path of a TOML file.
        trials: finished ones, those of earlier calls counted.
        folder: the study's.
        seed: of the search; that of the training is `config.seed`.
        startup_trials: finished before one is given up early.
        warmup_epochs: of every trial before it is given up.
        on_begin: told of every trial that begins.
        on_trial: told of every trial that has finished.
        on_epoch: told of every epoch.
        on_step: told of every training step.

    Raises:
        UsageError: a space that does not fit, a folder of another study or one at work, or, as long as no trial has
            come through, what training says of the configuration.
        TrainingError: not one trial came through.
    """
    dimensions = load_space(space, config)
    identity = {
        "config": config.as_dict(),
        "space": msgspec.to_builtins(dimensions),
        "data": Dataset.open(data).info.fingerprint,
        "seed": seed,
    }
    with _locked(folder), _opened(folder, identity) as study:
        study.pruner = optuna.pruners.MedianPruner(startup_trials, warmup_epochs)
        _repeat_interrupted(study)
        found = _found(study, folder, config)
        while found.finished < trials:
            drawn = np.random.SeedSequence([seed, found.finished]).generate_state(1)
            study.sampler = optuna.samplers.TPESampler(seed=int(drawn[0]))
            if on_begin:
                on_begin(found.finished + 1)
            number = _run_trial(study, data, config, dimensions, found, on_epoch, on_step)
            found = _found(study, folder, config)
            _write(found, space)
            if on_trial:
                on_trial(next(trial for trial in found.trials if trial.number == number), found)
        if found.best is None:
            raise TrainingError(f"expected a trial that comes through, got none of {found.finished} at {folder}")
        _write(found, space)
        return found


def _run_trial(
    study: optuna.Study,
    data: str | Path,
    config: TrainingConfig,
    space: Space,
    found: Study,
    on_epoch: EpochReport | None,
    on_step: StepReport | None,
) -> int:
    trial = study.ask({key: dimension.distribution() for key, dimension in space.items()})

    def report(record: EpochRecord) -> None:
        trial.report(record.roc_auc, record.epoch)
        if on_epoch:
            on_epoch(record)
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        run = train_on_dataset(data, changed(config, trial.params, "the trial"), on_epoch=report, on_step=on_step)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except (TrainingError, UsageError) as error:
        if isinstance(error, UsageError) and not any(each.state in {"complete", "pruned"} for each in found.trials):
            raise  # not these values are at fault, but all of them
        trial.set_user_attr(_ERROR, str(error))
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, max(record.roc_auc for record in run.history))
    return trial.number


def _repeat_interrupted(study: optuna.Study) -> None:
    """Nobody else is at work here, so a trial that runs was cut off; its values are tried again."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _found(study: optuna.Study, folder: Path, config: TrainingConfig) -> Study:
    told = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    records = [_record(trial) for trial in told]
    complete = [record for record in records if record.state == "complete" and record.roc_auc is not None]
    best = max(complete, key=lambda record: (record.roc_auc or 0.0, -record.number), default=None)
    return Study(folder, records, best, changed(config, best.values, "the trial") if best else None)


def _record(trial: FrozenTrial) -> TrialRecord:
    error = trial.user_attrs.get(_ERROR)
    failed = "failed" if error else "interrupted"
    epochs = [value for _, value in sorted(trial.intermediate_values.items())]
    interrupted = trial.state == TrialState.FAIL and not error
    return TrialRecord(
        number=trial.number,
        state=failed if trial.state == TrialState.FAIL else trial.state.name.lower(),
        roc_auc=max(epochs, default=None),
        values=dict(trial.params),
        epochs=epochs,
        seconds=round(trial.duration.total_seconds(), 1) if trial.duration and not interrupted else None,
        error=error,
    )


def _write(found: Study, space: str) -> None:
    """The trials and the best recipe beside the study, each file whole or not at all."""
    table = msgspec.json.format(msgspec.json.encode(found.trials), indent=2) + b"\n"
    write_whole(found.folder / TRIALS_FILE, table)
    if found.best is None or found.config is None:
        return
    about = (
        f"# Found by `trainer tune` in the space {Path(space).stem}: trial {found.best.number} of "
        f"{found.finished} finished,\n# validation ROC-AUC {found.best.roc_auc:.4f}. "
        "The best of several looks better than it is: judge it on the test split.\n"
    )
    write_whole(found.folder / BEST_FILE, (about + tomli_w.dumps(_without_none(found.config.as_dict()))).encode())


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    """TOML knows no null; what is left out has its default, which is what None is."""
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in table.items()
        if value is not None
    }


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second process out of the folder; the lock goes with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"expected a study at rest, got one at work at {folder}: choose another --out") from None
        yield


@contextmanager
def _opened(folder: Path, identity: Mapping[str, Any]) -> Iterator[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{folder / STUDY_FILE}")
    except DatabaseError as error:
        raise ContractError(
            f"expected a study, got `{error.orig}` at {folder / STUDY_FILE}: choose another --out, or remove it"
        ) from None
    try:
        study = optuna.create_study(storage=storage, study_name="tune", direction="maximize", load_if_exists=True)
        for key, value in identity.items():
            if study.user_attrs.setdefault(key, value) != value:
                raise UsageError(
                    f"expected the {key} that this study began with, got another at {folder}: choose --out"
                )
            study.set_user_attr(key, value)
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()
