"""From a dataset and a configuration to the loaders of a training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from models.errors import UsageError
from models.windows import Float32Array, Int64Array
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Split
from trainer.loading.sampling import EpochSampler
from trainer.preprocess import SequencePreprocessor
from trainer.sequence_dataset import CastingSequenceDataset

Loader = DataLoader[tuple[Tensor, ...]]

VALIDATION_BATCH = 512
"""Windows judged at once."""

LOOK_ALIKES = 0.6
"""Part of an epoch's negatives that is of look-alikes, with that sampling."""

_JUDGED_SEED = 0
"""Of the draw of the windows that judge."""


@dataclass(frozen=True, slots=True)
class Loaders:
    """What a training reads.

    Attributes:
        train: batches of an epoch; its sampler wants `set_epoch` before each.
        validation: batches of the validation windows that judge an epoch, the same each time, never augmented.
        train_data: all training windows.
        validation_data: all validation windows.
    """

    train: Loader
    validation: Loader
    train_data: CastingSequenceDataset
    validation_data: CastingSequenceDataset


def training_loaders(
    data: str | Path,
    config: TrainingConfig,
    preprocessor: SequencePreprocessor,
    *,
    rank: int = 0,
    world: int = 1,
    shuffle_labels: int | None = None,
) -> Loaders:
    """The training and validation loaders of one process.

    `config.batch_size` is the windows of one step of all processes together: each takes its part, so that several
    see what one would. The global random generator is not touched: neither the number of worker processes nor a
    resumed run changes what dropout draws.

    Args:
        data: folder of a dataset.
        config: of the run.
        preprocessor: fitted on the training split.
        rank: number of this process.
        world: number of processes.
        shuffle_labels: as for `CastingSequenceDataset`, of both splits: the choice of an epoch knows no truth either.

    Raises:
        UsageError: a target has no positive or no negative window in a split, or among those that are drawn of it.
    """
    train = open_split(data, "train", config, preprocessor, shuffle_labels)
    validation = open_split(data, "validation", config, preprocessor, shuffle_labels)
    sampler = training_sampler(train, config, rank=rank, world=world)
    return Loaders(
        _loader(train, -(-config.batch_size // world), sampler, config, drop_last=True),
        judged_loader(validation, config, rank=rank, world=world),
        train,
        validation,
    )


def training_sampler(
    windows: CastingSequenceDataset, config: TrainingConfig, *, rank: int = 0, world: int = 1
) -> EpochSampler:
    """What draws the windows of each epoch.

    Args:
        windows: of the training split, from `open_split`.
        config: of the run.
        rank: number of this process.
        world: number of processes.

    Raises:
        UsageError: the first epoch has no positive or no negative window of a target.
    """
    sampler = EpochSampler(
        windows,
        positive=config.positive_share,
        near=config.decoy_share,
        plain=config.negative_share,
        balance=None if config.sampling == "shares" else config.balance,
        look_alikes=LOOK_ALIKES if config.sampling == "look_alikes" else 0.0,
        seed=config.seed,
        rank=rank,
        world=world,
    )
    if world == 1:
        _check_drawn(windows, sampler, "an epoch", "positive_share, decoy_share or negative_share")
    return sampler


def drawn_windows(windows: CastingSequenceDataset, config: TrainingConfig) -> Int64Array:
    """The windows [k] that a training's epochs draw, rising, each once: all that a network may learn from.

    Args:
        windows: of the training split, from `open_split`.
        config: of the run; an early end of the training is not foreseen.

    Raises:
        UsageError: as for `training_sampler`.
    """
    sampler = training_sampler(windows, config)
    drawn = np.zeros(len(windows), np.bool_)
    for epoch in range(config.num_epochs):
        sampler.set_epoch(epoch)
        drawn[np.fromiter(sampler, np.int64) % len(windows)] = True
    return np.flatnonzero(drawn)


def judged_loader(windows: CastingSequenceDataset, config: TrainingConfig, *, rank: int = 0, world: int = 1) -> Loader:
    """The windows of a split that judge a model: `config.validation_share` of them, the same whatever the seed.

    Args:
        windows: from `open_split`.
        config: of the run.
        rank: number of this process.
        world: number of processes; each window is on one of them.
    """
    share = config.validation_share
    # Not by the run's seed: the difference between two seeds is then one of models, not of the windows drawn.
    judged = EpochSampler(
        windows, positive=share, near=share, plain=share, seed=_JUDGED_SEED, fixed=True, rank=rank, world=world
    )
    if world == 1:
        _check_drawn(windows, judged, "judging", "validation_share")
    return _loader(windows, VALIDATION_BATCH, judged, config)


def _loader(
    data: CastingSequenceDataset,
    batch_size: int,
    sampler: EpochSampler,
    config: TrainingConfig,
    *,
    drop_last: bool = False,
) -> Loader:
    return DataLoader(
        data,
        batch_size,
        sampler=sampler,
        collate_fn=data.collate_fn,
        # A last batch of a few windows would move the weights as far as a whole one, and know less.
        drop_last=drop_last and len(sampler) > batch_size,
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
        pin_memory=config.device.startswith("cuda"),
        # For the workers' seeds, which nothing here uses; without it they come out of the global one.
        generator=torch.Generator().manual_seed(config.seed),
    )


def open_split(
    data: str | Path,
    split: Split,
    config: TrainingConfig,
    preprocessor: SequencePreprocessor | None,
    shuffle_labels: int | None = None,
) -> CastingSequenceDataset:
    """The windows of one split, augmented as configured if it is the training split.

    Args:
        data: folder of a dataset.
        split: whose windows.
        config: of the run.
        preprocessor: fitted on the training split; None leaves the windows as they are, and augments none.
        shuffle_labels: as for `CastingSequenceDataset`.

    Raises:
        UsageError: a target has no positive or no negative window there.
    """
    rules = config.window_rules(Dataset.open(data).info.period_ms)
    windows = CastingSequenceDataset(
        data,
        None if config.variable_length and split == "train" else rules.length,
        normalize=preprocessor is not None,
        augment=config.augmentation if split == "train" and preprocessor is not None else False,
        split=split,
        rules=rules,
        targets=config.targets,
        preprocessor=preprocessor,
        seed=config.seed,
        shuffle_labels=shuffle_labels,
    )
    for kind, target in _lacking(windows.targets, windows.labels):
        raise UsageError(
            f"expected {kind} windows of `{target}` in the split `{split}`, got none of {len(windows)} "
            f"at {data}: simulate longer, or change window_length or max_gap_periods"
        )
    return windows


def _check_drawn(windows: CastingSequenceDataset, sampler: EpochSampler, what: str, fields: str) -> None:
    """Refuse to learn from, or to judge by, windows of one class only, before the first epoch and not after it."""
    drawn = np.fromiter(sampler, np.int64) % len(windows)
    for kind, target in _lacking(windows.targets, windows.labels[drawn]):
        raise UsageError(
            f"expected {kind} windows of `{target}` among those drawn for {what}, got none of {len(drawn)}: "
            f"raise {fields}"
        )


def _lacking(targets: Sequence[str], labels: Float32Array) -> Iterator[tuple[str, str]]:
    """The classes of which there is no window, each with its target."""
    for target, label in zip(targets, labels.T, strict=True):
        for value, kind in ((1, "positive"), (0, "negative")):
            if not bool((label == value).any()):
                yield kind, target
