"""Judging by event on probabilities made by hand, choosing thresholds, and the command."""

import json
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from support.small_line import write_leaky, write_tampered

from models.alerting import AlertPolicy
from models.errors import UsageError
from models.runtime import Predictor
from trainer import cli
from trainer.config import AlertSettings
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event
from trainer.evaluation.evaluate import CAVEAT, evaluate_bundle
from trainer.evaluation.events import AlertSpan, EventScores, Trace, judge, run_alerts
from trainer.evaluation.report import as_svg, write_report
from trainer.evaluation.thresholds import choose_policy, policy_at
from trainer.evaluation.traces import sensor_columns, trace_split
from trainer.export import Exported

POLICY = AlertPolicy(0.6, 0.4, on_delay_ms=2000, off_delay_ms=5000, cooldown_ms=10_000)


def trace(raised: list[tuple[int, int, float]], seconds: int = 600, gap_at: int | None = None) -> Trace:
    """A prediction a second, 0.01 but for the raised stretches (from, to, value)."""
    probabilities = np.full((seconds, 1), 0.01, np.float32)
    for first, last, value in raised:
        probabilities[first:last] = value
    times = np.arange(seconds, dtype=np.int64) * 1000
    segment = (np.arange(seconds) >= (seconds if gap_at is None else gap_at)).astype(np.int64)
    return Trace("q", times, probabilities, segment, grid_ms=1000, window_ms=60_000)


def event(
    kind: str, onset: int, detectable: int, end: int, *, healed: bool = False, target: str | None = None
) -> Event:
    return Event(
        event_id=f"{kind}-{onset}",
        sequence_id="q",
        strand_id="p1.c1.s1",
        type=kind,
        target=target,
        onset_ms=onset * 1000,
        detectable_ms=detectable * 1000,
        impact_ms=end * 1000 if target and not healed else None,
        end_ms=end * 1000,
        ignore_until_ms=(end + 60) * 1000 if target else end * 1000,
        healed=healed,
        position_m=float("nan"),
    )


def sticker(onset: int, detectable: int, end: int, *, healed: bool = False) -> Event:
    return event("sticker", onset, detectable, end, healed=healed, target="sticker")


class TestAlerts:
    def test_open_after_the_on_delay_and_close_after_the_off_delay(self) -> None:
        assert run_alerts(trace([(100, 130, 0.9)]), 0, POLICY) == [AlertSpan(102_000, 135_000)]

    def test_a_flicker_opens_nothing(self) -> None:
        assert run_alerts(trace([(100, 102, 0.9)]), 0, POLICY) == []

    def test_a_restarted_window_gives_the_alert_up(self) -> None:
        spans = run_alerts(trace([(100, 200, 0.9)], gap_at=150), 0, POLICY)
        # Closed at the last prediction before the gap; the cooldown then holds the next one back.
        assert spans == [AlertSpan(102_000, 149_000), AlertSpan(159_000, 205_000)]

    def test_one_that_is_open_at_the_end_has_no_closing(self) -> None:
        assert run_alerts(trace([(590, 600, 0.9)]), 0, POLICY) == [AlertSpan(592_000, None)]

    def test_an_empty_trace_has_none(self) -> None:
        assert run_alerts(trace([], seconds=0), 0, POLICY) == []


