"""Scans by a layout: the same rows, scans and errors as without one, whatever comes between."""

import json
from collections.abc import Sequence

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.errors import MessageError
from models.messages import MAX_SCAN_BYTES, SensorScan, decode_scan
from models.scan_reader import Found, ScanReader, ScansRead, layout_of

SENSORS = ("level", "stopper", 'odd "name"', "speed")
PLAIN = ("level", "stopper", "speed")


def scan(values: object, **more: object) -> bytes:
    return json.dumps({"strand_id": "p.c.s", "event_time_ms": 1, "values": values, **more}).encode()


NUMBERS = st.none() | st.integers(-5, 10**20) | st.floats(-1e3, 1e3, width=32) | st.sampled_from([1e39, -1e300, 0.1])
NAMES = st.sampled_from([*PLAIN, "argon", "s0", "ä"])
VALUES = st.permutations(PLAIN).flatmap(
    lambda names: st.builds(
        lambda base, more: {**base, **more}, st.fixed_dictionaries(dict.fromkeys(names, NUMBERS)),
        st.just({}) | st.dictionaries(NAMES, NUMBERS, max_size=2),
    )
)  # fmt: skip
QUALITY = st.dictionaries(NAMES, st.sampled_from(["good", "uncertain", "bad"]), max_size=2)
SCANS = st.builds(
    scan,
    VALUES | st.dictionaries(NAMES, NUMBERS) | st.just(dict.fromkeys(PLAIN, 1.0)),
    quality=st.just({}) | QUALITY,
    seq=st.none() | st.integers(0, 9),
    strand_id=st.sampled_from(["p.c.s", "p.c.t", "nobody", ""]),
)
RUBBISH = st.sampled_from(
    [None, b"", b"{", b"[]", b"\xff", scan({"level": "high"}), scan([1]), scan({"level": 1}, seq=-1), b"[" * 5000]
)


def told(one: SensorScan | MessageError) -> object:
    if isinstance(one, MessageError):
        return one.reason, str(one)
    return {field: getattr(one, field) for field in SensorScan.__struct_fields__ if field != "values"}


def same(found: ScansRead, expected: ScansRead) -> None:
    assert [told(one) for one in found.found] == [told(one) for one in expected.found]
    np.testing.assert_array_equal(found.rows, expected.rows)
    assert found.unknown == expected.unknown


def has_slots(found: Found) -> list[bool]:
    return [not isinstance(one.values, dict) for one in found if isinstance(one, SensorScan)]


@given(st.lists(st.lists(SCANS | RUBBISH, max_size=12), max_size=4))
def test_with_layouts_all_is_as_without(blocks: Sequence[Sequence[bytes | None]]) -> None:
    reader, plain = ScanReader(PLAIN), ScanReader(PLAIN, decode_scan)
    for block in blocks:
        same(reader.read(block), plain.read(block))


def test_scans_of_the_same_sensors_take_slots_from_the_second_block_on() -> None:
    reader, block = ScanReader(PLAIN), [scan({"speed": 1.0, "level": 2.0, "stopper": None})] * 3
    assert has_slots(reader.read(block).found) == [False] * 3
    found, rows, _ = reader.read(block)
    assert has_slots(found) == [True] * 3
    np.testing.assert_array_equal(rows, np.float32([[2, np.nan, 1]] * 3))


def test_other_sensors_than_the_models_are_learnt_too() -> None:
    reader, block = ScanReader(PLAIN), [scan({"argon": 1.0, "level": 2.0, "speed": 3.0})] * 2
    reader.read(block)
    found, rows, unknown = reader.read(block)
    assert has_slots(found) == [True] * 2
    assert unknown == 2
    np.testing.assert_array_equal(rows, np.float32([[2, np.nan, 3]] * 2))


def test_one_that_is_unlike_the_others_changes_nothing_for_them() -> None:
    usual, odd = scan({"level": 1.0}), scan({"level": 1.0, "argon": 2.0})
    reader = ScanReader(PLAIN)
    reader.read([usual])
    assert has_slots(reader.read([usual, odd, usual]).found) == [True, False, True]
    assert has_slots(reader.read([usual]).found) == [True]


def test_when_the_line_changes_its_sensors_the_next_block_knows() -> None:
    reader = ScanReader(PLAIN)
    reader.read([scan({"level": 1.0})])
    changed = [scan({"level": 1.0, "argon": 2.0})] * 3
    assert has_slots(reader.read(changed).found) == [False] * 3
    assert has_slots(reader.read(changed).found) == [True] * 3


def test_a_name_that_json_escapes_is_read_without_slots() -> None:
    block = [scan(dict.fromkeys(SENSORS, 1.0))]
    reader = ScanReader(SENSORS)
    for _ in range(2):
        found, rows, unknown = reader.read(block)
        assert has_slots(found) == [False]
        assert (rows.tolist(), unknown) == ([[1.0] * 4], 0)


def test_thousands_of_names_are_not_learnt() -> None:
    assert layout_of(tuple(f"n{number}" for number in range(1001)), PLAIN) is None


def test_what_is_too_large_for_a_record_is_so_with_a_layout() -> None:
    reader, usual = ScanReader(PLAIN), scan({"level": 1.0})
    reader.read([usual])
    (one,), rows, _ = reader.read([usual + b" " * MAX_SCAN_BYTES])
    assert isinstance(one, MessageError)
    assert (one.reason, rows.shape) == ("too_large", (0, 3))


def test_a_scan_in_slots_is_written_as_any_other() -> None:
    reader, usual = ScanReader(PLAIN), scan({"level": 1.0, "stopper": 2.0, "speed": None})
    reader.read([usual])
    (one,), _, _ = reader.read([usual])
    assert json.loads(msgspec.json.encode(one))["values"] == {"level": 1.0, "stopper": 2.0, "speed": None}
