"""`trainer compare`: sequence models against baselines on features, over seeds, with intervals."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import UsageError
from trainer.commands.console import progress, require_writable, tell
from trainer.commands.training_progress import training_progress

DEFAULT_RECIPES = ("cnn_lstm", "lstm", "attention_lstm")


def command(
    data: Annotated[Path, typer.Option(help="Folder of a dataset, simulated or imported.")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and comparison.md.")],
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="A recipe's name, or a TOML file; repeatable. (default: cnn_lstm, lstm, attention_lstm)"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Trainings of each contestant: seeds 0, 1, ...")] = 5,
    weights: Annotated[
        Path | None, typer.Option(help="Where trained models are kept; `series` fills it too (default: OUT/weights).")
    ] = None,
    traces: Annotated[
        Path | None, typer.Option(help="Where their answers are kept, a cache (default: OUT/traces).")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials of each baseline's own search.")] = 20,
    replicates: Annotated[int, typer.Option(min=100, max=100_000, help="Of the bootstrap.")] = 1000,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of every recipe.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as one JSON object.")] = False,
) -> None:
    r"""Compare sequence models with LightGBM on window features.

    All answer the same windows of validation and test. Thresholds, delays,
    calibration and the best recipe are chosen on validation; differences on
    test have 95 % intervals over casting sequences and seeds. An interrupted
    comparison goes on with the same command.

    Example:
      trainer compare --data data/line --out runs/comparison \
        --weights runs/series/weights
    """
    from trainer.config import load_config

    assignments = assignments or []
    if any(assignment.partition("=")[0].strip() == "seed" for assignment in assignments):
        raise UsageError("expected --seeds N, got `seed` at --set: a comparison sets the seeds itself")
    names = recipe or DEFAULT_RECIPES
    configs = {Path(name).stem: load_config(name, assignments) for name in names}
    if len(configs) < len(names):
        raise UsageError(f"expected recipes of different names, got {', '.join(names)} at --recipe")
    require_writable(out)

    from trainer.evaluation.comparison.entrants import Watch
    from trainer.evaluation.comparison.page import headline_table
    from trainer.evaluation.comparison.run import compare_on_dataset, write_comparison

    metrics = compare_on_dataset(
        data,
        configs,
        seeds=seeds,
        trials=trials,
        weights=weights or out / "weights",
        traces=traces or out / "traces",
        watch=Watch(_say, progress, training_progress),
        replicates=replicates,
    )
    for path in write_comparison(metrics, out):
        _say(f"wrote {path}")
    tell(metrics, _sentences(metrics, headline_table(metrics)), as_json=as_json)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _sentences(metrics: dict[str, Any], table: list[str]) -> list[str]:
    chosen = metrics["chosen"]["recipe"]
    return [f"{chosen}, chosen on validation, mean over targets on test:", *table, metrics["caveat"]]
