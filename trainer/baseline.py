"""The baseline: LightGBM on window features, trained as fairly as can be against a sequence model.

    run = train_baseline("data/line", load_config("lstm"), "summary", trials=20, seed=0)
    run.model.predict(windows), run.validation.roc_auc
    train_baseline("data/line", load_config("lstm"), "summary", seed=1, params=run.model.about.parameters)

Fair means: the same windows by the same rules, of the same splits, with the same labels. It learns from every window
that the network's epochs would draw with the same configuration and seed, each once; it is stopped, tuned and judged on
the windows that judge the network's epochs. Augmented copies and windows drawn again it does not get: trees that are
stopped on validation have no epochs to vary. Of the configuration, what describes a network alone is not used.
"""

import time
from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from models.windows import Float32Array
from trainer.baseline_model import (
    BaselineAbout,
    BaselineModel,
    BaselineTrial,
    Parameter,
    load_baseline,
    text_sha256,
)
from trainer.baseline_search import Drawn, OnTrial, SearchLog, Tries, check_parameters, search
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.integrity import check_integrity
from trainer.datasets.records import Split
from trainer.experiments.runs import Scores, run_key
from trainer.experiments.series import scores_of
from trainer.loading.loaders import drawn_windows, judged_loader, open_split
from trainer.sequence_dataset import check_alerts, check_targets
from trainer.window_features import FeatureKind, WindowFeatures

__all__ = [
    "BaselineAbout",
    "BaselineModel",
    "BaselineRun",
    "BaselineTrial",
    "baseline_key",
    "load_baseline",
    "score_baseline",
    "train_baseline",
]

_READ = 512
"""Windows read at once."""

_USED = (
    "window_length", "variable_length", "stride", "max_gap_periods", "targets", "num_epochs", "positive_share",
    "negative_share", "decoy_share", "sampling", "balance", "validation_share", "seed", "threads",
)  # fmt: skip
"""Fields of a configuration that a baseline goes by: its windows, and how many epochs draw of them."""

OnFeatures = Callable[[float], None]
"""Called with the share of all windows, in per cent, whose features were computed since the last call."""


@dataclass(frozen=True, slots=True)
class BaselineRun:
    """A finished training.

    Attributes:
        model: the best trial's.
        validation: its scores on the judged validation windows; it was chosen by them.
    """

    model: BaselineModel
    validation: Scores

    @property
    def seconds(self) -> float:
        """Of the whole, on the clock: integrity, features, search."""
        return self.model.about.seconds

    @property
    def trials(self) -> tuple[BaselineTrial, ...]:
        """Of the search, in order."""
        return self.model.about.trials


def train_baseline(
    data: str | Path,
    config: TrainingConfig,
    features: FeatureKind = "summary",
    *,
    trials: int = 20,
    seed: int = 0,
    params: Mapping[str, Parameter] | None = None,
    log: Path | None = None,
    on_features: OnFeatures | None = None,
    on_trial: OnTrial | None = None,
) -> BaselineRun:
    """Train one LightGBM model a target on the features of a dataset's training windows.

    Args:
        data: folder of a dataset.
        config: the network's whose baseline it is: windows, shares, epochs, targets, threads.
        features: which family.
        trials: of the search, the first with LightGBM's defaults.
        seed: of LightGBM, of the search, and in the place of `config.seed` of the training windows drawn.
        params: LightGBM's, found before; nothing is searched then, and `trials` means nothing.
        log: file of the search's trials; one that was stopped goes on from it. None keeps none.
        on_features: told how far the features are.
        on_trial: told of each trial.

    Raises:
        ContractError: no dataset there, one that was altered, or splits that leak.
        UsageError: a target it does not have, alert settings of another, windows without both classes, or a parameter
            that is not searched.
    """
    began_s, began_processor_s = time.perf_counter(), time.process_time()
    given = None if params is None else check_parameters(params)
    config = replace(config, seed=seed)
    dataset = Dataset.open(data)
    info, targets = dataset.info, check_targets(dataset, config.targets)
    check_alerts(config, targets)
    rules = config.window_rules(info.period_ms)
    check_integrity(dataset, rules)
    extractor = WindowFeatures(features, info.sensors, info.symmetries, info.period_ms)
    features_began_s = time.perf_counter()
    train, validation = _drawn(data, config, extractor, on_features)
    feature_seconds = time.perf_counter() - features_began_s
    tries = Tries(
        train,
        validation,
        lambda said: scores_of(said, validation.labels, targets).roc_auc,
        targets=targets,
        feature_names=extractor.names,
        seed=seed,
        threads=config.threads,
    )
    if given is None:
        key = f"{baseline_key(config, info.fingerprint)}-{features}"
        best, records = search(tries, trials, seed, on_trial, None if log is None else SearchLog(log, key))
    else:
        best = tries.run(0, given)
        records = [best.trial]
    about = BaselineAbout(
        features=features,
        window=rules,
        sensors=info.sensors,
        symmetries=info.symmetries,
        targets=tuple(targets),
        feature_names=extractor.names,
        parameters=best.trial.parameters,
        seed=seed,
        train_windows=len(train.labels),
        validation_windows=len(validation.labels),
        data_fingerprint=info.fingerprint,
        seconds=round(time.perf_counter() - began_s, 3),
        feature_seconds=round(feature_seconds, 3),
        processor_seconds=round(time.process_time() - began_processor_s, 1),
        trials=tuple(records),
        model_sha256=tuple(map(text_sha256, best.texts)),
    )
    model = BaselineModel(about, best.texts, threads=config.threads)
    said = model.predict_features(validation.features)
    return BaselineRun(model, scores_of(said, validation.labels, targets))


def baseline_key(config: TrainingConfig, data_fingerprint: str) -> str:
    """A digest of all that decides a baseline but its features and search: what describes a network alone is not in it.

    Args:
        config: the network's.
        data_fingerprint: of the dataset.
    """
    used = {name: getattr(config, name) for name in _USED}
    return run_key(replace(TrainingConfig(device="cpu"), **used), data_fingerprint)


def score_baseline(model: BaselineModel, data: str | Path, config: TrainingConfig, split: Split) -> Scores:
    """ROC-AUC and PR-AUC on the judged windows of a split, the same that judge a network of this configuration.

    Raises:
        UsageError: a class of a target is missing there.
    """
    windows = open_split(data, split, replace(config, targets=list(model.targets)), None)
    said, truth = [], []
    for raw, labels in judged_loader(windows, config):
        said.append(model.predict(raw.numpy()))
        truth.append(labels.numpy())
    return scores_of(np.concatenate(said), np.concatenate(truth), model.targets)


def _drawn(
    data: str | Path, config: TrainingConfig, extractor: WindowFeatures, on_features: OnFeatures | None
) -> tuple[Drawn, Drawn]:
    """The windows learnt from, and those that judge."""
    train = open_split(data, "train", config, None)
    judged = judged_loader(open_split(data, "validation", config, None), config)
    numbers = drawn_windows(train, config)
    share = 100 / (len(numbers) + len(cast("Sized", judged.sampler)))

    def told(raw: Float32Array) -> Float32Array:
        values = extractor.compute(raw)
        if on_features:
            on_features(len(values) * share)
        return values

    learnt = np.empty((len(numbers), len(extractor.names)), np.float32)
    for first in range(0, len(numbers), _READ):
        part = slice(first, first + _READ)
        learnt[part] = told(train.raw(numbers[part]))
    parts = [(told(raw.numpy()), labels.numpy()) for raw, labels in judged]
    features, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Drawn(learnt, train.labels[numbers]), Drawn(features, labels)
