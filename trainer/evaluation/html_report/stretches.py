"""The chapters of stretches of the line: some events caught, the worst misses, the worst false alarms."""

from collections.abc import Callable

from trainer.datasets.example_pictures import words
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.html_report.case_pictures import draw_case
from trainer.evaluation.html_report.cases import SHOWN, Case, caught_cases, false_cases, missed_cases
from trainer.evaluation.html_report.parts import Chapter, Figure, Group

Choose = Callable[[Evaluation, str], list[Case]]

_CAUGHT = (
    "Above, the probability against time, blue while an alert was open; it should rise after the onset and well before "
    "the impact. Underneath: the sensors that the event touched (where that is unknown: all), the three that changed "
    f"most. Of each type the event with the median lead, then the shortest and the longest, {SHOWN} at most."
)
_MISSES = (
    f"Of each type the event at which the probability stayed lowest, {SHOWN} at most, those with an impact first. If "
    "the sensors show next to nothing either, no model on them can do better; if not, there is something to learn."
)
_ALARMS = (
    f"Of each cause the alert that stayed open longest, {SHOWN} at most. Would you have looked at the strand too? Then "
    "the look-alike is a good one."
)

_CHAPTERS: tuple[tuple[str, str, str, str, Choose], ...] = (
    ("caught", "Events that were caught", _CAUGHT, "No event was caught.", caught_cases),
    ("misses", "The worst misses", _MISSES, "No event was missed.", missed_cases),
    ("alarms", "The worst false alarms", _ALARMS, "There was no false alert.", false_cases),
)


def stretches(evaluation: Evaluation) -> list[Chapter]:
    """The three chapters.

    Raises:
        ContractError: a sequence's file is not what the index says.
    """
    return [
        Chapter(key, title, reading, tuple(_group(evaluation, target, choose, none) for target in evaluation.targets))
        for key, title, reading, none, choose in _CHAPTERS
    ]


def _group(evaluation: Evaluation, target: str, choose: Choose, none: str) -> Group:
    cases = choose(evaluation, target)
    figures = [_figure(evaluation, case) for case in cases]
    return Group(target, () if cases else (none,), figures=tuple(figures))


def _figure(evaluation: Evaluation, case: Case) -> Figure:
    dataset, policy = evaluation.dataset, evaluation.manifest.alert[case.target]
    svg = draw_case(case, dataset.load(case.trace.sequence_id), dataset.info.sensors, policy)
    return Figure(_title(case), _caption(case), svg)


def _title(case: Case) -> str:
    if case.kind == "caught":
        lead = "healed" if case.lead_s is None else f"{case.lead_s:.0f} s before the impact"
        return f"{words(case.type)}, {lead}"
    if case.kind == "missed":
        return f"{words(case.type)}, at most {case.peak:.3f}"
    return f"{'nothing' if case.event is None else words(case.type)}, open for {case.open_s:.0f} s"


def _caption(case: Case) -> str:
    event, told = case.event, [f"sequence {case.trace.sequence_id}"]
    if event is not None:
        told.append(f"event {event.event_id}, {(event.end_ms - event.onset_ms) / 1000:.0f} s long")
        told += [f"difficulty {event.difficulty}"] if event.difficulty is not None else []
        told += ["healed"] if event.healed else []
    if case.alert is not None:
        told.append(f"peak {case.peak:.3f}")
    text = ", ".join(told)
    return f"{text[0].upper()}{text[1:]}."
