"""An explanation on disk: JSON for machines, Markdown and small pictures for people.

No times of day, no paths: the same bundle, data and seed write the same files.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.manifest import Manifest
from trainer.datasets.records import DatasetInfo
from trainer.evaluation.evaluate import caveat_of
from trainer.evaluation.traces import Scope
from trainer.explanation.attribution import BLOCK_ROWS, STEPS
from trainer.explanation.explain import SHUFFLED_NETWORKS, Explained
from trainer.explanation.page import BASELINE, UNKNOWN, as_markdown, findings
from trainer.explanation.pictures import caption, draw_explained
from trainer.explanation.summary import Explanation

EXPLAIN_FILE = "explain.json"


@dataclass(frozen=True, slots=True, eq=False)
class ExplanationReport:
    """All that is written down of one explained bundle.

    Attributes:
        manifest: of the bundle.
        info: of the dataset.
        split: whose windows were explained.
        count: windows asked for.
        seed: of the choice of windows and of the controls.
        explained: the windows.
        explanation: what they say together.
    """

    manifest: Manifest
    info: DatasetInfo
    split: Scope
    count: int
    seed: int
    explained: Sequence[Explained]
    explanation: Explanation

    @property
    def judged(self) -> bool:
        """Whether the truth is known of any window."""
        return bool(self.explanation.judgements)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "caveat": caveat_of(self.info),
            "bundle": {"model": self.manifest.model, "model_sha256": self.manifest.model_sha256},
            "data": {
                "line": self.info.line,
                "seed": self.info.seed,
                "fingerprint": self.info.fingerprint,
                "split": self.split,
                "trained_on_this_dataset": self.info.fingerprint == self.manifest.data_fingerprint,
            },
            "settings": {
                "windows": self.count,
                "seed": self.seed,
                "steps": STEPS,
                "block_scans": BLOCK_ROWS,
                "shuffled_networks": SHUFFLED_NETWORKS,
                "baseline": BASELINE,
            },
            "judged": self.judged,
            "remarks": [*([] if self.judged else [UNKNOWN]), *findings(self.explanation.judgements)],
            **msgspec.to_builtins(self.explanation),
            "examples": [
                {"file": f"examples/{name}.svg", "caption": caption(entry)} for name, entry in self.examples()
            ],
        }

    def examples(self) -> Iterator[tuple[str, Explained]]:
        """One window of each target and type: the one of median `cells` share, neither the best nor the worst.

        Where that is unknown, the one of median probability.
        """
        groups: dict[tuple[str, str], list[Explained]] = {}
        for entry in self.explained:
            groups.setdefault((str(entry.window.event.target), entry.window.event.type), []).append(entry)
        for (target, kind), entries in sorted(groups.items()):
            known = [entry for entry in entries if entry.shares] or entries
            merit = [
                float(np.nan_to_num(next(iter(entry.shares.values()))[0, 2])) if entry.shares else entry.probability
                for entry in known
            ]
            middle = sorted(range(len(known)), key=merit.__getitem__)[(len(known) - 1) // 2]
            yield (kind if kind == target else f"{target}-{kind}"), known[middle]


def write_report(report: ExplanationReport, folder: Path) -> list[Path]:
    """Write `explain.json`, `explain.md` and `examples/*.svg` into a folder; files of these names are replaced.

    Returns:
        The files written.

    Raises:
        OSError: the system will not take them.
    """
    contents = {
        EXPLAIN_FILE: json.dumps(report.as_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "explain.md": as_markdown(report),
        **{f"examples/{name}.svg": draw_explained(entry, report.manifest) for name, entry in report.examples()},
    }
    (folder / "examples").mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in contents.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths
