"""The loaders of a training: the same batches however they are loaded."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from models.errors import UsageError
from trainer.config import TrainingConfig, load_config
from trainer.datasets.dataset import Dataset
from trainer.loading.augmentation import AugmentationSettings
from trainer.loading.loaders import Loaders, training_loaders
from trainer.sequence_dataset import CastingSequenceDataset, fit_preprocessor

VARIED = AugmentationSettings(share=1.0, jitter=0.1, time_warp=0.1, shift=4, mixup=0.3)


@pytest.fixture
def config(small_config: TrainingConfig) -> TrainingConfig:
    return replace(small_config, augmentation=VARIED, sampling="balanced", negative_share=0.3, batch_size=50)


def loaders(line: Dataset, config: TrainingConfig, **more: int) -> Loaders:
    return training_loaders(line.path, config, fit_preprocessor(line), **more)


def epochs(found: Loaders, numbers: tuple[int, ...] = (1, 2)) -> list[tuple[Tensor, ...]]:
    batches = []
    for epoch in numbers:
        found.train.sampler.set_epoch(epoch)
        batches += [*found.train, *found.validation]
    return batches


def assert_same(one: list[tuple[Tensor, ...]], other: list[tuple[Tensor, ...]]) -> None:
    for first, second in zip(one, other, strict=True):
        for part, again in zip(first, second, strict=True):
            np.testing.assert_array_equal(part, again)


def test_worker_processes_load_the_same_batches_in_every_epoch(small_line: Dataset, config: TrainingConfig) -> None:
    alone = epochs(loaders(small_line, config))
    assert_same(alone, epochs(loaders(small_line, replace(config, workers=2))))
    assert not torch.equal(alone[0][0], alone[len(alone) // 2][0])


def test_spawned_worker_processes_load_the_same_batches(small_line: Dataset, config: TrainingConfig) -> None:
    found = loaders(small_line, config)
    spawned = DataLoader(
        found.train_data,
        50,
        sampler=found.train.sampler,
        collate_fn=found.train_data.collate_fn,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context="spawn",
        drop_last=True,
    )
    for epoch in (3, 4):
        found.train.sampler.set_epoch(epoch)
        assert_same(list(found.train), list(spawned))


def test_a_later_epoch_does_not_depend_on_those_before(small_line: Dataset, config: TrainingConfig) -> None:
    whole, resumed = epochs(loaders(small_line, config), (1, 2)), epochs(loaders(small_line, config), (2,))
    assert_same(whole[len(whole) // 2 :], resumed)


def test_a_class_that_is_never_drawn_is_refused_at_once(small_line: Dataset, config: TrainingConfig) -> None:
    positives_only = replace(config, sampling="shares", decoy_share=0.0, negative_share=0.0)
    with pytest.raises(UsageError, match="negative windows of `sticker` among those drawn for an epoch"):
        loaders(small_line, positives_only)


def test_the_global_random_generator_is_left_alone(small_line: Dataset, config: TrainingConfig) -> None:
    found = loaders(small_line, config)
    torch.manual_seed(5)
    epochs(found)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), after)


def test_validation_is_never_augmented(small_line: Dataset, config: TrainingConfig) -> None:
    varied, plain = (
        loaders(small_line, config),
        loaders(small_line, replace(config, augmentation=AugmentationSettings())),
    )
    assert_same(list(varied.validation), list(plain.validation))
    raw = CastingSequenceDataset(
        small_line.path,
        24,
        split="validation",
        rules=varied.validation_data.rules,
        preprocessor=varied.train_data.scaler,
    )
    assert torch.equal(
        torch.cat([batch[0] for batch in varied.validation]), torch.stack([raw[index][0] for index in range(len(raw))])
    )
    for found in (varied, plain):
        found.train.sampler.set_epoch(1)
    assert not torch.equal(next(iter(varied.train))[0], next(iter(plain.train))[0])


def test_variable_lengths_are_trained_on_and_whole_windows_judged(small_line: Dataset, config: TrainingConfig) -> None:
    growing = loaders(small_line, replace(config, variable_length=True, augmentation=AugmentationSettings()))
    plain = loaders(small_line, config)
    assert_same(list(growing.validation), list(plain.validation))
    assert len(growing.train_data) > len(plain.train_data)
    shortest = 24
    for windows, _, lengths, mask in growing.train:
        assert windows.shape[1] == int(lengths.max())
        assert torch.equal(mask.sum(1), lengths)
        assert not windows[~mask].any()
        shortest = min(shortest, int(lengths.min()))
    assert 8 <= shortest < 24


def test_every_seed_is_judged_by_the_same_windows(small_line: Dataset, config: TrainingConfig) -> None:
    drawn = replace(config, validation_share=0.3, seed=1)
    assert_same(
        list(loaders(small_line, drawn).validation), list(loaders(small_line, replace(drawn, seed=2)).validation)
    )


def test_two_processes_step_through_what_one_would(small_line: Dataset, config: TrainingConfig) -> None:
    one = loaders(small_line, config)
    two = [loaders(small_line, config, rank=rank, world=2) for rank in range(2)]
    for found in (one, *two):
        found.train.sampler.set_epoch(1)
    assert len(one.train) == len(two[0].train) == len(two[1].train)
    for whole, *parts in zip(one.train, two[0].train, two[1].train, strict=True):
        windows = torch.stack([part[0] for part in parts], dim=1).flatten(0, 1)
        assert torch.equal(windows[: len(whole[0])], whole[0])
    judged = [sum(len(batch[0]) for batch in part.validation) for part in two]
    assert sum(judged) == sum(len(batch[0]) for batch in one.validation)


def test_settings_reach_the_loaders_by_name(small_line: Dataset) -> None:
    config = load_config(
        "tiny",
        ["augmentation.jitter=0.05", "augmentation.symmetry=true", "sampling=balanced", "balance=0.25", "workers=2"],
    )
    assert config.augmentation == AugmentationSettings(jitter=0.05, symmetry=True)
    assert (config.sampling, config.balance, config.workers) == ("balanced", 0.25, 2)
    with pytest.raises(UsageError, match="declares symmetries"):
        loaders(small_line, replace(config, window_length=24))


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("augmentation.jiter=0.05", "augmentation.jiter"),
        ("augmentation.jitter=-1", "augmentation.jitter"),
        ("augmentation.share=2", "augmentation.share"),
        ("augmentation=strong", "augmentation"),
        ("sampling=even", "sampling"),
        ("balance=1", "balance"),
        ("missing_strategy=guess", "missing_strategy"),
        ("normalization=unit", "normalization"),
    ],
)
def test_a_wrong_setting_is_named(assignment: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace(".", r"\.")):
        load_config("tiny", [assignment])
