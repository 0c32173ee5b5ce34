"""The alert policies of a bundle, chosen on what its graph says of validation sequences, and what they are worth there.

chosen = choose_alerts(trace_split(predictor, dataset, "validation"), events, {"sticker": AlertSettings()})
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from models.alerting import AlertPolicy
from trainer.config import AlertSettings
from trainer.datasets.records import Event
from trainer.evaluation.events import EventScores, Trace
from trainer.evaluation.thresholds import choose_policy, within_budget


@dataclass(frozen=True, slots=True)
class ChosenAlerts:
    """By target, in the order of the probabilities.

    Attributes:
        settings: what was asked for.
        policies: what was chosen.
        scores: what it is worth on validation.
    """

    settings: dict[str, AlertSettings]
    policies: dict[str, AlertPolicy]
    scores: dict[str, EventScores]

    @property
    def missed(self) -> list[str]:
        """The targets none of whose events is caught."""
        return [target for target, score in self.scores.items() if not score.caught]

    def asked(self) -> dict[str, Any]:
        """The settings, for a manifest."""
        return {target: asdict(settings) for target, settings in self.settings.items()}

    def metrics(self) -> dict[str, Any]:
        """The scores, for a manifest."""
        found = {}
        for target, score in self.scores.items():
            settings = self.settings[target]
            told = score.as_dict(settings.min_lead_s) | {
                "no_event_caught": not score.caught,
                "budget_kept": within_budget(score, settings),
            }
            del told["outcomes"]
            found[target] = told
        return found

    def warnings(self) -> list[str]:
        """What whoever serves these must know, one sentence each."""
        found = []
        for target, score in self.scores.items():
            settings = self.settings[target]
            if not score.caught:
                found.append(
                    f"no event caught: `{target}` raises no alert in time for any of {len(score.outcomes)} validation "
                    "events; train longer or on more data before it is used"
                )
            if not within_budget(score, settings):
                found.append(
                    f"budget not kept: `{target}` raises {score.false_per_strand_day:.2f} false alerts per strand-day "
                    f"on validation at its best threshold, {settings.false_per_strand_day:.2f} are allowed"
                )
        return found


def choose_alerts(
    traces: Sequence[Trace], events: Mapping[str, Sequence[Event]], settings: Mapping[str, AlertSettings]
) -> ChosenAlerts:
    """Choose a policy for each target.

    Args:
        traces: what the graph says of the validation sequences.
        events: all events by sequence id.
        settings: by target, in the order of the probabilities.
    """
    found = {
        target: choose_policy(traces, events, target, index, own)
        for index, (target, own) in enumerate(settings.items())
    }
    return ChosenAlerts(
        dict(settings),
        {target: policy for target, (policy, _) in found.items()},
        {target: scores for target, (_, scores) in found.items()},
    )
