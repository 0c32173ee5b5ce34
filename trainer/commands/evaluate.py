"""`trainer evaluate`: what an exported bundle says of a dataset's sequences, and what that is worth."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import UsageError
from trainer.commands.console import progress, tell

if TYPE_CHECKING:
    from models.bundle import Bundle
    from trainer.evaluation.evaluate import Evaluation


def command(
    data: Annotated[Path, typer.Option(help="Folder of a dataset.")],
    bundle: Annotated[str, typer.Option(help="A bundle's folder, or the name of a released one.")] = "current",
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report; a released bundle has its own.", show_default=False)
    ] = None,
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
    from trainer.datasets.records import SPLITS
    from trainer.evaluation.evaluate import evaluate_bundle

    chosen = next((known for known in SPLITS if known == split), None)
    if chosen is None:
        raise UsageError(f"expected one of {', '.join(SPLITS)}, got `{split}` at --split")
    loaded = read(bundle)
    dataset = Dataset.open(data)
    predictor = Predictor(loaded)
    with progress(f"scoring the {split} split", len(dataset.sequences(chosen)), "sequences") as advance:
        evaluation = evaluate_bundle(predictor, dataset, chosen, advance)
    folder = out or _own_folder(loaded)
    if folder is not None:
        from trainer.evaluation.report import write_report

        for path in write_report(evaluation, folder):
            print(f"wrote {path}", file=sys.stderr)
    tell(evaluation.as_dict(), _table(evaluation), as_json=as_json)


def _own_folder(bundle: "Bundle") -> Path | None:
    """Where a released bundle's evaluation lies; others have none."""
    from models.bundle import RELEASED

    if bundle.path.resolve().parent != RELEASED.resolve():
        return None
    return RELEASED / "evaluation" / bundle.manifest.name


def _table(evaluation: "Evaluation") -> list[str]:
    from trainer.evaluation.report import summary_rows

    lines = [f"{evaluation.manifest.model}, {evaluation.split} split, {evaluation.sequences} casting sequences"]
    for target in evaluation.targets:
        lines.append(f"{target}:")
        lines += [f"  {what:<34}{value}" for what, value in summary_rows(evaluation, target)]
    return [*lines, evaluation.caveat]
