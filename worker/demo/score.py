"""What a demonstration came to: every scan accounted for, every alert held against the truth."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from models.judging import event_caught, verdict
from models.messages import Alert, Prediction
from models.recording import RecordedEvent, Recording
from models.windows import WindowRules, plan_windows
from worker.demo.player import Sent


@dataclass(frozen=True, slots=True)
class Summary:
    """The demonstration in numbers; latency from handing a scan to the client to reading its prediction back."""

    scans: int
    predictions: int
    alerts_true: int
    alerts_false: int
    events_missed: int
    dead_letters: int
    lost: int
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    warming: int
    alerts_late: int
    first_true_alert_s: float | None
    first_true_alert_line_s: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            f"{self.scans:,} scans, {self.predictions:,} predictions, {self.warming} of them warming",
            f"{self.lost} due scans lost, {self.dead_letters} dead letters",
            f"alerts: {self.alerts_true} true, {self.alerts_late} late, {self.alerts_false} false",
            f"{self.events_missed} events missed",
        ]
        if self.first_true_alert_s is not None:
            on_line = f"{self.first_true_alert_line_s:.0f} s of the line"
            lines.append(f"first true alert after {self.first_true_alert_s:.1f} s, {on_line}")
        if self.latency_p50_ms is not None:
            lines.append(
                f"scan sent to prediction read back: p50 {self.latency_p50_ms:.1f} ms, p99 {self.latency_p99_ms:.1f} ms"
            )
        return "\n".join(lines)


class Score:
    """Takes in what is read back; sums up at the end."""

    def __init__(self, rules: WindowRules, now_s: float) -> None:
        """`now_s`: when the line began to play, `time.monotonic` seconds."""
        self._rules = rules
        self._began = now_s
        self._latencies_s: list[float] = []
        self._answered: set[Sent] = set()
        self.alerts: list[tuple[Alert, float]] = []
        self.dead_letters = 0
        self.warming = 0

    @property
    def predictions(self) -> int:
        """Different due scans answered so far."""
        return len(self._answered)

    def take_prediction(self, prediction: Prediction, sent_at: Mapping[Sent, float], now_s: float) -> None:
        """A prediction was read back."""
        scan = Sent(prediction.strand_id, prediction.event_time_ms)
        if scan in self._answered:
            return
        self._answered.add(scan)
        self.warming += prediction.probability is None
        if scan in sent_at:
            self._latencies_s.append(now_s - sent_at[scan])

    def take_alert(self, alert: Alert, now_s: float) -> None:
        """An alert was read back."""
        self.alerts.append((alert, now_s))

    def unanswered(self, sent: Iterable[Sent]) -> int:
        """Due scans, by the rules of `models.windows`, without a prediction."""
        times: dict[str, list[int]] = defaultdict(list)
        for scan in sent:
            times[scan.strand_id].append(scan.event_time_ms)
        lost = 0
        for strand_id, event_times in times.items():
            plan = plan_windows(np.array(event_times, np.int64), strand_id, self._rules)
            due = plan.accepted[plan.due].tolist()
            lost += sum(Sent(strand_id, event_times[index]) not in self._answered for index in due)
        return lost

    def summary(self, sent: Iterable[Sent], events: Iterable[RecordedEvent]) -> Summary:
        """Sum up; `events` in the shifted times that were played, those not wholly played already left out."""
        sent = list(sent)
        of_strand: dict[tuple[str, str], list[RecordedEvent]] = defaultdict(list)
        for event in events:
            if event.target is not None:
                of_strand[event.strand_id, event.target].append(event)
        verdicts: dict[str, int] = defaultdict(int)
        caught: set[RecordedEvent] = set()
        first: tuple[float, int] | None = None
        for alert, read_at in self.alerts:
            if alert.state != "open":
                continue
            known = of_strand[alert.strand_id, alert.target]
            worth = verdict(alert.opened_at_ms, known)
            verdicts[worth] += 1
            met = event_caught(alert.opened_at_ms, known)
            if met is not None:
                caught.add(met)
                first = first or (read_at, alert.opened_at_ms)
        begin_ms = min((scan.event_time_ms for scan in sent), default=0)
        latencies = np.array(self._latencies_s) * 1000
        return Summary(
            scans=len(sent),
            predictions=self.predictions,
            alerts_true=verdicts["true"],
            alerts_false=verdicts["false"],
            events_missed=sum(len(group) for group in of_strand.values()) - len(caught),
            dead_letters=self.dead_letters,
            lost=self.unanswered(sent),
            latency_p50_ms=_percentile(latencies, 50),
            latency_p99_ms=_percentile(latencies, 99),
            warming=self.warming,
            alerts_late=verdicts["late"],
            first_true_alert_s=None if first is None else round(first[0] - self._began, 2),
            first_true_alert_line_s=None if first is None else round((first[1] - begin_ms) / 1000, 2),
        )


def played_events(recording: Recording, sent: Iterable[Sent], shift_ms: int) -> list[RecordedEvent]:
    """The recording's events in played times, of every round, as far as they were played to their end."""
    newest = max((scan.event_time_ms for scan in sent), default=0)
    rounds = range((newest - shift_ms - int(recording.event_time_ms[0])) // recording.loop_ms + 1)
    shifted = [
        _shifted(event, shift_ms + repeat * recording.loop_ms) for repeat in rounds for event in recording.events
    ]
    return [event for event in shifted if event.end_ms <= newest]


def _shifted(event: RecordedEvent, by_ms: int) -> RecordedEvent:
    return replace(
        event,
        onset_ms=event.onset_ms + by_ms,
        detectable_ms=event.detectable_ms + by_ms,
        impact_ms=None if event.impact_ms is None else event.impact_ms + by_ms,
        end_ms=event.end_ms + by_ms,
        ignore_until_ms=event.ignore_until_ms + by_ms,
    )


def _percentile(values: Any, percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 2) if len(values) else None
