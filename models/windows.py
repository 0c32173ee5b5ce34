"""Which scans make a window, and at which scan a prediction is due. The only implementation.

The rules (both forms below keep them; event time only, in the order of the log):

- A window's rows are the last `length` *accepted* scans of a strand, never resampled.
- Event time equal to the last accepted one: duplicate. Smaller: late. Both are dropped.
- A step over `max_gap_ms` starts the window anew with that scan. So does the tenth late scan in a row
  if those ten rise among themselves: a clock that once jumped ahead must not silence a strand.
- Due: with stride 1 every accepted scan; otherwise one whose time falls into another cell of the
  grid ``floor((event_time_ms + phase) / (stride · period_ms))`` than the strand's previous accepted
  scan (or there is none); the phase spreads strands over the grid.

`models.strand_window` is the incremental form (the worker: one scan at a time), `plan_windows` the batch form
(the trainer: a whole recording). They share `StrandTimeline`, which decides on times alone; a property
test holds the two forms to each other.
"""

import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

LATE_SCANS_TO_RESTART = 10

LateRun = tuple[int, int]
"""How many late scans came in a row, rising, and the event time of the last, milliseconds."""


@dataclass(frozen=True, slots=True)
class WindowRules:
    """The shape and rhythm of a model's windows (manifest.json, `window`).

    Attributes:
        length: rows of a window, scans.
        period_ms: nominal time between two scans, milliseconds.
        stride: nominal scans between two due predictions.
        max_gap_ms: the longest step between two scans of one window, milliseconds.
    """

    length: int
    period_ms: int
    stride: int
    max_gap_ms: int

    @property
    def grid_ms(self) -> int:
        """Time between two due predictions, milliseconds."""
        return self.stride * self.period_ms

    def phase_ms(self, strand_id: str) -> int:
        """The strand's offset on the due grid, milliseconds, so that strands do not all fall due at once."""
        return zlib.crc32(strand_id.encode()) % self.grid_ms


class Outcome(StrEnum):
    """What became of a scan."""

    USED = "used"
    DUPLICATE = "duplicate"
    LATE = "late"


class Verdict(NamedTuple):
    """The rules' answer to one scan.

    `restarted`: the window, and all that grew from it, was given up and begins anew with this scan.
    """

    outcome: Outcome
    restarted: bool = False
    due: bool = False


_DUPLICATE = Verdict(Outcome.DUPLICATE)
_LATE = Verdict(Outcome.LATE)
_USED = {
    (restarted, due): Verdict(Outcome.USED, restarted, due) for restarted in (False, True) for due in (False, True)
}
ORDINARY, DUE = _USED[False, False], _USED[False, True]


