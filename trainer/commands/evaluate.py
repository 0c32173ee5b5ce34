"""`trainer evaluate`: what an exported bundle says of a dataset's sequences, and what that is worth."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import UsageError
from trainer.commands.console import AnySplit, progress, require_writable, tell

if TYPE_CHECKING:
    from models.bundle import Bundle
    from models.runtime import Predictor
    from trainer.evaluation.evaluate import Evaluation


def command(
    data: Annotated[Path, typer.Option(help="Folder of a dataset.")],
    bundle: Annotated[str, typer.Option(help="A bundle's folder, or the name of a released one.")] = "current",
    split: Annotated[
        AnySplit,
        typer.Option(help="Which sequences; `all` for a line the bundle was not trained on."),
    ] = "test",
    out: Annotated[Path | None, typer.Option(help="Write the report into this folder too.", show_default=False)] = None,
    with_: Annotated[
        list[Path] | None,
        typer.Option("--with", help="Folder of metrics.json, explain.json, ... to show; repeatable. (default: OUT)"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    """Judge an exported bundle by window and, as the operator meets it, by event.

    Every due window goes through ONNX Runtime and the worker's own alert rules.
    --out writes SPLIT.json, SPLIT.md, SPLIT.svg and SPLIT.html: one page with
    curves, events, misses, false alarms and the data card that needs no
    network. What `trainer compare`, `ablate`, `explain`, `profile` and this
    command with --split all left in OUT, or in --with DIR, is shown too.

    Example:
      trainer evaluate --data data/line --bundle casting-cnn-lstm --out runs/mine
    """
    from models.bundle import read
    from models.runtime import Predictor
    from trainer.datasets.dataset import Dataset
    from trainer.evaluation.evaluate import evaluate_bundle

    for folder in with_ or []:
        if out is None or not folder.is_dir():
            raise UsageError(f"expected a folder beside --out, got {folder} at --with: name both, or leave it out")
    if out is not None:
        require_writable(out)
    loaded = read(bundle)
    dataset = Dataset.open(data)
    predictor = Predictor(loaded)
    count = len(dataset.sequences(None if split == "all" else split))
    with progress("scoring", count, "sequences") as advance:
        evaluation = evaluate_bundle(predictor, dataset, split, advance, at_once=len(os.sched_getaffinity(0)))
    if out is not None:
        _write(evaluation, loaded, predictor, out, with_ or [out])
    tell(evaluation.as_dict(), _table(evaluation), as_json=as_json)


def _write(evaluation: "Evaluation", bundle: "Bundle", predictor: "Predictor", out: Path, beside: list[Path]) -> None:
    from trainer.datasets.describe import describe
    from trainer.evaluation.html_report.beside import read_beside
    from trainer.evaluation.html_report.page import write_html
    from trainer.evaluation.report import write_report
    from trainer.evaluation.temporal import temporal_patterns

    found = read_beside(beside, evaluation)
    with progress("describing", sum(entry.rows for entry in evaluation.dataset.sequences()), "scans") as advance:
        # It was held to its fingerprint before it was judged.
        facts = replace(describe(evaluation.dataset, advance), verified=True)
    patterns = temporal_patterns(
        predictor, evaluation.dataset, evaluation.split, name=evaluation.manifest.model, traces=evaluation.traces
    )
    page = write_html(evaluation, bundle, facts, found, patterns, out)
    for path in (*write_report(evaluation, out), page):
        print(f"wrote {path}", file=sys.stderr)


def _table(evaluation: "Evaluation") -> list[str]:
    from trainer.evaluation.report import scope_name, summary_rows

    lines = [f"{evaluation.manifest.model}, {scope_name(evaluation)}, {evaluation.sequences} casting sequences"]
    for target in evaluation.targets:
        lines.append(f"{target}:")
        lines += [f"  {what:<34}{value}" for what, value in summary_rows(evaluation, target)]
    return [*lines, evaluation.caveat]
