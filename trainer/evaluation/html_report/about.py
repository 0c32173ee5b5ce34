"""The chapters around the scores: training curves, the data card, what is not shown, how the page was made."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from models.bundle import Bundle, read_file
from models.errors import BundleError, mismatch
from trainer.datasets.card import BALANCE, SENSORS, sections
from trainer.datasets.card_layout import Section
from trainer.datasets.describe import DatasetFacts
from trainer.datasets.pictures import draw_balance, draw_missing
from trainer.datasets.records import FROM_TOPIC
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.html_report.parts import Chapter, Figure, Group
from trainer.export import RECORD_FILE
from trainer.training.curves import curves_svg
from trainer.training.history import EpochRecord


def training_record(bundle: Bundle) -> dict[str, Any]:
    """What training left in the bundle; empty without.

    Raises:
        BundleError: it was altered, or is no JSON.
    """
    if RECORD_FILE not in bundle.manifest.files or not (bundle.path / RECORD_FILE).exists():
        return {}
    try:
        return msgspec.json.decode(read_file(bundle, RECORD_FILE), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BundleError(mismatch("JSON", f"something else ({error})", str(bundle.path / RECORD_FILE))) from None


def training(record: dict[str, Any]) -> Chapter | None:
    """The curves of the training; None without."""
    if not record.get("history"):
        return None
    history = msgspec.convert(record["history"], list[EpochRecord])
    kept = max(epoch.epoch for epoch in history if epoch.best)
    figure = Figure(
        f"{len(history)} epochs, the weights of epoch {kept} were kept",
        "Training loss that falls while validation loss rises is learning by heart; validation chose the epoch.",
        curves_svg(history),
        wide=True,
    )
    return Chapter(
        "training",
        "How it was trained",
        "One point an epoch. The left picture should fall and level off, the middle one rise and level off.",
        (Group(figures=(figure,)),),
    )


def data_card(facts: DatasetFacts) -> Chapter:
    """The dataset card."""
    pictures = {
        BALANCE: Figure(
            "Class balance and events by type",
            "Above, what share of the windows is positive or left out; below, events by type and split.",
            draw_balance(facts),
            wide=True,
        )
    }
    if facts.missing.any():
        pictures[SENSORS] = Figure(
            "Missing values by sensor and casting sequence",
            "On the left over all scans, on the right in each casting sequence, split by split in time.",
            draw_missing(facts),
            wide=True,
        )
    groups = [
        Group(part.title, tables=(part,), figures=(pictures[part.title],) if part.title in pictures else ())
        for part in sections(facts)
    ]
    return Chapter(
        "data",
        "The data it was judged on",
        "The dataset card: how much there is, what happened in it, and what is missing. The command trainer "
        "describe shows an example of each kind of event besides.",
        tuple(groups),
    )


def not_shown(evaluation: Evaluation, missing: Sequence[str]) -> Chapter:
    """What nobody may conclude from the page.

    Args:
        evaluation: what was judged.
        missing: what was not at hand, a sentence each.
    """
    info = evaluation.dataset.info
    told = [evaluation.caveat]
    if not info.imported:
        told.append(
            "Unless it was made at natural rates, defects and look-alikes are far denser on this line than on a "
            "caster: false alerts a strand-day, precision, PR-AUC and calibration do not carry over to a plant."
        )
    if evaluation.own_line and evaluation.split in {"train", "all"}:
        told.append("The model was trained on these very sequences: the scores are too good.")
    elif evaluation.own_line and evaluation.split == "validation":
        told.append("The epoch and the alert thresholds were chosen on these very sequences: the scores are too good.")
    elif evaluation.chosen_here:
        told.append("The alert thresholds were chosen on these very sequences: the alerts' scores are too good.")
    elif evaluation.own_line:
        told.append(
            f"The {evaluation.sequences} casting sequences come from the same line as those trained on, and perhaps "
            "from the same strands: another caster is another matter."
        )
    if info.line == FROM_TOPIC:
        told.append("What nobody wrote down counts as nothing: an alert for it is counted false.")
    told += [
        "This is one training with one seed. Another seed gives other numbers; how far they lie apart a series shows.",
        "The interval of the false alerts holds if they come independently; the other numbers have none here.",
        "Windows overlap: their count is not the number of independent observations.",
        "Whether people who get these alerts act in time, and what an alert costs them, is not measured.",
        *missing,
    ]
    return Chapter(
        "limits",
        "What the result does not show",
        "Read this before a number is quoted elsewhere.",
        (Group(texts=tuple(told)),),
    )


def how_made(evaluation: Evaluation, record: dict[str, Any]) -> Chapter:
    """Everything needed to make the page again; nothing that two runs on one machine differ in."""
    manifest, info = evaluation.manifest, evaluation.dataset.info
    trained = record.get("versions", {})
    here = ("strandwatch", "numpy", "scikit-learn", "matplotlib")
    rows = [
        ("model", f"{manifest.model}, graph {manifest.model_sha256}"),
        ("architecture", str(manifest.architecture.get("model_type", "unknown"))),
        ("trained at commit", manifest.git_commit),
        ("recipe, seed", f"{manifest.training.get('recipe', 'unknown')}, {manifest.training.get('seed', 'unknown')}"),
        ("trained on data", manifest.data_fingerprint or "unknown"),
        ("trained with", ", ".join(f"{name} {number}" for name, number in trained.items()) or "unknown"),
        ("judged on", f"{info.line}, seed {info.seed}, fingerprint {info.fingerprint}"),
        ("sequences", f"{evaluation.sequences}, split {evaluation.split}"),
        ("judged with", ", ".join(f"{name} {version(name)}" for name in here)),
        ("runtime", f"ONNX Runtime, {evaluation.provider}"),
        ("command", f"trainer evaluate --data DIR --bundle {manifest.name} --split {evaluation.split} --out DIR"),
    ]
    return Chapter(
        "made",
        "How it was made",
        "The same bundle and data write this page again, byte for byte.",
        (Group(tables=(Section("made", rows=tuple(rows)),)),),
    )