class StrandTimeline:
    """The rules on one strand's event times; knows nothing of values."""

    __slots__ = ("_due_from_ms", "_last_late_ms", "_max_gap_ms", "_phase_ms", "_rising_late", "_rules", "last_ms")

    def __init__(self, rules: WindowRules, strand_id: str) -> None:
        self._rules = rules
        self._max_gap_ms = rules.max_gap_ms
        self._phase_ms = rules.phase_ms(strand_id)
        self.last_ms: int | None = None
        self._due_from_ms = 0
        self._rising_late = 0
        self._last_late_ms = 0

    @property
    def late(self) -> LateRun | None:
        """The rising late scans since the newest accepted one; None if the last scan was not late."""
        return (self._rising_late, self._last_late_ms) if self._rising_late else None

    def go_on_from(self, last_ms: int, late: LateRun | None = None) -> None:
        """Judge what comes as if the newest accepted scan had been at `last_ms`, and then such late ones."""
        self.last_ms = last_ms
        self._due_from_ms = self._next_due_ms(last_ms)
        self._rising_late, self._last_late_ms = late or (0, 0)

    def observe(self, event_time_ms: int) -> Verdict:
        """Judge the strand's next scan in log order by its event time, milliseconds."""
        last = self.last_ms
        if last is not None and last < event_time_ms <= last + self._max_gap_ms:  # nearly all
            self.last_ms = event_time_ms
            self._rising_late = 0
            if event_time_ms < self._due_from_ms:
                return ORDINARY
            self._due_from_ms = self._next_due_ms(event_time_ms)
            return DUE
        return self._judge(event_time_ms, last)

    def observe_steps(self, first_ms: int, period_ms: int, count: int) -> list[int] | None:
        """Judge scans at even steps of time, all at once.

        Returns:
            Indices of those at which a prediction is due; None, and nothing was judged, if any of them is not simply
            the next of the strand.
        """
        last = self.last_ms
        if last is None or not last < first_ms <= last + self._max_gap_ms or period_ms > self._max_gap_ms:
            return None
        due: list[int] = []
        while (index := max(0, -((first_ms - self._due_from_ms) // period_ms))) < count:
            due.append(index)
            self._due_from_ms = self._next_due_ms(first_ms + index * period_ms)
        self.last_ms = first_ms + (count - 1) * period_ms
        self._rising_late = 0
        return due

    def _judge(self, event_time_ms: int, last: int | None) -> Verdict:
        if last is None:
            return self._accept(event_time_ms, restarted=False)
        if event_time_ms > last:
            return self._accept(event_time_ms, restarted=True)
        if event_time_ms == last:
            self._rising_late = 0
            return _DUPLICATE
        rises = self._rising_late > 0 and event_time_ms > self._last_late_ms
        self._rising_late = self._rising_late + 1 if rises else 1
        self._last_late_ms = event_time_ms
        if self._rising_late < LATE_SCANS_TO_RESTART:
            return _LATE
        return self._accept(event_time_ms, restarted=True)

    def _accept(self, event_time_ms: int, *, restarted: bool) -> Verdict:
        due = self._rules.stride == 1 or self.last_ms is None or self._cell(event_time_ms) != self._cell(self.last_ms)
        self.last_ms = event_time_ms
        self._due_from_ms = self._next_due_ms(event_time_ms)
        self._rising_late = 0
        return _USED[restarted, due]

    def _next_due_ms(self, event_time_ms: int) -> int:
        """When the cell after this time's begins; with stride 1 every scan has its own."""
        if self._rules.stride == 1:
            return event_time_ms + 1
        return (self._cell(event_time_ms) + 1) * self._rules.grid_ms - self._phase_ms

    def _cell(self, event_time_ms: int) -> int:
        return (event_time_ms + self._phase_ms) // self._rules.grid_ms


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """The batch form's answer for one strand's scans in log order.

    Attributes:
        accepted: [a] indices of the accepted scans; the other arrays index into *this* one.
        restarted: [a] whether the window began anew at that accepted scan.
        due: [d] positions of the accepted scans at which a prediction is due.
        start: [d] position of the first row of the window that ends there.
        full: [d] whether that window holds `length` rows; if not, the prediction is `warming`.
    """

    accepted: Int64Array
    restarted: BoolArray
    due: Int64Array
    start: Int64Array
    full: BoolArray


def plan_windows(event_time_ms: Int64Array, strand_id: str, rules: WindowRules) -> WindowPlan:
    """Find all windows of a recording: event times [scan] of one strand, in the order of the log."""
    times = np.asarray(event_time_ms, np.int64)
    if times.size and bool(np.all(np.diff(times) > 0)):
        accepted, restarted, is_due = _plan_rising(times, strand_id, rules)
    else:
        accepted, restarted, is_due = _plan_any(times, strand_id, rules)
    position = np.arange(accepted.size)
    segment_start = np.maximum.accumulate(np.where(restarted, position, 0)) if accepted.size else position
    due = np.flatnonzero(is_due)
    start = np.maximum(segment_start[due], due - rules.length + 1)
    return WindowPlan(accepted, restarted, due, start, due - start + 1 == rules.length)


def _plan_rising(times: Int64Array, strand_id: str, rules: WindowRules) -> tuple[Int64Array, BoolArray, BoolArray]:
    """The usual recording, strictly rising in time: all accepted, without a loop."""
    restarted = np.zeros(times.size, np.bool_)
    restarted[1:] = np.diff(times) > rules.max_gap_ms
    is_due = np.ones(times.size, np.bool_)
    if rules.stride > 1:
        cell = (times + rules.phase_ms(strand_id)) // rules.grid_ms
        is_due[1:] = np.diff(cell) != 0
    return np.arange(times.size), restarted, is_due


def _plan_any(times: Int64Array, strand_id: str, rules: WindowRules) -> tuple[Int64Array, BoolArray, BoolArray]:
    timeline = StrandTimeline(rules, strand_id)
    verdicts = [timeline.observe(time) for time in times.tolist()]
    accepted = [index for index, verdict in enumerate(verdicts) if verdict.outcome is Outcome.USED]
    return (
        np.array(accepted, np.int64),
        np.array([verdicts[index].restarted for index in accepted], np.bool_),
        np.array([verdicts[index].due for index in accepted], np.bool_),
    )


def gather_windows(values: Float32Array, plan: WindowPlan, which: Int64Array, length: int) -> Float32Array:
    """Copy full windows out of a recording.

    Args:
        values: [scan, sensor] of the recording the plan was made of.
        plan: the recording's plan.
        which: [k] indices into `plan.due`; every one must be full.
        length: rows of a window.

    Returns:
        [k, length, sensor] float32.
    """
    if not bool(plan.full[which].all()):
        raise ValueError("only full windows can be gathered")
    rows = plan.accepted[plan.start[which][:, None] + np.arange(length)]
    return np.asarray(values[rows], np.float32)
