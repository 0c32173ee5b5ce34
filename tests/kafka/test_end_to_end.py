"""The whole worker on real Kafka against the same recorded scans taken offline through the predictor."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kafka_broker import Topics
from support.kafka_io import at_least, committed_offsets, end_offsets, publish_scans, read_back
from support.lines import by_strand, due_scans, offline_predictions
from support.workers import environment, running

from models import recording
from models.messages import SensorScan, decode_alert, decode_prediction
from models.runtime import Predictor

STRANDS, SCANS = 8, 5000


def recorded_scans() -> Iterator[SensorScan]:
    """The shipped recording, strand by strand in turn, over and over with its times shifted: 8 × 5,000 scans."""
    line = recording.read(recording.default_path())
    rows = len(line.event_time_ms)
    for number in range(SCANS):
        turn, row = divmod(number, rows)
        for strand in range(STRANDS):
            yield SensorScan(
                strand_id=line.strands[strand],
                event_time_ms=int(line.event_time_ms[row]) + turn * line.loop_ms,
                seq=number,
                strand_position_m=float(line.strand_position_m[strand, row]),
                values={
                    sensor.name: None if math.isnan(value) else value
                    for sensor, value in zip(line.sensors, line.values[strand, row].tolist(), strict=True)
                },
            )


@pytest.mark.timeout(240)
@pytest.mark.parametrize("topics", [4], indirect=True)
def test_every_due_scan_gets_exactly_one_prediction_with_the_offline_value(
    kafka_bootstrap: str, topics: Topics
) -> None:
    scans = list(recorded_scans())
    assert len(scans) == STRANDS * SCANS
    predictor = Predictor.load("current", device="cpu")
    expected = offline_predictions(scans, predictor)
    assert set(expected) == due_scans(scans, predictor.manifest.window)
    publish_scans(kafka_bootstrap, topics.sensors, scans)
    env = environment(kafka_bootstrap, topics, "current", model__device="cpu")
    with running(env) as worker:
        messages = read_back(kafka_bootstrap, topics.predictions, at_least(len(expected)), within_s=180)
        code, seconds = worker.terminate()
    assert (code, seconds < 5) == (0, True)
    predictions = [decode_prediction(message.value() or b"") for message in messages]
    counts = Counter((p.strand_id, p.event_time_ms) for p in predictions)
    assert set(counts) == set(expected)
    assert set(counts.values()) == {1}
    targets = predictor.manifest.targets
    warming = 0
    for prediction in predictions:
        wanted = expected[prediction.strand_id, prediction.event_time_ms]
        if wanted is None:
            assert (prediction.quality, prediction.probability, prediction.probabilities) == ("warming", None, {})
            warming += 1
        else:
            assert prediction.probabilities == pytest.approx(dict(zip(targets, wanted, strict=True)), abs=1e-6)
            assert prediction.probability == pytest.approx(max(wanted), abs=1e-6)
    assert 0 < warming < len(predictions) / 5
    for message, prediction in zip(messages, predictions, strict=True):
        assert message.key() == prediction.strand_id.encode()
    for strand in {p.strand_id for p in predictions}:
        times = [p.event_time_ms for p in predictions if p.strand_id == strand]
        assert all(before < after for before, after in itertools.pairwise(times))
    committed = committed_offsets(kafka_bootstrap, topics.group_id, topics.sensors, topics.partitions)
    assert committed == end_offsets(kafka_bootstrap, topics.sensors)
    _check_alerts(kafka_bootstrap, topics, predictions, predictor)


def _check_alerts(bootstrap: str, topics: Topics, predictions: list, predictor: Predictor) -> None:
    """Alerts are what the policy makes of the published predictions, opened and closed in turn."""
    from models.alerting import AlertMachine, Transition

    alert, expected = predictor.manifest.alert, []
    for strand, target in itertools.product({p.strand_id for p in predictions}, predictor.manifest.targets):
        machine = AlertMachine(alert[target])
        for prediction in (p for p in predictions if p.strand_id == strand):
            # A warming prediction after a full window tells that the window was given up.
            if prediction.probability is None:
                if machine.give_up() is Transition.CLOSED:
                    expected.append((strand, target, "closed", machine.closed_at_ms))
            elif (move := machine.observe(prediction.event_time_ms, prediction.probabilities[target])) is not None:
                time = machine.opened_at_ms if move is Transition.OPENED else machine.closed_at_ms
                expected.append((strand, target, move.value, time))
    alerts = [decode_alert(m.value() or b"") for m in read_back(bootstrap, topics.alerts, at_least(len(expected)))]
    found = [(a.strand_id, a.target, a.state, a.opened_at_ms if a.state == "open" else a.closed_at_ms) for a in alerts]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert any(state == "open" for _, _, state, _ in found)


def test_prediction_of_another_sensor_set_needs_no_line_of_code(
    kafka_bootstrap: str, topics: Topics, tmp_path: Path
) -> None:
    from support.bundles import golden, graph, manifest

    from models import bundle as bundles
    from models.features import Sensor
    from models.windows import WindowRules

    rules = WindowRules(length=10, period_ms=1000, stride=1, max_gap_ms=3000)
    sensors = [Sensor(name, "-", 0.0, 1.0) for name in ("pump_current_a", "flow_l_min", "pressure_bar")]
    made = manifest(rules, sensors, targets=["defect"], alert={"defect": manifest().alert["sticker"]})
    folder = tmp_path / "pump"
    bundles.write(folder, made, graph(rules, 3).SerializeToString(), golden(rules, 3), {})
    scans = [
        SensorScan(
            strand_id="testbed.pump.1", event_time_ms=1_600_000_000_000 + second * 1000, seq=second,
            values={"pump_current_a": second / 100, "flow_l_min": 1.0},
        )
        for second in range(60)
    ]  # fmt: skip
    publish_scans(kafka_bootstrap, topics.sensors, scans)
    expected = offline_predictions(scans, Predictor.load(folder, device="cpu"))
    with running(environment(kafka_bootstrap, topics, folder)):
        messages = read_back(kafka_bootstrap, topics.predictions, at_least(len(expected)))
    predictions = {p.event_time_ms: p for p in (decode_prediction(m.value() or b"") for m in messages)}
    assert len(predictions) == len(messages) == 60
    for (_, time), wanted in expected.items():
        answer = predictions[time]
        assert answer.probability == (None if wanted is None else pytest.approx(wanted[0], abs=1e-6))
        assert answer.quality == ("warming" if wanted is None else "degraded")
    assert set(by_strand(scans)) == {"testbed.pump.1"}
