"""Which windows are explained, what each is compared with, and which of its cells an event truly touched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import UsageError, mismatch
from models.windows import BoolArray, Float32Array, Int64Array, WindowPlan, WindowRules, gather_windows, plan_windows
from trainer.datasets.dataset import Dataset
from trainer.datasets.labels import NEGATIVE, label_at
from trainer.datasets.records import Event, SequenceData
from trainer.evaluation.traces import Scope, Windowed, sensor_columns

Fill = Callable[[Float32Array], Float32Array]
"""Raw rows [n, t, s] with NaN to what a network sees of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A window that ends within an event, where its answer should be yes.

    Attributes:
        event: of one of the targets.
        due: which of its sequence's due windows.
    """

    event: Event
    due: int


@dataclass(frozen=True, slots=True, eq=False)
class ChosenWindow:
    """A window to be explained.

    Attributes:
        event: it ends within, between detectable and end.
        event_time_ms: int64 [t] of its rows.
        values: float32 [t, s] in engineering units, NaN where missing.
        touched: bool [t, s], whether an event of the same target was touching that sensor at that time; None where no
            sensors are known of it, or none of them is among the model's.
    """

    event: Event
    event_time_ms: Int64Array
    values: Float32Array
    touched: BoolArray | None


@dataclass(frozen=True, slots=True, eq=False)
class ChosenSequence:
    """The chosen windows of one casting sequence.

    Attributes:
        sequence_id: whose.
        windows: at least one.
        usual: float32 [s], what each sensor ordinarily shows there, as the network sees it.
    """

    sequence_id: str
    windows: tuple[ChosenWindow, ...]
    usual: Float32Array


def choose_places(model: Windowed, dataset: Dataset, split: Scope, count: int, seed: int) -> dict[str, list[Place]]:
    """Windows spread evenly over the types of event of each target, then over events, then over an event's time.

    Args:
        model: whose windows, targets and sensors.
        dataset: with the model's sensors.
        split: whose sequences.
        count: windows in all, about.
        seed: of which events are taken where there are more than windows.

    Returns:
        By sequence id, in the dataset's order; in time within each.

    Raises:
        UsageError: the dataset lacks a target or sensor, or no full window ends within an event.
    """
    sensor_columns(model, dataset)
    for target in model.targets:
        if target not in dataset.info.targets:
            raise UsageError(mismatch(f"target `{target}`", dataset.info.targets, str(dataset.path)))
    groups: dict[tuple[str, str], list[tuple[Event, Int64Array]]] = {}
    infos = dataset.sequences(None if split == "all" else split)
    for info in infos:
        events = [event for event in dataset.events(info.sequence_id) if event.target in model.targets]
        if not events:
            continue
        sequence = dataset.load(info.sequence_id)
        plan = plan_windows(sequence.event_time_ms, sequence.strand_id, model.window)
        ends_ms = sequence.event_time_ms[plan.accepted[plan.due]]
        for event in events:
            within = (ends_ms >= event.detectable_ms) & (ends_ms < event.end_ms) & plan.full
            if within.any():
                groups.setdefault((str(event.target), event.type), []).append((event, np.flatnonzero(within)))
    if not groups:
        raise UsageError(
            f"expected full windows that end within an event of {', '.join(model.targets)}, got none in the split "
            f"`{split}` at {dataset.path}: simulate longer, or choose another split"
        )
    places: dict[str, list[Place]] = {info.sequence_id: [] for info in infos}
    for number, (_, events_of_type) in enumerate(sorted(groups.items(), key=lambda group: group[0])):
        wanted = count // len(groups) + (number < count % len(groups))
        for place in _spread(events_of_type, wanted, np.random.default_rng([seed, number])):
            places[place.event.sequence_id].append(place)
    return {name: sorted(found, key=lambda place: place.due) for name, found in places.items() if found}


def _spread(events: Sequence[tuple[Event, Int64Array]], count: int, rng: np.random.Generator) -> list[Place]:
    """So many windows of some events, as evenly as their lengths allow; each event's lie evenly in its time."""
    order = rng.permutation(len(events))
    shares = np.zeros(len(events), np.int64)
    room = np.array([len(due) for _, due in events])
    while count and (open_events := [index for index in order if shares[index] < room[index]]):
        for index in open_events[:count]:
            shares[index] += 1
        count -= min(count, len(open_events))
    places = []
    for (event, due), share in zip(events, shares.tolist(), strict=True):
        at = ((np.arange(share) + 0.5) * len(due) / max(share, 1)).astype(np.int64)
        places += [Place(event, int(which)) for which in due[at]]
    return places


