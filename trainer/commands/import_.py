"""`trainer import`: public data as datasets, read from a path the user gives."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.console import tell

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _import() -> None:
    """Import public data as a dataset.

    Nothing is fetched: each importer reads a folder you have.

    Example:
      trainer import skab ~/SKAB/data --out data/skab
    """


@app.command("skab")
def skab(
    source: Annotated[Path, typer.Argument(help="The benchmark's data folder: valve1, valve2, other, anomaly-free.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset: new, or empty.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the splits by file.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Import SKAB: 34 labelled runs of a water-circulation testbed, target `defect`.

    A broken file ends the import; rows out of time order are dropped and counted.

    Example:
      trainer import skab ~/SKAB/data --out data/skab
    """
    from trainer.datasets.importers.skab import import_skab

    report = import_skab(source, out, seed=seed)
    splits = ", ".join(f"{number} {split}" for split, number in report.splits.items())
    sentences = [
        f"{out}: {report.runs} runs, {report.rows:,} rows; sequences: {splits}",
        f"labelled: {report.labelled_runs} runs, {report.labelled_rows:,} rows, {report.anomalous_share:.1%} anomalous",
        f"missing values: {report.missing_values}; repairs: {len(report.repairs)}",
        *(f"  {repair}" for repair in report.repairs),
        f"fingerprint {report.fingerprint[:12]}",
    ]
    tell({"path": str(out), **report.to_json()}, sentences, as_json=as_json)
