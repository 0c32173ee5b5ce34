"""What a dataset's events add up to: types, difficulty, lead times, and what the plant wrote down of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, get_args

import numpy as np

from trainer.datasets.records import FALSE_RECORD, SPLITS, Difficulty, Event, Split

DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)
UNTAGGED = "untagged"


@dataclass(frozen=True, slots=True)
class Spread:
    """How some numbers are spread, in their own unit."""

    count: int
    min: float
    p10: float
    median: float
    p90: float
    max: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Self | None:
        """The spread of some numbers; None of none."""
        if not numbers:
            return None
        return cls(len(numbers), *(float(value) for value in np.quantile(numbers, (0, 0.1, 0.5, 0.9, 1))))


@dataclass(frozen=True, slots=True)
class EventCount:
    """How often one type of event happened.

    Attributes:
        type: of the events.
        target: what it is a positive of; None for a look-alike.
        imitates: types of defects that events of this type imitate.
        splits: number in each split.
        healed: those that stopped by themselves.
    """

    type: str
    target: str | None
    imitates: tuple[str, ...]
    splits: dict[Split, int]
    healed: int

    @property
    def total(self) -> int:
        """Number in all splits."""
        return sum(self.splits.values())


@dataclass(frozen=True, slots=True)
class TypeRecords:
    """What the plant wrote down of one type of defect.

    Attributes:
        type: of the defects.
        happened: those that did not heal; one that heals leaves nothing to write down.
        missed: of those, without a record.
        written: recorded type → how many of those were recorded as that.
        healed_recorded: healed ones that were recorded all the same.
        delay_h: from the end to the record, hours.
        position_error_m: distance of the recorded position from the true one, metres.
    """

    type: str
    happened: int
    missed: int
    written: dict[str, int]
    healed_recorded: int
    delay_h: Spread | None
    position_error_m: Spread | None


@dataclass(frozen=True, slots=True)
class PlantRecords:
    """What the plant wrote down, against what happened.

    Attributes:
        types: of the defects, by type.
        false: recorded type → records of what never happened.
        look_alikes: type of look-alike → how many were recorded as if they were defects.
    """

    types: tuple[TypeRecords, ...]
    false: dict[str, int]
    look_alikes: dict[str, int]


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What a dataset's events add up to.

    Attributes:
        counts: by type, defects first (in the order of the targets), then look-alikes.
        difficulty: target → difficulty (or `untagged`) → number of defects.
        pairs: defects matched to a look-alike.
        lead_s: type of defect → from detectable to impact, seconds, of those that had an impact.
        records: None where the plant wrote nothing down.
    """

    counts: tuple[EventCount, ...]
    difficulty: dict[str, dict[str, int]]
    pairs: int
    lead_s: dict[str, Spread]
    records: PlantRecords | None


def is_look_alike(event: Event) -> bool:
    """Whether something happened that must not alarm."""
    return event.target is None and event.type != FALSE_RECORD


def event_facts(events: Sequence[Event], split_of: Mapping[str, Split], targets: Sequence[str]) -> EventFacts:
    """Count a dataset's events.

    Args:
        events: all of them.
        split_of: sequence id → split.
        targets: of the dataset, in its order.
    """
    defects = [event for event in events if event.target is not None]
    leads: dict[str, list[float]] = {}
    for event in defects:
        if event.impact_ms is not None:
            leads.setdefault(event.type, []).append((event.impact_ms - event.detectable_ms) / 1000)
    return EventFacts(
        counts=_counts(events, split_of, targets),
        difficulty={target: _difficulty(event for event in defects if event.target == target) for target in targets},
        pairs=_pairs(events),
        lead_s={kind: spread for kind in sorted(leads) if (spread := Spread.of(leads[kind]))},
        records=_records(events, targets),
    )


def _counts(events: Sequence[Event], split_of: Mapping[str, Split], targets: Sequence[str]) -> tuple[EventCount, ...]:
    groups: dict[tuple[int, str, str | None], list[Event]] = {}
    for event in events:
        if event.target is None and not is_look_alike(event):
            continue
        rank = len(targets) if event.target is None else targets.index(event.target)
        groups.setdefault((rank, event.type, event.target), []).append(event)
    counts = []
    for (_, kind, target), group in sorted(groups.items(), key=lambda item: item[0][:2]):
        splits = Counter(split_of[event.sequence_id] for event in group)
        counts.append(
            EventCount(
                type=kind,
                target=target,
                imitates=tuple(sorted({event.look_alike_of for event in group if event.look_alike_of is not None})),
                splits={split: splits[split] for split in SPLITS},
                healed=sum(event.healed for event in group),
            )
        )
    return tuple(counts)


def _difficulty(defects: Iterable[Event]) -> dict[str, int]:
    found = Counter(event.difficulty or UNTAGGED for event in defects)
    return {name: found[name] for name in (*DIFFICULTIES, UNTAGGED)}


def _pairs(events: Iterable[Event]) -> int:
    """Pair ids that a defect and a look-alike share."""
    sides: dict[str, set[bool]] = {}
    for event in events:
        if event.pair_id is not None:
            sides.setdefault(event.pair_id, set()).add(is_look_alike(event))
    return sum(len(found) == 2 for found in sides.values())


def _records(events: Sequence[Event], targets: Sequence[str]) -> PlantRecords | None:
    recorded = [event for event in events if event.recorded_type is not None]
    if not recorded:
        return None
    by_type: dict[tuple[int, str], list[Event]] = {}
    for event in events:
        if event.target is not None:
            by_type.setdefault((targets.index(event.target), event.type), []).append(event)
    false = Counter(event.recorded_type or "" for event in recorded if event.type == FALSE_RECORD)
    return PlantRecords(
        types=tuple(_type_records(kind, by_type[target, kind]) for target, kind in sorted(by_type)),
        false=dict(sorted(false.items())),
        look_alikes=dict(sorted(Counter(event.type for event in recorded if is_look_alike(event)).items())),
    )


def _type_records(kind: str, defects: Sequence[Event]) -> TypeRecords:
    happened = [event for event in defects if not event.healed]
    kept = [event for event in defects if event.recorded_type is not None]
    written = Counter(event.recorded_type for event in happened if event.recorded_type is not None)
    delays = [(event.recorded_at_ms - event.end_ms) / 3_600_000 for event in kept if event.recorded_at_ms is not None]
    errors = [abs(event.recorded_position_m - event.position_m) for event in kept]
    return TypeRecords(
        type=kind,
        happened=len(happened),
        missed=sum(event.recorded_type is None for event in happened),
        written=dict(sorted(written.items())),
        healed_recorded=sum(event.healed for event in kept),
        delay_h=Spread.of(delays),
        position_error_m=Spread.of([error for error in errors if np.isfinite(error)]),
    )