class TestJudging:
    def test_caught_missed_false_and_lead(self) -> None:
        events = [
            sticker(100, 110, 150),
            sticker(250, 260, 300),
            event("film_fracture", 440, 440, 460),
        ]
        raised = [(120, 140, 0.9), (450, 470, 0.9)]
        scores = judge([trace(raised)], {"q": events}, "sticker", 0, POLICY)
        assert (scores.caught, len(scores.outcomes), scores.alerts) == (1, 2, 2)
        assert [outcome.lead_s for outcome in scores.outcomes] == [150 - 122, None]
        assert scores.outcomes[0].opened_after_s == 22
        assert scores.false_by_cause == {"film_fracture": 1}
        assert scores.look_alikes == {"film_fracture": 1}
        assert scores.strand_days == pytest.approx(600 / 86_400)
        assert scores.false_per_strand_day == pytest.approx(144)
        assert scores.open_share == pytest.approx((145 - 122 + 475 - 452) / 600)

    def test_an_alert_after_the_end_is_late_and_later_false(self) -> None:
        scores = judge(
            [trace([(151, 200, 0.9), (300, 310, 0.9)])], {"q": [sticker(100, 110, 150)]}, "sticker", 0, POLICY
        )
        assert (scores.caught, scores.late, scores.false_by_cause) == (0, 1, {"none": 1})

    def test_a_healed_sticker_counts_in_recall_without_a_lead(self) -> None:
        scores = judge([trace([(115, 130, 0.9)])], {"q": [sticker(100, 110, 150, healed=True)]}, "sticker", 0, POLICY)
        assert scores.recall == 1.0
        assert scores.leads_s == []
        assert scores.caught_with_lead(1000) == 1.0

    def test_lead_too_short_is_caught_but_not_in_time(self) -> None:
        scores = judge([trace([(140, 149, 0.9)])], {"q": [sticker(100, 110, 150)]}, "sticker", 0, POLICY)
        assert scores.recall == 1.0
        assert scores.caught_with_lead(8) == 1.0
        assert scores.caught_with_lead(9) == 0.0

    def test_an_alert_open_since_before_does_not_catch(self) -> None:
        scores = judge([trace([(80, 149, 0.9)])], {"q": [sticker(100, 110, 150)]}, "sticker", 0, POLICY)
        assert (scores.caught, scores.false_alerts) == (0, 1)

    def test_a_false_alert_is_charged_to_the_last_look_alike_its_window_held(self) -> None:
        events = [event("speed_step", 100, 100, 150), event("film_fracture", 140, 140, 160)]
        for opens, cause in ((130, "speed_step"), (170, "film_fracture"), (218, "film_fracture"), (230, "none")):
            scores = judge([trace([(opens - 2, opens + 8, 0.9)])], {"q": events}, "sticker", 0, POLICY)
            assert scores.false_by_cause == {cause: 1}, opens

    def test_an_event_without_a_prediction_is_in_no_rate(self) -> None:
        scores = judge([trace([], seconds=100)], {"q": [sticker(150, 160, 200)]}, "sticker", 0, POLICY)
        assert (scores.unseen, scores.outcomes, scores.recall) == (1, (), None)

    def test_rate_of_false_alerts_has_its_exact_poisson_interval(self) -> None:
        # Garwood's limits for counts of 0, 1 and 10, as tabulated.
        for count, low, high in ((0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.390)):
            scores = EventScores(false_by_cause={"none": count}, strand_days=2.0)
            assert scores.false_interval == pytest.approx((low / 2, high / 2), abs=1e-3)
        assert EventScores().false_interval is None

    def test_json_has_no_nan_even_without_events(self) -> None:
        scores = judge([], {}, "sticker", 0, POLICY)
        json.dumps(scores.as_dict(15.0), allow_nan=False)


class TestThresholds:
    SETTINGS = AlertSettings(2000, 5000, 10_000, "critical", false_per_strand_day=1.0, min_lead_s=15.0)
    EVENTS: ClassVar = {"q": [sticker(100, 110, 150), event("film_fracture", 300, 300, 330)]}

    def test_lies_between_the_look_alike_and_the_event(self) -> None:
        policy, scores = choose_policy(
            [trace([(115, 140, 0.9), (305, 325, 0.5)])], self.EVENTS, "sticker", 0, self.SETTINGS
        )
        assert 0.5 < policy.open <= 0.9
        assert policy.close == pytest.approx(0.7 * policy.open, abs=1e-4)
        assert (scores.caught, scores.false_alerts) == (1, 0)

    def test_takes_the_middle_of_equals(self) -> None:
        candidates = (0.2, 0.55, 0.6, 0.7, 0.8, 0.95)
        policy, _ = choose_policy(
            [trace([(115, 140, 0.9), (305, 325, 0.5)])], self.EVENTS, "sticker", 0, self.SETTINGS, candidates
        )
        assert policy.open == 0.7

    def test_a_budget_lets_false_alerts_buy_recall(self) -> None:
        said = [trace([(115, 140, 0.5), (305, 325, 0.9)])]
        strict, missed = choose_policy(said, self.EVENTS, "sticker", 0, self.SETTINGS)
        lavish = AlertSettings(2000, 5000, 10_000, "critical", false_per_strand_day=200.0, min_lead_s=15.0)
        loose, caught = choose_policy(said, self.EVENTS, "sticker", 0, lavish)
        assert strict.open > float(said[0].probabilities.max())
        assert loose.open <= 0.5
        assert (missed.caught, missed.false_alerts, caught.caught, caught.false_alerts) == (0, 0, 1, 1)

    def test_a_budget_that_cannot_be_kept_falls_back_to_the_fewest_false(self) -> None:
        said = [trace([(115, 140, 0.99), (305, 325, 0.99), (400, 420, 0.5)])]
        policy, scores = choose_policy(said, self.EVENTS, "sticker", 0, self.SETTINGS, (0.2, 0.6, 0.8))
        assert (policy.open, scores.false_alerts, scores.caught) == (0.8, 1, 1)

    def test_policy_keeps_the_settings_of_the_target(self) -> None:
        policy = policy_at(0.5, self.SETTINGS)
        assert policy == AlertPolicy(0.5, 0.35, 2000, 5000, 10_000, "critical")


