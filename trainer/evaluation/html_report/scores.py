"""The chapters of what the operator meets: the answer first, confusion, leads and false alerts, kinds of events."""

from trainer.datasets.card_layout import Section
from trainer.datasets.example_pictures import words
from trainer.evaluation.comparison.alerts import caught_by
from trainer.evaluation.comparison.page import number, percent, seconds
from trainer.evaluation.evaluate import Evaluation, wanted_lead_s
from trainer.evaluation.html_report.event_pictures import false_svg, leads_svg
from trainer.evaluation.html_report.parts import Chapter, Figure, Group, Tile
from trainer.evaluation.report import PLANT_TARGETS


def answer(evaluation: Evaluation) -> Chapter:
    """The few numbers that everything else explains."""
    return Chapter(
        "answer",
        "The answer in a few numbers",
        "An event is caught if an alert opens after it began and before it ended, as the worker would have opened it. "
        "A false alert is one for nothing that the model is to find. A strand-day is one strand watched for 24 hours.",
        tuple(_answer(evaluation, target) for target in evaluation.targets),
    )


def _answer(evaluation: Evaluation, target: str) -> Group:
    scores = evaluation.targets[target]
    event, wanted = scores.events.as_dict(wanted_lead_s(evaluation.manifest, target)), scores.events
    lead, days = event["lead_wanted_s"], f"{event['strand_days']:.2f} strand-days"
    low, high = event["false_per_strand_day_95"] or (None, None)
    p10, rate = seconds(event["lead_p10_s"]), number(event["false_per_strand_day"], 1)
    told = f"95 %: {number(low, 1)} to {number(high, 1)}; {event['false_alerts']} in {days}"
    in_time = f"with {lead:g} s of lead or more: {percent(event['recall_with_lead'])}" if lead else ""
    tiles = (
        Tile(f"{event['caught']} of {event['events']}", "events caught", in_time),
        Tile(seconds(event["lead_median_s"]), "from alert to impact, median", f"a tenth below {p10}"),
        Tile(rate, "false alerts a strand-day", told),
        Tile(number(scores.roc_auc, 4), "ROC-AUC of windows", f"PR-AUC {number(scores.pr_auc, 4)}"),
        Tile(number(scores.calibration_error, 4), "calibration error", "mean distance of said and true"),
    )
    asked = PLANT_TARGETS.get(target)
    texts = [f"A plant would ask for (assumed): {asked}."] if asked else []
    if wanted.unseen:
        texts.append(f"{wanted.unseen} more while the window was still warming; they are in no rate.")
    return Group(target, tuple(texts), tiles)


def confusion(evaluation: Evaluation) -> Chapter:
    """Right and wrong at the threshold that was chosen."""
    return Chapter(
        "confusion",
        "Right and wrong at the chosen threshold",
        "By window: every answer counts. By event, as people meet it: one alert for a whole event is enough, and an "
        "alert that opens once for nothing is one too many. Delays stand between the two: a passing peak opens none.",
        tuple(_confusion(evaluation, target) for target in evaluation.targets),
    )


def _confusion(evaluation: Evaluation, target: str) -> Group:
    scores, policy = evaluation.targets[target], evaluation.manifest.alert[target]
    found, events = scores.at_threshold, scores.events
    windows = Section(
        "windows",
        ("windows", f"reach {policy.open:g}", "do not"),
        (
            ("of an event", f"{found.true_positives:,}", f"{found.false_negatives:,}"),
            ("of none", f"{found.false_positives:,}", f"{found.true_negatives:,}"),
        ),
        ("Windows from the first trace of an event until it can be told, and just after it, are left out.",),
    )
    caught = Section(
        "events",
        ("events and alerts", "number"),
        (
            ("events caught", f"{events.caught:,}"),
            ("events missed", f"{len(events.outcomes) - events.caught:,}"),
            ("alerts, all", f"{events.alerts:,}"),
            ("alerts after the end of an event", f"{events.late:,}"),
            ("alerts for nothing", f"{events.false_alerts:,}"),
            ("time with an alert open", percent(events.open_share)),
        ),
    )
    rule = (
        f"An alert opens at {policy.open:g} held for {policy.on_delay_ms / 1000:g} s, closes below {policy.close:g} "
        f"held for {policy.off_delay_ms / 1000:g} s, and does not open again for {policy.cooldown_ms / 1000:g} s."
    )
    return Group(target, (rule,), tables=(windows, caught))


def leads(evaluation: Evaluation) -> Chapter:
    """How early, and what for nothing."""
    groups = []
    for target, scores in evaluation.targets.items():
        figures, texts = [], []
        if scores.events.leads_s:
            figures.append(
                Figure(
                    f"Lead before the impact, {len(scores.events.leads_s)} events",
                    "Left of the orange line, if there is one, the warning comes too late to act on. Events that "
                    "healed have no impact and are not here.",
                    leads_svg(scores.events, wanted_lead_s(evaluation.manifest, target)),
                )
            )
        else:
            texts.append("No event was announced before an impact.")
        figures.append(
            Figure(
                f"False alerts, {scores.events.false_alerts} in {scores.events.strand_days:.2f} strand-days",
                "Each bar is what went on, or had left a trace in the window, when the alert opened; beside it, at how "
                "many occurrences.",
                false_svg(scores.events),
            )
        )
        groups.append(Group(target, tuple(texts), figures=tuple(figures)))
    return Chapter(
        "leads",
        "How early, and what raises false alerts",
        "The lead is the time left to slow down. Look-alikes are what a crew does or meets every day that resembles a "
        "defect and must not alarm.",
        tuple(groups),
    )


def kinds(evaluation: Evaluation) -> Chapter:
    """Caught by type and by difficulty."""
    return Chapter(
        "kinds",
        "Which events are caught",
        "Difficulty was tagged when the data were made, before anything was trained: what tells a defect from its "
        "look-alikes is statistics of each sensor over the window (summary), these in part (partial), or order in time "
        "alone (order).",
        tuple(_kinds(evaluation, target) for target in evaluation.targets),
    )


def _kinds(evaluation: Evaluation, target: str) -> Group:
    outcomes = evaluation.targets[target].events.outcomes
    events = {event.event_id: event for some in evaluation.events.values() for event in some}
    tables = (
        _caught_by("type", caught_by(outcomes, 1, lambda outcome: words(outcome.type))),
        _caught_by("difficulty", caught_by(outcomes, 1, lambda outcome: events[outcome.event_id].difficulty)),
    )
    shown = tuple(table for table in tables if table.rows)
    return Group(target, () if shown else ("No event of this target in these sequences.",), tables=shown)


def _caught_by(head: str, groups: dict[str, dict[str, float | int | None]]) -> Section:
    rows = [
        (kind, f"{one['events']}", f"{one['caught']:.0f}", percent(one["recall"]), seconds(one["lead_median_s"]))
        for kind, one in groups.items()
    ]
    return Section(head, (head, "events", "caught", "share", "lead, median"), tuple(rows))
