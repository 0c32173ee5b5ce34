"""The window of one strand, scan by scan: the incremental form of `models.windows`, which has the rules."""

from array import array
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from models.windows import ORDINARY, Float32Array, Outcome, StrandTimeline, Verdict, WindowRules


class StrandWindow:
    """The incremental form: one strand's window, scan by scan.

    Rows are written one after another into an array of double length, and when that is full the newest go back to its
    beginning: the newest `length` rows always lie in one contiguous slice, and a window is handed out without copying.
    """

    __slots__ = ("_begin", "_end", "_facts", "_length", "_missing", "_rows", "_table", "timeline")

    def __init__(self, rules: WindowRules, strand_id: str, sensors: int) -> None:
        self._length = rules.length
        self._rows = np.empty((2 * rules.length, sensors), np.float32)
        # Of each row event time, place and missing values, side by side: one stretch of memory to reach for, not three.
        # An array is the faster for one row, and the same memory as a table of numpy's for many.
        self._facts = array("q", bytes(2 * rules.length * 3 * 8))
        self._table = np.frombuffer(self._facts, np.int64).reshape(-1, 3)
        self._begin = self._end = self._missing = 0
        self.timeline = StrandTimeline(rules, strand_id)

    def push(self, event_time_ms: int, row: Float32Array, place: int = 0, missing: int | None = None) -> Verdict:
        """Offer the next scan in log order.

        Args:
            event_time_ms: of the scan.
            row: float32 [sensor], NaN = missing.
            place: where the log has it, for `start_place`.
            missing: how many values it lacks, where that was counted for many rows at once.
        """
        verdict = self.timeline.observe(event_time_ms)
        if verdict is not ORDINARY:
            if verdict.outcome is not Outcome.USED:
                return verdict
            if verdict.restarted:
                self._begin, self._missing = self._end, 0
        end = self._end
        if end == 2 * self._length:
            end = self._go_back()
        if missing is None:
            missing = int(np.count_nonzero(np.isnan(row)))
        self._rows[end] = row
        facts, at = self._facts, 3 * end
        facts[at] = event_time_ms
        facts[at + 1] = place
        facts[at + 2] = missing
        self._missing += missing
        self._end = end = end + 1
        if end - self._begin > self._length:
            self._missing -= facts[3 * self._begin + 2]
            self._begin += 1
        return verdict

    def append_steps(
        self, first_ms: int, period_ms: int, rows: Float32Array, missing: Sequence[int], place: int
    ) -> None:
        """Take scans that `timeline.observe_steps` found to be simply the next ones.

        Args:
            first_ms: event time of the first.
            period_ms: from one to the next.
            rows: float32 [scan, sensor].
            missing: how many values each lacks.
            place: where the log has the first; the others follow.
        """
        passed_over = max(0, len(rows) - self._length)
        rows, missing = rows[passed_over:], missing[passed_over:]
        first_ms, place = first_ms + passed_over * period_ms, place + passed_over
        end = self._end
        if end + len(rows) > 2 * self._length:
            end = self._go_back()
        self._end = until = end + len(rows)
        self._rows[end:until] = rows
        np.add(_steps(len(rows), period_ms), np.array((first_ms, place, 0), np.int64), out=self._table[end:until])
        begin, self._begin = self._begin, max(self._begin, until - self._length)
        if any(missing):
            self._table[end:until, 2] = missing
            self._missing += sum(missing)
        if self._missing:
            self._missing -= int(self._table[begin : self._begin, 2].sum())

    def _go_back(self) -> int:
        """Move what the next window needs of this one to the beginning; returns where that ends."""
        kept = min(self._end - self._begin, self._length - 1)
        if self._end - self._begin > kept:
            self._missing -= self._facts[3 * self._begin + 2]
        newest = self._end - kept
        self._rows[:kept] = self._rows[newest : self._end]
        self._table[:kept] = self._table[newest : self._end]
        self._begin, self._end = 0, kept
        return kept

    @property
    def is_full(self) -> bool:
        """Whether the window holds `length` rows."""
        return self._end - self._begin == self._length

    @property
    def rows(self) -> Float32Array:
        """The accepted rows held, oldest first: a view [≤ length, sensor], valid until the next `push`."""
        return self._rows[self._begin : self._end]

    @property
    def start_ms(self) -> int:
        """Event time of the oldest row held, milliseconds."""
        return self._facts[3 * self._begin]

    @property
    def start_place(self) -> int | None:
        """Where the log has the oldest row held: a new window that is offered all from there on becomes this one."""
        return self._facts[3 * self._begin + 1] if self._end > self._begin else None

    @property
    def missing_fraction(self) -> float:
        """Share of missing values among the rows held."""
        return self._missing / ((self._end - self._begin) * self._rows.shape[1])


@lru_cache(64)
def _steps(count: int, period_ms: int) -> npt.NDArray[np.int64]:
    """Facts of scans at even steps that lack nothing, from time and place 0 on."""
    steps = np.arange(count, dtype=np.int64)
    return np.stack([steps * period_ms, steps, np.zeros_like(steps)], axis=1)


def missing_of(rows: Float32Array) -> list[int]:
    """How many values each of [scan, sensor] lacks."""
    lacks = np.isnan(rows)
    if not lacks.any():  # nearly always
        return [0] * len(rows)
    counts: list[int] = lacks.sum(axis=1).tolist()
    return counts
