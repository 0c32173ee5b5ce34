"""`trainer stream` to real Kafka, and what the worker makes of it: everything sent is accounted for."""

from pathlib import Path

import pytest
from support.kafka_broker import Topics
from support.kafka_io import at_least, read_back
from support.lines import due_scans, offline_predictions
from support.trainers import trainer
from support.workers import environment, running

from models.messages import decode_prediction, decode_scan
from models.runtime import Predictor


@pytest.mark.timeout(200)
def test_simulated_line_streams_through_the_worker_whole(kafka_bootstrap: str, topics: Topics, tmp_path: Path) -> None:
    trainer("simulate", "--hours", "0.25", "--strands", "3", "--seed", "5", "--out", str(tmp_path / "line"))
    streamed = trainer(
        "stream", str(tmp_path / "line"), "--bootstrap", kafka_bootstrap, "--topic", topics.sensors, "--speed", "0"
    )
    count = int(str(streamed["acknowledged"]))
    assert count == streamed["sent"] == streamed["total"] > 1000
    sent = read_back(kafka_bootstrap, topics.sensors, at_least(count))
    scans = [decode_scan(message.value()) for message in sent]
    assert len(scans) == count
    predictor = Predictor.load("current", device="cpu")
    expected = offline_predictions(scans, predictor)
    with running(environment(kafka_bootstrap, topics, "current", model__device="cpu")) as worker:
        messages = read_back(kafka_bootstrap, topics.predictions, at_least(len(expected)))
        assert worker.metric("strandwatch_samples_total", outcome="used") == count
        assert worker.terminate()[0] == 0
    predictions = {(p.strand_id, p.event_time_ms): p for p in (decode_prediction(m.value() or b"") for m in messages)}
    assert len(predictions) == len(messages)
    assert set(predictions) == set(expected) == due_scans(scans, predictor.manifest.window)
    for key, wanted in expected.items():
        assert predictions[key].probability == (None if wanted is None else pytest.approx(max(wanted), abs=1e-6))
