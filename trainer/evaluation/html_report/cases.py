"""Which stretches of the line are shown: some events caught, the worst misses, the worst false alarms. By rule."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.judging import verdict
from trainer.datasets.records import FALSE_RECORD, Event
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.events import NO_CAUSE, AlertSpan, EventOutcome, Trace, charged_to, run_alerts

Kind = Literal["caught", "missed", "false"]

SHOWN = 4
"""Of each target and kind at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One stretch of a sequence.

    Attributes:
        kind: what became of it.
        target: whose probability.
        index: its place among the probabilities.
        trace: of the sequence.
        spans: all alerts of the target in the sequence.
        event: what happened; of a false alarm, what it is charged to, None for nothing.
        alert: that caught it, or the false one; None of a miss.
        peak: highest probability: within a missed event, or while the false alert was open.
        lead_s: from the alert to the impact; None without either.
    """

    kind: Kind
    target: str
    index: int
    trace: Trace
    spans: tuple[AlertSpan, ...]
    event: Event | None
    alert: AlertSpan | None
    peak: float
    lead_s: float | None = None

    @property
    def type(self) -> str:
        """Of the event, `none` without."""
        return NO_CAUSE if self.event is None else self.event.type

    @property
    def anchor_ms(self) -> int:
        """What time 0 is: the onset, or the opening of an alert for nothing; event time in milliseconds."""
        if self.event is not None:
            return self.event.onset_ms
        return int(self.trace.event_time_ms[0]) if self.alert is None else self.alert.opened_at_ms

    @property
    def open_s(self) -> float:
        """How long its alert was open, seconds; of one still open at the end, as far as it was seen."""
        if self.alert is None:
            return 0.0
        return ((self.alert.closed_at_ms or int(self.trace.event_time_ms[-1])) - self.alert.opened_at_ms) / 1000


def caught_cases(evaluation: Evaluation, target: str) -> list[Case]:
    """Of each type the event caught with the median lead, then with the shortest and the longest."""
    found = [case for case in _event_cases(evaluation, target) if case.kind == "caught"]

    def chosen(cases: Sequence[Case]) -> list[Case]:
        with_lead = [case for case in cases if case.lead_s is not None] or list(cases)
        ordered = sorted(with_lead, key=lambda case: (case.lead_s or 0.0, _name(case)))
        return list(dict.fromkeys([ordered[(len(ordered) - 1) // 2], ordered[0], ordered[-1]]))

    return _by_turns(found, chosen)


def missed_cases(evaluation: Evaluation, target: str) -> list[Case]:
    """Of each type the missed event with the lowest probability first; with an impact before those that healed."""
    found = [case for case in _event_cases(evaluation, target) if case.kind == "missed"]

    def worst(case: Case) -> tuple[bool, float, str]:
        return case.event is None or case.event.impact_ms is None, case.peak, _name(case)

    return _by_turns(found, lambda cases: sorted(cases, key=worst))


def false_cases(evaluation: Evaluation, target: str) -> list[Case]:
    """Of each cause the false alert that was open longest first."""

    def worst(case: Case) -> tuple[float, float, str]:
        return -case.open_s, -case.peak, _name(case)

    return _by_turns(list(_false_alarms(evaluation, target)), lambda cases: sorted(cases, key=worst))


def _by_turns(cases: Sequence[Case], order: Callable[[Sequence[Case]], list[Case]]) -> list[Case]:
    """The first of each type, the most frequent type first, then the second of each, and so on."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.type, []).append(case)
    ordered = [order(groups[kind]) for kind in sorted(groups, key=lambda kind: (-len(groups[kind]), kind))]
    most = max((len(group) for group in ordered), default=0)
    return [group[place] for place in range(most) for group in ordered if place < len(group)][:SHOWN]


def _event_cases(evaluation: Evaluation, target: str) -> Iterator[Case]:
    """A case for each event that is in a rate, caught or missed."""
    index = evaluation.manifest.targets.index(target)
    outcomes = {outcome.event_id: outcome for outcome in evaluation.targets[target].events.outcomes}
    for trace in evaluation.traces:
        mine = [event for event in evaluation.events[trace.sequence_id] if event.event_id in outcomes]
        if mine:
            spans = tuple(run_alerts(trace, index, evaluation.manifest.alert[target]))
            for event in mine:
                yield _event_case(target, index, trace, spans, event, outcomes[event.event_id])


def _event_case(
    target: str, index: int, trace: Trace, spans: tuple[AlertSpan, ...], event: Event, outcome: EventOutcome
) -> Case:
    inside = (trace.event_time_ms >= event.detectable_ms) & (trace.event_time_ms < event.end_ms)
    peak = float(trace.probabilities[inside, index].max())
    opened = None if outcome.opened_after_s is None else event.onset_ms + round(1000 * outcome.opened_after_s)
    alert = next((span for span in spans if span.opened_at_ms == opened), None)
    kind: Kind = "caught" if outcome.caught else "missed"
    return Case(kind, target, index, trace, spans, event, alert, peak, outcome.lead_s)


def _false_alarms(evaluation: Evaluation, target: str) -> Iterator[Case]:
    index = evaluation.manifest.targets.index(target)
    for trace in evaluation.traces:
        happened = evaluation.events[trace.sequence_id]
        ours = [event for event in happened if event.target == target]
        others = [event for event in happened if event.target != target and event.type != FALSE_RECORD]
        spans = tuple(run_alerts(trace, index, evaluation.manifest.alert[target]))
        for span in spans:
            if verdict(span.opened_at_ms, ours) != "false":
                continue
            event = charged_to(span.opened_at_ms, others, trace.window_ms)
            last = span.closed_at_ms or int(trace.event_time_ms[-1])
            first = np.searchsorted(trace.event_time_ms, span.opened_at_ms)
            stop = np.searchsorted(trace.event_time_ms, last, side="right")
            peak = float(trace.probabilities[first:stop, index].max())
            yield Case("false", target, index, trace, spans, event, span, peak)


def _name(case: Case) -> str:
    """Tells cases apart, so that equals have an order."""
    opened = "" if case.alert is None else str(case.alert.opened_at_ms)
    return f"{'' if case.event is None else case.event.event_id} {case.trace.sequence_id} {opened}"
