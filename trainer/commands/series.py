"""`trainer series`: recipes trained with several seeds, each run a row from which an interrupted series goes on."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import UsageError
from trainer.commands.console import require_writable, tell
from trainer.commands.training_progress import training_progress

if TYPE_CHECKING:
    from trainer.experiments.runs import RunRow


def command(
    data: Annotated[Path, typer.Option(help="Folder of a dataset.")],
    recipe: Annotated[list[str], typer.Option(help="A recipe's name, or a TOML file. May be repeated.")],
    runs: Annotated[Path, typer.Option(help="The rows, one a run: JSON Lines; what is there is not run again.")],
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Seeds of each recipe: 0, 1, ...")] = 5,
    weights: Annotated[
        Path | None, typer.Option(help="Folder to keep each run's network in, for who judges them later.")
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of every recipe.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as one JSON object.")] = False,
) -> None:
    r"""Train recipes with several seeds, and say how far the scores spread.

    Rows go to --runs as each run ends; the same command goes on after an
    interruption. training.md and training.svg are written beside it. Two
    commands with different recipes may share one file.

    Example:
      trainer series --data data/line --recipe lstm --recipe cnn_lstm \
        --runs runs/series/runs.jsonl
    """
    from trainer.config import load_config

    assignments = assignments or []
    if any(assignment.partition("=")[0].strip() == "seed" for assignment in assignments):
        raise UsageError("expected --seeds N, got `seed` at --set: a series sets the seeds itself")
    configs = {Path(name).stem: load_config(name, assignments) for name in recipe}
    if len(configs) < len(recipe):
        raise UsageError(f"expected recipes of different names, got {', '.join(recipe)} at --recipe")
    require_writable(runs.parent)

    from trainer.experiments.runs import RunLog, latest
    from trainer.experiments.series import run_series
    from trainer.experiments.series_page import table, write_page
    from trainer.experiments.weights import Weights

    epochs = max(config.num_epochs for config in configs.values())
    log, kept = RunLog(runs), None if weights is None else Weights(weights)
    with training_progress(epochs) as (on_epoch, on_step):
        rows = run_series(data, configs, seeds, log, on_run=_tell_run, weights=kept, on_epoch=on_epoch, on_step=on_step)
    for path in write_page(latest(log.rows(), rows[0].data_fingerprint), runs.parent):
        print(f"wrote {path}", file=sys.stderr)
    import msgspec

    tell({"runs": msgspec.to_builtins(rows)}, table(rows), as_json=as_json)


def _tell_run(recipe: str, seed: int, row: "RunRow | None") -> None:
    what = f"{recipe}, seed {seed}"
    if row is None:
        print(f"{what}: training", file=sys.stderr, flush=True)
        return
    print(
        f"{what}: validation ROC-AUC {row.validation.roc_auc:.4f}, test {row.test.roc_auc:.4f}, "
        f"{row.epochs} epochs, {row.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )
