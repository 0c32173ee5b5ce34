"""Choosing a target's alert threshold and on-delay on validation sequences, by event.

A bundle gets its own as every contestant of a comparison does, so that what is compared is what will be served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from models.alerting import AlertPolicy
from trainer.config import AlertSettings
from trainer.datasets.records import Event
from trainer.evaluation.events import EventScores, Trace, judge

CLOSE_SHARE = 0.7
"""An alert clears at about 70 % of the threshold it opened at."""

CANDIDATES = 400
"""Of 300,000 windows each reaches 3 % more than the one above it.

With 49 of them, each a third more, half of a budget of false alerts was left unused."""

LARGEST_SHARE = 0.9
LOWEST = 0.001
"""A threshold below this closes at what rounding makes of it."""

UNTOLD = 0.5
"""The threshold of a scorer that said nothing."""

DELAY_FACTORS = (1.0, 0.5, 2.0)
"""Of the settings' on-delay, in the order of preference."""


def policy_at(threshold: float, settings: AlertSettings) -> AlertPolicy:
    """The policy that opens at a threshold."""
    return AlertPolicy(
        open=threshold,
        close=round(CLOSE_SHARE * threshold, 4),
        on_delay_ms=settings.on_delay_ms,
        off_delay_ms=settings.off_delay_ms,
        cooldown_ms=settings.cooldown_ms,
        severity=settings.severity,
    )


def within_budget(scores: EventScores, settings: AlertSettings) -> bool:
    """Whether the false alerts keep the budget; over no time at all they do."""
    return (scores.false_per_strand_day or 0.0) <= settings.false_per_strand_day


def choose_policy(
    traces: Sequence[Trace],
    events: Mapping[str, Sequence[Event]],
    target: str,
    index: int,
    settings: AlertSettings,
    candidates: Sequence[float] | None = None,
) -> tuple[AlertPolicy, EventScores]:
    """The threshold and on-delay with the most events caught in time within the budget of false alerts.

    The on-delay is that of the settings or, unless that is fixed, half or twice as long. Among equals the fewest false
    alerts count, then the delay of the settings, then the shorter one, then the middle threshold of what is left: it
    lies farthest from both the misses and the false alarms that this validation set happens to show. If nothing keeps
    the budget, the fewest false alerts count first.

    Args:
        traces: predictions on the validation sequences.
        events: all events by sequence id.
        target: its name.
        index: its place among the probabilities.
        settings: delays, budget and lead.
        candidates: thresholds to try, ascending; None: `own_candidates`.

    Returns:
        The policy, and its scores on these sequences.
    """
    thresholds = own_candidates(traces, index) if candidates is None else candidates
    grid_ms = traces[0].grid_ms if traces else 1
    delays: dict[int, AlertSettings] = {}  # two delays that end at the same prediction are one
    for factor in DELAY_FACTORS[:1] if settings.on_delay_fixed else DELAY_FACTORS:
        delay_ms = round(factor * settings.on_delay_ms)
        delays.setdefault(-(-delay_ms // grid_ms), replace(settings, on_delay_ms=delay_ms))
    found = [_best_threshold(traces, events, target, index, delayed, thresholds) for delayed in delays.values()]
    return max(found, key=lambda entry: _worth(entry[1], settings))  # of equals the first


def _best_threshold(
    traces: Sequence[Trace],
    events: Mapping[str, Sequence[Event]],
    target: str,
    index: int,
    settings: AlertSettings,
    candidates: Sequence[float],
) -> tuple[AlertPolicy, EventScores]:
    """The best of the thresholds at the delays of the settings."""
    tried = [
        (threshold, judge(traces, events, target, index, policy_at(threshold, settings))) for threshold in candidates
    ]
    best = max(_worth(scores, settings) for _, scores in tried)
    equals = [entry for entry in tried if _worth(entry[1], settings) == best]
    threshold, scores = equals[len(equals) // 2]
    return policy_at(threshold, settings), scores


def _worth(scores: EventScores, settings: AlertSettings) -> tuple[bool, float, float]:
    """The larger, the better: within the budget what is caught counts first, beyond it how little is false."""
    caught, quiet = scores.caught_with_lead(settings.min_lead_s) or 0.0, float(-scores.false_alerts)
    within = within_budget(scores, settings)
    return (within, caught, quiet) if within else (within, quiet, caught)


def own_candidates(traces: Sequence[Trace], index: int, count: int = CANDIDATES) -> tuple[float, ...]:
    """Thresholds by rank: those that ever smaller shares of a scorer's own probabilities reach.

    Two scorers need not speak on one scale: what one calls 0.9 another may call 0.1. Each gets as many thresholds, and
    each as fine where alerts are rare.

    Args:
        traces: predictions on the validation sequences.
        index: the target's place among the probabilities.
        count: how many at most, equal ones counted once; beside them comes one that nothing reaches.

    Returns:
        Ascending, at least `LOWEST`.
    """
    said = np.concatenate([np.empty(0), *(trace.probabilities[:, index] for trace in traces)])
    if not said.size:
        return (UNTOLD,)
    shares = np.geomspace(LARGEST_SHARE, 1 / max(2, said.size), count)
    found = np.quantile(said, 1 - shares, method="inverted_cdf")
    # Down, so that what it was read from still reaches it.
    reached = np.floor(np.maximum(found, LOWEST) * 1e6) / 1e6
    silent = min(1.0, float(np.floor(max(float(said.max()), LOWEST) * 1e6 + 1) / 1e6))
    return tuple(np.unique([*reached, silent]).tolist())
