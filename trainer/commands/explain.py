"""`trainer explain`: what a bundle's network looks at within events, and whether that is where they were."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.commands.console import AnySplit, progress, require_writable, tell

if TYPE_CHECKING:
    from trainer.explanation.report import ExplanationReport


def command(
    data: Annotated[Path, typer.Option(help="Folder of a dataset.")],
    out: Annotated[Path, typer.Option(help="Folder for explain.json, explain.md and examples/.")],
    bundle: Annotated[str, typer.Option(help="A bundle's folder, or the name of a released one.")] = "current",
    split: Annotated[
        AnySplit, typer.Option(help="Whose windows; all: of a dataset that nothing was trained on.")
    ] = "test",
    windows: Annotated[
        int, typer.Option(min=1, max=100_000, help="Windows to explain, over all types of event.")
    ] = 160,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of events and of the controls.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print explain.json too.")] = False,
) -> None:
    """Show which sensors and scans a network's answers rest on, per defect.

    Integrated gradients, occlusion and, where the network has it, attention,
    held against what the simulated events truly touched and against two
    controls: random attribution and a network with shuffled weights.

    Example:
      trainer explain --data data/line --bundle casting-cnn-lstm --out runs/explain
    """
    from models.bundle import read
    from trainer.datasets.dataset import Dataset
    from trainer.explanation.explain import explain_windows
    from trainer.explanation.report import ExplanationReport, write_report
    from trainer.explanation.summary import summarize
    from trainer.export import load_model

    require_writable(out)
    loaded = read(bundle)
    dataset = Dataset.open(data)
    with progress("explaining", windows, "windows") as advance:
        explained = explain_windows(
            load_model(loaded), loaded.manifest, dataset, split=split, count=windows, seed=seed, advance=advance
        )
    explanation = summarize(explained, loaded.manifest, seed)
    report = ExplanationReport(loaded.manifest, dataset.info, split, windows, seed, explained, explanation)
    for path in write_report(report, out):
        print(f"wrote {path}", file=sys.stderr)
    tell(report.as_dict(), _sentences(report), as_json=as_json)


def _sentences(report: "ExplanationReport") -> list[str]:
    from trainer.evaluation.evaluate import caveat_of
    from trainer.explanation.page import UNKNOWN, findings, score_line

    found = report.explanation
    lines = [f"{report.manifest.model}, {len(report.explained)} windows within events of the {report.split} split"]
    for target, ranked in found.ranking.items():
        lines.append(f"{target}: looks most at {', '.join(rank.sensor for rank in ranked[:4])}")
        if report.judged:
            lines.append(f"  {score_line(found, target)}")
    lines += findings(found.judgements) if report.judged else [UNKNOWN]
    return [*lines, caveat_of(report.info)]
