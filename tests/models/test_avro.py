"""Messages in Avro: what is written is read, schemas may grow, and rubbish is told apart and survived."""

import io
import json
import math
from contextlib import suppress

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.avro import AvroReader, AvroWriter, schema_of
from models.errors import MessageError
from models.messages import Alert, PositionRange, Prediction, SensorContribution, SensorScan

NUMBER = 258
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCANS = st.builds(
    SensorScan,
    strand_id=st.sampled_from(["p1.c1.s1", "plant-2.c10.s4"]),
    event_time_ms=st.integers(0, 10**12),
    values=st.dictionaries(st.text(max_size=8), FINITE | st.none(), max_size=4),
    seq=st.none() | st.integers(0, 2**63 - 1),
    heat_id=st.none() | st.text(max_size=8),
    strand_position_m=st.none() | FINITE,
    quality=st.dictionaries(st.text(max_size=8), st.sampled_from(["good", "uncertain", "bad"]), max_size=3),
)
PREDICTION = Prediction(
    strand_id="p1.c1.s1", seq=None, event_time_ms=5, probability=0.5, probabilities={"sticker": 0.5}, model="m@1",
    model_sha256="ab", window_start_ms=1, quality="degraded", missing_fraction=0.25, strand_position_m=None,
    provider="CPUExecutionProvider",
)  # fmt: skip
ALERT = Alert(
    alert_id="a", strand_id="p1.c1.s1", target="sticker", state="open", severity="critical", probability=0.9,
    peak_probability=0.9, opened_at_ms=4, event_time_ms=5, closed_at_ms=None,
    strand_position_range_m=PositionRange(1, 2), heat_id="H1",
    top_sensors=[SensorContribution("tc_1", 0.3, None)], model="m@1", model_sha256="ab", message="text",
)  # fmt: skip
LEAST = SensorScan(strand_id="p1.c1.s1", event_time_ms=7, values={})


def reader(message: type, writer_schema: dict | None = None) -> AvroReader:
    schemas = {NUMBER: fastavro.parse_schema(writer_schema or schema_of(message))}
    return AvroReader(message, schemas.get)


def written(message: SensorScan | Prediction | Alert) -> bytes:
    return AvroWriter(type(message), NUMBER).write(message)


@given(SCANS)
def test_what_is_written_is_read(scan: SensorScan) -> None:
    assert reader(SensorScan).read(written(scan)) == scan


@pytest.mark.parametrize("message", [PREDICTION, ALERT], ids=["prediction", "alert"])
def test_outputs_are_read_by_their_schema_alone(message: Prediction | Alert) -> None:
    assert reader(type(message)).read(written(message)) == message
    schema = fastavro.parse_schema(json.loads(json.dumps(schema_of(type(message)))))
    assert fastavro.validation.validate(msgspec.to_builtins(message), schema)


def test_a_record_begins_with_zero_and_the_schemas_number() -> None:
    assert written(LEAST)[:5] == b"\x00\x00\x00\x01\x02"


def test_unknown_fields_are_passed_over_and_absent_ones_take_their_default() -> None:
    theirs = {
        "type": "record", "name": "SensorScan", "namespace": "strandwatch", "fields": [
            {"name": "strand_id", "type": "string"}, {"name": "site", "type": "int"},
            {"name": "event_time_ms", "type": "long"}, {"name": "values", "type": {"type": "map", "values": "float"}},
        ],
    }  # fmt: skip
    plain = {"strand_id": "p1.c1.s1", "site": 4, "event_time_ms": 9, "values": {"tc_1": 1.5}}
    out = io.BytesIO()
    out.write(b"\x00\x00\x00\x01\x02")
    fastavro.schemaless_writer(out, fastavro.parse_schema(theirs), plain)
    expected = SensorScan(strand_id="p1.c1.s1", event_time_ms=9, values={"tc_1": 1.5})
    assert reader(SensorScan, theirs).read(out.getvalue()) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"{}", "encoding"),
        (b"\x00\x00", "schema"),
        (b"\x00\x00\x00\x00\x07rest", "schema"),
        (written(LEAST)[:-1], "malformed"),
        (written(LEAST) + b"\x00", "malformed"),
        (b"\x00" * (1 << 20 | 1), "too_large"),
        (written(SensorScan(strand_id="nowhere", event_time_ms=7, values={})), "schema"),
        (written(SensorScan(strand_id="p1.c1.s1", event_time_ms=-1, values={})), "schema"),
        (written(SensorScan(strand_id="p1.c1.s1", event_time_ms=1, values={}, strand_position_m=math.nan)), "schema"),
    ],
)
def test_what_cannot_be_used_is_told_apart(value: bytes | None, reason: str) -> None:
    with pytest.raises(MessageError) as caught:
        reader(SensorScan).read(value)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


@settings(max_examples=300)
@given(st.binary(max_size=60), st.sampled_from([b"", b"\x00", b"\x00\x00\x00\x01\x02"]))
def test_any_bytes_are_a_scan_or_a_message_error(rubbish: bytes, before: bytes) -> None:
    with suppress(MessageError):
        assert isinstance(reader(SensorScan).read(before + rubbish), SensorScan)
