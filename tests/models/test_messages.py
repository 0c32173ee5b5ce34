"""What comes in and goes out on Kafka: bad input becomes a reason, good input survives the round trip."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import MessageError
from models.messages import (
    DEAD_LETTER_REASONS,
    MAX_SCAN_BYTES,
    Alert,
    PositionRange,
    Prediction,
    SensorScan,
    decode_alert,
    decode_prediction,
    decode_scan,
    encode,
)

GOOD = b'{"strand_id": "p1.c2.s3", "event_time_ms": 1764000000500, "values": {"mould_level_mm": 0.4}}'


def reason_of(value: bytes) -> str | None:
    try:
        decode_scan(value)
    except MessageError as error:
        return error.reason
    return None


def with_value(text: str) -> bytes:
    return GOOD.replace(b"0.4", text.encode())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"{", "malformed"),
        (GOOD[:-10], "malformed"),
        (b"hello", "malformed"),
        (with_value("NaN"), "malformed"),
        (with_value("Infinity"), "malformed"),
        (with_value("-Infinity"), "malformed"),
        (b"[" * 100_000, "schema"),
        (b'{"x":' * 100_000, "malformed"),
        (b"null", "schema"),
        (b"[]", "schema"),
        (b"{}", "schema"),
        (GOOD.replace(b'"strand_id": "p1.c2.s3", ', b""), "schema"),
        (GOOD.replace(b'"event_time_ms": 1764000000500, ', b""), "schema"),
        (GOOD.replace(b'"values"', b'"value"'), "schema"),
        (GOOD.replace(b"p1.c2.s3", b"strand three"), "schema"),
        (GOOD.replace(b"p1.c2.s3", b"p1.c2.s3\\n"), "schema"),
        (GOOD.replace(b"1764000000500", b'"noon"'), "schema"),
        (GOOD.replace(b"1764000000500", b"-5"), "schema"),
        (GOOD.replace(b"1764000000500", b"1764000000.5"), "schema"),
        (with_value('"0.4"'), "schema"),
        (with_value("true"), "schema"),
        (with_value("1e400"), "schema"),
        (b"\x00\x00\x00\x00\x07avro", "encoding"),
        (b"\xff\xfe{\x00}\x00", "encoding"),
        (GOOD.replace(b"p1", b"p\xe9"), "encoding"),
        (b'{"values": {"a": "' + b"x" * MAX_SCAN_BYTES + b'"}}', "too_large"),
    ],
)
def test_unusable_scan_has_a_reason_and_a_detail(value: bytes | None, reason: str) -> None:
    with pytest.raises(MessageError) as caught:
        decode_scan(value)
    assert caught.value.reason == reason
    assert str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_scan_or_a_reason(value: bytes) -> None:
    assert reason_of(value) in {None, *DEAD_LETTER_REASONS}


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_one_changed_byte_is_a_scan_or_a_reason(place: int, byte: int) -> None:
    assert reason_of(GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]) in {None, *DEAD_LETTER_REASONS}


def test_unknown_fields_are_ignored_and_optional_ones_default() -> None:
    scan = decode_scan(GOOD[:-1] + b', "shift": "early", "seq": null}')
    assert (scan.seq, scan.heat_id, scan.strand_position_m, scan.quality) == (None, None, None, {})


@given(
    st.builds(
        SensorScan,
        strand_id=st.from_regex(r"\A[a-z0-9-]{1,9}\.[a-z0-9]{1,9}\.[a-z0-9äß]{1,9}\Z"),
        event_time_ms=st.integers(0, 4_000_000_000_000),
        values=st.dictionaries(st.text(max_size=9), st.none() | st.floats(allow_nan=False, allow_infinity=False)),
        seq=st.none() | st.integers(0, 2**62),
        heat_id=st.none() | st.text(max_size=20),
        strand_position_m=st.none() | st.floats(0, 1e6),
        quality=st.dictionaries(st.text(max_size=9), st.sampled_from(["good", "uncertain", "bad"])),
    )
)
def test_scan_survives_the_round_trip(scan: SensorScan) -> None:
    assert decode_scan(encode(scan)) == scan


def test_prediction_and_alert_survive_the_round_trip_and_name_their_fields_as_agreed() -> None:
    prediction = Prediction(
        strand_id="p.c.s", seq=None, event_time_ms=5, probability=None, probabilities={}, model="m@1", model_sha256="a",
        window_start_ms=1, quality="warming", missing_fraction=0.0, strand_position_m=None,
    )  # fmt: skip
    alert = Alert(
        alert_id="a", strand_id="p.c.s", target="sticker", state="open", severity="critical", probability=0.9,
        peak_probability=0.95, opened_at_ms=1, event_time_ms=2, closed_at_ms=None,
        strand_position_range_m=PositionRange(1.0, 2.0), heat_id="H1", top_sensors=[], model="m@1", model_sha256="a",
        message="text",
    )  # fmt: skip
    assert decode_prediction(encode(prediction)) == prediction
    assert decode_alert(encode(alert)) == alert
    assert json.loads(encode(alert))["strand_position_range_m"] == {"from": 1.0, "to": 2.0}
    assert list(json.loads(encode(prediction))) == [field.name for field in msgspec.structs.fields(Prediction)]
