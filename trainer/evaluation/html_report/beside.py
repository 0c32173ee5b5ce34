"""What other commands left beside an evaluation: `metrics.json` of `trainer compare`, `explain.json`, `profile.json`.

Where they are, also `ablation/ablation.json`, and `all.json` of the bundle on a line that it was not trained on.

What is of other data, or of another model, is left out, and the page says so: it would be taken for this one's.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from models.errors import ContractError
from trainer.datasets.card_layout import Section
from trainer.evaluation.comparison.page import (
    Metrics,
    Rows,
    alert_rows,
    comparison_rows,
    kind_rows,
    look_alike_rows,
    seed_rows,
    verdict_rows,
)
from trainer.evaluation.comparison.run import METRICS_FILE
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.html_report.further import ablation, natural
from trainer.evaluation.html_report.looks_at import looks_at
from trainer.evaluation.html_report.parts import Chapter, Figure, Group
from trainer.explanation.report import EXPLAIN_FILE
from trainer.profiling.page import PROFILE_FILE, as_svg, bar_sentence, facts, how, timing_rows
from trainer.profiling.records import Profile


@dataclass(frozen=True, slots=True)
class Beside:
    """Chapters from what lay there.

    Attributes:
        chapters: one for each file that is of this evaluation.
        missing: what is not there, a sentence each.
    """

    chapters: tuple[Chapter, ...]
    missing: tuple[str, ...]


def read_beside(folders: Sequence[Path], evaluation: Evaluation) -> Beside:
    """Look for the files in folders; of two of one name that in the first counts.

    Raises:
        ContractError: a file is not what its command writes.
    """
    chapters: list[Chapter] = []
    missing: list[str] = []
    for name, read in _READERS.items():
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        found = read(path, evaluation)
        if isinstance(found, str):
            missing.append(found)
        elif found is not None:
            chapters.append(found)
    return Beside(tuple(chapters), tuple(missing))


def _read(path: Path, command: str, make: Callable[[Any], Any]) -> Any:
    """What `make` makes of a JSON file.

    Raises:
        ContractError: it is no JSON, or not what was expected in it.
    """
    try:
        return make(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        found = f"no {error}" if isinstance(error, KeyError) else error
        raise ContractError(f"expected what `trainer {command}` writes, got {found} at {path}: run it anew") from None


def _compared(path: Path | None, evaluation: Evaluation) -> Chapter | str:
    if path is None:
        return "No comparison with a baseline was at hand; the command trainer compare makes one."

    def make(metrics: Metrics) -> Chapter | str:
        return _of_other_data("comparison", metrics, evaluation) or _comparison(metrics)

    found: Chapter | str = _read(path, "compare", make)
    return found


def _comparison(metrics: Metrics) -> Chapter:
    method, chosen = metrics["method"], metrics["chosen"]["recipe"]
    head = Group(
        "Mean over the targets",
        (f"The sequence model is {chosen}, the best on validation; baselines are LightGBM on window features.",),
        tables=(_section(comparison_rows(metrics["comparison"])),),
    )
    groups = [head, Group("Every contestant over its seeds", tables=(_section(seed_rows(metrics)),))]
    for target, events in metrics["events"].items():
        groups.append(Group(f"Alerts, {target}", tables=(_section(alert_rows(events)),)))
        kinds = metrics["targets"][target]
        for title, rows in (
            ("where a sequence of scans tells more than statistics", verdict_rows(kinds)),
            ("by defect", kind_rows(kinds["by_type"], events, "by_type")),
            ("by difficulty", kind_rows(kinds["by_difficulty"], events, "by_difficulty")),
            ("by look-alike", look_alike_rows(kinds["against_look_alike"], events)),
        ):
            if rows:
                groups.append(Group(f"{target.capitalize()}, {title}", tables=(_section(rows),)))
    return Chapter(
        "baseline",
        "Against the baseline",
        "Is a network that reads the scans in order worth more than trees on statistics of the same windows? "
        f"{method['seeds']} trainings of each; an interval (95 %, over casting sequences and seeds) that holds 0 shows "
        "no difference. These are trainings of the recipes, not this one bundle.",
        tuple(groups),
    )


def _explained(path: Path | None, evaluation: Evaluation) -> Chapter | str:
    if path is None:
        return "What the network looks at was not at hand; the command trainer explain tells it."

    def make(explained: Mapping[str, Any]) -> Chapter | str:
        left_out = _of_other_model("explanation", explained, evaluation)
        return left_out or _of_other_data("explanation", explained, evaluation) or looks_at(explained, path.parent)

    found: Chapter | str = _read(path, "explain", make)
    return found


def _profiled(path: Path | None, evaluation: Evaluation) -> Chapter | str:
    manifest = evaluation.manifest
    if path is None:
        return "What an answer costs was not at hand; the command trainer profile measures it."
    profile: Profile = _read(path, "profile", lambda found: msgspec.convert(found, Profile))
    if profile.model_sha256 != manifest.model_sha256:
        return f"The profile at hand is of another model ({profile.model}, {profile.model_sha256}) and is left out."
    figure = Figure(
        "Windows a second, and milliseconds a run",
        "By how many windows are asked at once.",
        as_svg(profile.timings),
        wide=True,
    )
    group = Group(
        texts=(how(profile).replace("`", ""), *(f"{bar_sentence(bar)}." for bar in profile.bars)),
        tables=(Section("facts", rows=tuple(facts(profile))), _section(timing_rows(profile.timings))),
        figures=(figure,),
    )
    return Chapter(
        "cost",
        "What it costs",
        "An answer has to be there long before the next one is due, on the computer that stands at the caster. p99 is "
        "the time that one run in a hundred exceeds.",
        (group,),
    )


def _natural(path: Path | None, evaluation: Evaluation) -> Chapter | str | None:
    if path is None or evaluation.split == "all":  # then it is this very page's
        return None

    def make(found: Mapping[str, Any]) -> Chapter | str:
        if found["data"]["trained_on_this_dataset"]:
            return "The evaluation of all sequences at hand has those of training, and is left out."
        return _of_other_model("evaluation of another line", found, evaluation) or natural(found)

    made: Chapter | str = _read(path, "evaluate --split all", make)
    return made


def _ablated(path: Path | None, evaluation: Evaluation) -> Chapter | str | None:
    if path is None:
        return None

    def make(found: Mapping[str, Any]) -> Chapter | str:
        return _of_other_data("ablation", found, evaluation) or ablation(found)

    made: Chapter | str = _read(path, "ablate", make)
    return made


def _of_other_data(what: str, found: Mapping[str, Any], evaluation: Evaluation) -> str | None:
    """That it is left out, if it is of other data than the evaluation."""
    other, ours = found["data"]["fingerprint"], evaluation.dataset.info.fingerprint
    if other == ours:
        return None
    return f"The {what} at hand is of other data ({other[:12]}, not {ours[:12]}) and is left out."


def _of_other_model(what: str, found: Mapping[str, Any], evaluation: Evaluation) -> str | None:
    """That it is left out, if it is of another model than the evaluation."""
    model = found["bundle"]["model_sha256"]
    if model == evaluation.manifest.model_sha256:
        return None
    return f"The {what} at hand is of another model ({model[:12]}) and is left out."


def _section(rows: Rows) -> Section:
    return Section("", rows[0], tuple(rows[1:]))


_READERS: dict[str, Callable[[Path | None, Evaluation], Chapter | str | None]] = {
    METRICS_FILE: _compared,
    "ablation/ablation.json": _ablated,
    "all.json": _natural,
    EXPLAIN_FILE: _explained,
    PROFILE_FILE: _profiled,
}
"""By the file they read; in the order of the chapters."""