@pytest.fixture(scope="module")
def predictor(small_export: Exported) -> Predictor:
    return Predictor(small_export.bundle, device="cpu")


class TestBundles:
    def test_every_due_full_window_is_predicted_once(self, predictor: Predictor, small_line: Dataset) -> None:
        (traced,) = trace_split(predictor, small_line, "test")
        sequence = small_line.load(traced.sequence_id)
        rules = predictor.manifest.window
        # Where on the due grid the first full window falls is a matter of the strand's phase.
        assert len(traced.event_time_ms) - (sequence.rows - rules.length) // rules.stride in {0, 1}
        assert (np.diff(traced.event_time_ms) == rules.grid_ms).all()
        assert traced.probabilities.shape == (len(traced.event_time_ms), 1)
        last = sequence.values[None, -rules.length :]
        ends_last = traced.event_time_ms[-1] == sequence.event_time_ms[-1]
        chosen = last if ends_last else sequence.values[None, -rules.length - 1 : -1]
        np.testing.assert_allclose(predictor.predict(chosen)[0], traced.probabilities[-1], atol=1e-6)

    def test_report_is_written_twice_the_same_and_says_what_it_does_not_show(
        self, predictor: Predictor, small_line: Dataset, tmp_path: Path
    ) -> None:
        evaluation = evaluate_bundle(predictor, small_line, "test")
        first = {path.name: path.read_bytes() for path in write_report(evaluation, tmp_path / "a")}
        second = {path.name: path.read_bytes() for path in write_report(evaluation, tmp_path / "b")}
        assert first == second
        assert set(first) == {"test.json", "test.md", "test.svg"}
        assert CAVEAT in first["test.md"].decode()
        assert json.loads(first["test.json"])["caveat"] == CAVEAT
        assert json.loads(first["test.json"])["targets"]["sticker"]["event"]["events"] == 2
        assert "asked for (assumed) | false at most 1 a strand-week" in first["test.md"].decode()
        assert as_svg(evaluation).startswith("<?xml")

    def test_sensors_are_found_by_name_and_a_missing_one_is_named(
        self, predictor: Predictor, small_line: Dataset
    ) -> None:
        manifest = predictor.manifest
        info = small_line.info
        shuffled = Dataset(
            small_line.path,
            type(info)(info.line, info.seed, info.period_ms, info.sensors[::-1], info.targets, {}, info.fingerprint),
            [],
            [],
        )
        np.testing.assert_array_equal(sensor_columns(manifest, shuffled), np.arange(20)[::-1])
        poorer = Dataset(
            small_line.path,
            type(info)(info.line, info.seed, info.period_ms, info.sensors[1:], info.targets, {}, info.fingerprint),
            [],
            [],
        )
        with pytest.raises(UsageError, match=info.sensors[0].name):
            sensor_columns(manifest, poorer)

    def test_command_prints_json_and_refuses_what_it_cannot_score(
        self,
        small_export: Exported,
        small_line: Dataset,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def run(*arguments: str) -> int:
            monkeypatch.setattr(sys, "argv", ["trainer", "evaluate", *arguments])
            with pytest.raises(SystemExit) as left:
                cli.main()
            return int(left.value.code or 0)

        bundle = ["--bundle", str(small_export.bundle.path)]
        assert run("--data", str(small_line.path), *bundle, "--json", "--out", str(tmp_path / "report")) == 0
        scores = json.loads(capsys.readouterr().out)
        assert scores["data"]["trained_on_this_dataset"] is True
        assert (tmp_path / "report" / "test.md").is_file()
        assert run("--data", str(small_line.path), *bundle) == 0
        captured = capsys.readouterr()
        assert CAVEAT in captured.out
        assert "95 % Poisson interval" in captured.out
        assert "wrote" not in captured.err
        assert run("--data", str(small_line.path), *bundle, "--out", "/proc/nope") == 1
        assert capsys.readouterr().err.startswith("error: expected the system to read and write")
        assert run("--data", str(write_tampered(small_line, tmp_path / "tampered")), *bundle) == 1
        assert "error: expected content of sha256" in capsys.readouterr().err
        assert run("--data", str(write_leaky(small_line, tmp_path / "leaky")), *bundle) == 1
        assert "error: expected a pause of at least 12000 ms, got 5000 ms between" in capsys.readouterr().err
        assert run("--data", "nowhere", *bundle) == 1
        assert "nowhere" in capsys.readouterr().err
        assert run("--data", str(small_line.path), "--bundle", "no-such-bundle") == 2
        assert "no-such-bundle" in capsys.readouterr().err
