"""Examples of a dataset's events, chosen by rule: a defect of each type and what is easily taken for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.datasets.dataset import Dataset
from trainer.datasets.event_facts import is_look_alike
from trainer.datasets.records import SPLITS, Event, SequenceData, Split

LOOK_ALIKES = 3
"""So many types of look-alike stand beside a defect at most."""

_BEFORE_MS = 60_000
_UNKNOWN_SENSORS = 4


@dataclass(frozen=True, slots=True)
class Comparison:
    """An event, and others that are easily taken for it.

    Attributes:
        events: the one it is about, then one of each type that imitates it.
        left_out: further types that imitate it.
    """

    events: tuple[Event, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What the sensors show around one event.

    Attributes:
        event: what happened.
        split: of its sequence.
        seconds: float64 [n], from the onset.
        values: float32 [n, sensors], NaN where missing.
        touched: indices of the sensors that it touched; where unknown, of those that changed most.
    """

    event: Event
    split: Split
    seconds: npt.NDArray[np.float64]
    values: npt.NDArray[np.float32]
    touched: tuple[int, ...]


def choose(events: Sequence[Event], split_of: Mapping[str, Split], targets: Sequence[str]) -> list[Comparison]:
    """One comparison for each type of defect, then each look-alike that imitates none of them alone.

    Args:
        events: of the whole dataset.
        split_of: sequence id → split.
        targets: of the dataset, in its order.
    """
    defects, look_alikes = _by_type(events, look_alikes=False), _by_type(events, look_alikes=True)
    paired = {event.pair_id for group in look_alikes.values() for event in group} - {None}
    comparisons, partners = [], set()
    for kind in sorted(defects, key=lambda kind: (targets.index(defects[kind][0].target or ""), kind)):
        matched = [event for event in defects[kind] if event.pair_id in paired]
        defect = _typical(matched or defects[kind], split_of)
        beside = _imitating(defect, look_alikes, split_of)
        partners |= {event.type for event in beside}
        left_out = tuple(event.type for event in beside[LOOK_ALIKES:])
        comparisons.append(Comparison((defect, *beside[:LOOK_ALIKES]), left_out))
    alone = sorted(set(look_alikes) - partners)
    return comparisons + [Comparison((_typical(look_alikes[name], split_of),)) for name in alone]


def _by_type(events: Sequence[Event], *, look_alikes: bool) -> dict[str, list[Event]]:
    groups: dict[str, list[Event]] = {}
    for event in events:
        if is_look_alike(event) if look_alikes else event.target is not None:
            groups.setdefault(event.type, []).append(event)
    return groups


def _imitating(defect: Event, look_alikes: Mapping[str, Sequence[Event]], split_of: Mapping[str, Split]) -> list[Event]:
    """One look-alike of each type that imitates a defect: what is matched to it first, then the most frequent."""
    found: list[tuple[bool, int, str, Event]] = []
    for kind, group in look_alikes.items():
        candidates = [event for event in group if event.look_alike_of == defect.type]
        matched = [event for event in candidates if event.pair_id is not None and event.pair_id == defect.pair_id]
        if candidates:
            found.append((not matched, -len(candidates), kind, _typical(matched or candidates, split_of)))
    return [event for *_, event in sorted(found, key=lambda entry: entry[:3])]


def _typical(events: Sequence[Event], split_of: Mapping[str, Split]) -> Event:
    """Of median length among those of the first split that has any, with an impact if one has."""
    ranks = [SPLITS.index(split_of[event.sequence_id]) for event in events]
    pool = [event for event, rank in zip(events, ranks, strict=True) if rank == min(ranks)]
    pool = [event for event in pool if event.impact_ms is not None] or pool
    pool.sort(key=lambda event: (event.end_ms - event.onset_ms, event.event_id))
    return pool[(len(pool) - 1) // 2]


def trace(dataset: Dataset, event: Event, split: Split) -> Trace:
    """Cut what an event's sequence shows from before its onset until after its end.

    Raises:
        ContractError: the sequence's file is not what the index says.
    """
    data = dataset.load(event.sequence_id)
    # Half as long again on each side, but never so little that the quiet before cannot be seen.
    margin_ms = min(max((event.end_ms - event.onset_ms) // 2, 60_000), 600_000)
    time_ms = data.event_time_ms
    shown = (time_ms >= event.onset_ms - margin_ms) & (time_ms <= event.end_ms + margin_ms)
    names = [sensor.name for sensor in dataset.info.sensors]
    touched = tuple(index for index, name in enumerate(names) if name in event.sensors)
    return Trace(
        event=event,
        split=split,
        seconds=(time_ms[shown] - event.onset_ms) / 1000,
        values=data.values[shown],
        touched=touched or most_changed(data, event.onset_ms, event.end_ms),
    )


def most_changed(
    data: SequenceData, first_ms: int, last_ms: int, count: int = _UNKNOWN_SENSORS, among: Sequence[int] = ()
) -> tuple[int, ...]:
    """The sensors that leave their level of the minute before furthest, measured by their own unrest in it.

    Args:
        data: the sequence.
        first_ms: first time of the stretch.
        last_ms: its last time.
        count: how many at most.
        among: indices to choose from; empty for all.

    Returns:
        Their indices, rising.
    """
    time_ms = data.event_time_ms
    before = data.values[(time_ms >= first_ms - _BEFORE_MS) & (time_ms < first_ms)]
    during = data.values[(time_ms >= first_ms) & (time_ms <= last_ms)]
    changes = [_change(before[:, column], during[:, column], values) for column, values in enumerate(data.values.T)]
    return tuple(sorted(sorted(among or range(len(changes)), key=lambda index: (-changes[index], index))[:count]))


def _change(before: npt.NDArray[np.float32], during: npt.NDArray[np.float32], values: npt.NDArray[np.float32]) -> float:
    quiet, moved, all_of_it = (part[np.isfinite(part)].astype(np.float64) for part in (before, during, values))
    if not len(moved):
        return -1.0
    if not len(quiet):
        quiet = all_of_it
    # A sensor that stood still for a minute must not win by its last digit.
    unrest = max(float(quiet.std()), 0.05 * float(all_of_it.std()), 1e-9)
    return float(np.abs(moved - np.median(quiet)).max()) / unrest
