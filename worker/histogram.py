"""A Prometheus histogram that takes many values at once: one by one they cost more than a window has time for."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class BulkHistogram(Collector):
    """Counts values into buckets.

    Args:
        name: of the metric.
        text: what an operator should read from it.
        buckets: ascending upper bounds, each inclusive.
        registry: where it is shown.

    Attributes:
        name: of the metric.
    """

    def __init__(self, name: str, text: str, buckets: Sequence[float], registry: CollectorRegistry) -> None:
        self.name, self._text = name, text
        self._bounds = np.array(buckets)
        self._counts = np.zeros(len(buckets) + 1, np.int64)
        self._sum = 0.0
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, values: npt.ArrayLike) -> None:
        """Count values."""
        found = np.atleast_1d(np.asarray(values, np.float64))
        counts = np.bincount(np.searchsorted(self._bounds, found), minlength=len(self._counts))
        with self._lock:
            self._counts += counts
            self._sum += float(found.sum())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What a scrape shows."""
        with self._lock:
            until, total = np.cumsum(self._counts).tolist(), self._sum
        names = [*map(floatToGoString, self._bounds.tolist()), "+Inf"]
        yield HistogramMetricFamily(self.name, self._text, list(zip(names, until, strict=True)), total)
