"""The leak test: labels that are shuffled in earnest, a verdict that can fall either way, the command."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from trainer import cli
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.experiments.leak import LeakTest
from trainer.experiments.runs import Scores
from trainer.loading.augmentation import AugmentationSettings
from trainer.loading.loaders import open_split
from trainer.loading.window_index import PLAIN
from trainer.sequence_dataset import CastingSequenceDataset, fit_preprocessor


def scores(roc_auc: float) -> Scores:
    return Scores(roc_auc, 0.1, {"sticker": {"roc_auc": roc_auc, "pr_auc": 0.1}})


def verdict(real: float, *shuffled: float) -> bool:
    return LeakTest(scores(real), tuple(map(scores, shuffled))).suspected


class TestShuffledLabels:
    def test_windows_exchange_labels_and_kinds_together_and_stay_what_they_were(
        self, small_line: Dataset, small_config: TrainingConfig
    ) -> None:
        true = open_split(small_line.path, "train", small_config, None)
        shuffled = open_split(small_line.path, "train", small_config, None, shuffle_labels=1)
        np.testing.assert_array_equal(shuffled.event_time_ms, true.event_time_ms)
        some = np.arange(0, len(true), 7)
        np.testing.assert_array_equal(shuffled.raw(some), true.raw(some))

        def pairs(windows: CastingSequenceDataset) -> list[tuple[float, int]]:
            return sorted(zip(windows.labels[:, 0].tolist(), windows.kinds.tolist(), strict=True))

        assert pairs(shuffled) == pairs(true)
        # Whether a window is positive, or of an event, now says nothing of whether it was.
        positive = [windows.labels[:, 0] == 1 for windows in (true, shuffled)]
        special = [windows.kinds > PLAIN for windows in (true, shuffled)]
        for was, now in (positive, special):
            assert was[now].mean() == pytest.approx(was.mean(), abs=0.12)

    def test_no_true_label_comes_back_where_windows_are_shifted(
        self, small_line: Dataset, small_config: TrainingConfig
    ) -> None:
        # With a reach below the stride no other window's end is near: a shuffled label stays what it is.
        config = replace(small_config, stride=4, augmentation=AugmentationSettings(shift=3))
        preprocessor = fit_preprocessor(small_line)
        true, shuffled = (open_split(small_line.path, "train", config, preprocessor, seed) for seed in (None, 1))
        positive = np.flatnonzero(shuffled.labels[:, 0] == 1)
        moved, kept = true.__getitems__(positive.tolist()).windows, shuffled.__getitems__(positive.tolist())
        assert (kept.labels == 1).all()
        still = replace(config, augmentation=AugmentationSettings())
        unmoved = open_split(small_line.path, "train", still, preprocessor)
        np.testing.assert_array_equal(kept.windows, unmoved.__getitems__(positive.tolist()).windows)
        assert not np.array_equal(moved, kept.windows)  # as it does where rows between two windows have labels

    def test_another_seed_is_another_shuffle_and_the_same_the_same(
        self, small_line: Dataset, small_config: TrainingConfig
    ) -> None:
        one, again, other = (
            open_split(small_line.path, "train", small_config, None, shuffle_labels=seed).labels for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(one, again)
        assert (one != other).any()


class TestVerdict:
    def test_scores_about_chance_are_no_leak(self) -> None:
        assert not verdict(0.99, 0.45, 0.55, 0.52, 0.49)

    @pytest.mark.parametrize("shuffled", [(0.60, 0.61, 0.62, 0.59), (0.41, 0.40, 0.39, 0.42), (0.5, 0.5, 0.2, 0.8)])
    def test_a_mean_off_chance_or_one_near_the_real_network_is(self, shuffled: tuple[float, ...]) -> None:
        assert verdict(0.99, *shuffled)

    def test_beside_a_network_that_learnt_little_a_lucky_shuffle_is_none(self) -> None:
        assert not verdict(0.55, 0.45, 0.56, 0.52, 0.47)

    def test_a_mean_that_luck_explains_is_not(self) -> None:
        assert not verdict(0.99, 0.35, 0.70, 0.68, 0.5)


@pytest.mark.parametrize("broken", [False, True])
def test_the_command_tells_every_score_and_what_they_mean(
    small_line: Dataset,
    small_config: TrainingConfig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: bool,
) -> None:
    if broken:  # labels that are not shuffled at all

        def own_labels(self: object, seed: int) -> object:
            return self

        monkeypatch.setattr("trainer.loading.window_index.WindowIndex.shuffled", own_labels)
    fields = {"window_length": 24, "hidden_size": 6, "num_epochs": 3, "learning_rate": 0.01, "threads": 1, "stride": 2}
    settings = [part for key, value in fields.items() for part in ("--set", f"{key}={value}")]
    arguments = ["leak", "--data", str(small_line.path), "--shuffles", "2", "--json", "--set", "device=cpu", *settings]
    monkeypatch.setattr(sys, "argv", ["trainer", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert told.err.count("test ROC-AUC") == 3
    assert len(found["shuffled"]) == 2
    assert found["mean"] == pytest.approx(np.mean(found["shuffled"]))
    assert bool(left.value.code) == found["leak_suspected"] == broken
