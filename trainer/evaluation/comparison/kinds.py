"""Where time helps and where it does not: ROC-AUC of each type of defect, and against each look-alike.

`by_type` sets the positive windows of one type of defect against all negative ones of its target. `by_difficulty` does
so for what was tagged as told by statistics of a window, by those in part, or by order alone. `against_look_alike` sets
the positives of a defect against the windows during what imitates it: there the two differ in little but time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.windows import Int64Array
from trainer.datasets.labels import NEGATIVE, POSITIVE
from trainer.datasets.records import FALSE_RECORD, Event
from trainer.evaluation.comparison.calibration import BoolArray, Float64Array
from trainer.evaluation.comparison.judged import JudgedWindows
from trainer.evaluation.comparison.resampling import Draws, Estimate, resampled_auc

RESAMPLED = ("by_type", "by_difficulty")
"""Those whose differences get an interval; look-alikes are many, and each replicate costs."""


@dataclass(frozen=True, slots=True, eq=False)
class Duel:
    """Positive windows against negative ones, bool [n] each, and what stands behind each side."""

    positive: BoolArray
    negative: BoolArray
    events: int
    rivals: int | None = None


def duels(windows: JudgedWindows, index: int) -> Mapping[str, Mapping[str, Duel]]:
    """One target's duels: `by_type`, `by_difficulty` and `against_look_alike`, each by name, if both sides are there.

    Args:
        windows: of the split.
        index: the target's place among the targets.
    """
    target, labels = windows.targets[index], windows.labels[:, index]
    everything = [event for events in windows.events.values() for event in events]
    ours = [event for event in everything if event.target == target]
    positive, negative = labels == POSITIVE, labels == NEGATIVE

    def against_all(key: str) -> dict[str, Duel]:
        groups: dict[str, list[Event]] = {}
        for event in ours:
            kind = getattr(event, key)
            if kind is not None:
                groups.setdefault(kind, []).append(event)
        return {
            kind: Duel(positive & windows.within(group, detectable_only=True), negative, len(group))
            for kind, group in sorted(groups.items())
        }

    rivals: dict[str, list[Event]] = {}
    for event in everything:
        if event.target != target and event.type != FALSE_RECORD:
            rivals.setdefault(event.type, []).append(event)
    look_alikes = {}
    for kind, group in sorted(rivals.items()):
        imitated = {event.look_alike_of for event in group if event.look_alike_of is not None}
        defects = [event for event in ours if event.type in imitated]
        if imitated and not defects:
            continue  # it imitates what this target is not about
        defects = defects or ours
        during = windows.within(group, detectable_only=False)
        ours_then = positive & windows.within(defects, detectable_only=True)
        look_alikes[kind] = Duel(ours_then, negative & during, len(defects), len(group))
    found = {
        "by_type": against_all("type"),
        "by_difficulty": against_all("difficulty"),
        "against_look_alike": look_alikes,
    }
    return {
        name: {kind: duel for kind, duel in group.items() if duel.positive.any() and duel.negative.any()}
        for name, group in found.items()
    }


def duel_auc(duel: Duel, said: Float64Array) -> float:
    """The share of pairs in which the positive window has the higher probability, ties half: ROC-AUC.

    Args:
        duel: with both sides.
        said: [n] one target's probabilities of all windows.
    """
    negatives = np.sort(said[duel.negative])
    positives = said[duel.positive]
    below = np.searchsorted(negatives, positives, side="left") + np.searchsorted(negatives, positives, side="right")
    return float(below.mean() / 2 / negatives.size)


def duel_estimate(duel: Duel, said: Float64Array, group: Int64Array, draws: Draws | None) -> Estimate:
    """`duel_auc` with what the replicates make of it.

    Args:
        duel: with both sides.
        said: [n] one target's probabilities of all windows.
        group: [n] each window's sequence.
        draws: of the sequences; without any, or not enough of them, there are no replicates.
    """
    value = duel_auc(duel, said)
    if draws is None or not draws.enough:
        return Estimate(value, np.empty(0))
    kept = duel.positive | duel.negative
    return Estimate(value, resampled_auc(said[kept], duel.positive[kept], group[kept], draws)[0])
