"""How predictions evolve in time, on scorers and traces whose answer is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from models.errors import UsageError
from models.windows import Float32Array, WindowRules
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event
from trainer.evaluation.aligned import AlignedCurve, align_traces
from trainer.evaluation.events import Trace
from trainer.evaluation.known_rows import steps, with_last_rows
from trainer.evaluation.temporal import analyze_temporal_patterns, labelled_windows, temporal_patterns
from trainer.evaluation.temporal_pictures import aligned_svg, history_svg

SECOND_MS = 1000


def ramp(sequence: str, onset_s: int, delay_s: int) -> tuple[Trace, Event]:
    """A prediction a second: 0.1, and 0.9 from `delay_s` after the onset until the impact a minute after it."""
    times = np.arange(400, dtype=np.int64) * SECOND_MS
    said = np.full((400, 2), 0.1, np.float32)
    said[onset_s + delay_s : onset_s + 60, 0] = 0.9
    segment = np.zeros(400, np.int64)
    event = Event(
        event_id=sequence, sequence_id=sequence, strand_id="p1.c1.s1", type="sticker", target="sticker",
        onset_ms=onset_s * SECOND_MS, detectable_ms=onset_s * SECOND_MS, impact_ms=(onset_s + 60) * SECOND_MS,
        end_ms=(onset_s + 60) * SECOND_MS, ignore_until_ms=(onset_s + 60) * SECOND_MS, healed=False, position_m=0.0,
    )  # fmt: skip
    return Trace(sequence, times, said, segment, grid_ms=SECOND_MS, window_ms=60 * SECOND_MS), event


@pytest.fixture
def curves() -> dict[tuple[str, str, str], AlignedCurve]:
    """Three stickers seen 10, 20 and 30 s after their onset, one healed look-alike that is never seen."""
    made = [ramp("a", 150, 10), ramp("b", 200, 20), ramp("c", 170, 30)]
    events = {event.sequence_id: [event] for _, event in made}
    film = replace(made[0][1], event_id="f", type="film_fracture", target=None, onset_ms=5_000, impact_ms=None)
    events["a"].append(film)
    found = align_traces(
        "told", [trace for trace, _ in made], events, ["sticker", "quality"], before_s=30, after_s=70, step_s=2
    )
    return {(curve.target, curve.event_type, curve.anchor): curve for curve in found}


class TestAligned:
    def test_the_median_rises_when_half_of_the_events_are_seen(
        self, curves: dict[tuple[str, str, str], AlignedCurve]
    ) -> None:
        curve = curves["sticker", "sticker", "onset"]
        assert (curve.events, curve.own, curve.times_s[0], curve.times_s[-1]) == (3, True, -30.0, 68.0)
        at = {time: place for place, time in enumerate(curve.times_s)}
        quartiles = {
            time: (curve.low[at[time]], curve.median[at[time]], curve.high[at[time]]) for time in (8, 12, 22, 30)
        }
        assert quartiles[8] == (0.1, 0.1, 0.1)
        assert quartiles[12] == (0.1, 0.1, 0.5)
        assert quartiles[22] == (0.5, 0.9, 0.9)
        assert quartiles[30] == (0.9, 0.9, 0.9)
        assert curve.reaches_s(0.9) == 20.0
        assert curve.reaches_s(0.95) is None

    def test_around_the_impact_time_counts_back(self, curves: dict[tuple[str, str, str], AlignedCurve]) -> None:
        curve = curves["sticker", "sticker", "impact"]
        at = {time: place for place, time in enumerate(curve.times_s)}
        assert curve.median[at[-2.0]] == 0.9
        assert curve.median[at[0.0]] == 0.1

    def test_every_target_is_asked_about_every_type(self, curves: dict[tuple[str, str, str], AlignedCurve]) -> None:
        assert set(curves) == {
            (target, *kind)
            for target in ("sticker", "quality")
            for kind in [("sticker", "onset"), ("sticker", "impact"), ("film_fracture", "onset")]
        }
        assert max(said or 0 for said in curves["quality", "sticker", "onset"].high) == 0.1
        assert not curves["sticker", "film_fracture", "onset"].own

    def test_what_lies_before_the_first_prediction_is_left_out(
        self, curves: dict[tuple[str, str, str], AlignedCurve]
    ) -> None:
        film = curves["sticker", "film_fracture", "onset"]
        told = dict(zip(film.times_s, film.counts, strict=True))
        # The recording begins 5 s before the look-alike, in the middle of the step from -6 to -4 s.
        assert (told[-8.0], told[-6.0], told[0.0]) == (0, 1, 1)
        assert film.median[0] is None

    def test_an_event_outside_of_the_trace_is_none(self) -> None:
        trace, event = ramp("a", 150, 10)
        far = replace(event, onset_ms=9_000_000, detectable_ms=9_000_000, impact_ms=None, end_ms=9_000_000,
                      ignore_until_ms=9_000_000)  # fmt: skip
        assert align_traces("told", [trace], {"a": [far]}, ["sticker", "quality"]) == ()


class LastRows(nn.Module):
    """A network that adds up the last three rows of the first sensor, whatever the length."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -3:, :1].sum(dim=1)


def loader(batch: int = 16) -> DataLoader[tuple[Tensor, ...]]:
    """Windows [64, 12, 2] that are positive where their last three rows say so; every ninth is left out."""
    windows = torch.randn(64, 12, 2, generator=torch.Generator().manual_seed(0))
    labels = (windows[:, -3:, :1].sum(dim=1) > 0).float()
    labels[::9] = torch.nan
    return DataLoader(TensorDataset(windows, labels), batch_size=batch)


