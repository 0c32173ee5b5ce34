"""The leak test: labels that are shuffled in earnest, a verdict that can fall either way, the command."""

import json
import sys

import numpy as np
import pytest

from trainer import cli
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.experiments.leak import LeakTest
from trainer.experiments.runs import Scores
from trainer.loading.loaders import open_split
from trainer.loading.window_index import PLAIN


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

        def pairs(windows: object) -> list[tuple[float, int]]:
            return sorted(zip(windows.labels[:, 0].tolist(), windows.kinds.tolist(), strict=True))  # type: ignore[attr-defined]

        assert pairs(shuffled) == pairs(true)
        # Whether a window is positive, or of an event, now says nothing of whether it was.
        positive = [windows.labels[:, 0] == 1 for windows in (true, shuffled)]
        special = [windows.kinds > PLAIN for windows in (true, shuffled)]
        for was, now in (positive, special):
            assert was[now].mean() == pytest.approx(was.mean(), abs=0.12)

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
    if broken:  # sampling that still goes by the true kinds teaches where the events are

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
    assert bool(left.value.code) == found["leak_suspected"]
    if broken:
        assert found["leak_suspected"]
