"""Scans by a layout: the same rows, scans and errors as without one, whatever comes between."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import MessageError
from models.messages import MAX_SCAN_BYTES, ScanFacts, SensorScan, decode_scan
from models.scan_reader import MOST_SLOTS, PATIENCE, Found, Layout, ScanReader, ScansRead

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


def told(one: ScanFacts | MessageError) -> object:
    if isinstance(one, MessageError):
        return one.reason, str(one)
    return {field: getattr(one, field) for field in SensorScan.__struct_fields__ if field != "values"}


def same(found: ScansRead, expected: ScansRead) -> None:
    assert [told(one) for one in found.found] == [told(one) for one in expected.found]
    np.testing.assert_array_equal(found.rows, expected.rows)
    assert found.unknown == expected.unknown


def has_slots(found: Found) -> list[bool]:
    return [type(one) is not SensorScan for one in found if not isinstance(one, MessageError)]


def taught(*values: bytes) -> ScanReader:
    reader = ScanReader(PLAIN)
    reader.read(values * PATIENCE)
    return reader


@given(st.lists(SCANS, min_size=1, max_size=3), st.lists(st.lists(SCANS | RUBBISH, max_size=12), max_size=4))
def test_with_layouts_all_is_as_without(lessons: list[bytes], blocks: Sequence[Sequence[bytes | None]]) -> None:
    reader, plain = taught(*lessons), ScanReader(PLAIN, decode_scan)
    for block in blocks:
        for values in (block, [*block, *lessons, *block]):
            same(reader.read(values), plain.read(values))


def test_scans_of_the_same_sensors_take_slots_once_they_are_known() -> None:
    reader, block = ScanReader(PLAIN), [scan({"speed": 1.0, "level": 2.0, "stopper": None})] * PATIENCE
    assert has_slots(reader.read(block).found) == [False] * PATIENCE
    found, rows, _ = reader.read(block)
    assert has_slots(found) == [True] * PATIENCE
    np.testing.assert_array_equal(rows, np.float32([[2, np.nan, 1]] * PATIENCE))


def test_scans_that_come_one_by_one_are_learnt_as_well() -> None:
    reader, usual = ScanReader(PLAIN), scan({"level": 1.0})
    slots = [has_slots(reader.read([usual]).found) for _ in range(PATIENCE + 1)]
    assert slots == [[False]] * PATIENCE + [[True]]


def test_other_sensors_than_the_models_are_learnt_too() -> None:
    usual = scan({"argon": 1.0, "level": 2.0, "speed": 3.0})
    found, rows, unknown = taught(usual).read([usual] * 2)
    assert has_slots(found) == [True] * 2
    assert unknown == 2
    np.testing.assert_array_equal(rows, np.float32([[2, np.nan, 3]] * 2))


def test_what_most_have_is_learnt_whatever_comes_first() -> None:
    usual, odd = scan({"level": 1.0, "speed": 2.0}), scan({"speed": 1.0})
    reader = ScanReader(PLAIN)
    reader.read([odd, scan({"argon": 1.0}), *[usual] * PATIENCE])
    assert has_slots(reader.read([scan({"argon": 1.0}), usual, scan({"argon": 1.0}), usual]).found) == [
        False, True, False, True,
    ]  # fmt: skip


def test_a_few_of_another_kind_change_nothing_for_the_others() -> None:
    usual, other = scan({"level": 1.0}), scan({"level": 1.0, "argon": 2.0})
    reader = taught(usual)
    for _ in range(4 * PATIENCE):
        assert has_slots(reader.read([other, usual]).found) == [False, True]


def test_when_the_line_changes_its_sensors_that_is_learnt() -> None:
    reader, changed = taught(scan({"level": 1.0})), [scan({"level": 1.0, "argon": 2.0})] * 2 * PATIENCE
    assert not any(has_slots(reader.read(changed).found))
    assert all(has_slots(reader.read(changed).found))


def test_after_vain_tries_a_layout_is_not_tried_on_the_rest() -> None:
    usual, other = scan({"level": 1.0}), scan({"level": 1.0, "argon": 2.0})
    found = taught(usual).read([other] * PATIENCE + [usual]).found
    assert not any(has_slots(found))
    found = taught(usual).read([b"{"] * (PATIENCE - 1) + [usual]).found
    assert has_slots(found) == [True]


def test_a_line_of_many_kinds_is_learnt_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    learnt = []
    monkeypatch.setattr(Layout, "of", classmethod(lambda _, *names: learnt.append(names)))
    reader = ScanReader(PLAIN)
    for number in range(100 * PATIENCE):
        reader.read([scan({"level": 1.0, f"n{number}": 1.0})])
    assert len(learnt) == 6  # after 16, 32, 64, 128, 256, 512 more


def test_a_name_that_json_escapes_is_read_without_slots() -> None:
    block = [scan(dict.fromkeys(SENSORS, 1.0))] * PATIENCE
    reader = ScanReader(SENSORS)
    for _ in range(2):
        found, rows, unknown = reader.read(block)
        assert not any(has_slots(found))
        assert (rows.tolist(), unknown) == ([[1.0] * 4] * PATIENCE, 0)


def test_more_names_than_are_faster_in_slots_are_not_learnt() -> None:
    assert Layout.of([f"n{number}" for number in range(MOST_SLOTS - len(PLAIN))], PLAIN) is not None
    assert Layout.of([f"n{number}" for number in range(MOST_SLOTS - len(PLAIN) + 1)], PLAIN) is None


def test_what_is_too_large_for_a_record_is_so_with_a_layout() -> None:
    usual = scan({"level": 1.0})
    (one,), rows, _ = taught(usual).read([usual + b" " * MAX_SCAN_BYTES])
    assert isinstance(one, MessageError)
    assert (one.reason, rows.shape) == ("too_large", (0, 3))