class TestNetwork:
    def test_history_beyond_what_it_reads_changes_nothing(self) -> None:
        model = LastRows().train()
        patterns = analyze_temporal_patterns(model, loader(), "cpu", rows=[1, 2, 3, 6], targets=["defect"])
        (found,) = patterns.history
        assert (found.target, found.earlier, found.windows, found.rows) == ("defect", "absent", 56, (1, 2, 3, 6, 12))
        assert found.roc_auc[2:] == (1.0, 1.0, 1.0)
        assert found.moved[2:] == (0.0, 0.0, 0.0)
        assert found.roc_auc[0] is not None
        assert found.roc_auc[0] < found.roc_auc[2]
        assert min(found.moved[:2]) > 0
        assert found.rows_that_suffice() == 3
        assert model.training

    def test_traces_are_aligned_too(self) -> None:
        trace, event = ramp("a", 150, 10)
        patterns = analyze_temporal_patterns(
            LastRows(), loader(), "cpu", targets=["sticker"], traces=[trace], events={"a": [event]}
        )
        assert {(curve.event_type, curve.anchor) for curve in patterns.aligned} == {
            ("sticker", "onset"), ("sticker", "impact"),
        }  # fmt: skip

    def test_more_rows_than_a_window_has_are_refused(self) -> None:
        with pytest.raises(UsageError, match="expected 1 to 12 rows, got 13"):
            analyze_temporal_patterns(LastRows(), loader(), "cpu", rows=[13])

    def test_no_window_is_refused(self) -> None:
        empty = DataLoader(TensorDataset(torch.empty(0, 12, 2), torch.empty(0, 1)))
        with pytest.raises(UsageError, match="expected windows, got none"):
            analyze_temporal_patterns(LastRows(), empty, "cpu")


class MeanOfLast:
    """A scorer of two sensors of the small line that looks at the second's last four rows; missing is 0."""

    def __init__(self, line: Dataset, first: str, second: str) -> None:
        self.window = WindowRules(length=20, period_ms=500, stride=4, max_gap_ms=5000)
        by_name = {sensor.name: sensor for sensor in line.info.sensors}
        self.sensors = [by_name[first], by_name[second]]
        self.targets = ["sticker"]

    def predict(self, windows: Float32Array) -> Float32Array:
        level = np.nan_to_num(windows[:, -4:, 1:]).mean(axis=1)
        return (1 / (1 + np.exp(-(level - 140) / 20))).astype(np.float32)


class TestScorer:
    def test_it_is_asked_with_earlier_rows_missing_and_held(self, small_line: Dataset) -> None:
        scorer = MeanOfLast(small_line, "mould_level_mm", "mould_tc_upper_left_c")
        patterns = temporal_patterns(scorer, small_line, "test", name="told", rows=[2, 4, 10], windows=100)
        assert {entry.earlier for entry in patterns.history} == {"missing", "held"}
        for entry in patterns.history:
            assert entry.scorer == "told"
            assert entry.rows == (2, 4, 10, 20)
            assert entry.moved[1:] == (0.0, 0.0, 0.0)
            assert entry.moved[0] > 0
            assert entry.positives == 50
        json.dumps(patterns.as_dict(), allow_nan=False)

    def test_windows_are_the_scorers_with_the_truth_of_their_last_row(self, small_line: Dataset) -> None:
        scorer = MeanOfLast(small_line, "mould_tc_lower_left_c", "mould_level_mm")
        windows, labels = labelled_windows(scorer, small_line, "test", 100)
        again, _ = labelled_windows(scorer, small_line, "test", 100)
        assert windows.shape == (100, 20, 2)
        assert labels.sum() == 50
        np.testing.assert_array_equal(windows, again)
        assert np.nanmean(windows[:, :, 0]) > 50 > np.nanmean(windows[:, :, 1])

    def test_pictures_of_several_scorers_are_the_same_bytes(self, small_line: Dataset) -> None:
        scorer = MeanOfLast(small_line, "mould_level_mm", "mould_tc_upper_left_c")
        patterns = temporal_patterns(scorer, small_line, "test", name="one", rows=[6, 12], windows=64)
        both = patterns + temporal_patterns(scorer, small_line, "test", name="other", rows=[6, 12], windows=64)
        assert {entry.scorer for entry in both.history} == {"one", "other"}
        for picture in (aligned_svg(both, "sticker"), history_svg(both, "sticker")):
            assert picture.startswith("<?xml")
        assert aligned_svg(both, "sticker", "impact") == aligned_svg(both, "sticker", "impact")
        with pytest.raises(ValueError, match="expected curves of quality"):
            aligned_svg(both, "quality")
        with pytest.raises(ValueError, match="expected a ROC-AUC of quality"):
            history_svg(both, "quality")


def test_rows_before_the_known_ones_are_absent_missing_or_held() -> None:
    windows = np.arange(24, dtype=np.float32).reshape(2, 6, 2)
    assert with_last_rows(windows, 2, "absent").tolist() == windows[:, 4:].tolist()
    missing = with_last_rows(windows, 2, "missing")
    assert np.isnan(missing[:, :4]).all()
    held = with_last_rows(windows, 2, "held")
    assert (held[:, :4] == windows[:, 4:5]).all()
    for known in (missing, held):
        np.testing.assert_array_equal(known[:, 4:], windows[:, 4:])


def test_steps_end_with_the_whole_window() -> None:
    assert steps(5, [2]) == [2, 5]
    assert steps(1) == [1]
    assert steps(240)[0] == 1
    assert steps(240)[-1] == 240
    assert len(steps(240)) == 12
