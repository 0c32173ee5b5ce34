"""A whole comparison of real scorers on the told plant (`support.told_plant`), and a `Watch` that says nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.told_plant import TARGETS, FlowScorer

from trainer.config import AlertSettings
from trainer.datasets.dataset import Dataset
from trainer.evaluation.comparison.compare import compare
from trainer.evaluation.comparison.entrants import Entrant, Kind, Made, Watch
from trainer.evaluation.kept_traces import KeptTraces
from trainer.evaluation.traces import Advance

SETTINGS = {
    "leak": AlertSettings(2000, 5000, 5000, "critical", false_per_strand_day=2000.0, min_lead_s=10.0),
    "fire": AlertSettings(),
}


@contextmanager
def silent(_what: str, _total: float, _unit: str) -> Iterator[Advance]:
    yield lambda _: None


QUIET = Watch(lambda _: None, silent)


def entrant(name: str, kind: Kind, rows: int, asked: list[str] | None = None) -> Entrant:
    def make(seed: int) -> Made:
        if asked is not None:
            asked.append(f"{name}-{seed}")
        return Made(f"{name}-{seed}", FlowScorer(rows, 2.0, noise_seed=10 * rows + seed), {"rows": rows})

    return Entrant(name, kind, make)


def entrants() -> list[Entrant]:
    """Means over more rows tell a leak better; one row is what the poorest sees."""
    return [
        entrant("short", "sequence", 3),
        entrant("long", "sequence", 6),
        entrant("summary", "baseline", 1),
        entrant("engineered", "baseline", 5),
    ]


def compared(dataset: Dataset, folder: Path, who: list[Entrant] | None = None) -> dict[str, Any]:
    return compare(
        dataset, who or entrants(), targets=TARGETS, seeds=2, settings=SETTINGS, kept=KeptTraces(folder), watch=QUIET,
        replicates=200,
    )  # fmt: skip
