"""Scores to alerts to messages: what an operator reads."""

from dataclasses import replace

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.bundles import POLICY, manifest

from models.alerting import AlertPolicy, alert_id
from models.messages import decode_alert, decode_prediction
from trainer.evaluation.events import Trace, run_alerts
from worker.records import AlertChange, AlertState, DeadLetter, DueScan, GivenUp, Origin, RawRecord, Scored
from worker.stages.alerts import Alerts
from worker.stages.encode import Encoder

SHA = "ab" * 32
FILES = {"model.onnx": SHA, "golden.npz": SHA}
ENCODER = Encoder(manifest(files=FILES), "1.2.3")


def given_up(second: int, last_s: int = 2) -> GivenUp:
    why = f"a gap of {second - last_s:.1f} s in its scans"
    return GivenUp(Origin(("t", 0), second), "p.c.s", second * 1000, why)


def scored(
    second: int, probability: float | None, strand: str = "p.c.s", missing: float = 0.0, number: int = 0
) -> Scored:
    scan = DueScan(
        Origin(("t", number), second),
        strand,
        second,
        second * 1000,
        f"H{second}",
        second / 10,
        0,
        missing,
        probability is not None,
    )
    return Scored(scan, None if probability is None else (probability,))


def changes(alerts: Alerts, *entries: Scored | GivenUp) -> list[AlertChange]:
    return [change for entry in entries for change in alerts.advance(entry)]


def fresh(policy: AlertPolicy = POLICY) -> Alerts:
    return Alerts(manifest(files=FILES, alert={"sticker": policy}))


def test_opening_tells_where_and_in_which_heat_the_rise_began() -> None:
    (opened,) = changes(fresh(), scored(1, 0.1), scored(2, 0.9), scored(3, 0.95))
    alert = decode_alert(ENCODER.alert(opened).value or b"")
    assert (alert.state, alert.severity, alert.target, alert.heat_id) == ("open", "critical", "sticker", "H3")
    assert (alert.opened_at_ms, alert.closed_at_ms, alert.probability) == (3000, None, 0.95)
    assert alert.strand_position_range_m is not None
    assert (alert.strand_position_range_m.from_m, alert.strand_position_range_m.to_m) == (0.2, 0.3)
    assert alert.alert_id == alert_id("p.c.s", "sticker", SHA[:12], 3000)
    assert alert.message == "sticker suspected on p.c.s: probability at or above 0.70 for 1 s"


def test_closing_shares_the_alert_id_and_tells_the_peak() -> None:
    rise_and_fall = [scored(s, p) for s, p in enumerate([0.9, 0.9, 0.99, 0.1, 0.1, 0.1])]
    opened, closed = (decode_alert(ENCODER.alert(c).value or b"") for c in changes(fresh(), *rise_and_fall))
    assert opened.alert_id == closed.alert_id
    assert (closed.state, closed.closed_at_ms, closed.peak_probability) == ("closed", 5000, 0.99)


def test_given_up_strand_closes_its_alert_and_says_why() -> None:
    alerts = fresh()
    changes(alerts, scored(1, 0.9), scored(2, 0.9))
    (closed,) = changes(alerts, given_up(60))
    alert = decode_alert(ENCODER.alert(closed).value or b"")
    assert (alert.state, alert.closed_at_ms, alert.event_time_ms) == ("closed", 2000, 60_000)
    assert alert.message == "sticker over on p.c.s: a gap of 58.0 s in its scans"


def test_warming_predictions_do_not_move_alerts() -> None:
    assert changes(fresh(), scored(1, 0.9), scored(2, None), scored(3, None)) == []


def test_alerts_of_different_strands_are_their_own() -> None:
    opened = changes(fresh(), scored(1, 0.9, "p.c.a"), scored(1, 0.9, "p.c.b"), scored(2, 0.9, "p.c.b"))
    assert [change.strand_id for change in opened] == ["p.c.b"]


def test_cooldown_outlives_a_restarted_window_and_agrees_with_the_trainers_judge() -> None:
    policy = AlertPolicy(0.7, 0.5, on_delay_ms=1000, off_delay_ms=2000, cooldown_ms=300_000)
    alerts = fresh(policy)
    times = [*range(1, 21), *range(40, 400)]
    entries = [scored(second, 0.9) for second in times]
    found = changes(alerts, *entries[:20], given_up(40, last_s=20), *entries[20:])
    seconds = np.array(times, np.int64)
    trace = Trace(
        "q", seconds * 1000, np.full((len(times), 1), 0.9, np.float32), (seconds >= 40).astype(np.int64), 1000, 0
    )
    spans = run_alerts(trace, 0, policy)
    opened = [change.opened_at_ms for change in found if change.closed_at_ms is None]
    assert opened == [span.opened_at_ms for span in spans] == [2000, 320_000]


def test_evicted_strand_is_forgotten_altogether() -> None:
    alerts = fresh()
    changes(alerts, scored(1, 0.9), scored(2, 0.9))
    assert len(changes(alerts, replace(given_up(3), is_evicted=True))) == 1
    assert [change.opened_at_ms for change in changes(alerts, scored(4, 0.9), scored(5, 0.9))] == [5000]


