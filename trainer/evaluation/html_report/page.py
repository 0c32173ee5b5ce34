"""The page: its chapters in order, and the file.

    write_html(evaluation, bundle, facts, beside, patterns, Path("runs/mine"))

No script, nothing from elsewhere: the file can be mailed, opened offline and printed.
"""

from collections.abc import Sequence
from pathlib import Path

import jinja2

from models.bundle import Bundle
from models.whole_file import write_whole
from trainer.datasets.describe import DatasetFacts
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.html_report import about, scores, time, windows
from trainer.evaluation.html_report.beside import Beside
from trainer.evaluation.html_report.parts import Chapter, inline
from trainer.evaluation.html_report.stretches import stretches
from trainer.evaluation.report import scope_name
from trainer.evaluation.temporal import TemporalPatterns
from trainer.svg import letters_as_text


def write_html(
    evaluation: Evaluation,
    bundle: Bundle,
    facts: DatasetFacts,
    beside: Beside,
    patterns: TemporalPatterns,
    folder: Path,
) -> Path:
    """Write `<split>.html` into a folder.

    Args:
        evaluation: what to show.
        bundle: that was judged.
        facts: of the dataset.
        beside: chapters of what other commands left.
        patterns: of the same traces.
        folder: made if there is none.

    Raises:
        BundleError: what training left in the bundle was altered.
        OSError: the system will not take it.
    """
    path = folder / f"{evaluation.split}.html"
    with letters_as_text():
        write_whole(path, as_html(evaluation, chapters(evaluation, bundle, facts, beside, patterns)).encode())
    return path


def chapters(
    evaluation: Evaluation,
    bundle: Bundle,
    facts: DatasetFacts,
    beside: Beside,
    patterns: TemporalPatterns,
) -> list[Chapter]:
    """All chapters in order; arguments as for `write_html`."""
    record = about.training_record(bundle)
    found = [
        scores.answer(evaluation),
        scores.kinds(evaluation),
        scores.leads(evaluation),
        time.over_time(evaluation, patterns),
        *stretches(evaluation),
        scores.confusion(evaluation),
        windows.curves(evaluation),
        windows.calibration(evaluation),
        *beside.chapters,
        about.training(record),
        about.data_card(facts),
        about.not_shown(evaluation, beside.missing),
        about.how_made(evaluation, record),
    ]
    return [chapter for chapter in found if chapter is not None]


def as_html(evaluation: Evaluation, parts: Sequence[Chapter]) -> str:
    """The page of these chapters."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("trainer.evaluation.html_report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = inline
    return environment.get_template("report.html").render(
        title=f"{evaluation.manifest.model}: {scope_name(evaluation)}",
        caveat=evaluation.caveat,
        chapters=parts,
    )
