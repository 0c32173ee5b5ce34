"""Judging by event: what the operator would have been told, when, and how often for nothing.

The alerts come from `models.alerting`, the code the worker runs, and are true, late or false by `models.judging`.
Further rules of counting:

- A false alert is charged to the look-alike (or event of another target) whose trace its window can have held, if any.
- An alert that opened before an event and is still open does not catch it: nothing new was said.
- An event during which no prediction was due (its window still warming) is `unseen` and in no rate.
- Lead time is from the opening to the impact; an event that healed has none, but counts in recall.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy.stats import chi2

from models.alerting import AlertMachine, AlertPolicy, Transition
from models.judging import event_caught, verdict
from models.windows import Float32Array, Int64Array
from trainer.datasets.records import FALSE_RECORD, Event

DAY_MS = 86_400_000
NO_CAUSE = "none"


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The due predictions of one casting sequence's full windows, d of them, in the order of the log.

    Attributes:
        sequence_id: whose.
        event_time_ms: int64 [d].
        probabilities: float32 [d, target].
        segment: int64 [d], grows where the window began anew: alerts are given up there.
        grid_ms: time between two due predictions, milliseconds.
        window_ms: nominal duration of a window, milliseconds.
    """

    sequence_id: str
    event_time_ms: Int64Array
    probabilities: Float32Array
    segment: Int64Array
    grid_ms: int
    window_ms: int

    @property
    def strand_days(self) -> float:
        """The time watched, in days of one strand."""
        return len(self.event_time_ms) * self.grid_ms / DAY_MS


@dataclass(frozen=True, slots=True)
class AlertSpan:
    """One alert; `closed_at_ms` is None if it was open to the end."""

    opened_at_ms: int
    closed_at_ms: int | None


def run_alerts(trace: Trace, target: int, policy: AlertPolicy) -> list[AlertSpan]:
    """The alerts of one sequence for one target (its index) under a policy, in time."""
    column = trace.probabilities[:, target].astype(np.float64)  # what the machine is told, and compares
    reaching = np.flatnonzero(column >= policy.open).tolist()
    if not reaching:
        return []
    times, probabilities, segments = trace.event_time_ms.tolist(), column.tolist(), trace.segment.tolist()
    machine = AlertMachine(policy)
    spans: list[AlertSpan] = []
    opened: int | None = None
    at, segment = reaching[0], segments[reaching[0]]
    while at < len(times):
        transitions = [machine.give_up()] if segments[at] != segment else []
        segment = segments[at]
        transitions.append(machine.observe(times[at], probabilities[at]))
        for transition in transitions:
            if transition is Transition.OPENED:
                opened = machine.opened_at_ms
            elif transition is Transition.CLOSED and opened is not None:
                spans.append(AlertSpan(opened, machine.closed_at_ms))
                opened = None
        at += 1
        if not (machine.is_open or machine.is_rising):
            # Nothing below `open` moves a machine at rest: choosing a threshold asks for days of it, many times over.
            following = bisect_left(reaching, at)
            at = reaching[following] if following < len(reaching) else len(times)
    return spans if opened is None else [*spans, AlertSpan(opened, None)]


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """What became of one event of the target.

    Attributes:
        event_id: of the event.
        type: of the event.
        healed: of the event.
        opened_after_s: from the onset to the first alert; None if missed.
        lead_s: from the first alert to the impact; None if missed or without an impact.
    """

    event_id: str
    type: str
    healed: bool
    opened_after_s: float | None
    lead_s: float | None

    @property
    def caught(self) -> bool:
        """Whether an alert opened in time."""
        return self.opened_after_s is not None


