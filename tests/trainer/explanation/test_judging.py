"""Attribution against the truth: shares, intervals, verdicts, and networks that deserve each verdict."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.marked_line import LEVEL, SENSORS, TOUCHED, OneSensor, Rules, marked_event, raw, write_marked_line

from models.errors import UsageError
from trainer.architectures.base import SequenceModel
from trainer.datasets.dataset import Dataset
from trainer.explanation.chosen import choose_places, load_chosen, touched_cells
from trainer.explanation.explain import Explained, explain_windows
from trainer.explanation.judging import Estimate, Judgement, estimate, estimate_over, share_touched, verdict
from trainer.explanation.summary import Explanation, summarize
from trainer.sequence_models import CastingAttentionLSTM, CastingLSTM

RULES = Rules()


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_marked_line(tmp_path_factory.mktemp("marked") / "data")


def explained(network: SequenceModel, line: Dataset, count: int = 6) -> tuple[Sequence[Explained], Explanation]:
    found = explain_windows(raw(network), RULES, line, count=count, seed=3, steps=16, rows=4)
    return found, summarize(found, RULES, 3)


@pytest.fixture(scope="module")
def looks_at_the_bump(line: Dataset) -> tuple[Sequence[Explained], Explanation]:
    return explained(OneSensor(), line)


def overall(explanation: Explanation) -> list[Judgement]:
    return [judgement for judgement in explanation.judgements if judgement.type is None]


class TestShares:
    def test_by_hand(self) -> None:
        attribution = np.array([[1.0, -2.0], [0.0, 4.0], [-3.0, 0.0]])
        touched = np.array([[False, False], [False, True], [False, True]])
        sensors, interval, cells = share_touched(attribution, touched)
        assert (sensors, interval, cells) == pytest.approx((0.6, 0.7, 0.4))

    @settings(max_examples=50, deadline=None)
    @given(
        attribution=arrays(np.float64, (6, 4), elements=st.floats(-10, 10)),
        touched=arrays(np.bool_, (6, 4)),
    )
    def test_cells_have_no_more_than_their_sensors_and_interval(
        self, attribution: np.ndarray, touched: np.ndarray
    ) -> None:
        shares = share_touched(attribution, touched)
        told = shares[np.isfinite(shares)]
        assert ((told >= 0) & (told <= 1 + 1e-9)).all()
        assert np.isnan(shares[2]) or shares[2] <= np.nanmin([1, *shares[:2]]) + 1e-9
        assert share_touched(-3 * attribution, touched) == pytest.approx(shares, nan_ok=True, abs=1e-9)

    @settings(max_examples=50, deadline=None)
    @given(touched=arrays(np.bool_, (6, 4)))
    def test_attribution_of_nothing_has_what_random_attribution_has(self, touched: np.ndarray) -> None:
        shares = share_touched(np.zeros((6, 4)), touched)
        assert shares == pytest.approx(share_touched(np.ones((6, 4)), touched), nan_ok=True)
        assert np.isnan(shares[2]) or shares[2] == pytest.approx(touched.mean())

    def test_what_any_attribution_would_have_is_not_told(self) -> None:
        touched = np.ones((6, 4), np.bool_)
        touched[:, 0] = False
        sensors, interval, cells = share_touched(np.ones((6, 4)), touched)
        assert (sensors, cells) == pytest.approx((0.75, 0.75))
        assert np.isnan(interval)

    def test_attention_is_judged_on_time_alone(self) -> None:
        touched = np.zeros((4, 3), np.bool_)
        touched[2:, 1] = True
        shares = share_touched(np.array([[0.1], [0.2], [0.3], [0.4]]), touched)
        assert shares[1] == pytest.approx(0.7)
        assert np.isnan(shares[[0, 2]]).all()


class TestIntervals:
    def test_windows_of_one_sequence_are_not_taken_for_independent(self) -> None:
        rng = np.random.default_rng(0)
        levels = rng.normal(size=10)
        values = np.repeat(levels, 20)
        sequence = np.repeat(np.arange(10), 20)
        low, high = estimate(values, sequence, 0).interval or (0.0, 0.0)
        assert high - low == pytest.approx(2 * 1.96 * levels.std() / np.sqrt(10), rel=0.15)
        apart_low, apart_high = estimate(values, np.arange(200), 0).interval or (0.0, 0.0)
        assert apart_high - apart_low < 0.4 * (high - low)

    def test_a_network_that_reaches_what_the_own_does_is_not_averaged_away(self) -> None:
        rng = np.random.default_rng(0)
        above = np.full((8, 20), 0.5) + rng.normal(0, 0.05, (8, 20))
        above[3] -= 0.5
        found = estimate_over(above, np.arange(20), 0)
        assert found.mean == pytest.approx(0.4375, abs=0.02)
        assert (found.interval or (1.0, 0.0))[0] < 0.05

    def test_windows_that_a_network_was_not_asked_about_are_left_out(self) -> None:
        values = np.full((2, 10), np.nan)
        values[0, :5], values[1, 5:] = 1.0, 3.0
        found = estimate_over(values, np.arange(10), 0)
        assert found == Estimate(2.0, (1.0, 3.0))

    def test_there_is_none_with_too_few_sequences(self) -> None:
        assert estimate(np.arange(8.0), np.arange(8) // 2, 0) == Estimate(3.5, None)
        assert estimate(np.arange(10.0), np.arange(10) // 2, 0).interval is not None

    @pytest.mark.parametrize(
        ("random", "shuffled", "expected"),
        [
            ((0.1, 0.2), (0.1, 0.2), "better than both controls"),
            ((0.1, 0.2), (-0.1, 0.2), "no better than shuffled weights"),
            ((0.0, 0.2), (0.1, 0.2), "no better than random"),
            ((-0.2, -0.1), (-0.1, 0.2), "no better than either control"),
            (None, (0.1, 0.2), "cannot be told"),
            ((0.1, 0.2), None, "cannot be told"),
        ],
    )
    def test_verdicts(
        self, random: tuple[float, float] | None, shuffled: tuple[float, float] | None, expected: str
    ) -> None:
        assert verdict(Estimate(0.1, random), Estimate(0.1, shuffled)) == expected


class TestNetworks:
    def test_one_that_looks_at_the_bump_beats_both_controls(
        self, looks_at_the_bump: tuple[Sequence[Explained], Explanation]
    ) -> None:
        windows, found = looks_at_the_bump
        judged = overall(found)
        assert {(entry.method, entry.kind) for entry in judged} == {
            (method, kind)
            for method in ("integrated_gradients", "occlusion")
            for kind in ("sensors", "interval", "cells")
        }
        assert all(entry.share.mean > 0.75 and entry.verdict == "better than both controls" for entry in judged)
        assert all(entry.sequences == 6 and entry.windows == len(windows) for entry in judged)
        assert {entry.random_drawn for entry in judged} != {entry.random for entry in judged}
        assert all(entry.random_drawn == pytest.approx(entry.random, abs=0.03) for entry in judged)
        assert found.ranking["bump"][0].sensor == SENSORS[TOUCHED].name
        assert found.ranking["bump"][0].shares["integrated_gradients"].mean == 1.0
        assert found.scores["bump"] == pytest.approx(1, abs=0.35)

    def test_one_that_looks_elsewhere_is_no_better_than_its_controls(self, line: Dataset) -> None:
        _, found = explained(OneSensor(TOUCHED + 1), line)
        assert {entry.verdict for entry in overall(found) if entry.kind == "cells"} == {"no better than either control"}
        assert (found.scores["bump"] or 0) <= 0

    @pytest.mark.parametrize("seed", [1, 2])  # one in seventeen passes by luck, and seed 0 is of these
    def test_one_whose_weights_were_never_trained_is_no_better_than_shuffled_ones(
        self, line: Dataset, seed: int
    ) -> None:
        torch.manual_seed(seed)
        _, found = explained(CastingLSTM(len(SENSORS), 8, 1, inputs="change", pooling="last_max"), line)
        assert {entry.verdict for entry in overall(found)} <= {
            "no better than shuffled weights",
            "no better than either control",
        }
        # The bump stands out of the baseline, so that any network's gradients are multiplied most there: against random
        # attribution alone this network would pass.
        best = next(entry for entry in overall(found) if entry.kind == "cells")
        assert (best.above_random.interval or (0.0, 0.0))[0] > 0

    def test_attention_is_judged_on_the_interval(self, line: Dataset) -> None:
        torch.manual_seed(0)
        windows, found = explained(CastingAttentionLSTM(len(SENSORS), 8, 1, 4), line)
        assert {entry.kind for entry in found.judgements if entry.method == "attention"} == {"interval"}
        assert found.methods == ["integrated_gradients", "occlusion", "attention"]
        assert all(entry.own["attention"].shape == (40, 1) for entry in windows)
        assert set(found.ranking["bump"][0].shares) == {"integrated_gradients", "occlusion"}

    def test_the_same_seed_says_the_same_and_another_does_not(
        self, line: Dataset, looks_at_the_bump: tuple[Sequence[Explained], Explanation]
    ) -> None:
        assert explained(OneSensor(), line)[1] == looks_at_the_bump[1]
        assert choose_places(RULES, line, "test", 5, 4) != choose_places(RULES, line, "test", 5, 3)


class TestWindows:
    def test_end_where_their_event_can_be_told_and_are_spread_evenly(self, line: Dataset) -> None:
        places = choose_places(RULES, line, "test", 18, 0)
        sequences = load_chosen(RULES, line, places, lambda rows: rows)
        windows = [window for sequence in sequences for window in sequence.windows]
        assert len(windows) == 18
        assert all(len(sequence.windows) == 3 for sequence in sequences)
        for window in windows:
            assert window.event.detectable_ms <= window.event_time_ms[-1] < window.event.end_ms
        assert len({(window.event.event_id, int(window.event_time_ms[-1])) for window in windows}) == 18

    def test_fewer_windows_than_events_are_of_different_events(self, line: Dataset) -> None:
        places = [place for found in choose_places(RULES, line, "test", 5, 0).values() for place in found]
        assert len({place.event.event_id for place in places}) == 5
        kinds = [place.event.type for place in places]
        assert sorted((kinds.count("bump"), kinds.count("hump"))) == [2, 3]

    def test_no_more_than_there_are(self, line: Dataset) -> None:
        assert sum(map(len, choose_places(RULES, line, "test", 10_000, 0).values())) == 6 * 8

    def test_touched_cells_are_those_of_all_events_of_the_target(self) -> None:
        times = np.arange(40, dtype=np.int64) * 1000
        first, second = marked_event("q", 4), marked_event("q", 20)
        second = replace(second, sensors=(SENSORS[0].name, "unheard_of"))
        look_alike = replace(marked_event("q", 30), target=None, sensors=(SENSORS[5].name,))
        touched = touched_cells(times, first, [first, second, look_alike], RULES)
        assert touched is not None
        assert np.flatnonzero(touched[:, TOUCHED]).tolist() == list(range(4, 17))
        assert np.flatnonzero(touched[:, 0]).tolist() == list(range(20, 33))
        assert touched.sum() == 26
        assert touched_cells(times, replace(first, sensors=("unheard_of",)), [first], RULES) is None

    def test_are_compared_with_what_the_sequence_shows_while_nothing_happens(self, line: Dataset) -> None:
        sequences = load_chosen(RULES, line, choose_places(RULES, line, "test", 8, 0), lambda rows: rows)
        for sequence in sequences:
            assert sequence.usual == pytest.approx(LEVEL, abs=0.3)

    def test_a_dataset_without_the_target_or_without_events_is_refused(self, line: Dataset) -> None:
        with pytest.raises(UsageError, match="expected target `sticker`"):
            choose_places(Rules(targets=("sticker",)), line, "test", 8, 0)
        with pytest.raises(UsageError, match="got none in the split `train`"):
            choose_places(RULES, line, "train", 8, 0)
