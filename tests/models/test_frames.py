"""Packed frames: to the byte, there and back, and whatever bytes may come."""

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.errors import MessageError
from models.frames import MAX_SCANS, ScanFrame, decode_frame, decode_frames, encode_frame, sensor_set
from models.messages import SensorScan

FINITE = st.floats(width=32, allow_infinity=False)
NAMES = ["mould_level_mm", "casting_speed_m_min"]
SENSORS = sensor_set(NAMES)
FRAMES = st.builds(
    ScanFrame,
    strand_id=st.just("p1.c2.s3") | st.text("aäbc", min_size=1, max_size=10).map(lambda text: f"p.c.{text}"),
    first_ms=st.integers(0, 2**42),
    period_ms=st.integers(1, 2**32 - 1),
    rows=hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(2)), elements=FINITE),
    first_seq=st.none() | st.integers(0, 2**62),
    heat_id=st.none() | st.text(min_size=1, max_size=20),
)  # fmt: skip


def small(**other: object) -> bytes:
    rows = np.array([[1.5, np.nan]], np.float32)
    return encode_frame(ScanFrame("p1.c2.s3", 1_764_000_000_500, 500, rows, **other), SENSORS)  # type: ignore[arg-type]


def test_a_frame_to_the_byte() -> None:
    value = small(first_seq=7, heat_id="H1", positions_m=np.array([412.25]))
    names = hashlib.sha256(b"mould_level_mm\ncasting_speed_m_min\n").digest()[:8]
    assert value == (
        b"SWPF" + bytes([1, 1]) + struct.pack("<HHHI", 8, 2, 1, 500) + names
        + struct.pack("<qq", 7, 1_764_000_000_500) + b"p1.c2.s3" + b"H1" + bytes(6)
        + struct.pack("<dff", 412.25, 1.5, float("nan"))
    )  # fmt: skip


@given(FRAMES, st.booleans())
def test_comes_back_as_it_went(frame: ScanFrame, has_positions: bool) -> None:
    positions = np.arange(len(frame)) / 8 if has_positions else None
    sent = ScanFrame(
        frame.strand_id, frame.first_ms, frame.period_ms, frame.rows, frame.first_seq, frame.heat_id, positions
    )
    found = decode_frame(encode_frame(sent, SENSORS), SENSORS, 2)
    np.testing.assert_array_equal(found.rows, sent.rows)
    assert [found.scan(index) for index in range(len(found))] == [sent.scan(index) for index in range(len(sent))]


def test_a_frames_scans_follow_one_another() -> None:
    rows = np.zeros((3, 2), np.float32)
    frame = ScanFrame("p.c.s", 1000, 250, rows, first_seq=7, heat_id="H1", positions_m=np.array([1.0, np.nan, 2.0]))
    assert [frame.scan(index) for index in range(3)] == [
        SensorScan(strand_id="p.c.s", event_time_ms=time, values={}, seq=seq, heat_id="H1", strand_position_m=position)
        for time, seq, position in [(1000, 7, 1.0), (1250, 8, None), (1500, 9, 2.0)]
    ]


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: b"SWPF\1" + rest))
def test_any_bytes_are_a_frame_or_a_reason(value: bytes) -> None:
    try:
        decode_frame(value, SENSORS, 2)
    except MessageError as error:
        found = error
    else:
        return
    assert found.reason in {"empty", "malformed", "schema", "encoding"}
    assert "\n" not in str(found)


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_frame_is_a_frame_or_a_reason(place: int, byte: int) -> None:
    value = bytearray(small(first_seq=7, heat_id="H1"))
    value[place % len(value)] = byte
    try:
        frame = decode_frame(bytes(value), SENSORS, 2)
    except MessageError:
        return
    assert len(frame) == 1
    assert not np.isinf(frame.rows).any()


def patched(at: int, what: bytes) -> bytes:
    value = small()
    return value[:at] + what + value[at + len(what) :]


@pytest.mark.parametrize(
    ("value", "reason", "said"),
    [
        (None, "empty", "got null"),
        (b"", "empty", "got no bytes"),
        (b'{"strand_id": "p.c.s"}', "encoding", "expected a packed frame"),
        (b"SWPF\1", "malformed", "expected a header of 40 bytes, got 5 bytes"),
        (small()[:-1], "malformed", "expected 56 bytes by the header, got 55"),
        (small() + b"\0", "malformed", "got 57"),
        (b"SWPF" + bytes(1 << 20), "too_large", "expected at most"),
        (patched(4, b"\2"), "schema", "expected version 1, got 2"),
        (patched(10, b"\0\0"), "schema", f"expected 1 to {MAX_SCANS} scans, got 0"),
        (patched(12, bytes(4)), "schema", "expected event times"),
        (patched(16, bytes(8)), "schema", "expected the model's sensors, "),
        (patched(24, struct.pack("<q", -2)), "schema", "seq"),
        (patched(32, struct.pack("<q", -1)), "schema", "expected event times"),
        (patched(40, b"\xff"), "encoding", "utf-8"),
        (patched(40, b"no dots."), "schema", "expected <plant>.<caster>.<strand>"),
        (patched(48, struct.pack("<f", float("inf"))), "schema", "finite"),
        (small(positions_m=np.array([-np.inf])), "schema", "finite"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_has_a_reason(value: bytes | None, reason: str, said: str) -> None:
    with pytest.raises(MessageError, match=said) as caught:
        decode_frame(value, SENSORS, 2)
    assert caught.value.reason == reason


def test_one_that_cannot_be_used_does_not_harm_those_beside_it() -> None:
    infinite = patched(48, struct.pack("<f", float("inf")))
    found = decode_frames([small(), None, infinite, small()], SENSORS, 2)
    assert [one.reason if isinstance(one, MessageError) else len(one) for one in found] == [1, "empty", "schema", 1]
