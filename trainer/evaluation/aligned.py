"""The probability around the onset and the impact of events, by type: when does a model begin to see them?

    curves = align_traces("lstm", traces, events, ["sticker", "quality"])

Look-alikes have curves too: there the probability must stay low.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.windows import Float32Array
from trainer.datasets.records import FALSE_RECORD, Event
from trainer.evaluation.events import Trace

Anchor = Literal["onset", "impact"]

BEFORE_S, AFTER_S = 120.0, 180.0
"""How far the curves around an anchor reach: a sticker takes a minute or two, slow defects some more."""


@dataclass(frozen=True, slots=True)
class AlignedCurve:
    """The probability of one target around the events of one type.

    Attributes:
        scorer: who was asked.
        target: whose probability.
        event_type: of the events.
        own: whether they are of this target; otherwise they must not raise it.
        anchor: what time 0 is.
        events: of that type with a prediction in the stretch.
        times_s: [k] from the anchor, seconds: beginnings of steps of equal length.
        counts: [k] events with a prediction in the step.
        low: [k] lower quartile over the events; None where there is none.
        median: [k] likewise.
        high: [k] upper quartile, likewise.
    """

    scorer: str
    target: str
    event_type: str
    own: bool
    anchor: Anchor
    events: int
    times_s: tuple[float, ...]
    counts: tuple[int, ...]
    low: tuple[float | None, ...]
    median: tuple[float | None, ...]
    high: tuple[float | None, ...]

    def reaches_s(self, probability: float) -> float | None:
        """The first time from the anchor at which half of the events are at or above a probability; None if never."""
        above = (time for time, said in zip(self.times_s, self.median, strict=True) if (said or 0.0) >= probability)
        return next(above, None)


def align_traces(
    scorer: str,
    traces: Iterable[Trace],
    events: Mapping[str, Sequence[Event]],
    targets: Sequence[str],
    *,
    before_s: float = BEFORE_S,
    after_s: float = AFTER_S,
    step_s: float | None = None,
) -> tuple[AlignedCurve, ...]:
    """The probability around the onset and the impact of every type of event.

    Other events of the same sequence are not taken out: where they are dense they show in the quartiles.

    Args:
        scorer: whose traces.
        traces: one a sequence.
        events: by sequence id.
        targets: in the order of the probabilities.
        before_s: stretch before the anchor, seconds.
        after_s: stretch after it, seconds.
        step_s: time between two points, seconds; None for the time between two due predictions.
    """
    stretches: dict[tuple[str, Anchor], list[Float32Array]] = {}
    targets_of: dict[str, str | None] = {}
    step_ms = 0
    for trace in traces:
        step_ms = step_ms or round(1000 * step_s if step_s else trace.grid_ms)
        for event in events.get(trace.sequence_id, ()):
            if event.type == FALSE_RECORD:
                continue
            targets_of[event.type] = event.target
            anchors: list[tuple[Anchor, int | None]] = [("onset", event.onset_ms), ("impact", event.impact_ms)]
            for anchor, time_ms in anchors:
                if time_ms is None:
                    continue
                stretch = _stretch(trace, time_ms, before_s, after_s, step_ms)
                if not np.isnan(stretch).all():
                    stretches.setdefault((event.type, anchor), []).append(stretch)
    return tuple(
        _curve(scorer, index, target, kind, targets_of[kind], anchor, np.stack(found), before_s, step_ms)
        for index, target in enumerate(targets)
        for (kind, anchor), found in sorted(stretches.items())
    )


def _stretch(trace: Trace, anchor_ms: int, before_s: float, after_s: float, step_ms: int) -> Float32Array:
    """The last probabilities [step, target] of each step around an anchor, NaN where none was due."""
    first, count = round(1000 * before_s) // step_ms, round(1000 * (before_s + after_s)) // step_ms
    place = (trace.event_time_ms - anchor_ms) // step_ms + first
    inside = (place >= 0) & (place < count)
    found = np.full((count, trace.probabilities.shape[1]), np.nan, np.float32)
    found[place[inside]] = trace.probabilities[inside]  # in the order of the log: the last one stays
    return found


def _curve(
    scorer: str,
    index: int,
    target: str,
    kind: str,
    kinds_target: str | None,
    anchor: Anchor,
    found_ekt: Float32Array,
    before_s: float,
    step_ms: int,
) -> AlignedCurve:
    found_ek = found_ekt[:, :, index]
    counts = (~np.isnan(found_ek)).sum(axis=0)
    first = round(1000 * before_s) // step_ms
    quartiles: list[tuple[float | None, ...]] = [
        tuple(
            None if not counts[place] else round(float(np.nanquantile(found_ek[:, place], share)), 4)
            for place in range(len(counts))
        )
        for share in (0.25, 0.5, 0.75)
    ]
    return AlignedCurve(
        scorer=scorer,
        target=target,
        event_type=kind,
        own=kinds_target == target,
        anchor=anchor,
        events=len(found_ek),
        times_s=tuple((place - first) * step_ms / 1000 for place in range(len(counts))),
        counts=tuple(counts.tolist()),
        low=quartiles[0],
        median=quartiles[1],
        high=quartiles[2],
    )
