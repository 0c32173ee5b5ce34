"""LightGBM's parameters: what is searched, and one try.

The search is judged as the networks' is: by ROC-AUC on the judged validation windows, the mean over the targets. Trees
are added until validation ROC-AUC has not risen for fifty rounds, and those after the best are dropped, as the networks
keep their best epoch. The first trial is LightGBM's own defaults. A trial that falls behind is not given up early: it
takes seconds, and what it says is whole.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import optuna

from models.errors import ContractError, UsageError
from models.whole_file import write_whole
from models.windows import Float32Array
from trainer.baseline_model import BaselineTrial, Parameter
from trainer.experiments.space import Dimension, Space

SPACE: Space = {
    "learning_rate": Dimension(low=0.02, high=0.2, log=True),
    "num_leaves": Dimension(low=4, high=128, log=True),
    "min_data_in_leaf": Dimension(low=5, high=500, log=True),
    "feature_fraction": Dimension(low=0.1, high=1.0),
    "bagging_fraction": Dimension(low=0.4, high=1.0),
    "lambda_l1": Dimension(low=1e-3, high=10.0, log=True),
    "lambda_l2": Dimension(low=1e-3, high=100.0, log=True),
}
"""What is searched, by LightGBM's names."""

DEFAULTS: dict[str, Parameter] = {
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_data_in_leaf": 20,
    "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
    "lambda_l1": 1e-3,
    "lambda_l2": 1e-3,
}
"""LightGBM's own, but for penalties of 0, which a logarithm cannot reach."""

_ROUNDS = 2000
_PATIENCE = 50

