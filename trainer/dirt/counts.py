"""How much of each kind of dirt there was, counted on what was really sent or kept."""

import numpy as np
import numpy.typing as npt

from trainer.dirt.figures import KINDS, VALUE_KINDS

Int32 = npt.NDArray[np.int32]

_VALUE_COLUMNS = len(VALUE_KINDS)


class DirtCounts:
    """Sums by kind; counts of several sequences or turns add up in one.

    Attributes:
        scans: int64 [kinds], scans touched, in the order of `KINDS`; of a gap, the scans lost.
        values: int64 [kinds], values touched; 0 for kinds that touch whole scans.
        episodes: int64 [kinds], gaps, steps of the clock and outages; 0 for the other kinds.
    """

    def __init__(self) -> None:
        self.scans = np.zeros(len(KINDS), np.int64)
        self.values = np.zeros(len(KINDS), np.int64)
        self.episodes = np.zeros(len(KINDS), np.int64)

    def add(self, touched: Int32, begun: Int32) -> None:
        """Count records: int32 [records, kinds] each, as in `trainer.dirt.arrival.Records`."""
        of_values = touched[:, :_VALUE_COLUMNS]
        self.values[:_VALUE_COLUMNS] += of_values.sum(axis=0)
        self.scans[:_VALUE_COLUMNS] += np.count_nonzero(of_values, axis=0)
        self.scans[_VALUE_COLUMNS:] += touched[:, _VALUE_COLUMNS:].sum(axis=0)
        self.episodes += begun.sum(axis=0)

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Kind → what there is to count of it, as JSON takes it."""
        told: dict[str, dict[str, int]] = {}
        for index, kind in enumerate(KINDS):
            scans, values, episodes = int(self.scans[index]), int(self.values[index]), int(self.episodes[index])
            if kind in VALUE_KINDS:
                told[kind] = {"scans": scans, "values": values}
            elif kind == "gap":
                told[kind] = {"episodes": episodes, "scans_lost": scans}
            elif kind in ("clock_skew", "backfill"):
                told[kind] = {"episodes": episodes, "scans": scans}
            else:
                told[kind] = {"scans": scans}
        return told
