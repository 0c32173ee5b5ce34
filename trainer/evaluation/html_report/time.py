"""The chapter of time: when a probability rises, and how much of the past it is made of."""

from collections.abc import Iterator

from trainer.datasets.card_layout import Section
from trainer.evaluation.aligned import AlignedCurve, Anchor
from trainer.evaluation.comparison.page import number, seconds
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.html_report.parts import Chapter, Figure, Group
from trainer.evaluation.known_rows import SUFFICES, History
from trainer.evaluation.temporal import TemporalPatterns
from trainer.evaluation.temporal_pictures import aligned_svg, history_svg

STILL = 0.05
"""A probability that stays below this has not risen."""

LEARNT_WHOLE = (
    "The network learnt whole windows: that a gap puts it out does not say that it needs what was there. How long a "
    "window and how many scans it needs when it is trained on no more, an ablation tells."
)


def over_time(evaluation: Evaluation, patterns: TemporalPatterns) -> Chapter | None:
    """Curves around onset and impact, and the history each target needs; None where there is neither."""
    groups = tuple(_group(evaluation, patterns, target) for target in evaluation.targets)
    if not any(group.figures or group.texts for group in groups):
        return None
    return Chapter(
        "time",
        "When the probability rises",
        "Each panel shows one kind of event: the median of the probability over its events, and its quartiles. "
        "It should rise between the onset and the impact, early and steeply; for what must not raise it, it should "
        "stay at the bottom. The onset is when the simulator or the record lets the event begin; nothing shows "
        "before it.",
        groups,
    )


def _group(evaluation: Evaluation, patterns: TemporalPatterns, target: str) -> Group:
    opens = evaluation.manifest.alert[target].open
    period_s = evaluation.manifest.window.period_ms / 1000
    curves = [curve for curve in patterns.aligned if curve.target == target]
    told = [entry for entry in patterns.history if entry.target == target and entry.roc_auc[-1] is not None]
    still = [curve.event_type for curve in curves if not _is_shown(curve) and curve.anchor == "onset"]
    texts = [*(_suffices(entry, period_s) for entry in told), *([LEARNT_WHOLE] if told else ())]
    if still:
        texts.append(f"At every moment around the onset three of four are below {STILL:g}: {', '.join(still)}.")
    head = ("event", "events", f"half of them are at {opens:.4f} or above")
    reached = [
        (curve.event_type, str(curve.events), _when(curve.reaches_s(opens)))
        for curve in curves
        if curve.own and curve.anchor == "impact"
    ]
    shown = TemporalPatterns(tuple(curve for curve in curves if _is_shown(curve)), tuple(told))
    return Group(
        target,
        tuple(texts),
        tables=(Section("", head, tuple(reached)),) if reached else (),
        figures=tuple(_figures(shown, target)),
    )


def _figures(shown: TemporalPatterns, target: str) -> Iterator[Figure]:
    anchors: tuple[tuple[Anchor, str], ...] = (
        ("onset", "From where an event begins; a window holds all of it only when it is a window's length past."),
        ("impact", "Towards the harm: what rises too late cannot be acted on."),
    )
    for anchor, caption in anchors:
        panels = sum(curve.anchor == anchor for curve in shown.aligned)
        if panels:
            yield Figure(f"Around the {anchor}", caption, aligned_svg(shown, target, anchor), wide=panels > 1)
    if shown.history:
        yield Figure(
            "How much of the past it takes",
            "ROC-AUC if only the last rows of each window are known. Where the curve is flat, what lies further back "
            "adds nothing.",
            history_svg(shown, target),
            wide=True,
        )


def _is_shown(curve: AlignedCurve) -> bool:
    """Of what must not raise the probability only what does; after an impact it may be of another event."""
    return curve.own or (curve.anchor == "onset" and max(filter(None, curve.high), default=0.0) >= STILL)


def _when(reached_s: float | None) -> str:
    if reached_s is None:
        return "never"
    return f"{seconds(-reached_s)} before the impact" if reached_s < 0 else f"{seconds(reached_s)} after it"


def _suffices(entry: History, period_s: float) -> str:
    rows = entry.rows_that_suffice() or entry.rows[-1]
    fate = "missing" if entry.earlier == "missing" else "held at the first known value"
    if rows == entry.rows[-1]:
        known = entry.rows[-2] if len(entry.rows) > 1 else 0
        return f"With all but the last {known} rows {fate}, more than {SUFFICES:g} ROC-AUC is lost."
    return (
        f"With all but the last {rows} rows ({rows * period_s:g} s) {fate}, no more than {SUFFICES:g} ROC-AUC of "
        f"{number(entry.roc_auc[-1], 4)} is lost."
    )
