"""A comparison for people: `comparison.md`, written from nothing but `metrics.json`."""

from collections.abc import Mapping, Sequence
from typing import Any

Metrics = Mapping[str, Any]
Rows = list[tuple[str, ...]]
"""The first is the header."""

_NAMES = {
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "f1": "F1",
    "recall_at_budget": "recall at the false share",
    "false_share": "false share on test",
    "brier": "Brier",
    "brier_calibrated": "Brier, calibrated",
    "ece": "calibration error",
    "ece_calibrated": "calibration error, calibrated",
}


def as_markdown(metrics: Metrics) -> str:
    """The whole page."""
    lines = ["# Sequence models against baselines", "", f"**{metrics['caveat']}**", "", *_about(metrics)]
    lines += ["", "## The headline: mean over targets", "", *headline_table(metrics)]
    lines += ["", "## Each recipe and baseline, over its seeds", "", *markdown_table(seed_rows(metrics))]
    for target, found in metrics["targets"].items():
        lines += ["", f"## {target}", "", *_scores(found)]
        for group, title in (("by_type", "Per defect"), ("by_difficulty", "Per difficulty")):
            lines += _section(f"### {title}", kind_rows(found[group], metrics["events"][target], group))
        lines += _section("### Where a sequence of scans tells more than statistics", verdict_rows(found))
        look_alikes = look_alike_rows(found["against_look_alike"], metrics["events"][target])
        lines += _section("### Per look-alike", look_alikes)
        lines += _section("### Alerts", alert_rows(metrics["events"][target]))
    return "\n".join([*lines, ""])


def _section(title: str, rows: Rows) -> list[str]:
    return ["", title, "", *markdown_table(rows)] if rows else []


def _about(metrics: Metrics) -> list[str]:
    data, method, chosen = metrics["data"], metrics["method"], metrics["chosen"]
    test, interval = data["splits"]["test"], method["interval"]
    about = (
        f"Data: `{data['line']}`, seed {data['seed']}, fingerprint `{data['fingerprint'][:12]}`; judged on "
        f"{test['windows']:,} windows of {test['sequences']} casting sequences, {test['strand_days']:g} strand-days. "
        f"{method['seeds']} trainings of each contestant; the baselines' parameters by {_trials(metrics)} trials of a "
        f"search, the recipes' as given (this repository's were made by hand). Intervals are 95 %, by a bootstrap over "
        f"casting sequences and seeds ({interval['replicates']:,} replicates); a dash is what cannot be told. The "
        f"sequence model is `{chosen['recipe']}`, chosen by the {chosen['by']}."
    )
    return [about]


def _trials(metrics: Metrics) -> str:
    facts = [one["facts"][0] for one in metrics["seeds"].values() if one["kind"] == "baseline"]
    return " and ".join(dict.fromkeys(str(one["trials"]) for one in facts if "trials" in one)) or "no"


def headline_table(metrics: Metrics) -> list[str]:
    """The chosen sequence model against both baselines, as a Markdown table."""
    return markdown_table(comparison_rows(metrics["comparison"]))


def comparison_rows(comparison: Metrics) -> Rows:
    """A sequence model against both baselines, score by score."""
    head = ("", "summary", "engineered", "sequence", "sequence - summary", "sequence - engineered")
    rows = [
        (
            _NAMES[score],
            number(one["baseline"]),
            number(one["engineered"]),
            number(one["sequence"]),
            difference(one["improvement"], one["interval"]),
            difference(one["over_engineered"], one["over_engineered_interval"]),
        )
        for score, one in comparison.items()
    ]
    return [head, *rows]


def seed_rows(metrics: Metrics) -> Rows:
    """Every contestant over its seeds."""
    head = ("", "seeds", "validation ROC-AUC", "test ROC-AUC", "test PR-AUC", "ROC-AUC - summary")
    rows = []
    for name, one in metrics["seeds"].items():
        above = metrics["recipes"].get(name, {}).get("roc_auc", {"improvement": None, "interval": None})
        spreads = [_spread(one[score]) for score in ("validation_roc_auc", "roc_auc", "pr_auc")]
        rows.append((name, str(len(one["seeds"])), *spreads, difference(above["improvement"], above["interval"])))
    return [head, *rows]


def _scores(found: Metrics) -> list[str]:
    contestants = found["contestants"]
    rows = [(text, *(_spread(one[score]) for one in contestants.values())) for score, text in _NAMES.items()]
    return [
        *markdown_table([("", *contestants), *rows]),
        "",
        "The chosen sequence model:",
        "",
        *markdown_table(comparison_rows(found["comparison"])),
    ]