@dataclass(frozen=True, slots=True)
class EventScores:
    """Event-level scores of one target over a set of sequences.

    Attributes:
        outcomes: one for each event during which predictions were due.
        unseen: events without any.
        alerts: all that opened.
        late: those that opened after the end of an event, before its trace was gone.
        false_by_cause: false alerts by the look-alike's type, `none` without one.
        look_alikes: what else happened in the sequences by type, look-alikes and defects of other targets.
        strand_days: time watched.
        open_days: time with an alert open: one that never closes is not counted false twice, but seen here.
        durations_s: of each alert, seconds; of one still open at the end, as far as it was seen.
    """

    outcomes: tuple[EventOutcome, ...] = ()
    unseen: int = 0
    alerts: int = 0
    late: int = 0
    false_by_cause: Mapping[str, int] = field(default_factory=dict)
    look_alikes: Mapping[str, int] = field(default_factory=dict)
    strand_days: float = 0.0
    open_days: float = 0.0
    durations_s: tuple[float, ...] = ()

    @property
    def caught(self) -> int:
        """Events with an alert in time."""
        return sum(outcome.caught for outcome in self.outcomes)

    @property
    def recall(self) -> float | None:
        """Share of the events caught."""
        return self.caught / len(self.outcomes) if self.outcomes else None

    @property
    def false_alerts(self) -> int:
        """Alerts for nothing."""
        return sum(self.false_by_cause.values())

    @property
    def false_per_strand_day(self) -> float | None:
        """False alerts a day of one strand."""
        return self.false_alerts / self.strand_days if self.strand_days else None

    @property
    def false_interval(self) -> tuple[float, float] | None:
        """Exact 95 % interval of the false alerts a strand-day, if they come as a Poisson process (Garwood 1936)."""
        if not self.strand_days:
            return None
        return poisson_interval(self.false_alerts, self.strand_days)

    @property
    def open_share(self) -> float | None:
        """Share of the time with an alert open."""
        return self.open_days / self.strand_days if self.strand_days else None

    @property
    def leads_s(self) -> list[float]:
        """Lead times of the caught events that had an impact, seconds."""
        return [outcome.lead_s for outcome in self.outcomes if outcome.lead_s is not None]

    def caught_with_lead(self, seconds: float) -> float | None:
        """Share of the events caught with at least this lead; one that healed needs none."""
        return self.count_with_lead(seconds) / len(self.outcomes) if self.outcomes else None

    def count_with_lead(self, seconds: float) -> int:
        """Events caught with at least this lead; one that healed needs none."""
        return sum(
            outcome.caught and (outcome.lead_s is None or outcome.lead_s >= seconds) for outcome in self.outcomes
        )

    def as_dict(self, lead_s: float) -> dict[str, Any]:
        """For JSON; `lead_s` is the lead asked for."""
        leads, interval = self.leads_s, self.false_interval
        return {
            "events": len(self.outcomes),
            "caught": self.caught,
            "missed": len(self.outcomes) - self.caught,
            "unseen": self.unseen,
            "recall": _rounded(self.recall),
            "lead_wanted_s": lead_s,
            "recall_with_lead": _rounded(self.caught_with_lead(lead_s)),
            "lead_median_s": _rounded(float(np.median(leads)) if leads else None, 2),
            "lead_p10_s": _rounded(float(np.percentile(leads, 10)) if leads else None, 2),
            "alerts": self.alerts,
            "late_alerts": self.late,
            "false_alerts": self.false_alerts,
            "false_by_cause": dict(self.false_by_cause),
            "look_alikes": dict(self.look_alikes),
            "strand_days": _rounded(self.strand_days),
            "false_per_strand_day": _rounded(self.false_per_strand_day, 3),
            "false_per_strand_day_95": None if interval is None else [round(bound, 3) for bound in interval],
            "open_share": _rounded(self.open_share),
            "outcomes": [{**asdict(outcome), "caught": outcome.caught} for outcome in self.outcomes],
        }


def poisson_interval(count: float, days: float) -> tuple[float, float]:
    """Exact 95 % interval of a rate per day from a count over so many days, above 0; a mean count need not be whole."""
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low) / days, float(chi2.ppf(0.975, 2 * count + 2)) / 2 / days


def judge(
    traces: Iterable[Trace], events: Mapping[str, Sequence[Event]], target: str, index: int, policy: AlertPolicy
) -> EventScores:
    """Score one target's alerts over sequences.

    Args:
        traces: one a sequence.
        events: all events by sequence id, look-alikes too.
        target: its name.
        index: its place among the probabilities.
        policy: the alert policy to judge.
    """
    outcomes: list[EventOutcome] = []
    unseen, late, days = 0, 0, 0.0
    lasted_ms: list[int] = []
    causes: Counter[str] = Counter()
    look_alikes: Counter[str] = Counter()
    for trace in traces:
        happened = events.get(trace.sequence_id, ())
        ours = [event for event in happened if event.target == target]
        others = [event for event in happened if event.target != target and event.type != FALSE_RECORD]
        spans = run_alerts(trace, index, policy)
        seen = [event for event in ours if _is_seen(event, trace)]
        outcomes += [_outcome(event, spans) for event in seen]
        unseen += len(ours) - len(seen)
        days += trace.strand_days
        look_alikes.update(event.type for event in others)
        for span in spans:
            lasted_ms.append((span.closed_at_ms or int(trace.event_time_ms[-1])) - span.opened_at_ms)
            worth = verdict(span.opened_at_ms, ours)
            late += worth == "late"
            if worth == "false":
                cause = charged_to(span.opened_at_ms, others, trace.window_ms)
                causes[NO_CAUSE if cause is None else cause.type] += 1
    return EventScores(
        outcomes=tuple(outcomes),
        unseen=unseen,
        alerts=len(lasted_ms),
        late=late,
        false_by_cause=dict(sorted(causes.items())),
        look_alikes=dict(sorted(look_alikes.items())),
        strand_days=days,
        open_days=sum(lasted_ms) / DAY_MS,
        durations_s=tuple(lasted / 1000 for lasted in lasted_ms),
    )


def _is_seen(event: Event, trace: Trace) -> bool:
    times = trace.event_time_ms
    return bool(((times >= event.detectable_ms) & (times < event.end_ms)).any())


def _outcome(event: Event, spans: Sequence[AlertSpan]) -> EventOutcome:
    opened = next((span.opened_at_ms for span in spans if event_caught(span.opened_at_ms, [event])), None)
    after = None if opened is None else (opened - event.onset_ms) / 1000
    lead = None if opened is None or event.impact_ms is None else (event.impact_ms - opened) / 1000
    return EventOutcome(event.event_id, event.type, event.healed, after, lead)


def charged_to(opened_at_ms: int, others: Iterable[Event], window_ms: int) -> Event | None:
    """Of what else happened, the last to begin whose trace the window of a false alert can have held; None without."""
    near = [event for event in others if event.onset_ms <= opened_at_ms < event.ignore_until_ms + window_ms]
    return max(near, key=lambda event: event.onset_ms) if near else None


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
