"""The demonstration's sum: lost scans, true, late and false alerts, missed events."""

from dataclasses import replace

import numpy as np
import pytest

from models.features import Sensor
from models.messages import Alert, Prediction
from models.recording import RecordedEvent, Recording
from models.windows import WindowRules
from worker.demo.player import Sent
from worker.demo.score import Score, played_events

RULES = WindowRules(length=4, period_ms=500, stride=2, max_gap_ms=5000)
STICKER = RecordedEvent("p.c.s", "sticker", "sticker", 10_000, 15_000, 40_000, 40_000, 60_000, False)
DECOY = RecordedEvent("p.c.s", "speed_step", None, 70_000, 70_000, None, 90_000, 90_000, False)


def prediction(time: int, strand: str = "p.c.s") -> Prediction:
    return Prediction(
        strand_id=strand, seq=None, event_time_ms=time, probability=0.5, probabilities={}, model="m", model_sha256="",
        window_start_ms=0, quality="good", missing_fraction=0, strand_position_m=None,
    )  # fmt: skip


def opening(time: int, strand: str = "p.c.s", state: str = "open") -> Alert:
    return Alert(
        alert_id="", strand_id=strand, target="sticker", state="open" if state == "open" else "closed",
        severity="critical", probability=1, peak_probability=1, opened_at_ms=time, event_time_ms=time,
        closed_at_ms=None, strand_position_range_m=None, heat_id=None, top_sensors=[], model="m", model_sha256="",
        message="",
    )  # fmt: skip


def test_due_scans_without_a_prediction_are_lost() -> None:
    score = Score(RULES, 0.0)
    sent = {Sent("p.c.s", 500 * n): float(n) for n in range(20)}
    due = [time for (_, time) in ((s.strand_id, s.event_time_ms) for s in sent)]
    assert score.unanswered(sent) == 10
    for time in due:
        score.take_prediction(prediction(time), sent, now_s=100.0)
    assert score.unanswered(sent) == 0
    summary = score.summary(sent, [])
    assert (summary.scans, summary.predictions, summary.warming, summary.lost) == (20, 20, 0, 0)


def test_latency_is_from_sending_to_reading_back_and_repeats_count_once() -> None:
    score = Score(RULES, 0.0)
    sent = {Sent("p.c.s", 0): 1.0, Sent("p.c.s", 1000): 2.0}
    score.take_prediction(prediction(0), sent, 1.010)
    score.take_prediction(prediction(0), sent, 9.0)
    score.take_prediction(prediction(1000), sent, 2.030)
    summary = score.summary(sent, [])
    assert summary.latency_p50_ms == pytest.approx(20.0)
    assert summary.predictions == 2


def test_alerts_are_held_against_the_truth() -> None:
    score = Score(RULES, 0.0)
    for time, state in ((20_000, "open"), (35_000, "closed"), (45_000, "open"), (75_000, "open"), (100_000, "open")):
        score.take_alert(opening(time, state=state), now_s=time / 1000)
    score.take_alert(opening(20_000, "p.c.other"), 20.0)
    missed = replace(STICKER, strand_id="p.c.third")
    summary = score.summary([Sent("p.c.s", 0)], [STICKER, missed, DECOY])
    assert (summary.alerts_true, summary.alerts_late, summary.alerts_false, summary.events_missed) == (1, 1, 3, 1)
    assert (summary.first_true_alert_s, summary.first_true_alert_line_s) == (20.0, 20.0)


def test_only_events_that_were_played_to_their_end_count_in_every_round() -> None:
    times = np.arange(0, 100_000, 500, dtype=np.int64)
    recording = Recording(
        sensors=(Sensor("a", "-", 0, 1),), period_ms=500, strands=("p.c.s",), event_time_ms=times,
        values=np.zeros((1, len(times), 1), np.float32), strand_position_m=np.zeros((1, len(times))),
        heat_ids=((None,) * len(times),), events=(STICKER, DECOY), about="",
    )  # fmt: skip
    assert played_events(recording, [Sent("p.c.s", 39_999)], 0) == []
    assert played_events(recording, [Sent("p.c.s", 40_000)], 0) == [STICKER]
    second_round = played_events(recording, [Sent("p.c.s", 7_000 + recording.loop_ms + 40_000)], 7_000)
    assert [event.onset_ms for event in second_round] == [17_000, 77_000, 17_000 + recording.loop_ms]
