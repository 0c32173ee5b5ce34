"""What operators would feel: each training's alerts on test, at the threshold and delay chosen on validation."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.alerting import AlertPolicy
from trainer.config import AlertSettings
from trainer.datasets.records import Event
from trainer.evaluation.events import EventOutcome, EventScores, Trace, judge, poisson_interval
from trainer.evaluation.thresholds import choose_policy, within_budget

Rounded = float | None


@dataclass(frozen=True, slots=True)
class Alerting:
    """One training's alerts of one target.

    Attributes:
        policy: chosen on validation.
        budget_kept: whether validation's false alerts keep the budget under it.
        scores: on test.
    """

    policy: AlertPolicy
    budget_kept: bool
    scores: EventScores


def alerting(
    validation: Sequence[Trace],
    test: Sequence[Trace],
    events: Mapping[str, Sequence[Event]],
    target: str,
    index: int,
    settings: AlertSettings,
) -> Alerting:
    """Choose threshold and delay on validation, and judge on test.

    Args:
        validation: traces of it.
        test: traces of it.
        events: of both splits, by sequence id.
        target: its name.
        index: its place among the probabilities.
        settings: the budget, the lead and the other delays.
    """
    policy, before = choose_policy(validation, events, target, index, settings)
    return Alerting(policy, within_budget(before, settings), judge(test, events, target, index, policy))


def over_seeds(runs: Sequence[Alerting], settings: AlertSettings, events: Iterable[Event]) -> dict[str, Any]:
    """One contestant's alerts of one target over its trainings, for JSON.

    Counts are means over the trainings, and leads and durations are told of all their alerts together. The trainings
    watched the same strand-days: their Poisson interval is that of the mean count over those days, not of the sum.

    Args:
        runs: one a training.
        settings: of the target.
        events: of the test split.
    """
    scores = [run.scores for run in runs]
    difficulty = {event.event_id: event.difficulty for event in events}
    outcomes = [outcome for one in scores for outcome in one.outcomes]
    leads = [lead for one in scores for lead in one.leads_s]
    days = scores[0].strand_days
    return {
        "events": len(scores[0].outcomes),
        "unseen": scores[0].unseen,
        "caught": _mean([one.caught for one in scores]),
        "recall": _mean([one.recall for one in scores]),
        "recall_by_seed": [_rounded(one.recall) for one in scores],
        "lead_wanted_s": settings.min_lead_s,
        "recall_with_lead": _mean([one.caught_with_lead(settings.min_lead_s) for one in scores]),
        "lead_median_s": _rounded(float(np.median(leads)) if leads else None, 2),
        "lead_p10_s": _rounded(float(np.percentile(leads, 10)) if leads else None, 2),
        "alert_median_s": _median([lasted for one in scores for lasted in one.durations_s]),
        "alerts": _mean([one.alerts for one in scores]),
        "late_alerts": _mean([one.late for one in scores]),
        "open_share": _mean([one.open_share for one in scores]),
        "strand_days": _rounded(days),
        "budget_false_per_strand_day": _rounded(settings.false_per_strand_day),
        "budget_kept_on_validation": sum(run.budget_kept for run in runs),
        "false": _false([one.false_alerts for one in scores], days),
        "false_by_seed": [one.false_alerts for one in scores],
        "by_type": caught_by(outcomes, len(runs), lambda outcome: outcome.type),
        "by_difficulty": caught_by(outcomes, len(runs), lambda outcome: difficulty.get(outcome.event_id)),
        "false_by_look_alike": _by_look_alike(scores, days),
        "policies": [asdict(run.policy) for run in runs],
    }


def _false(counts: Sequence[int], days: float) -> dict[str, Any]:
    mean = float(np.mean(counts))
    interval = poisson_interval(mean, days) if days else None
    return {
        "alerts": round(mean, 4),
        "per_strand_day": round(mean / days, 4) if days else None,
        "per_strand_day_95": None if interval is None else [round(bound, 4) for bound in interval],
    }


def _by_look_alike(scores: Sequence[EventScores], days: float) -> dict[str, Any]:
    """Of everything that could be taken for the target, and `none`: how often it was."""
    happened = scores[0].look_alikes
    kinds = sorted({*happened, *(cause for one in scores for cause in one.false_by_cause)})
    return {
        kind: {"happened": happened.get(kind, 0)} | _false([one.false_by_cause.get(kind, 0) for one in scores], days)
        for kind in kinds
    }


def caught_by(
    outcomes: Sequence[EventOutcome], runs: int, key: Callable[[EventOutcome], str | None]
) -> dict[str, dict[str, Any]]:
    """How many events were caught, and with what lead, by a group of theirs; for JSON.

    Args:
        outcomes: of all trainings together.
        runs: how many trainings: counts are means over them.
        key: the group of an event; None for one that is in none.
    """
    groups: dict[str, list[EventOutcome]] = {}
    for outcome in outcomes:
        kind = key(outcome)
        if kind is not None:
            groups.setdefault(kind, []).append(outcome)
    events = Counter({kind: len(group) // runs for kind, group in groups.items()})
    return {
        kind: {
            "events": events[kind],
            "caught": round(sum(outcome.caught for outcome in group) / runs, 4),
            "recall": round(sum(outcome.caught for outcome in group) / len(group), 4),
            "lead_median_s": _median([one.lead_s for one in group if one.lead_s is not None]),
        }
        for kind, group in sorted(groups.items())
    }


def _median(values: Sequence[float]) -> Rounded:
    return _rounded(float(np.median(values)) if values else None, 2)


def _mean(values: Sequence[float | None]) -> Rounded:
    defined = [value for value in values if value is not None]
    return round(float(np.mean(defined)), 4) if defined else None


def _rounded(value: float | None, digits: int = 4) -> Rounded:
    return None if value is None else round(value, digits)
