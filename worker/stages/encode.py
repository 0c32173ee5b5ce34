"""Predictions, alerts and dead letters to records for Kafka."""

from collections.abc import Callable

from models.alerting import Transition, alert_id
from models.manifest import Manifest
from models.messages import DEGRADED_ABOVE, Alert, PositionRange, Prediction, PredictionQuality, encode
from worker.records import AlertChange, DeadLetter, DueScan, Outgoing, Scored

_DETAIL_CHARACTERS = 500

Write = Callable[[Prediction | Alert], bytes]


class Encoder:
    """Writes the messages of one model; scans and alerts of a strand keep its key, and so their order."""

    def __init__(self, manifest: Manifest, worker_version: str, provider: str = "", write: Write = encode) -> None:
        """`worker_version`: for the dead letters; `provider`: what runs the model, for the predictions."""
        self._write = write
        self._targets = tuple(manifest.targets)
        self._model = manifest.model
        self._sha256 = manifest.model_sha256
        self._version = worker_version
        self._provider = provider

    def prediction(self, scored: Scored) -> tuple[Outgoing, PredictionQuality]:
        """The prediction of a due scan, and its quality."""
        scan, probabilities = scored.scan, scored.probabilities
        quality = _quality(scan, probabilities is None)
        message = Prediction(
            strand_id=scan.strand_id,
            seq=scan.seq,
            event_time_ms=scan.event_time_ms,
            probability=None if probabilities is None else max(probabilities),
            probabilities=dict(zip(self._targets, probabilities or (), strict=False)),
            model=self._model,
            model_sha256=self._sha256,
            window_start_ms=scan.window_start_ms,
            quality=quality,
            missing_fraction=scan.missing_fraction,
            strand_position_m=scan.strand_position_m,
            provider=self._provider,
        )
        return (
            Outgoing("predictions", scan.strand_id.encode(), self._write(message), event_time_ms=scan.event_time_ms),
            quality,
        )

    def alert(self, change: AlertChange) -> Outgoing:
        """An alert's opening or closing."""
        span = None
        if change.position_from_m is not None and change.position_to_m is not None:
            span = PositionRange(change.position_from_m, change.position_to_m)
        is_open = change.transition is Transition.OPENED
        message = Alert(
            alert_id=alert_id(change.strand_id, change.target, change.model_sha256, change.opened_at_ms),
            strand_id=change.strand_id,
            target=change.target,
            state="open" if is_open else "closed",
            severity=change.severity,
            probability=change.probability,
            peak_probability=change.peak,
            opened_at_ms=change.opened_at_ms,
            event_time_ms=change.event_time_ms,
            closed_at_ms=change.closed_at_ms,
            strand_position_range_m=span,
            heat_id=change.heat_id,
            top_sensors=[],
            model=change.model,
            model_sha256=change.model_sha256,
            message=f"{change.target} {'suspected' if is_open else 'over'} on {change.strand_id}: {change.why}",
        )
        return Outgoing("alerts", change.strand_id.encode(), self._write(message))

    def dead_letter(self, letter: DeadLetter) -> Outgoing:
        """The original key and bytes, with what was wrong in the headers."""
        origin = letter.record.origin
        headers: dict[str, str | bytes] = {
            "reason": letter.reason,
            "detail": letter.detail[:_DETAIL_CHARACTERS],
            "topic": origin.partition[0],
            "partition": str(origin.partition[1]),
            "offset": str(origin.offset),
            "worker_version": self._version,
        }
        return Outgoing("dead_letters", letter.record.key, letter.record.value, headers)


def _quality(scan: DueScan, warming: bool) -> PredictionQuality:
    if warming:
        return "warming"
    return "degraded" if scan.missing_fraction > DEGRADED_ABOVE else "good"
