"""An evaluation on disk: JSON for machines, Markdown and one small SVG for people.

No times of day, no paths: the same bundle and data write the same files.
"""

import json
from pathlib import Path
from typing import Any

from trainer.evaluation.evaluate import Evaluation, TargetScores, wanted_lead_s
from trainer.evaluation.events import NO_CAUSE
from trainer.svg import svg_style, svg_text

PLANT_TARGETS = {
    "sticker": "false at most 1 a strand-week (0.143 a day), recall ≥ 95 %, lead ≥ 15 s",
    "quality": "at most 2 to 5 advisories a strand-day",
}
"""What a plant would ask of each target; assumed, no source."""


def write_report(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write `<split>.json`, `<split>.md` and `<split>.svg` into a folder.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "json": json.dumps(evaluation.as_dict(), indent=2, allow_nan=False) + "\n",
        "md": as_markdown(evaluation),
        "svg": as_svg(evaluation),
    }
    paths = []
    for ending, text in contents.items():
        path = folder / f"{evaluation.split}.{ending}"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def scope_name(evaluation: Evaluation) -> str:
    """Which sequences were scored, in words."""
    line = "the line it was trained on" if evaluation.own_line else "a line it was not trained on"
    return f"all of {line}" if evaluation.split == "all" else f"{evaluation.split} split of {line}"


def summary_rows(evaluation: Evaluation, target: str) -> list[tuple[str, str]]:
    """One target's scores as (what, value), for a table."""
    scores = evaluation.targets[target]
    event = scores.events.as_dict(wanted_lead_s(evaluation.manifest, target))
    policy = evaluation.manifest.alert[target]
    causes = ", ".join(f"{count} {cause}" for cause, count in event["false_by_cause"].items())
    lead = event["lead_wanted_s"]
    median, p10 = (_number(event[key], 1) for key in ("lead_median_s", "lead_p10_s"))
    rate, days = _number(event["false_per_strand_day"], 3), f"{event['strand_days']:g} strand-days"
    low, high = (_number(bound, 3) for bound in event["false_per_strand_day_95"] or (None, None))
    return [
        ("windows, positive / negative", f"{scores.positives} / {scores.negatives}"),
        ("ROC-AUC by window", _number(scores.roc_auc, 4)),
        ("PR-AUC by window", _number(scores.pr_auc, 4)),
        ("calibration error by window", _number(scores.calibration_error, 4)),
        ("alert opens / closes at", f"{policy.open:g} / {policy.close:g}"),
        ("events caught", f"{event['caught']} of {event['events']}" + _unseen(event)),
        (f"caught with lead ≥ {lead:g} s", _percent(event["recall_with_lead"])),
        ("lead before impact, median / p10", f"{median} s / {p10} s"),
        ("false alerts", f"{event['false_alerts']} in {days}" + (f" ({causes})" if causes else "")),
        ("false alerts per strand-day", f"{rate}, 95 % Poisson interval {low} to {high}"),
        ("asked for (assumed)", PLANT_TARGETS.get(target, "-")),
        ("time with an alert open", _percent(event["open_share"])),
        ("what else happened", _look_alikes(scores)),
    ]


def as_markdown(evaluation: Evaluation) -> str:
    """The report as Markdown."""
    data = evaluation.as_dict()["data"]
    about = (
        f"Data: `{data['line']}`, seed {data['seed']}, {data['sequences']} casting sequences, fingerprint "
        f"`{data['fingerprint'][:12]}`. Model: `{evaluation.manifest.model_sha256}` on {evaluation.provider}. "
        "The alerts are those of the worker's own state machine over every due prediction."
    )
    lines = [
        f"# {evaluation.manifest.model}: {scope_name(evaluation)}",
        "",
        f"**{evaluation.caveat}**",
        "",
        about,
    ]
    for target in evaluation.targets:
        lines += ["", f"## {target}", "", "| | |", "| --- | --- |"]
        lines += [f"| {what} | {value} |" for what, value in summary_rows(evaluation, target)]
    lines += ["", f"![Lead times and false alerts]({evaluation.split}.svg)", ""]
    return "\n".join(lines)


def as_svg(evaluation: Evaluation) -> str:
    """Two panels a target: the lead of each event caught, and false alerts by cause. The same input, the same bytes."""
    with svg_style():
        from matplotlib.figure import Figure

        targets = evaluation.targets
        figure = Figure(figsize=(7.2, 2.2 * len(targets)), layout="constrained")
        panels = figure.subplots(len(targets), 2, squeeze=False)
        for (left, right), (target, scores) in zip(panels, targets.items(), strict=True):
            _draw_leads(left, scores, wanted_lead_s(evaluation.manifest, target))
            left.set_title(f"{target}: lead before impact")
            _draw_false(right, scores)
            right.set_title(f"{target}: false alerts in {scores.events.strand_days:.2f} strand-days")
        return svg_text(figure)


def _draw_leads(axes: Any, scores: TargetScores, wanted_s: float) -> None:
    leads = sorted(scores.events.leads_s)
    axes.bar(range(len(leads)), leads, width=0.8, color="#3b6ea5")
    if wanted_s:
        axes.axhline(wanted_s, color="#b03a2e", linewidth=1, label=f"{wanted_s:g} s wanted")
        axes.legend(frameon=False, loc="upper left")
    axes.set_xlabel(f"{len(leads)} events caught before their impact, sorted")
    axes.set_ylabel("s")
    axes.set_xticks([])


def _draw_false(axes: Any, scores: TargetScores) -> None:
    events = scores.events
    causes = sorted({*events.look_alikes, *events.false_by_cause, NO_CAUSE})
    axes.barh(causes, [events.false_by_cause.get(cause, 0) for cause in causes], color="#b03a2e")
    axes.set_xlim(0, max(1, *events.false_by_cause.values()) if events.false_by_cause else 1)
    axes.set_xlabel("alerts")


def _look_alikes(scores: TargetScores) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in scores.events.look_alikes.items()) or "none"


def _unseen(event: dict[str, Any]) -> str:
    return f" ({event['unseen']} more while warming)" if event["unseen"] else ""


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
