"""One strand's scans through its window: what is due, and what is given up. For `worker.stages.windows`."""

from collections.abc import Iterator, Sequence

from models.frames import ScanFrame
from models.messages import ScanFacts
from models.strand_window import StrandWindow
from models.windows import DUE, Verdict
from worker.records import DueScan, DueWindow, GivenUp, Origin


def through(
    window: StrandWindow, origin: Origin, frame: ScanFrame, missing: Sequence[int], first: int = 0
) -> Iterator[tuple[int, int | None, Verdict]]:
    """Offer a frame's scans, from one on, to its strand's window; many in one step where they simply follow.

    Yields:
        Index, newest event time before and verdict: of each scan that is due, and of all where they do
        not simply follow.
    """
    due = window.timeline.observe_steps(frame.time_ms(first), frame.period_ms, len(frame) - first)
    if due is None:
        for index in range(first, len(frame)):
            before = window.timeline.last_ms
            yield (
                index,
                before,
                window.push(frame.time_ms(index), frame.rows[index], origin.place(index), missing[index]),
            )
        return

    def append(begin: int, until: int) -> None:
        window.append_steps(
            frame.time_ms(begin), frame.period_ms, frame.rows[begin:until], missing[begin:until], origin.place(begin)
        )

    begin = first
    for index in due:
        append(begin, first + index + 1)
        begin = first + index + 1
        yield begin - 1, None, DUE
    if begin < len(frame):
        append(begin, len(frame))


def told(
    origin: Origin, scan: ScanFacts, window: StrandWindow, before: int | None, verdict: Verdict
) -> Iterator[DueWindow | GivenUp]:
    """What comes of a scan by its verdict; `before` is the strand's newest event time before it, milliseconds."""
    if verdict.restarted and before is not None:
        yield GivenUp(origin, scan.strand_id, scan.event_time_ms, _why_restarted(before, scan.event_time_ms))
    if verdict.due:
        yield DueWindow(_due_scan(origin, scan, window), window.rows)


def _due_scan(origin: Origin, scan: ScanFacts, window: StrandWindow) -> DueScan:
    return DueScan(
        origin=origin,
        strand_id=scan.strand_id,
        seq=scan.seq,
        event_time_ms=scan.event_time_ms,
        heat_id=scan.heat_id,
        strand_position_m=scan.strand_position_m,
        window_start_ms=window.start_ms,
        missing_fraction=window.missing_fraction,
        is_full=window.is_full,
    )


def _why_restarted(before_ms: int, now_ms: int) -> str:
    step = (now_ms - before_ms) / 1000
    return f"a gap of {step:.1f} s in its scans" if step > 0 else f"its clock was set back by {-step:.1f} s"
