"""Running an exported bundle over a dataset's sequences, as the worker would, and scoring what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from models.errors import UsageError, mismatch
from models.manifest import Manifest
from models.runtime import Predictor
from trainer.config import default_alert
from trainer.datasets.dataset import Dataset
from trainer.datasets.integrity import check_integrity
from trainer.datasets.labels import LEFT_OUT, POSITIVE, label_at
from trainer.datasets.records import FROM_TOPIC, DatasetInfo, Event
from trainer.evaluation.comparison.calibration import BoolArray, Float64Array, calibration_error
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
class Confusion:
    """How many windows reach the probability that an alert opens at, by what is true of them."""

    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int


@dataclass(frozen=True, slots=True)
class TargetScores:
    """One target's scores: by window (None where a class, or every window, is missing) and by event."""

    roc_auc: float | None
    pr_auc: float | None
    calibration_error: float | None
    positives: int
    negatives: int
    at_threshold: Confusion
    events: EventScores


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A bundle's scores on one split of a dataset.

    Attributes:
        manifest: of the bundle.
        dataset: it was asked about.
        split: whose sequences.
        sequences: how many.
        provider: of ONNX Runtime, in use.
        targets: scores by target.
        traces: what it said, one a sequence.
        events: of these sequences, by sequence id.
    """

    manifest: Manifest
    dataset: Dataset
    split: Scope
    sequences: int
    provider: str
    targets: dict[str, TargetScores]
    traces: Sequence[Trace]
    events: Mapping[str, Sequence[Event]]

    @property
    def own_line(self) -> bool:
        """Whether the bundle was trained on this dataset, on its other splits or, wrongly, on this one."""
        return self.dataset.info.fingerprint == self.manifest.data_fingerprint

    @property
    def chosen_here(self) -> bool:
        """Whether the bundle's alert thresholds were chosen on some of these sequences."""
        chosen_on = self.manifest.training.get("alert_data", self.manifest.data_fingerprint)
        return self.dataset.info.fingerprint == chosen_on and self.split in {"validation", "all"}

    @property
    def caveat(self) -> str:
        """What these scores do not show."""
        return caveat_of(self.dataset.info)

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
                        "roc_auc": _rounded(scores.roc_auc),
                        "pr_auc": _rounded(scores.pr_auc),
                        "ece": _rounded(scores.calibration_error),
                        "positives": scores.positives,
                        "negatives": scores.negatives,
                        "at_threshold": asdict(scores.at_threshold),
                    },
                    "event": scores.events.as_dict(wanted_lead_s(self.manifest, target)),
                }
                for target, scores in self.targets.items()
            },
        }


def caveat_of(info: DatasetInfo) -> str:
    """What scores on a dataset do not show."""
    if info.line == FROM_TOPIC:
        return FROM_KAFKA
    return IMPORTED if info.imported else CAVEAT


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
    return Evaluation(manifest, dataset, split, len(traces), predictor.provider, targets, traces, events)


def labelled(
    traces: Sequence[Trace], events: Mapping[str, Sequence[Event]], target: str, index: int
) -> tuple[BoolArray, Float64Array]:
    """Truth [n] and probability [n] of the windows that are positive or negative of a target.

    Args:
        traces: one sequence at least.
        events: all events by sequence id.
        target: its name.
        index: its place among the probabilities.
    """
    truth = np.concatenate([label_at(trace.event_time_ms, events[trace.sequence_id], target) for trace in traces])
    said = np.concatenate([trace.probabilities[:, index] for trace in traces]).astype(np.float64)
    kept = truth != LEFT_OUT
    return truth[kept] == POSITIVE, said[kept]


def _score(
    traces: list[Trace], events: dict[str, list[Event]], target: str, index: int, manifest: Manifest
) -> TargetScores:
    truth, said = labelled(traces, events, target, index)
    alarmed = said >= manifest.alert[target].open
    positives = int(np.count_nonzero(truth))
    has_both = 0 < positives < truth.size
    return TargetScores(
        roc_auc=float(roc_auc_score(truth, said)) if has_both else None,
        pr_auc=float(average_precision_score(truth, said)) if has_both else None,
        calibration_error=calibration_error(said, truth) if truth.size else None,
        positives=positives,
        negatives=truth.size - positives,
        at_threshold=Confusion(
            true_positives=int(np.count_nonzero(alarmed & truth)),
            false_negatives=int(np.count_nonzero(~alarmed & truth)),
            false_positives=int(np.count_nonzero(alarmed & ~truth)),
            true_negatives=int(np.count_nonzero(~alarmed & ~truth)),
        ),
        events=judge(traces, events, target, index, manifest.alert[target]),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
