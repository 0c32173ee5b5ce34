"""`trainer stream` to real Kafka, and what the worker makes of it: everything sent is accounted for."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.kafka_broker import Topics
from support.kafka_io import at_least, read_back
from support.lines import due_scans, offline_predictions
from support.trainers import trainer
from support.workers import environment, running

from models.frames import decode_frame, sensor_set
from models.messages import SensorScan, decode_prediction, decode_scan
from models.runtime import Predictor


def scans_in(value: bytes | None, encoding: str, names: list[str]) -> list[SensorScan]:
    if encoding == "json":
        return [decode_scan(value)]
    frame = decode_frame(value, sensor_set(names), len(names))
    rows = [[None if np.isnan(number) else float(number) for number in row] for row in frame.rows]
    return [
        msgspec.structs.replace(frame.scan(index), values=dict(zip(names, row, strict=True)))
        for index, row in enumerate(rows)
    ]


@pytest.mark.timeout(200)
@pytest.mark.parametrize("encoding", ["json", "packed"])
def test_simulated_line_streams_through_the_worker_whole(
    kafka_bootstrap: str, topics: Topics, tmp_path: Path, encoding: str
) -> None:
    trainer("simulate", "--hours", "0.25", "--strands", "3", "--seed", "5", "--out", str(tmp_path / "line"))
    streamed = trainer(
        "stream", str(tmp_path / "line"), "--bootstrap", kafka_bootstrap, "--topic", topics.sensors, "--speed", "0",
        "--encoding", encoding,
    )  # fmt: skip
    count = int(str(streamed["acknowledged"]))
    assert count == streamed["sent"] == streamed["total"] > 1000
    predictor = Predictor.load("current", device="cpu")
    sent = read_back(kafka_bootstrap, topics.sensors, at_least(count if encoding == "json" else count // 20))
    names = predictor.manifest.sensor_names
    scans = [scan for message in sent for scan in scans_in(message.value(), encoding, names)]
    assert len(scans) == count
    assert encoding == "json" or len(sent) < count / 10
    expected = offline_predictions(scans, predictor)
    env = environment(kafka_bootstrap, topics, "current", model__device="cpu", encoding__input=encoding)
    with running(env) as worker:
        messages = read_back(kafka_bootstrap, topics.predictions, at_least(len(expected)))
        assert worker.metric("strandwatch_samples_total", outcome="used") == count
        assert worker.terminate()[0] == 0
    predictions = {(p.strand_id, p.event_time_ms): p for p in (decode_prediction(m.value() or b"") for m in messages)}
    assert len(predictions) == len(messages)
    assert set(predictions) == set(expected) == due_scans(scans, predictor.manifest.window)
    for key, wanted in expected.items():
        assert predictions[key].probability == (None if wanted is None else pytest.approx(max(wanted), abs=1e-6))
