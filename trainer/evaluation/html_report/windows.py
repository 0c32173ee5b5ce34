"""The chapters of windows: how well they are told apart, and whether a probability can be believed."""

from trainer.evaluation.evaluate import Evaluation, labelled
from trainer.evaluation.html_report.parts import Chapter, Figure, Group
from trainer.evaluation.html_report.window_pictures import pr_svg, reliability_svg, roc_svg

ONE_CLASS = "All windows of these sequences are of one class: neither curve can be drawn."


def curves(evaluation: Evaluation) -> Chapter:
    """ROC and PR."""
    groups = []
    for index, target in enumerate(evaluation.targets):
        truth, said = labelled(evaluation.traces, evaluation.events, target, index)
        scores, threshold = evaluation.targets[target], evaluation.manifest.alert[target].open
        if scores.roc_auc is None or scores.pr_auc is None:
            groups.append(Group(target, (ONE_CLASS,)))
            continue
        roc = Figure(
            f"ROC, area {scores.roc_auc:.4f}",
            "Further up and to the left is better. A step to the right: ten times as many windows without an event.",
            roc_svg(said, truth, threshold),
        )
        pr = Figure(
            f"Precision and recall, area {scores.pr_auc:.4f}",
            "Further up and to the right is better. Where events are rare this tells more than the ROC curve.",
            pr_svg(said, truth, threshold),
        )
        groups.append(Group(target, figures=(roc, pr)))
    return Chapter(
        "curves",
        "How well windows are told apart",
        "Each window of scans gets a probability. Lower the probability that counts as an alarm, and more windows of "
        "events reach it, but more of the others too: the curves show both for every choice, the dot the one made.",
        tuple(groups),
    )


def calibration(evaluation: Evaluation) -> Chapter:
    """Reliability diagrams."""
    texts, figures = [], []
    for index, target in enumerate(evaluation.targets):
        truth, said = labelled(evaluation.traces, evaluation.events, target, index)
        error = evaluation.targets[target].calibration_error
        if error is None:
            texts.append(f"No window of these sequences is positive or negative of {target}.")
            continue
        figures.append(
            Figure(
                f"Reliability of {target}, calibration error {error:.4f}",
                "On the dashed line a probability is what it says; below it the model is too sure. Bins with few "
                "windows, see the bars, say little.",
                reliability_svg(said, truth, evaluation.manifest.alert[target].open),
            )
        )
    return Chapter(
        "calibration",
        "Can a probability be believed?",
        "Of all windows that got about 0.8, eight in ten should be of an event. Alerts depend on the threshold alone, "
        "so a model may be useful and yet not be believed to the digit. Most windows lie at the far left and decide "
        "the error.",
        (Group(texts=tuple(texts), figures=tuple(figures)),),
    )
