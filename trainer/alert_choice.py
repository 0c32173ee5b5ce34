"""The alert policies of a bundle, chosen on what its own graph says of validation sequences.

    chosen = choose_alerts(predictor, dataset, {"sticker": config.alert_settings("sticker")})

The graph on ONNX Runtime is asked, and not the network in torch: it is what will be served.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.alerting import AlertPolicy
from models.runtime import Predictor
from trainer.config import AlertSettings
from trainer.datasets.dataset import Dataset
from trainer.evaluation.events import EventScores
from trainer.evaluation.thresholds import choose_policy, within_budget
from trainer.evaluation.traces import trace_split


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
    predictor: Predictor, dataset: Dataset, settings: Mapping[str, AlertSettings], *, at_once: int = 1
) -> ChosenAlerts:
    """Choose a policy for each target of a model.

    Args:
        predictor: of the model.
        dataset: whose validation split it is chosen on; its sensors are the model's.
        settings: by target, all of the model's.
        at_once: sequences answered at a time.

    Raises:
        ContractError: the dataset does not fit the model.
    """
    traces = trace_split(predictor, dataset, "validation", at_once=at_once)
    events = {trace.sequence_id: dataset.events(trace.sequence_id) for trace in traces}
    found = {
        target: choose_policy(traces, events, target, index, settings[target])
        for index, target in enumerate(predictor.targets)
    }
    return ChosenAlerts(
        {target: settings[target] for target in found},
        {target: policy for target, (policy, _) in found.items()},
        {target: scores for target, (_, scores) in found.items()},
    )
