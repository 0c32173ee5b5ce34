"""The text that goes with an offset: whole again or refused, and short enough for what one partition holds."""

import base64
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ContractError
from worker.kafka.committed import FORMAT, Committed, Pointer, decode, encode, pack, unpack
from worker.records import PLACES, AlertState, PartitionState, Reached

NUMBERS = st.none() | st.integers(0, 2**53)
ALERTS = st.builds(
    AlertState,
    strand_id=st.text(min_size=1, max_size=20),
    target=st.sampled_from(["sticker", "quality"]),
    above_since_ms=NUMBERS,
    below_since_ms=NUMBERS,
    opened_at_ms=NUMBERS,
    closed_at_ms=NUMBERS,
    last_ms=NUMBERS,
    peak=st.floats(0, 1),
    heat_id=st.none() | st.text(max_size=10),
    position_from_m=st.none() | st.floats(0, 1e6),
    position_to_m=st.none() | st.floats(0, 1e6),
    probability=st.floats(0, 1),
    severity=st.sampled_from(["advisory", "critical"]),
    model=st.text(min_size=1, max_size=20),
    model_sha256=st.text("0123456789abcdef", min_size=12, max_size=12),
)
REACHED = st.builds(
    Reached,
    event_time_ms=st.integers(-(2**50), 2**50),
    offset=st.integers(0, 2**50),
    late=st.none() | st.tuples(st.integers(1, 9), st.integers(-(2**50), 2**50)),
)
STRANDS = st.sampled_from(["p1.c1.s1", "p1.c1.s2", "p1.c2.s1"]) | st.text(min_size=1, max_size=20)
STATES = st.builds(
    PartitionState,
    windows=st.dictionaries(STRANDS, st.integers(0, 2**60), max_size=20),
    alerts=st.lists(ALERTS, max_size=6),
    reached=st.dictionaries(STRANDS, REACHED, max_size=20),
)

POINTERS = st.none() | st.builds(Pointer, *[st.integers(0, 2**60)] * 3)


@given(STATES, st.integers(1, 1000), POINTERS, st.integers(-1, 2**31))
def test_comes_back_as_it_went_and_is_text_that_kafka_takes(
    state: PartitionState, partitions: int, pointer: Pointer | None, epoch: int
) -> None:
    committed = Committed("ab12", partitions, state, pointer, epoch)
    text = encode(committed)
    assert decode(text) == committed
    assert unpack(pack(committed)) == committed
    assert text.isascii()
    assert text.isprintable()


def test_rewind_is_to_the_oldest_window_and_nowhere_without_one() -> None:
    assert PartitionState({"a": 70 * PLACES, "b": 60 * PLACES + 3}, []).begins(90) == 60
    assert PartitionState({}, []).begins(90) == 90
    assert PartitionState({"a": 70 * PLACES}, [], since=80).begins(90) == 70
    assert PartitionState({}, [], since=80).begins(90) == 80


@given(STATES, st.integers(0, 10_000), st.sampled_from("!0Zz~"))
def test_what_was_damaged_is_refused_or_was_no_damage(state: PartitionState, place: int, other: str) -> None:
    """The last character has more bits than are used."""
    committed = Committed("ab12", 6, state)
    text = encode(committed)
    place %= len(text)
    damaged = text[:place] + other + text[place + 1 :]
    try:
        assert decode(damaged) == committed
        assert place == len(text) - 1 or damaged == text
    except ContractError as error:
        assert "a worker's state" in str(error)  # noqa: PT017 (either is right)
    with pytest.raises(ContractError, match="a worker's state"):
        decode(text[: len(text) // 2])


@pytest.mark.parametrize("text", ["", "checked by hand", '{"offset": 7}', "\u00e9", encode.__name__])
def test_what_somebody_else_committed_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="a committed state"):
        decode(text)


FORMAT_3 = [3, "ab12", 6, 60, {"p.c.a": 0, "p.c.b": [15, 3]}, [], None, 4]
"""As it was once committed, without how far strands had come."""


@pytest.mark.parametrize(("wire", "number"), [([FORMAT + 1, "whatever"], FORMAT + 1), (FORMAT_3, 3)])
def test_another_format_is_refused_by_its_number(wire: list[object], number: int) -> None:
    packed = zlib.compress(msgspec.msgpack.encode(wire))
    text = base64.b85encode(zlib.crc32(packed).to_bytes(4) + packed).decode()
    with pytest.raises(ContractError, match=rf"format {FORMAT}, got format \[{number}\]"):
        decode(text)


def test_a_hundred_strands_and_ten_alerts_fit() -> None:
    windows = {
        f"plant1.c{number // 6}.s{number % 6}": (10**9 + 137 * number % 24_000) * PLACES for number in range(100)
    }
    reached = {
        strand_id: Reached(1764000000500 + 271 * number % 600, 10**9 + 24_000 + 37 * number % 100)
        for number, strand_id in enumerate(windows)
    }
    alert = AlertState("plant1.c3.s2", "sticker", 1764000000500, None, 1764000001500, None, 1764000009500, 0.87654321,
                       "H20417", 412.35, 418.2, 0.7654321,
                       "critical", "casting-cnn-lstm@1.2.0", "ab12ab12ab12")  # fmt: skip
    state = PartitionState(windows, [alert] * 10, reached=reached)
    assert len(encode(Committed("ab12ab12ab12", 6, state))) < 1500
