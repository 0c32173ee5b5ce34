"""`trainer leak`: networks taught shuffled labels, which must know nothing."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainer.commands.console import tell
from trainer.commands.training_progress import training_progress

if TYPE_CHECKING:
    from trainer.experiments.leak import LeakTest
    from trainer.experiments.runs import Scores


def command(
    data: Annotated[Path, typer.Option(help="Folder of a dataset.")],
    recipe: Annotated[str, typer.Option(help="A recipe's name, or a TOML file.")] = "tiny",
    shuffles: Annotated[int, typer.Option(min=2, max=1000, help="Trainings on shuffled labels.")] = 10,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON object.")] = False,
) -> None:
    r"""Train on shuffled labels: what scores above chance then is a leak.

    Windows of training, and of validation, exchange their labels; each
    network is judged by the true ones of test. Exits with 1 where a leak is
    to be suspected.

    Example:
      trainer leak --data data/line --set num_epochs=1
    """
    from trainer.config import load_config
    from trainer.experiments.leak import leak_test

    config = load_config(recipe, assignments or [])
    with training_progress(config.num_epochs) as (on_epoch, on_step):
        test = leak_test(data, config, shuffles, on_scored=_tell_scored, on_epoch=on_epoch, on_step=on_step)
    tell(_result(test), _sentences(test), as_json=as_json)
    if test.suspected:
        raise typer.Exit(1)


def _tell_scored(shuffle: int | None, scores: "Scores") -> None:
    what = "true labels" if shuffle is None else f"shuffle {shuffle}"
    print(f"{what}: test ROC-AUC {scores.roc_auc:.4f}", file=sys.stderr, flush=True)


def _result(test: "LeakTest") -> dict[str, Any]:
    return {
        "real": test.real.roc_auc,
        "shuffled": [scores.roc_auc for scores in test.shuffled],
        "mean": test.mean,
        "standard_error": test.error,
        "leak_suspected": test.suspected,
    }


def _sentences(test: "LeakTest") -> list[str]:
    scores = (
        f"{len(test.shuffled)} trainings on shuffled labels: test ROC-AUC {test.mean:.4f} in the mean "
        f"(standard error {test.error:.4f}), {test.highest:.4f} at most; on the true ones {test.real.roc_auc:.4f}"
    )
    return [scores, "a leak is to be suspected" if test.suspected else "no sign of a leak"]
