"""Two chapters from what others left: natural rates (`trainer evaluate --split all`) and the ablation."""

from collections.abc import Mapping
from typing import Any

from trainer.datasets.card_layout import Section
from trainer.evaluation.comparison.page import difference, number, percent, seconds
from trainer.evaluation.html_report.parts import Chapter, Group


def natural(found: Mapping[str, Any]) -> Chapter:
    """How often it is right and how often it cries wolf where events come as they may.

    Args:
        found: `all.json` of a line that the bundle was not trained on.
    """
    data = found["data"]
    rows = [("", *found["targets"])]
    events = [one["event"] for one in found["targets"].values()]
    windows = [one["window"] for one in found["targets"].values()]
    rows += [
        ("strand-days watched", *(f"{one['strand_days']:.1f}" for one in events)),
        ("events caught", *(f"{one['caught']} of {one['events']}" for one in events)),
        ("caught with the lead wanted", *(percent(one["recall_with_lead"]) for one in events)),
        ("lead, median", *(seconds(one["lead_median_s"]) for one in events)),
        ("false alerts", *(str(one["false_alerts"]) for one in events)),
        ("false a strand-day (95 %)", *(_rate(one, 1) for one in events)),
        ("false a strand-week (95 %)", *(_rate(one, 7) for one in events)),
        ("ROC-AUC of windows", *(number(one["roc_auc"]) for one in windows)),
        ("calibration error", *(number(one["ece"]) for one in windows)),
    ]
    return Chapter(
        "natural",
        "Where events are seldom",
        f"Line {data['line']}, seed {data['seed']}, fingerprint {data['fingerprint'][:12]}: strands of its own, "
        f"{data['sequences']} casting sequences. The split above is dense in events, so that there is something to "
        "count; how often a caster would be slowed for nothing is told here. Intervals are Poisson's.",
        (Group(tables=(Section("", rows[0], tuple(rows[1:])),)),),
    )


def _rate(event: Mapping[str, Any], days: int) -> str:
    rate, interval = event["false_per_strand_day"], event["false_per_strand_day_95"]
    if rate is None:
        return "-"
    low, high = interval
    return f"{days * rate:.2f} ({days * low:.2f} to {days * high:.2f})"


def ablation(found: Mapping[str, Any]) -> Chapter:
    """What each part of the recipe is worth.

    Args:
        found: `ablation.json`.
    """
    rows = [("part", "change", "test ROC-AUC less the recipe's", "test PR-AUC less the recipe's")]
    for change in found["changes"][1:]:
        cells = [_difference(change["differences"][score]) for score in ("test.roc_auc", "test.pr_auc")]
        rows.append((change["part"], change["about"], *cells))
    return Chapter(
        "ablation",
        "What each part is worth",
        f"The recipe {found['recipe']} with one change each, {found['seeds']} seeds; below 0 the change is for the "
        "worse. Student's 95 % interval over the seeds.",
        (Group(tables=(Section("", rows[0], tuple(rows[1:]), texts=2),)),),
    )


def _difference(found: Mapping[str, Any]) -> str:
    interval = None if found["low"] is None else (found["low"], found["high"])
    return difference(found["mean"], interval)
