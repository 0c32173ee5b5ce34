"""What many explained windows say together: shares judged, sensors ranked, one score a target."""

from collections.abc import Sequence

import msgspec
import numpy as np

from trainer.evaluation.traces import Windowed
from trainer.explanation.explain import Explained
from trainer.explanation.judging import Estimate, Judgement, estimate, judge_shares

SCORE_METHOD = "integrated_gradients"
"""The method of a model's explanation score: named before any model was judged, so that none can pick its best."""


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """How far integrated gradients miss what they must add up to, in logits.

    Attributes:
        moved: what they must: a window's logit less that of its baseline, median of the absolute.
        median: of how far they miss it, as the others.
        p95: 95th percentile.
        largest: of all.
    """

    moved: float
    median: float
    p95: float
    largest: float


class SensorRank(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a target's |attribution| one sensor has, by method; within events of the target."""

    sensor: str
    shares: dict[str, Estimate]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a network looks at, as plain data.

    Attributes:
        windows: explained, by target and type of event.
        judgements: by target, then type (None, all together, first), method and kind.
        ranking: by target, the sensor with most |attribution| (mean over the methods that know sensors) first.
        completeness: by target.
        scores: by target, the explanation score: the `cells` share of integrated gradients less the larger of its two
            controls, over all types; None where it cannot be judged.
        methods: that were used.
    """

    windows: dict[str, dict[str, int]]
    judgements: list[Judgement]
    ranking: dict[str, list[SensorRank]]
    completeness: dict[str, Completeness]
    scores: dict[str, float | None]
    methods: list[str]


def summarize(explained: Sequence[Explained], rules: Windowed, seed: int) -> Explanation:
    """What the explained windows say together.

    Args:
        explained: from `explain_windows`, at least one.
        rules: as there.
        seed: of the bootstrap.
    """
    windows: dict[str, dict[str, int]] = {}
    judgements: list[Judgement] = []
    ranking, completeness, scores = {}, {}, {}
    for target in rules.targets:
        ours = [entry for entry in explained if entry.window.event.target == target]
        if not ours:
            continue
        types = sorted({entry.window.event.type for entry in ours})
        windows[target] = {kind: sum(entry.window.event.type == kind for entry in ours) for kind in types}
        for kind in (None, *types) if len(types) > 1 else types:
            of_kind = [entry for entry in ours if kind in (None, entry.window.event.type)]
            judgements += _judged(of_kind, target, kind, seed)
        ranking[target] = _ranked(ours, rules, seed)
        completeness[target] = _completeness(ours)
        scores[target] = _score(judgements, target)
    return Explanation(
        windows=windows,
        judgements=judgements,
        ranking=ranking,
        completeness=completeness,
        scores=scores,
        methods=list(explained[0].own),
    )


def _completeness(entries: Sequence[Explained]) -> Completeness:
    gaps = np.abs([entry.gap for entry in entries])
    return Completeness(
        moved=round(float(np.median(np.abs([entry.moved for entry in entries]))), 4),
        median=round(float(np.median(gaps)), 4),
        p95=round(float(np.percentile(gaps, 95)), 4),
        largest=round(float(gaps.max()), 4),
    )


def _judged(entries: Sequence[Explained], target: str, kind: str | None, seed: int) -> list[Judgement]:
    known = [entry for entry in entries if entry.shares]
    if not known:
        return []
    sequence = np.array([entry.sequence for entry in known], np.int64)
    found = []
    for method in known[0].shares:
        shares = np.stack([entry.shares[method] for entry in known])
        own, random, drawn, shuffled = shares[:, 0], shares[:, 1], shares[:, 2], shares[:, 3:]
        names = (target, kind, method)
        found += judge_shares(own, random, drawn, shuffled, sequence, names=names, seed=seed)
    return found


def _ranked(entries: Sequence[Explained], rules: Windowed, seed: int) -> list[SensorRank]:
    sequence = np.array([entry.sequence for entry in entries], np.int64)
    shares = {}
    for method, values in entries[0].own.items():
        if values.shape[1] != len(rules.sensors):
            continue  # attention knows only of time
        totals = np.stack([np.abs(entry.own[method]).sum(axis=0) for entry in entries])
        whole = totals.sum(axis=1, keepdims=True)
        shares[method] = np.where(whole > 0, totals / np.where(whole > 0, whole, 1), 1 / len(rules.sensors))
    mean = np.mean([values.mean(axis=0) for values in shares.values()], axis=0)
    return [
        SensorRank(
            sensor=rules.sensors[place].name,
            shares={method: estimate(values[:, place], sequence, seed) for method, values in shares.items()},
        )
        for place in np.argsort(-mean, kind="stable").tolist()
    ]


def _score(judgements: Sequence[Judgement], target: str) -> float | None:
    for judgement in judgements:
        # The first of a target is over all of its types.
        if (judgement.target, judgement.method, judgement.kind) == (target, SCORE_METHOD, "cells"):
            return round(judgement.share.mean - max(judgement.random, judgement.shuffled), 4)
    return None
