"""`trainer ablate`: what each part of a recipe is worth, one change each, with several seeds."""

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
    recipe: Annotated[str, typer.Option(help="A recipe's name, or a TOML file.")],
    runs: Annotated[Path, typer.Option(help="The rows, one a run: JSON Lines; what is there is not run again.")],
    out: Annotated[Path, typer.Option(help="Folder of the page, and of datasets derived for it.")],
    ablation: Annotated[str, typer.Option(help="An ablation's name, or a TOML file.")] = "line",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Seeds of each change: 0, 1, ...")] = 3,
    changes: Annotated[
        list[str] | None, typer.Option("--change", help="Only this change. May be repeated.", show_default=False)
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder to keep each run's network in, for who judges them later.")
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe first.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    r"""Change one thing of a recipe at a time, and say what each is worth.

    Rows go to --runs as each run ends; the same command goes on after an
    interruption. A series' rows of the same recipe and data count. Datasets
    of fewer sensors or scans lie in OUT/data and may be deleted.

    Example:
      trainer ablate --data data/line --recipe cnn_lstm --ablation line \
        --runs runs/ablation/runs.jsonl --out runs/ablation
    """
    from trainer.config import load_config

    assignments = assignments or []
    if any(assignment.partition("=")[0].strip() == "seed" for assignment in assignments):
        raise UsageError("expected --seeds N, got `seed` at --set: an ablation sets the seeds itself")
    config = load_config(recipe, assignments)
    for folder in (runs.parent, out):
        require_writable(folder)

    from trainer.datasets.dataset import Dataset
    from trainer.experiments.ablation import NOT_ASKED_FOR, load_ablation, run_ablation
    from trainer.experiments.ablation_page import table, write_page
    from trainer.experiments.ablation_results import differences
    from trainer.experiments.runs import RunLog
    from trainer.experiments.weights import Weights

    loaded = load_ablation(ablation, Path(recipe).stem, config, Dataset.open(data), changes or [])
    for name, reason in loaded.left_out.items():
        if reason != NOT_ASKED_FOR:
            print(f"{name}: not made here, {reason}", file=sys.stderr)
    kept = None if weights is None else Weights(weights)
    epochs = max(variant.config.num_epochs for variant in loaded.variants)
    with training_progress(epochs) as (on_epoch, on_step):
        rows = run_ablation(
            loaded, seeds, RunLog(runs), out, on_run=_tell_run, weights=kept, on_epoch=on_epoch, on_step=on_step
        )
    result = differences(loaded, rows)
    for path in write_page(result, out):
        print(f"wrote {path}", file=sys.stderr)
    import msgspec

    tell(msgspec.to_builtins(result.as_dict()), table(result), as_json=as_json)


def _tell_run(change: str | None, seed: int, row: "RunRow | None") -> None:
    what = f"{change or 'the recipe'}, seed {seed}"
    if row is None:
        print(f"{what}: training", file=sys.stderr, flush=True)
        return
    print(
        f"{what}: validation ROC-AUC {row.validation.roc_auc:.4f}, test {row.test.roc_auc:.4f}",
        file=sys.stderr,
        flush=True,
    )