def test_strand_in_two_partitions_has_two_alerts_and_keeps_one_when_the_other_goes() -> None:
    alerts = fresh()
    changes(alerts, scored(1, 0.9), scored(2, 0.9), scored(1, 0.9, number=1))
    alerts.drop(("t", 1))
    assert len(changes(alerts, given_up(60))) == 1


def test_alerts_of_a_partition_that_went_close_nothing() -> None:
    alerts = fresh()
    changes(alerts, scored(1, 0.9), scored(2, 0.9))
    alerts.drop(("t", 0))
    assert changes(alerts, given_up(60)) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["p.c.a", "p.c.b"]),
            st.sampled_from([0.1, 0.6, 0.9, None]),
            st.sampled_from([1, 1, 1, 9, -4]),
        ),
        max_size=60,
    ),
    st.integers(0, 60),
)
def test_restored_alerts_go_on_as_if_nothing_had_happened(steps: list[tuple[str, float | None, int]], cut: int) -> None:
    """Rises, alerts, cooldowns, strands given up by gaps and clocks set back; cut anywhere, through what is encoded."""
    clocks = dict.fromkeys(("p.c.a", "p.c.b"), 1000)
    entries: list[Scored | GivenUp] = []
    for strand, probability, step in steps:
        clocks[strand] += step
        if step != 1:
            entries.append(replace(given_up(clocks[strand]), strand_id=strand))
        entries.append(scored(clocks[strand], probability, strand))
    before, after = fresh(), fresh()
    changes(before, *entries[:cut])
    states = msgspec.msgpack.decode(msgspec.msgpack.encode(before.states(("t", 0))), type=list[AlertState])
    after.restore(("t", 0), states)
    assert after.states(("t", 0)) == before.states(("t", 0))
    expected = [changes(before, entry) for entry in entries[cut:]]
    assert [changes(after, entry) for entry in entries[cut:]] == expected


def test_prediction_says_how_good_its_window_was() -> None:
    qualities = {}
    for name, entry in {
        "good": scored(1, 0.25, missing=0.2),
        "degraded": scored(1, 0.25, missing=0.21),
        "warming": scored(1, None),
    }.items():
        outgoing, quality = ENCODER.prediction(entry)
        prediction = decode_prediction(outgoing.value or b"")
        assert prediction.quality == quality
        qualities[name] = (prediction.quality, prediction.probability, prediction.probabilities)
        assert (outgoing.key, outgoing.event_time_ms) == (b"p.c.s", 1000)
    assert qualities == {
        "good": ("good", 0.25, {"sticker": 0.25}),
        "degraded": ("degraded", 0.25, {"sticker": 0.25}),
        "warming": ("warming", None, {}),
    }


def test_dead_letter_keeps_key_and_bytes_and_tells_where_they_stood() -> None:
    record = RawRecord(Origin(("casting.sensors", 3), 77), b"key", b"\xff")
    outgoing = ENCODER.dead_letter(DeadLetter(record, "encoding", "x" * 2000))
    assert (outgoing.key, outgoing.value, outgoing.destination) == (b"key", b"\xff", "dead_letters")
    assert outgoing.headers == {
        "reason": "encoding", "detail": "x" * 500, "topic": "casting.sensors", "partition": "3", "offset": "77",
        "worker_version": "1.2.3",
    }  # fmt: skip


def test_what_another_model_left_open_is_closed_in_its_name_and_nothing_else_of_it() -> None:
    alerts = fresh()
    rises = changes(alerts, scored(1, 0.9, "p.c.a"), scored(2, 0.8, "p.c.a"), scored(2, 0.9, "p.c.b"))
    (opened,) = [decode_alert(ENCODER.alert(change).value or b"") for change in rises]
    other = "cd" * 32
    successor = manifest(version="2", files={"model.onnx": other, "golden.npz": other})
    (change,) = Alerts(successor).closings(alerts.states(("t", 0)))
    closed = decode_alert(Encoder(successor, "1.2.3").alert(change).value or b"")
    told = (closed.alert_id, closed.state, closed.model, closed.model_sha256, closed.severity)
    assert told == (opened.alert_id, "closed", "test@1", SHA[:12], "critical")
    assert (closed.opened_at_ms, closed.closed_at_ms, closed.event_time_ms) == (2000, 2000, 2000)
    assert (closed.probability, closed.peak_probability, closed.heat_id) == (0.8, 0.9, "H2")
    assert closed.message == "sticker over on p.c.a: test@1 no longer watches it, test@2 does"


def test_the_same_model_with_other_thresholds_goes_on_with_what_is_open() -> None:
    alerts, calmer = fresh(), fresh(replace(POLICY, open=0.95, close=0.85))
    changes(alerts, scored(1, 0.9), scored(2, 0.9))
    calmer.restore(("t", 0), alerts.states(("t", 0)))
    assert changes(calmer, scored(3, 0.9)) == []
    (closed,) = changes(calmer, scored(4, 0.8), scored(5, 0.8), scored(6, 0.8))
    assert (closed.opened_at_ms, closed.closed_at_ms, closed.model_sha256) == (2000, 6000, SHA[:12])
