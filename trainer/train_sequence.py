"""Training a sequence model: a whole run from a dataset to the best weights.

    run = train_on_dataset("data/line", load_config("tiny"))
    run.model, run.preprocessor, run.history

The loop itself is `trainer.training.sequence_trainer`.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.integrity import check_integrity
from trainer.loading.loaders import Loader, training_loaders
from trainer.preprocess import SequencePreprocessor
from trainer.sequence_dataset import CastingSequenceDataset, check_alerts, check_targets, fit_preprocessor
from trainer.sequence_models import SequenceModel, build_model
from trainer.training.checkpoint import Checkpoints
from trainer.training.distributed import World, alone, share_of_batch
from trainer.training.history import EpochRecord, EpochReport, StepRecord, StepReport
from trainer.training.sequence_trainer import SequenceModelTrainer, window_scores

__all__ = [
    "EpochRecord",
    "EpochReport",
    "Loader",
    "SequenceModelTrainer",
    "StepRecord",
    "StepReport",
    "TrainingRun",
    "train_on_dataset",
    "window_scores",
]


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A finished training.

    Attributes:
        model: with the best epoch's weights, in eval mode, on the CPU.
        preprocessor: fitted on the training split.
        dataset: what it was trained on.
        train: the training windows.
        validation: the validation windows.
        history: one record an epoch.
        config: of the run.
    """

    model: SequenceModel
    preprocessor: SequencePreprocessor
    dataset: Dataset
    train: CastingSequenceDataset
    validation: CastingSequenceDataset
    history: list[EpochRecord]
    config: TrainingConfig

    @property
    def best(self) -> EpochRecord:
        """The epoch whose weights were kept."""
        return max((entry for entry in self.history if entry.best), key=lambda entry: entry.epoch)

    def record(self) -> dict[str, Any]:
        """For training.json."""
        return {"config": self.config.as_dict(), "history": [asdict(entry) for entry in self.history]}


def train_on_dataset(
    data: str | Path,
    config: TrainingConfig,
    *,
    on_epoch: EpochReport | None = None,
    on_step: StepReport | None = None,
    checkpoints: Path | None = None,
    resume: bool = False,
    world: World | None = None,
    shuffle_labels: int | None = None,
) -> TrainingRun:
    """Train on a dataset's training split, judged on its validation split.

    Args:
        data: folder of the dataset.
        config: of the run.
        on_epoch: told of every epoch.
        on_step: told of every training step.
        checkpoints: folder for the state after each epoch; None keeps none.
        resume: go on from the newest checkpoint there, if there is one.
        world: of the processes that train together; None for this one alone.
        shuffle_labels: seed by which windows exchange their labels, see `trainer.experiments.leak`; None: they do not.

    Raises:
        ContractError: no dataset there, one that was altered, or splits that leak.
        UsageError: a target it does not have, alert settings of another, a split without windows of both classes,
            a batch that the processes cannot share, or a checkpoint of another run.
        TrainingError: device or precision are not there, numbers that are none, memory or disk that do not suffice.
    """
    world = world or alone(config.device)  # before the data is read, which may take minutes
    share_of_batch(config.batch_size, world)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    dataset = Dataset.open(data)
    check_alerts(config, check_targets(dataset, config.targets))
    check_integrity(dataset, config.window_rules(dataset.info.period_ms))
    preprocessor = fit_preprocessor(
        dataset,
        normalization=config.normalization,
        missing_strategy=config.missing_strategy,
        clip=config.clip,
    )
    loaders = training_loaders(
        data, config, preprocessor, rank=world.rank, world=world.size, shuffle_labels=shuffle_labels
    )
    train, validation = loaders.train_data, loaders.validation_data
    model = build_model(config, len(train.sensor_names), len(train.targets))
    if model.whitening is not None:
        model.whitening.fit(preprocessor.correlation)
    if world.size > 1:
        torch.manual_seed(config.seed + world.rank)  # the weights are the same, dropout is not
    trainer = SequenceModelTrainer(
        model,
        config,
        loaders.train,
        loaders.validation,
        on_epoch=on_epoch,
        on_step=on_step,
        checkpoints=None if checkpoints is None else Checkpoints(checkpoints),
        identity={"data": dataset.info.fingerprint},
        world=world,
    )
    if resume:
        trainer.resume()
    history = trainer.train()
    return TrainingRun(model.cpu(), preprocessor, dataset, train, validation, history, config)
