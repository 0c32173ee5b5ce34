"""Packed frames make the windows that the same scans make one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.frames import ScanFrame
from models.messages import SensorScan
from models.strand_window import missing_of
from models.windows import Outcome, WindowRules
from worker.records import PLACES, DueWindow, FrameBlock, GivenUp, Origin, RawRecord, ScanBlock
from worker.stages.decode import FrameDecoder
from worker.stages.windows import Windows

PARTITION = ("t", 0)
RULES = st.builds(WindowRules, st.integers(1, 6), st.just(500), st.sampled_from([1, 2, 7]), st.just(2000))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["p.c.a", "p.c.b"]),
        st.sampled_from([500, 500, 500, 0, -700, 1500, 9000, -40_000]),
        st.integers(1, 15),
        st.sampled_from([500, 500, 250, 1900, 3000]),
    ),
    max_size=20,
)


def frames_of(steps: list[tuple[str, int, int, int]]) -> list[ScanFrame]:
    """Frames that follow, repeat, overlap, jump or fall back; every third value is missing."""
    clocks = dict.fromkeys(("p.c.a", "p.c.b"), 1_000_000)
    frames = []
    for number, (strand, step, count, period) in enumerate(steps):
        first_ms = clocks[strand] + step
        rows = np.arange(2 * count, dtype=np.float32).reshape(count, 2) + 100 * number
        rows[::3, 0] = np.nan
        frames.append(ScanFrame(strand, first_ms, period, rows, first_seq=100 * number, heat_id=f"H{number}"))
        clocks[strand] = first_ms + (count - 1) * period
    return frames


def one_by_one(frame: ScanFrame, offset: int) -> ScanBlock:
    scans: list[SensorScan] = [frame.scan(index) for index in range(len(frame))]
    return ScanBlock([Origin(PARTITION, offset)] * len(frame), scans, frame.rows, missing_of(frame.rows), 0)


def framed(frame: ScanFrame, offset: int) -> FrameBlock:
    return FrameBlock([Origin(PARTITION, offset)], [frame], [missing_of(frame.rows)])


def told(windows: Windows, block: ScanBlock | FrameBlock) -> list[object]:
    return [
        (entry.scan, entry.rows.tobytes()) if isinstance(entry, DueWindow) else entry
        for entry in windows.advance(block)
    ]


@given(RULES, STEPS)
def test_as_many_scans_one_by_one(rules: WindowRules, steps: list[tuple[str, int, int, int]]) -> None:
    packed, single = Windows(rules, 2), Windows(rules, 2)
    for offset, frame in enumerate(frames_of(steps)):
        assert told(packed, framed(frame, offset)) == told(single, one_by_one(frame, offset))
    assert packed.outcomes == single.outcomes


@given(RULES, STEPS, st.integers(0, 20))
def test_a_refill_may_begin_within_a_frame(
    rules: WindowRules, steps: list[tuple[str, int, int, int]], cut: int
) -> None:
    blocks = [framed(frame, offset) for offset, frame in enumerate(frames_of(steps))]
    undisturbed = Windows(rules, 2)
    expected = [told(undisturbed, block) for block in blocks]
    before, after = Windows(rules, 2), Windows(rules, 2)
    for block in blocks[:cut]:
        told(before, block)
    starts = before.starts(PARTITION)
    after.begin_refill(PARTITION, starts, {})
    for block in blocks[:cut]:
        if starts and block.origins[0].offset >= min(starts.values()) // PLACES:
            after.refill(block)
    assert after.starts(PARTITION) == starts
    assert [told(after, block) for block in blocks[cut:]] == expected[cut:]


def test_a_frame_that_cannot_be_used_is_one_dead_letter() -> None:
    records = [RawRecord(Origin(PARTITION, offset), b"k", value) for offset, value in enumerate([b"{}", None])]
    block, dead = FrameDecoder(["a", "b"]).decode(records)
    assert [(letter.record.origin.offset, letter.reason) for letter in dead] == [(0, "encoding"), (1, "empty")]
    assert list(Windows(WindowRules(2, 500, 1, 2000), 2).advance(block)) == []


def test_a_gap_before_a_frame_is_told_at_its_first_scan() -> None:
    windows = Windows(WindowRules(2, 500, 1, 2000), 1)
    first, second = (ScanFrame("p.c.s", at, 500, np.zeros((3, 1), np.float32)) for at in (0, 10_000))
    told(windows, framed(first, 0))
    given_up = told(windows, framed(second, 1))[0]
    assert given_up == GivenUp(Origin(PARTITION, 1), "p.c.s", 10_000, "a gap of 9.0 s in its scans")
    assert windows.outcomes[Outcome.USED] == 6
