"""Running an exported bundle over a dataset's sequences, as the worker would, and scoring what it says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from models.errors import UsageError, mismatch
from models.manifest import Manifest
from models.runtime import Predictor
from trainer.config import default_alert
from trainer.datasets.dataset import Dataset
from trainer.datasets.integrity import check_integrity
from trainer.datasets.labels import LEFT_OUT, label_at
from trainer.datasets.records import FROM_TOPIC, Event
from trainer.evaluation.events import EventScores, Trace, judge
from trainer.evaluation.traces import Advance, Scope, trace_split

CAVEAT = (
    "The line is simulated: these scores show only that the method recovers the simulator's own model of "
    "stickers and look-alikes. They say nothing about a real caster."
)
IMPORTED = "Recorded data of another machine: these scores say nothing about a caster."
FROM_KAFKA = (
    "Scans of a topic: these scores hold for the line that published them, and for events as the table tells them."
)


@dataclass(frozen=True, slots=True)
class TargetScores:
    """One target's scores: by window (None where a class is missing) and by event."""

    roc_auc: float | None
    pr_auc: float | None
    positives: int
    negatives: int
    events: EventScores


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A bundle's scores on one split of a dataset."""

    manifest: Manifest
    dataset: Dataset
    split: Scope
    sequences: int
    provider: str
    targets: dict[str, TargetScores]

    @property
    def own_line(self) -> bool:
        """Whether the bundle was trained on this dataset, on its other splits or, wrongly, on this one."""
        return self.dataset.info.fingerprint == self.manifest.data_fingerprint

    @property
    def caveat(self) -> str:
        """What these scores do not show."""
        return caveat_of(self.dataset)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        info = self.dataset.info
        return {
            "caveat": self.caveat,
            "bundle": {"model": self.manifest.model, "model_sha256": self.manifest.model_sha256},
            "data": {
                "line": info.line,
                "seed": info.seed,
                "fingerprint": info.fingerprint,
                "split": self.split,
                "sequences": self.sequences,
                "trained_on_this_dataset": self.own_line,
            },
            "provider": self.provider,
            "targets": {
                target: {
                    "window": {
                        "roc_auc": None if scores.roc_auc is None else round(scores.roc_auc, 4),
                        "pr_auc": None if scores.pr_auc is None else round(scores.pr_auc, 4),
                        "positives": scores.positives,
                        "negatives": scores.negatives,
                    },
                    "event": scores.events.as_dict(wanted_lead_s(self.manifest, target)),
                }
                for target, scores in self.targets.items()
            },
        }


def caveat_of(dataset: Dataset) -> str:
    """What scores on a dataset do not show."""
    if dataset.info.line == FROM_TOPIC:
        return FROM_KAFKA
    return IMPORTED if dataset.info.line.startswith("import/") else CAVEAT


def wanted_lead_s(manifest: Manifest, target: str) -> float:
    """The lead a bundle's threshold was chosen for, seconds; the target's default if the manifest does not say."""
    settings = manifest.training.get("alert", {}).get(target, {})
    return float(settings.get("min_lead_s", default_alert(target).min_lead_s))


def evaluate_bundle(
    predictor: Predictor, dataset: Dataset, split: Scope = "test", advance: Advance | None = None, *, at_once: int = 1
) -> Evaluation:
    """Score a bundle on one split; arguments as for `trace_split`.

    Raises:
        UsageError: the dataset lacks a sensor or target of the bundle, has another scan period, or no sequence there.
        ContractError: the dataset was altered, or its splits leak.
    """
    manifest = predictor.manifest
    for target in manifest.targets:
        if target not in dataset.info.targets:
            raise UsageError(
                mismatch(f"target `{target}` of {manifest.model}", dataset.info.targets, str(dataset.path))
            )
    check_integrity(dataset, manifest.window)
    traces = trace_split(predictor, dataset, split, advance, at_once=at_once)
    events = {trace.sequence_id: dataset.events(trace.sequence_id) for trace in traces}
    targets = {target: _score(traces, events, target, index, manifest) for index, target in enumerate(manifest.targets)}
    return Evaluation(manifest, dataset, split, len(traces), predictor.provider, targets)


def _score(
    traces: list[Trace], events: dict[str, list[Event]], target: str, index: int, manifest: Manifest
) -> TargetScores:
    truth = np.concatenate([label_at(trace.event_time_ms, events[trace.sequence_id], target) for trace in traces])
    said = np.concatenate([trace.probabilities[:, index] for trace in traces])
    truth, said = truth[truth != LEFT_OUT], said[truth != LEFT_OUT]
    positives = int(np.count_nonzero(truth))
    has_both = 0 < positives < truth.size
    return TargetScores(
        roc_auc=float(roc_auc_score(truth, said)) if has_both else None,
        pr_auc=float(average_precision_score(truth, said)) if has_both else None,
        positives=positives,
        negatives=truth.size - positives,
        events=judge(traces, events, target, index, manifest.alert[target]),
    )
