"""Lines of scans for tests, and what must come out for them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from models.messages import SensorScan
from models.runtime import Predictor
from models.windows import WindowRules, gather_windows, plan_windows

START_MS = 1_764_000_000_000


def steady(
    strands: int, scans: int, *, period_ms: int = 500, sensor: str = "mould_tc_upper_left_c"
) -> Iterator[SensorScan]:
    """Scans of several strands, in turn; one sensor whose value wanders with strand and time."""
    for index in range(scans):
        for strand in range(strands):
            value = float(np.round(np.sin(index / 7 + strand), 3))
            yield SensorScan(
                strand_id=f"p1.c1.s{strand}",
                event_time_ms=START_MS + index * period_ms,
                seq=index,
                values={sensor: value},
            )


def by_strand(scans: Iterable[SensorScan]) -> dict[str, list[SensorScan]]:
    """Scans grouped by strand, in order."""
    groups: dict[str, list[SensorScan]] = defaultdict(list)
    for scan in scans:
        groups[scan.strand_id].append(scan)
    return groups


def due_scans(scans: Iterable[SensorScan], rules: WindowRules) -> set[tuple[str, int]]:
    """The (strand, event time) at which a prediction is due."""
    due = set()
    for strand_id, group in by_strand(scans).items():
        plan = plan_windows(np.array([scan.event_time_ms for scan in group], np.int64), strand_id, rules)
        due |= {(strand_id, group[index].event_time_ms) for index in plan.accepted[plan.due]}
    return due


def offline_predictions(
    scans: Iterable[SensorScan], predictor: Predictor
) -> dict[tuple[str, int], Sequence[float] | None]:
    """What the predictor says offline over the same scans, by (strand, event time); None while warming."""
    manifest = predictor.manifest
    answers: dict[tuple[str, int], Sequence[float] | None] = {}
    for strand_id, group in by_strand(scans).items():
        times = np.array([scan.event_time_ms for scan in group], np.int64)
        values = np.array([[scan.values.get(name) for name in manifest.sensor_names] for scan in group], np.float32)
        plan = plan_windows(times, strand_id, manifest.window)
        due_times = times[plan.accepted[plan.due]].tolist()
        full = np.flatnonzero(plan.full)
        answers |= dict.fromkeys(((strand_id, time) for time in due_times), None)
        probabilities = predictor.predict(gather_windows(values, plan, full, manifest.window.length))
        answers |= {(strand_id, due_times[i]): p.tolist() for i, p in zip(full, probabilities, strict=True)}
    return answers
