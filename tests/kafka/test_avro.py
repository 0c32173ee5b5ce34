"""Scans in Avro in, predictions and alerts in Avro out, with a registry; what is none becomes a dead letter."""

import json
from pathlib import Path

import fastavro
import pytest
from support.kafka_broker import Topics
from support.kafka_io import at_least, publish, read_back
from support.lines import offline_predictions, steady
from support.schema_registry import SchemaRegistry
from support.workers import environment, running

from models.avro import AvroReader, AvroWriter, schema_of
from models.messages import Alert, Prediction, SensorScan, encode
from models.runtime import Predictor


def env_of(bootstrap: str, topics: Topics, bundle: Path, registry: str) -> dict[str, str]:
    return environment(
        bootstrap, topics, bundle,
        encoding__input="avro", encoding__output="avro", encoding__schema_registry_url=registry,
    )  # fmt: skip


def test_a_line_in_avro_is_predicted_as_in_json(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    predictor = Predictor.load(bundle, device="cpu")
    scans = list(steady(3, 200))
    expected = offline_predictions(scans, predictor)
    with SchemaRegistry() as registry:
        write = AvroWriter(SensorScan, registry.add(f"{topics.sensors}-value", schema_of(SensorScan))).write
        rubbish = [("p1.c1.s1", encode(scans[0])), ("p1.c1.s1", b"\x00\x00\x00\x03\xe7" + write(scans[0])[5:])]
        publish(kafka_bootstrap, topics.sensors, [(scan.strand_id, write(scan)) for scan in scans] + rubbish)
        with running(env_of(kafka_bootstrap, topics, bundle, registry.url)) as served:
            found = read_back(kafka_bootstrap, topics.predictions, at_least(len(expected)))
            letters = read_back(kafka_bootstrap, topics.dead_letters, at_least(len(rubbish)))
            alerts = read_back(kafka_bootstrap, topics.alerts, at_least(1))
            assert served.terminate()[0] == 0
        schemas = {number: fastavro.parse_schema(json.loads(text)) for number, text in registry.schemas.items()}
        assert set(registry.subjects) == {f"{one}-value" for one in (topics.sensors, topics.predictions, topics.alerts)}
    predictions = [AvroReader(Prediction, schemas.get).read(message.value()) for message in found]
    assert {(p.strand_id, p.event_time_ms) for p in predictions} == set(expected)
    for one in predictions:
        wanted = expected[one.strand_id, one.event_time_ms]
        assert one.probability == (None if wanted is None else pytest.approx(max(wanted), abs=1e-6))
    assert alerts
    assert {AvroReader(Alert, schemas.get).read(message.value()).state for message in alerts} <= {"open", "closed"}
    assert sorted(dict(letter.headers() or [])["reason"] for letter in letters) == [b"encoding", b"schema"]
