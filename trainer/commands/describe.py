"""`trainer describe`: a dataset's card, on the terminal and as a folder with pictures."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.commands.console import progress, require_writable, tell

if TYPE_CHECKING:
    from trainer.datasets.dataset import Dataset
    from trainer.datasets.describe import DatasetFacts


def command(
    data: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of a dataset.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Write card.md, card.json and pictures here too.", show_default=False)
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Recompute the fingerprint; reads all once more.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts as one JSON object.")] = False,
) -> None:
    """Tell what is in a dataset: its card.

    Splits and leaks, class balance, events and their difficulty, lead times,
    plant records, sensors and missing values. Ends with 1 if two splits could
    see the same, or if the content is not what the fingerprint says.

    Example:
      trainer describe data/line --out data/line-card
    """
    from models.errors import ContractError
    from trainer.datasets.card import sections
    from trainer.datasets.card_layout import as_text
    from trainer.datasets.dataset import Dataset
    from trainer.datasets.describe import describe, with_verdict

    if out is not None:
        require_writable(out)
    dataset = Dataset.open(data)
    with progress("reading", sum(entry.rows for entry in dataset.sequences()), "scans") as advance:
        facts = describe(dataset, advance)
    if verify:
        with progress("recomputing the fingerprint", None, ""):
            facts = with_verdict(facts, dataset)
    if out is not None:
        _write(dataset, facts, out)
    tell({"path": str(data), **facts.as_dict()}, [f"{data}", *as_text(sections(facts))], as_json=as_json)
    if facts.altered is not None:
        raise ContractError(f"{facts.altered}: make the dataset anew")
    if facts.leaks:
        more = f" (and {len(facts.leaks) - 1} more)" if len(facts.leaks) > 1 else ""
        raise ContractError(f"{facts.leaks[0]}{more}, in {data / 'dataset.json'}")


def _write(dataset: "Dataset", facts: "DatasetFacts", out: Path) -> None:
    from trainer.datasets.card_folder import write_card
    from trainer.datasets.pictures import comparisons, pictures

    with progress("drawing", len(comparisons(dataset)), "examples") as advance:
        drawn = pictures(dataset, facts, advance)
    for path in write_card(facts, drawn, out):
        print(f"wrote {path}", file=sys.stderr)