def load_chosen(
    model: Windowed, dataset: Dataset, places: dict[str, list[Place]], as_seen: Fill
) -> list[ChosenSequence]:
    """Cut the chosen windows, and find what each sensor ordinarily shows around them.

    Ordinary is the median over the rows of the casting sequence during which no event of the targets is going on; where
    those are fewer than a window's, the median over the other sequences' medians; where there are none, 0, which is the
    training data's centre.

    Args:
        model: as for `choose_places`.
        dataset: likewise.
        places: from `choose_places`.
        as_seen: what the network sees of raw rows.
    """
    columns = sensor_columns(model, dataset)
    cut: list[tuple[str, tuple[ChosenWindow, ...], Float32Array | None]] = []
    for name, chosen in places.items():
        sequence, events = dataset.load(name), dataset.events(name)
        plan = plan_windows(sequence.event_time_ms, sequence.strand_id, model.window)
        windows = _cut(sequence, plan, model.window, columns, [place.due for place in chosen])
        cut.append(
            (
                name,
                tuple(
                    ChosenWindow(place.event, times, values, touched_cells(times, place.event, events, model))
                    for place, times, values in zip(chosen, *windows, strict=True)
                ),
                _usual(sequence, columns, events, model, as_seen),
            )
        )
    known = [usual for _, _, usual in cut if usual is not None]
    elsewhere = np.median(known, axis=0) if known else np.zeros(len(model.sensors))
    return [
        ChosenSequence(name, windows, np.asarray(elsewhere if usual is None else usual, np.float32))
        for name, windows, usual in cut
    ]


def touched_cells(
    event_time_ms: Int64Array, event: Event, events: Sequence[Event], model: Windowed
) -> BoolArray | None:
    """Which cells [t, s] of a window an event of the same target touched; None if that is unknown."""
    names = [sensor.name for sensor in model.sensors]
    if not set(event.sensors) & set(names):
        return None
    touched = np.zeros((len(event_time_ms), len(names)), np.bool_)
    for other in events:
        if other.target == event.target:
            during = (event_time_ms >= other.onset_ms) & (event_time_ms <= other.end_ms)
            touched |= during[:, None] & np.isin(names, other.sensors)
    return touched


def _cut(
    sequence: SequenceData, plan: WindowPlan, rules: WindowRules, columns: Int64Array, due: Sequence[int]
) -> tuple[Int64Array, Float32Array]:
    """Event times [n, t] and values [n, t, s] of windows."""
    which = np.array(due, np.int64)
    rows = plan.accepted[plan.start[which][:, None] + np.arange(rules.length)]
    return sequence.event_time_ms[rows], gather_windows(sequence.values[:, columns], plan, which, rules.length)


def _usual(
    sequence: SequenceData, columns: Int64Array, events: Sequence[Event], model: Windowed, as_seen: Fill
) -> Float32Array | None:
    quiet = np.ones(sequence.rows, np.bool_)
    for target in model.targets:
        quiet &= label_at(sequence.event_time_ms, events, target) == NEGATIVE
    if np.count_nonzero(quiet) < model.window.length:
        return None
    seen = as_seen(sequence.values[None][:, :, columns])[0]
    return np.asarray(np.median(seen[quiet], axis=0), np.float32)
