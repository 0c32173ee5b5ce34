"""`trainer profile`: what a bundle costs to train, to hold and to ask."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from models.errors import UsageError
from trainer.commands.console import progress, require_writable, tell


def command(
    out: Annotated[Path, typer.Option(help="Folder of the page.")],
    bundle: Annotated[str, typer.Option(help="A bundle's folder, or the name of a released one.")] = "current",
    data: Annotated[
        Path | None, typer.Option(help="Folder of a dataset whose windows are run; its golden windows without.")
    ] = None,
    runs: Annotated[Path | None, typer.Option(help="Rows of a series that tell what training takes.")] = None,
    batches: Annotated[
        list[int] | None,
        typer.Option(
            "--batch", min=1, max=4096, help="A batch size, once for each; 1, 2, 4, ... 256.", show_default=False
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Of all runtimes in turn.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.001, max=60, help="Of each runtime in a round, about.")] = 0.3,
    memory: Annotated[
        bool, typer.Option("--memory/--no-memory", help="Peak memory too, in some processes of their own.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as one JSON object.")] = False,
) -> None:
    """Measure size, operations, memory, training time and speed.

    torch, ONNX Runtime and int8 take turns, each on one thread. Keep the
    machine quiet: the page tells how busy it was.

    Example:
      trainer profile --bundle casting-cnn-lstm --data data/line --out runs/profile
    """
    require_writable(out)
    if runs is not None and not runs.is_file():
        raise UsageError(f"expected rows of a series, got no such file at {runs}: leave out --runs")

    import msgspec

    from models.bundle import read
    from trainer.datasets.dataset import Dataset
    from trainer.experiments.runs import RunLog
    from trainer.profiling.page import table, write_page
    from trainer.profiling.profile import BATCHES, profile_bundle

    sizes = sorted(set(batches or BATCHES))
    loaded = read(bundle)
    with progress("timing", len(sizes), "batch sizes") as advance:
        profile = profile_bundle(
            loaded,
            dataset=None if data is None else Dataset.open(data),
            rows=[] if runs is None else RunLog(runs).rows(),
            batches=sizes,
            rounds=rounds,
            seconds=seconds,
            memory=memory,
            advance=advance,
        )
    for path in write_page(profile, out):
        print(f"wrote {path}", file=sys.stderr)
    tell(msgspec.to_builtins(profile.as_dict()), table(profile), as_json=as_json)