OnTrial = Callable[[BaselineTrial], None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Windows of a split as the models see them.

    Attributes:
        features: float32 [n, feature].
        labels: float32 [n, target], NaN where left out.
    """

    features: Float32Array
    labels: Float32Array


@dataclass(frozen=True, slots=True)
class Try:
    """A trial and what it made.

    Attributes:
        trial: its record.
        texts: LightGBM's text of each target's model.
    """

    trial: BaselineTrial
    texts: tuple[str, ...]


Judge = Callable[[Float32Array], float]
"""The mean ROC-AUC of probabilities [n, target] of the validation windows."""


class Tries:
    """Trains all targets with given parameters, again and again on the same windows.

    Args:
        train: to learn from.
        validation: to stop and to judge by.
        judge: what a try is worth.
        targets: in the order of the labels.
        feature_names: in the order of the features.
        seed: of LightGBM.
        threads: of LightGBM.
    """

    def __init__(
        self,
        train: Drawn,
        validation: Drawn,
        judge: Judge,
        *,
        targets: Sequence[str],
        feature_names: Sequence[str],
        seed: int,
        threads: int,
    ) -> None:
        self._validation, self._judge, self._targets = validation, judge, targets
        self._fixed: dict[str, Any] = {
            "objective": "binary",
            "metric": "auc",
            "bagging_freq": 1,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,  # LightGBM would time both ways and take the faster: another sum, other bits
            "feature_pre_filter": False,  # else what is cut off depends on the first trial's min_data_in_leaf
            "num_threads": threads,
            "verbosity": -1,
        }
        self._sets = []
        for column in range(len(targets)):
            learnt = self._set(train, column, feature_names, None)
            self._sets.append((learnt, self._set(validation, column, feature_names, learnt)))

    def _set(
        self, drawn: Drawn, column: int, names: Sequence[str], reference: "lightgbm.Dataset | None"
    ) -> lightgbm.Dataset:
        known = ~np.isnan(drawn.labels[:, column])
        features = drawn.features if known.all() else drawn.features[known]  # the copy may be gigabytes
        made = lightgbm.Dataset(
            features, drawn.labels[known, column], reference, feature_name=list(names), params=self._fixed
        )
        return made.construct()

    def run(self, number: int, parameters: Mapping[str, Parameter]) -> Try:
        """One try."""
        began_s = time.perf_counter()
        texts, rounds, said = [], {}, np.empty((len(self._validation.features), len(self._targets)), np.float32)
        for column, (target, (train, validation)) in enumerate(zip(self._targets, self._sets, strict=True)):
            booster = lightgbm.train(
                {**self._fixed, **parameters},
                train,
                _ROUNDS,
                valid_sets=[validation],
                callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
            )
            said[:, column] = booster.predict(self._validation.features, num_threads=self._fixed["num_threads"])
            rounds[target] = int(booster.best_iteration)
            texts.append(booster.model_to_string(num_iteration=booster.best_iteration))
        seconds = round(time.perf_counter() - began_s, 1)
        return Try(BaselineTrial(number, dict(parameters), self._judge(said), rounds, seconds), tuple(texts))


def search(
    tries: Tries, trials: int, seed: int, on_trial: OnTrial | None, log: "SearchLog | None" = None
) -> tuple[Try, list[BaselineTrial]]:
    """Search; returns the best try, the earliest of equals, and the records of all.

    Args:
        tries: trains and judges.
        trials: how many, 1 at least.
        seed: of the search; the sampler of the n-th trial is seeded with it and n alone, as in `trainer tune`, so that
            a search that goes on from its log tries the same values as one that was not stopped.
        on_trial: told of each that is made now.
        log: of the trials; those that it has are not made again.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(DEFAULTS)
    distributions = {name: dimension.distribution() for name, dimension in SPACE.items()}
    known = [] if log is None else log.trials()[:trials]
    records: list[BaselineTrial] = []
    best: Try | None = None
    for number in range(trials):
        drawn = np.random.SeedSequence([seed, number]).generate_state(1)
        study.sampler = optuna.samplers.TPESampler(seed=int(drawn[0]))
        asked = study.ask(distributions)
        if number < len(known) and known[number].parameters == asked.params:
            records.append(known[number])
        else:
            made = tries.run(number, asked.params)
            records.append(made.trial)
            if best is None or made.trial.roc_auc > best.trial.roc_auc:
                best = made
            if log is not None:
                log.write(records)
            if on_trial:
                on_trial(made.trial)
        study.tell(asked, records[-1].roc_auc)
    winner = max(records, key=lambda trial: trial.roc_auc)
    if best is None or best.trial.number != winner.number:  # made before a stop: the same once more
        best = Try(winner, tries.run(winner.number, winner.parameters).texts)
    return best, records


class _Logged(msgspec.Struct, frozen=True):
    search: str
    trials: list[BaselineTrial]


class SearchLog:
    """The trials of a search on disk, so that one that was stopped need not begin anew.

    Args:
        path: the file; it need not exist.
        search: tells one search from another: a digest of all that decides it.
    """

    def __init__(self, path: Path, search: str) -> None:
        self.path = path
        self._search = search

    def trials(self) -> list[BaselineTrial]:
        """Those made, in order; none if the file is of another search, or of none."""
        try:
            logged = msgspec.json.decode(self.path.read_bytes(), type=_Logged)
        except FileNotFoundError:
            return []
        except msgspec.DecodeError as error:
            raise ContractError(f"expected a search's trials, got `{error}` at {self.path}: remove it") from None
        return logged.trials if logged.search == self._search else []

    def write(self, trials: Sequence[BaselineTrial]) -> None:
        """Write all trials, in the place of those that were there.

        Raises:
            OSError: the system will not take it.
        """
        write_whole(self.path, msgspec.json.format(msgspec.json.encode(_Logged(self._search, list(trials)))) + b"\n")


def check_parameters(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Parameters that were found before, completed by the defaults.

    Raises:
        UsageError: one that is not searched.
    """
    for name in parameters:
        if name not in SPACE:
            raise UsageError(f"expected parameters of {', '.join(SPACE)}, got `{name}` at params")
    return {**DEFAULTS, **parameters}
