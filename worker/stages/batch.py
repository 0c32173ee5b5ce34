"""Windows to padded batches of a few fixed sizes."""

from collections.abc import Sequence

import numpy as np

from models.runtime import padded_size
from models.windows import Float32Array
from worker.records import Batch, DueScan, DueWindow, GivenUp


class Batcher:
    """Collects due windows in an array until it is full or taken; arrays are given back and used again.

    What is not a window (a warming scan, a strand given up) travels along in its place, so that alerts see
    everything in log order.
    """

    def __init__(self, sizes: Sequence[int], length: int, sensors: int) -> None:
        """`sizes`: ascending batch sizes that the model was warmed for."""
        self._sizes = tuple(sizes)
        self._shape = (self._sizes[-1], length, sensors)
        self._free: list[Float32Array] = []
        self._windows = np.zeros(self._shape, np.float32)
        self._entries: list[DueScan | GivenUp] = []
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Whether the next window would not fit."""
        return self._count == self._sizes[-1]

    def add(self, entry: DueWindow | GivenUp) -> None:
        """Copy a due window in, or note what is none."""
        if isinstance(entry, GivenUp):
            self._entries.append(entry)
            return
        if entry.scan.is_full:
            if self.is_full:
                raise ValueError("the batch is full: take it first")
            self._windows[self._count] = entry.rows
            self._count += 1
        self._entries.append(entry.scan)

    def take(self) -> Batch:
        """Hand the batch over and begin the next; its array is its own until `give_back`."""
        size = padded_size(self._count, self._sizes) if self._count else 0
        batch = Batch(self._entries, self._windows[:size], self._count, self._windows)
        self._entries, self._count = [], 0
        self._windows = self._free.pop() if self._free else np.zeros(self._shape, np.float32)
        return batch

    def give_back(self, batch: Batch) -> None:
        """A batch has been answered."""
        self._free.append(batch.array)
