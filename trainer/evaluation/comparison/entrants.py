"""Who is compared: recipes and baselines, each trained with several seeds and asked about the same windows.

A network is taken from the weights of a series where they were kept, and trained and kept otherwise; its answers are
kept as traces. A comparison that was interrupted goes on with what is there.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from safetensors.torch import save

from models.errors import UsageError, mismatch
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Split
from trainer.device import one_thread_each
from trainer.evaluation.events import Trace
from trainer.evaluation.kept_traces import KeptTraces
from trainer.evaluation.network_scorer import NetworkScorer
from trainer.evaluation.traces import Advance, Scorer, trace_split
from trainer.experiments.runs import run_key
from trainer.experiments.weights import Weights
from trainer.preprocess import SequencePreprocessor
from trainer.sequence_dataset import check_alerts, check_targets, fit_preprocessor
from trainer.train_sequence import EpochReport, StepReport, train_on_dataset

Kind = Literal["sequence", "baseline"]
JUDGED: tuple[Split, ...] = ("validation", "test")


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how far a comparison is.

    Attributes:
        tell: a line on what begins.
        progress: what is done, how much of it there is, and its unit, to what takes the amounts done.
        training: from the epochs of a training to what is told of each epoch and step; None: nobody is.
    """

    tell: Callable[[str], None]
    progress: Callable[[str, float, str], AbstractContextManager[Advance]]
    training: Callable[[int], AbstractContextManager[tuple[EpochReport, StepReport | None]]] | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A trained scorer.

    Attributes:
        key: tells its answers from any other's.
        scorer: what answers.
        facts: what is worth knowing of it, plain data without times.
    """

    key: str
    scorer: Scorer
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entrant:
    """One side of a comparison.

    Attributes:
        name: of the recipe, or of the baseline's features.
        kind: `sequence` or `baseline`.
        make: from a seed to what was trained with it; what was kept is not trained again.
        together: from several scorers that share most of their work to one that gives the probabilities of all,
            [n, scorer × target]; None for those that share nothing.
    """

    name: str
    kind: Kind
    make: Callable[[int], Made]
    together: Callable[[Sequence[Scorer]], Scorer] | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What one training says: its traces by split, and its facts."""

    seed: int
    traces: Mapping[Split, Sequence[Trace]]
    facts: Mapping[str, Any]


def common_targets(dataset: Dataset, recipes: Mapping[str, TrainingConfig]) -> list[str]:
    """The targets of recipes that can be compared: those of all, with the same windows and alert settings.

    Raises:
        UsageError: two recipes differ in them, or the dataset lacks a target.
    """
    (first, config), *others = recipes.items()
    period_ms = dataset.info.period_ms
    targets = check_targets(dataset, config.targets)
    check_alerts(config, targets)
    for name, other in others:
        checks = [
            ("targets", targets, check_targets(dataset, other.targets)),
            ("windows", config.window_rules(period_ms), other.window_rules(period_ms)),
        ]
        checks += [(f"alert.{one}", config.alert_settings(one), other.alert_settings(one)) for one in targets]
        for what, wanted, got in checks:
            if wanted != got:
                raise UsageError(
                    f"{mismatch(f'{what} as in {first} ({wanted})', str(got), f'recipe {name}')}: compare recipes that "
                    "answer the same windows, or make them the same with --set"
                )
    return targets


def network_entrant(
    name: str, config: TrainingConfig, dataset: Dataset, weights: Weights, watch: Watch, fitted: "Preprocessors"
) -> Entrant:
    """A recipe, to be trained with any seed; `make` raises what `train_on_dataset` does."""
    targets = check_targets(dataset, config.targets)
    sensors = dataset.info.sensors
    rules = config.window_rules(dataset.info.period_ms)

    def make(seed: int) -> Made:
        chosen = replace(config, seed=seed)
        fingerprint = dataset.info.fingerprint
        model = weights.model(chosen, fingerprint, input_size=len(sensors), output_size=len(targets))
        if model is None:
            watch.tell(f"{name}, seed {seed}: training")
            told = nullcontext((None, None)) if watch.training is None else watch.training(chosen.num_epochs)
            with told as (on_epoch, on_step):
                run = train_on_dataset(dataset.path, chosen, on_epoch=on_epoch, on_step=on_step)
            weights.keep(run)
            model = run.model
        preprocessor = fitted.of(config)
        digest = hashlib.sha256(save({key: value.contiguous() for key, value in model.state_dict().items()}))
        return Made(
            key=f"{run_key(chosen, fingerprint)}-{digest.hexdigest()[:8]}",
            scorer=NetworkScorer(model, preprocessor.module(), rules, sensors, targets),
            facts={"model_type": config.model_type, "parameters": model.architecture["parameters"]},
        )

    return Entrant(name, "sequence", make)


class Preprocessors:
    """Those of a dataset's training split, each fitted once.

    Args:
        dataset: whose.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._fitted: dict[tuple[str, str, float], SequencePreprocessor] = {}

    def of(self, config: TrainingConfig) -> SequencePreprocessor:
        """The one that a configuration trains with."""
        key = (config.normalization, config.missing_strategy, config.clip)
        if key not in self._fitted:
            self._fitted[key] = fit_preprocessor(
                self._dataset,
                normalization=config.normalization,
                missing_strategy=config.missing_strategy,
                clip=config.clip,
            )
        return self._fitted[key]


def ask(entrant: Entrant, seeds: Sequence[int], dataset: Dataset, kept: KeptTraces, watch: Watch) -> list[Answers]:
    """Several trainings' traces of validation and test, those that were kept not asked for again.

    Raises:
        ContractError, UsageError, TrainingError: as for `train_on_dataset` and `trace_split`.
    """
    made = [entrant.make(seed) for seed in seeds]
    traces: list[dict[Split, Sequence[Trace]]] = [{} for _ in made]
    for split in JUDGED:
        lacking = []
        for place, one in enumerate(made):
            found = kept.read(one.key, split)
            if found is None:
                lacking.append(place)
            else:
                traces[place][split] = found
        apart = [[place] for place in lacking] if entrant.together is None else [lacking] * bool(lacking)
        for places in apart:
            scorers = [made[place].scorer for place in places]
            scorer = scorers[0] if entrant.together is None else entrant.together(scorers)
            which = ", ".join(str(seeds[place]) for place in places)
            asked = _asked(scorer, f"{entrant.name}, seed {which}: {split}", dataset, split, watch)
            for place, own in zip(places, _each(asked, len(places)), strict=True):
                kept.write(made[place].key, split, own)
                traces[place][split] = own
    return [Answers(seed, own, one.facts) for seed, own, one in zip(seeds, traces, made, strict=True)]


def _asked(scorer: Scorer, what: str, dataset: Dataset, split: Split, watch: Watch) -> list[Trace]:
    with watch.progress(what, len(dataset.sequences(split)), "sequences") as advance, one_thread_each():
        return trace_split(scorer, dataset, split, advance, at_once=len(os.sched_getaffinity(0)))


def _each(traces: Sequence[Trace], scorers: int) -> Iterator[list[Trace]]:
    """The traces of each of several scorers that answered together."""
    parts = [np.split(trace.probabilities, scorers, axis=1) for trace in traces]
    for own in zip(*parts, strict=True):
        yield [replace(trace, probabilities=part) for trace, part in zip(traces, own, strict=True)]