def kind_rows(duels: Metrics, events: Metrics, group: str) -> Rows:
    """By type or by difficulty: ROC-AUC of the windows, then how many of the events were caught; may be empty."""
    kinds = sorted({*duels, *(kind for one in events.values() for kind in one[group])})
    if not kinds:
        return []
    rows = []
    for kind in kinds:
        aucs = duels.get(kind, {}).get("roc_auc", {})
        caught = [one[group].get(kind) for one in events.values()]
        count = next((str(one["events"]) for one in caught if one), "-")
        shares = ["-" if one is None else f"{one['recall']:.0%}" for one in caught]
        rows.append((kind, count, *(number(aucs.get(name)) for name in events), *shares))
    return [("", "events", *(f"ROC-AUC {name}" for name in events), *(f"caught {name}" for name in events)), *rows]


def verdict_rows(found: Metrics) -> Rows:
    """The chosen sequence model against the baselines, by type and by difficulty, and what follows; may be empty."""
    rows: Rows = [("ROC-AUC", "events", "sequence - summary", "", "sequence - engineered", "")]
    for group in ("by_type", "by_difficulty"):
        for kind, one in found[group].items():
            told = one["comparison"]
            above, interval = told["improvement"], told["interval"]
            over, over_interval = told["over_engineered"], told["over_engineered_interval"]
            words = (_verdict(interval), _verdict(over_interval))
            cells = (difference(above, interval), words[0], difference(over, over_interval), words[1])
            rows.append((kind, str(one["events"]), *cells))
    return rows if len(rows) > 1 else []


def _verdict(interval: Sequence[float] | None) -> str:
    if interval is None:
        return "cannot be told"
    low, high = interval
    return "more" if low > 0 else "less" if high < 0 else "no difference shows"


def look_alike_rows(duels: Metrics, events: Metrics) -> Rows:
    """ROC-AUC of the defect against the look-alike, then false alerts a strand-day; may be empty."""
    kinds = sorted({*duels, *(kind for one in events.values() for kind in one["false_by_look_alike"])})
    if not kinds:
        return []
    rows = []
    for kind in kinds:
        aucs = duels.get(kind, {}).get("roc_auc", {})
        false = [one["false_by_look_alike"].get(kind) for one in events.values()]
        happened = next((str(one["happened"]) for one in false if one), "-")
        rows.append((kind, happened, *(number(aucs.get(name)) for name in events), *(rate(one) for one in false)))
    head = ("", "happened", *(f"ROC-AUC {name}" for name in events), *(f"false a day {name}" for name in events))
    return [head, *rows]


def alert_rows(events: Metrics) -> Rows:
    """What operators would feel of every contestant, for one target."""
    first = next(iter(events.values()))
    return [
        ("", *events),
        ("events caught", *(f"{number(one['caught'], 1)} of {one['events']}" for one in events.values())),
        (
            f"caught with lead ≥ {first['lead_wanted_s']:g} s",
            *(percent(one["recall_with_lead"]) for one in events.values()),
        ),
        ("lead before impact, median", *(seconds(one["lead_median_s"]) for one in events.values())),
        ("lead before impact, 10th percentile", *(seconds(one["lead_p10_s"]) for one in events.values())),
        (
            f"false a strand-day (budget {first['budget_false_per_strand_day']:g})",
            *(rate(one["false"]) for one in events.values()),
        ),
        (
            "seeds that kept it on validation",
            *(f"{one['budget_kept_on_validation']} of {len(one['policies'])}" for one in events.values()),
        ),
        ("alert lasts, median", *(seconds(one["alert_median_s"]) for one in events.values())),
        ("time with an alert open", *(percent(one["open_share"]) for one in events.values())),
    ]


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as a Markdown table; the first is its header."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _spread(one: Metrics) -> str:
    deviation = one["deviation"]
    return number(one["mean"]) + ("" if deviation is None else f" ± {deviation:.4f}")


def difference(value: float | None, interval: Sequence[float] | None) -> str:
    """A difference with its interval."""
    if value is None:
        return "-"
    return f"{value:+.4f}" + ("" if interval is None else f" [{interval[0]:+.4f}, {interval[1]:+.4f}]")


def rate(false: Metrics | None) -> str:
    """False alerts a strand-day with their interval."""
    if false is None or false["per_strand_day"] is None:
        return "-"
    low, high = false["per_strand_day_95"]
    return f"{false['per_strand_day']:.2f} [{low:.2f}, {high:.2f}]"


def number(value: float | None, digits: int = 4) -> str:
    """A number, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def seconds(value: float | None) -> str:
    """Seconds, or a dash."""
    return "-" if value is None else f"{value:.1f} s"


def percent(share: float | None) -> str:
    """A share, or a dash."""
    return "-" if share is None else f"{share:.1%}"
