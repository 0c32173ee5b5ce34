"""Choosing a target's alert threshold on validation sequences, by event."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.alerting import AlertPolicy
from trainer.config import AlertSettings
from trainer.datasets.records import Event
from trainer.evaluation.events import EventScores, Trace, judge

CLOSE_SHARE = 0.7
"""An alert clears at about 70 % of the threshold it opened at."""

CANDIDATES = tuple(np.round(1 / (1 + np.exp(-np.linspace(-4.0, 8.0, 49))), 4).tolist())
"""Thresholds tried, evenly spread in log-odds from 0.018 to 0.9997."""


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
    candidates: Sequence[float] = CANDIDATES,
) -> tuple[AlertPolicy, EventScores]:
    """The threshold with the most events caught in time among those within the budget of false alerts.

    Among equals the fewest false alerts count, then the middle one of what is left: it lies farthest from both the
    misses and the false alarms that this validation set happens to show. If no threshold keeps the budget, the
    fewest false alerts count first.

    Args:
        traces: predictions on the validation sequences.
        events: all events by sequence id.
        target: its name.
        index: its place among the probabilities.
        settings: delays, budget and lead.
        candidates: thresholds to try, ascending.

    Returns:
        The policy, and its scores on these sequences.
    """
    tried = [
        (threshold, judge(traces, events, target, index, policy_at(threshold, settings))) for threshold in candidates
    ]
    within = [entry for entry in tried if within_budget(entry[1], settings)]

    def merit(scores: EventScores) -> tuple[float, int]:
        return scores.caught_with_lead(settings.min_lead_s) or 0.0, -scores.false_alerts

    def restraint(scores: EventScores) -> tuple[float, float]:
        return -scores.false_alerts, scores.caught_with_lead(settings.min_lead_s) or 0.0

    pool, rank = (within, merit) if within else (tried, restraint)
    best = max(rank(scores) for _, scores in pool)
    equals = [entry for entry in pool if rank(entry[1]) == best]
    threshold, scores = equals[len(equals) // 2]
    return policy_at(threshold, settings), scores
