"""Packed frames of a line: every scan once, in order, and nothing in between that is not one."""

import math

from hypothesis import given
from hypothesis import strategies as st

from models.frames import decode_frame, sensor_set
from models.messages import SensorScan
from trainer.dirt.stream import Arrival
from trainer.packing import Frames

NAMES = ["a", "b"]
SCANS = st.lists(
    st.tuples(
        st.sampled_from(["p.c.a", "p.c.b"]),
        st.sampled_from([500, 500, 500, 250, 0, -500, 90_000]),
        st.sampled_from(["H1", "H1", "H1", "H2"]),
        st.sampled_from([1, 1, 1, 3]),
        st.sampled_from([None, 1.5]),
        st.booleans(),
    ),
    max_size=60,
)


@given(SCANS, st.integers(1, 7))
def test_every_scan_is_in_a_frame_in_its_strands_order(
    steps: list[tuple[str, int, str, int, float | None, bool]], most: int
) -> None:
    clocks, seqs = dict.fromkeys(("p.c.a", "p.c.b"), 10**9), dict.fromkeys(("p.c.a", "p.c.b"), 0)
    sent: dict[str, list[SensorScan | bytes]] = {"p.c.a": [], "p.c.b": []}
    found: dict[str, list[SensorScan | bytes]] = {"p.c.a": [], "p.c.b": []}
    packing, packed = Frames(NAMES, most), []
    for strand, step, heat, seq_step, value, is_rubbish in steps:
        clocks[strand] += step
        seqs[strand] += seq_step
        scan = SensorScan(
            strand_id=strand, event_time_ms=clocks[strand], values={"a": value, "b": 2.0}, seq=seqs[strand],
            heat_id=heat, strand_position_m=1.5,
        )  # fmt: skip
        arrival = Arrival(scan.event_time_ms, scan, damage="truncated" if is_rubbish else None)
        sent[strand].append(arrival.encoded() or b"" if is_rubbish else scan)
        packed += packing.take(arrival)
    packed += packing.rest()
    for record in packed:
        strand, value = record.key.decode(), record.value or b""
        if not value.startswith(b"SWPF"):
            found[strand].append(value)
            continue
        frame = decode_frame(value, sensor_set(NAMES), 2)
        assert len(frame) == record.scans <= most
        for index, row in enumerate(frame.rows.tolist()):
            values = {name: None if math.isnan(number) else number for name, number in zip(NAMES, row, strict=True)}
            scan = frame.scan(index)
            found[strand].append(
                SensorScan(
                    strand_id=scan.strand_id, event_time_ms=scan.event_time_ms, values=values, seq=scan.seq,
                    heat_id=scan.heat_id, strand_position_m=scan.strand_position_m,
                )
            )  # fmt: skip
    assert found == sent
    assert list(packing.rest()) == []
