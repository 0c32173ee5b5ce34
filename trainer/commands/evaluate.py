"""`trainer evaluate`: what an exported bundle says of a dataset's sequences, and what that is worth."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from trainer.commands.console import progress, require_writable, tell

if TYPE_CHECKING:
    from trainer.evaluation.evaluate import Evaluation


def command(
    data: Annotated[Path, typer.Option(help="Folder of a dataset.")],
    bundle: Annotated[str, typer.Option(help="A bundle's folder, or the name of a released one.")] = "current",
    split: Annotated[
        Literal["train", "validation", "test", "all"],
        typer.Option(help="Which sequences; `all` for a line the bundle was not trained on."),
    ] = "test",
    out: Annotated[Path | None, typer.Option(help="Write the report into this folder too.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    """Judge an exported bundle by window and, as the operator meets it, by event.

    Every due window goes through ONNX Runtime and the worker's own alert rules.

    Example:
      trainer evaluate --data data/line --bundle tiny-sticker --split test
    """
    from models.bundle import read
    from models.runtime import Predictor
    from trainer.datasets.dataset import Dataset
    from trainer.evaluation.evaluate import evaluate_bundle

    if out is not None:
        require_writable(out)
    loaded = read(bundle)
    dataset = Dataset.open(data)
    predictor = Predictor(loaded)
    count = len(dataset.sequences(None if split == "all" else split))
    with progress("scoring", count, "sequences") as advance:
        evaluation = evaluate_bundle(predictor, dataset, split, advance, at_once=len(os.sched_getaffinity(0)))
    if out is not None:
        from trainer.evaluation.report import write_report

        for path in write_report(evaluation, out):
            print(f"wrote {path}", file=sys.stderr)
    tell(evaluation.as_dict(), _table(evaluation), as_json=as_json)


def _table(evaluation: "Evaluation") -> list[str]:
    from trainer.evaluation.report import scope_name, summary_rows

    lines = [f"{evaluation.manifest.model}, {scope_name(evaluation)}, {evaluation.sequences} casting sequences"]
    for target in evaluation.targets:
        lines.append(f"{target}:")
        lines += [f"  {what:<34}{value}" for what, value in summary_rows(evaluation, target)]
    return [*lines, evaluation.caveat]
