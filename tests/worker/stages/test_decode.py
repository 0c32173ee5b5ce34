"""Bytes to rows: missing, bad, unknown; rubbish beside good scans."""

import numpy as np

from worker.records import Origin, RawRecord, ScanBlock
from worker.stages.decode import ScanDecoder

DECODER = ScanDecoder(["a", "b"])


def records(*values: bytes | None) -> list[RawRecord]:
    return [RawRecord(Origin(("t", 0), offset), b"k", value) for offset, value in enumerate(values)]


def scan(values: str, more: str = "") -> bytes:
    return f'{{"strand_id": "p.c.s", "event_time_ms": 1, "values": {values}{more}}}'.encode()


def test_rows_follow_the_models_sensors_and_missing_is_nan() -> None:
    block, dead = DECODER.decode(records(scan('{"b": 2, "a": 1}'), scan('{"a": null}'), scan("{}")))
    np.testing.assert_array_equal(block.rows, np.array([[1, 2], [np.nan, np.nan], [np.nan, np.nan]], np.float32))
    assert dead == []


def test_bad_value_is_missing_and_uncertain_one_is_used() -> None:
    block, _ = DECODER.decode(
        records(scan('{"a": 1, "b": 2}', ', "quality": {"a": "bad", "b": "uncertain", "z": "bad"}'))
    )
    np.testing.assert_array_equal(block.rows, np.array([[np.nan, 2]], np.float32))


def test_unknown_sensors_are_counted_and_ignored() -> None:
    block, _ = DECODER.decode(records(scan('{"a": 1, "x": 3, "y": null}'), scan('{"b": 1}')))
    assert block.unknown_values == 2


def test_a_model_of_one_sensor_misses_it_and_counts_others() -> None:
    block, _ = ScanDecoder(["a"]).decode(records(scan('{"a": 1}'), scan("{}"), scan('{"z": 1}')))
    assert (block.unknown_values, block.size) == (1, 3)
    assert isinstance(block, ScanBlock)
    np.testing.assert_array_equal(block.rows, np.array([[1], [np.nan], [np.nan]], np.float32))


def test_rubbish_leaves_the_good_scans_beside_it_unharmed() -> None:
    block, dead = DECODER.decode(records(b"{", scan('{"a": 1}'), None, scan('{"a": 1e39}'), scan('{"a": 2}')))
    assert [origin.offset for origin in block.origins] == [1, 4]
    assert block.rows[:, 0].tolist() == [1, 2]
    assert [(letter.record.origin.offset, letter.reason) for letter in dead] == [
        (0, "malformed"),
        (2, "empty"),
        (3, "schema"),
    ]
    assert dead[2].detail == "expected a 32-bit float, got 1e+39 at values.a"


def test_no_records_make_an_empty_block() -> None:
    block, dead = DECODER.decode([])
    assert block.rows.shape == (0, 2)
    assert dead == []
