"""The same recipes trained with several seeds: how much of a score is luck.

    run_series("data/line", {"lstm": config}, seeds=5, log=RunLog(Path("runs.jsonl")))

Every run is scored on one draw of `config.validation_share` of the windows of validation and test, the same for all
seeds, by the network in torch; what a bundle is worth to an operator, `trainer evaluate` says.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from models.windows import Float32Array
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Split
from trainer.experiments.runs import RunLog, RunRow, Scores, configuration_key, run_key
from trainer.experiments.weights import Weights
from trainer.git import head_commit
from trainer.loading.loaders import judged_loader, open_split
from trainer.train_sequence import EpochReport, StepReport, TrainingRun, train_on_dataset, window_scores

OnRun = Callable[[str, int, RunRow | None], None]
"""Called with recipe and seed before a run (None) and after it, or with the row that was there already."""


def run_series(
    data: str | Path,
    recipes: Mapping[str, TrainingConfig],
    seeds: int,
    log: RunLog,
    *,
    on_run: OnRun,
    weights: Weights | None = None,
    on_epoch: EpochReport | None = None,
    on_step: StepReport | None = None,
) -> list[RunRow]:
    """Train each recipe with the seeds 0, 1, … and log each run; what the log has is not run again.

    Every recipe gets a seed before any gets the next: an interrupted series has something of each.

    Args:
        data: folder of a dataset.
        recipes: by name.
        seeds: how many.
        log: of the rows.
        on_run: told before and after each run.
        weights: where the networks are kept; None keeps none.
        on_epoch: told of every epoch.
        on_step: told of every step.

    Returns:
        The rows of this series, also those that were there before.

    Raises:
        TrainingError, UsageError, ContractError: as for `train_on_dataset`; the rows before it stay.
    """
    fingerprint = Dataset.open(data).info.fingerprint
    rows = []
    for seed in range(seeds):
        for recipe, chosen in recipes.items():
            config = replace(chosen, seed=seed)
            row = log.find(run_key(config, fingerprint))
            if row is None:
                on_run(recipe, seed, None)
                row = train_and_score(data, recipe, config, weights=weights, on_epoch=on_epoch, on_step=on_step)
                log.append(row)
            on_run(recipe, seed, row)
            rows.append(row)
    return rows


def train_and_score(
    data: str | Path,
    recipe: str,
    config: TrainingConfig,
    *,
    weights: Weights | None = None,
    on_epoch: EpochReport | None = None,
    on_step: StepReport | None = None,
) -> RunRow:
    """One run of a series; its network is kept in `weights`.

    Raises:
        TrainingError, UsageError, ContractError: as for `train_on_dataset`.
    """
    commit, began_s, began_processor_s = head_commit(), time.perf_counter(), time.process_time()
    run = train_on_dataset(data, config, on_epoch=on_epoch, on_step=on_step)
    seconds, processor_s = time.perf_counter() - began_s, time.process_time() - began_processor_s
    if weights is not None:
        weights.keep(run)
    return RunRow(
        recipe=recipe,
        seed=config.seed,
        configuration=configuration_key(config, run.dataset.info.fingerprint),
        key=run_key(config, run.dataset.info.fingerprint),
        data_fingerprint=run.dataset.info.fingerprint,
        git_commit=commit,
        model_type=config.model_type,
        parameters=run.model.architecture["parameters"],
        epochs=len(run.history),
        best_epoch=run.best.epoch,
        seconds=round(seconds, 1),
        processor_seconds=round(processor_s, 1),
        threads=config.threads,
        validation=score_split(run, "validation"),
        test=score_split(run, "test"),
        history=[asdict(entry) for entry in run.history],
    )


@torch.inference_mode()
def score_split(run: TrainingRun, split: Split) -> Scores:
    """ROC-AUC and PR-AUC of the trained network on the judged windows of a split.

    Raises:
        UsageError: a class of a target is missing there.
    """
    windows = open_split(run.dataset.path, split, run.config, run.preprocessor)
    said, truth = [], []
    for sequences, labels in judged_loader(windows, run.config):
        said.append(run.model.predict_proba(sequences).numpy())
        truth.append(labels.numpy())
    return scores_of(np.concatenate(said), np.concatenate(truth), windows.targets)


def scores_of(probabilities: Float32Array, labels: Float32Array, targets: Sequence[str]) -> Scores:
    """ROC-AUC and PR-AUC of windows, by target and their mean.

    Args:
        probabilities: [n, target].
        labels: [n, target], NaN where left out.
        targets: in the order of the columns.

    Raises:
        TrainingError: a target has windows of one class only.
    """
    columns = {
        target: window_scores(probabilities[:, [index]], labels[:, [index]]) for index, target in enumerate(targets)
    }
    return Scores(**window_scores(probabilities, labels), targets=columns)
