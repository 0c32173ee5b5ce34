"""The page of an explanation, and its sentences: what was found better than its controls, and what was not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.evaluation.comparison.page import Rows, markdown_table
from trainer.evaluation.evaluate import caveat_of
from trainer.explanation.attribution import BLOCK_ROWS, STEPS
from trainer.explanation.explain import OCCLUDED_NETWORKS, SHUFFLED_NETWORKS
from trainer.explanation.judging import Estimate, Judgement
from trainer.explanation.pictures import METHOD_NAMES, caption
from trainer.explanation.summary import Explanation

if TYPE_CHECKING:
    from trainer.explanation.report import ExplanationReport

BASELINE = (
    "Compared with what each sensor ordinarily shows on that strand: its median over the rows of the casting sequence "
    "during which no event of the targets goes on."
)

UNKNOWN = (
    "This dataset does not say which sensors an event touched: nothing can be judged here, and whether these "
    "attributions point at the events remains unknown."
)

NOT_SHOWN = (
    "Attribution tells what the network's answer rests on, not what caused the event. Attention tells which rows' "
    "states were read, and a state has seen every row before it. Where a method is no better than its controls, its "
    "pictures are no evidence of anything. Each interval stands by itself: of twenty such, one may miss by luck, and a "
    f"network that learnt nothing passes for better than {SHUFFLED_NETWORKS} shuffled ones once in about "
    f"{SHUFFLED_NETWORKS + 1} times. Occlusion is dear and is held against {OCCLUDED_NETWORKS} of these networks a "
    "window, not all: its intervals are wider, and more windows narrow them."
)

RANKED = 8
"""Sensors of a ranking that the page shows; the JSON has all."""


def findings(judgements: Sequence[Judgement]) -> list[str]:
    """What is better than its controls and what is not, a sentence for each target, method and verdict."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for judgement in judgements:
        group = grouped.setdefault((judgement.target, judgement.method, judgement.verdict), [])
        group.append(f"{judgement.kind} of {_type(judgement)}")
    told = []
    for (target, method, verdict), what in grouped.items():
        subject = f"{METHOD_NAMES[method]} for `{target}`"
        if verdict == "cannot be told":
            told.append(f"{subject}: cannot be told, too few casting sequences: {', '.join(what)}.")
        else:
            told.append(f"{subject} is {verdict}: {', '.join(what)}.")
    return told


def as_markdown(report: "ExplanationReport") -> str:
    """The page."""
    found, info = report.explanation, report.info
    about = (
        f"{len(report.explained)} windows that end within events of the {report.split} split of `{info.line}`, seed "
        f"{info.seed}, fingerprint `{info.fingerprint[:12]}`. Model: `{report.manifest.model_sha256}`. {BASELINE} "
        f"Integrated gradients in {STEPS} steps; occlusion in stretches of {BLOCK_ROWS} scans of one sensor or more. "
        f"Controls: attribution strewn at random, and {SHUFFLED_NETWORKS} networks with shuffled weights."
    )
    lines = [f"# What {report.manifest.model} looks at", "", f"**{caveat_of(info)}**", "", about]
    if not report.judged:
        lines += ["", f"**{UNKNOWN}**"]
    for target, windows in found.windows.items():
        gap = found.completeness[target]
        lines += ["", f"## {target}", ""]
        lines.append("Windows: " + ", ".join(f"{count} {kind}" for kind, count in windows.items()) + ".")
        lines += _judged(found, target)
        lines += ["", *markdown_table(ranking_rows(found, target)), ""]
        lines.append(
            f"Integrated gradients miss what they must add up to (median {gap.moved:g} logits) by {gap.median:g} in "
            f"the median, {gap.p95:g} at the 95th percentile."
        )
    lines += ["", "## Examples", "", "Of each type the window of median share, neither the best nor the worst.", ""]
    for name, entry in report.examples():
        lines += [f"![{caption(entry)}](examples/{name}.svg)", ""]
    return "\n".join([*lines, "## What this does not show", "", NOT_SHOWN, ""])


def score_line(found: Explanation, target: str) -> str:
    """The explanation score in words."""
    score = found.scores[target]
    if score is None:
        return "explanation score: cannot be judged"
    return f"explanation score: {score:+.3f} (integrated gradients' share of cells above the larger control)"


def _judged(found: Explanation, target: str) -> list[str]:
    judgements = judgements_of(found, target)
    if not judgements:
        return []
    told = [f"- {finding}" for finding in findings(judgements)]
    score = score_line(found, target)
    return ["", f"{score[0].upper()}{score[1:]}.", "", *markdown_table(judged_rows(judgements)), "", *told]


def judgements_of(found: Explanation, target: str) -> list[Judgement]:
    """Those of a target, over all of its types first."""
    return [judgement for judgement in found.judgements if judgement.target == target]


def judged_rows(judgements: Sequence[Judgement]) -> Rows:
    """One target's judgements, one at least.

    Of all types every kind of share; of each type only the sharpest that a method knows of.
    """
    overall = judgements[0].type
    shown = [
        judgement
        for judgement in judgements
        if judgement.type == overall or judgement.kind == "cells" or judgement.method == "attention"
    ]
    head = (
        "type", "method", "share of", "windows / sequences", "here", "random", "shuffled", "above random",
        "above shuffled", "verdict",
    )  # fmt: skip
    rows = [
        (
            _type(judgement),
            METHOD_NAMES[judgement.method],
            judgement.kind,
            f"{judgement.windows} / {judgement.sequences}",
            f"{judgement.share.mean:.1%}",
            f"{judgement.random:.1%}",
            f"{judgement.shuffled:.1%}",
            _difference(judgement.above_random),
            _difference(judgement.above_shuffled),
            judgement.verdict,
        )
        for judgement in shown
    ]
    return [head, *rows]


def ranking_rows(found: Explanation, target: str) -> Rows:
    """The sensors that a target's answers rest on most, and each method's share of them."""
    ranked = found.ranking[target]
    methods = list(ranked[0].shares)
    head = ("sensor", *(METHOD_NAMES[method] for method in methods))
    return [head, *((rank.sensor, *(_share(rank.shares[one]) for one in methods)) for rank in ranked[:RANKED])]


def _type(judgement: Judgement) -> str:
    return "all types" if judgement.type is None else judgement.type


def _difference(found: Estimate) -> str:
    if found.interval is None:
        return f"{found.mean:+.3f}"
    return f"{found.mean:+.3f} ({found.interval[0]:+.3f} to {found.interval[1]:+.3f})"


def _share(found: Estimate) -> str:
    if found.interval is None:
        return f"{found.mean:.1%}"
    return f"{found.mean:.1%} ({found.interval[0]:.1%} to {found.interval[1]:.1%})"
