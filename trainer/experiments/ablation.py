"""What each part of a recipe is worth: one change each, several seeds, every run a row from which it goes on.

    ablation = load_ablation("line", load_config("cnn_lstm"), Dataset.open("data/line"))
    rows = run_ablation(ablation, seeds=3, log=RunLog(Path("runs.jsonl")), folder=Path("runs/ablation"))

Changes are declared in a TOML file, in `trainer/ablations/` or the user's own, and all are held to `TrainingConfig` and
the dataset before anything is trained. Fields of the recipe change in its configuration; sensors left out and a coarser
scan are datasets of their own, derived from the one given (`trainer.datasets.derived`).
"""

import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from models.errors import UsageError
from trainer.config import TrainingConfig, changed
from trainer.datasets.dataset import Dataset
from trainer.datasets.derived import derive, kept_columns
from trainer.experiments.runs import RunLog, RunRow, run_key
from trainer.experiments.series import train_and_score
from trainer.experiments.space import IDLE, JUDGES
from trainer.experiments.weights import Weights
from trainer.train_sequence import EpochReport, StepReport

ABLATIONS = Path(__file__).parents[1] / "ablations"

_FIXED = ("seed", "targets", "validation_share")
"""Fields that say what is judged at all, and by how much of it."""

NOT_ASKED_FOR = "not asked for"

OnRun = Callable[[str | None, int, RunRow | None], None]
"""Called with the change (None: the recipe itself) and the seed before a run, and after it with its row."""


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change as its file declares it.

    Attributes:
        about: what is different, in words.
        set: fields of the recipe, tables within tables.
        leave_out: beginnings of the names of sensors that are not there.
        every: every so manieth scan is there; the window lasts as long and is due as often.
        only: architectures it is a change of; empty for all.
    """

    about: str
    set: dict[str, Any] = {}
    leave_out: list[str] = []
    every: Annotated[int, Meta(ge=1, le=1000)] = 1
    only: list[str] = []


@dataclass(frozen=True, slots=True)
class Variant:
    """One change of a recipe, ready to be trained.

    Attributes:
        name: of the change; None for the recipe itself.
        part: of the whole that it changes.
        about: what is different, in words.
        config: the recipe with the change.
        leave_out: see `Change`.
        every: see `Change`.
        other_windows: whether it is judged on other windows than the recipe: a difference from it then has more causes
            than the change.
    """

    name: str | None
    part: str
    about: str
    config: TrainingConfig
    leave_out: tuple[str, ...] = ()
    every: int = 1
    other_windows: bool = False


@dataclass(frozen=True, slots=True)
class Ablation:
    """A recipe, its changes, and those that were none of it or of the dataset.

    Attributes:
        recipe: its name.
        about: what the file says of the whole.
        dataset: to train and judge on.
        variants: the recipe itself first.
        left_out: by change, why it cannot be made here.
    """

    recipe: str
    about: str
    dataset: Dataset
    variants: tuple[Variant, ...]
    left_out: Mapping[str, str]


def ablation_names() -> list[str]:
    """The ablations that come with the trainer."""
    return sorted(path.stem for path in ABLATIONS.glob("*.toml"))


def load_ablation(
    ablation: str, recipe: str, config: TrainingConfig, dataset: Dataset, wanted: Sequence[str] = ()
) -> Ablation:
    """Read an ablation and hold every change to the configuration and the dataset.

    Args:
        ablation: name of one, or path of a TOML file.
        recipe: name of the recipe, for the record.
        config: the recipe.
        dataset: to train and judge on.
        wanted: names of the changes to make; empty for all.

    Raises:
        UsageError: no such ablation or change, an unknown field, a value that does not fit; names the file.
    """
    path = ABLATIONS / f"{ablation}.toml" if ablation in ablation_names() else Path(ablation)
    about, changes = _read(path, ablation)
    for name in wanted:
        if name not in changes:
            raise UsageError(f"expected a change of {path} ({', '.join(changes)}), got `{name}` at --change")
    variants, left_out = [Variant(None, "", "the recipe itself", config)], {}
    for name, (part, change) in changes.items():
        if wanted and name not in wanted:
            left_out[name] = NOT_ASKED_FOR
            continue
        reason = _inapplicable(change, config, dataset)
        if reason is None:
            variants.append(_variant(name, part, change, config, path))
        else:
            left_out[name] = reason
    return Ablation(recipe, about, dataset, tuple(variants), left_out)


def _read(path: Path, asked: str) -> tuple[str, dict[str, tuple[str, Change]]]:
    if not path.is_file():
        known = ", ".join(ablation_names())
        raise UsageError(f"expected an ablation ({known}) or a TOML file, got `{asked}` at --ablation")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"expected TOML, got something else ({error}) at {path}") from None
    about = tables.pop("about", "")
    changes: dict[str, tuple[str, Change]] = {}
    for part, declared in tables.items():
        if not isinstance(declared, dict):
            raise UsageError(f"expected a table of changes, got {declared!r} at {part} of {path}")
        for name, values in declared.items():
            if name in changes:
                raise UsageError(f"expected each change once, got `{name}` again at {part} of {path}")
            changes[name] = part, _change(f"{part}.{name} of {path}", values)
    if not changes:
        raise UsageError(f"expected a change at least, got none at {path}")
    return " ".join(str(about).split()), changes


def _change(where: str, values: Any) -> Change:
    try:
        change = msgspec.convert(values, Change)
    except msgspec.ValidationError as error:
        raise UsageError(f"expected a change, got {values} ({error}) at {where}") from None
    if not change.set and not change.leave_out and change.every == 1:
        raise UsageError(f"expected `set`, `leave_out` or `every`, got none of them at {where}")
    for key, _ in _leaves(change.set):
        field = key.partition(".")[0]
        if field in _FIXED:
            raise UsageError(f"expected a part of the recipe, got `{key}` at {where}: it says what is judged")
        if field in IDLE:
            raise UsageError(f"expected a field that moves the score, got `{key}` at {where}: use --set")
    return change


def _inapplicable(change: Change, config: TrainingConfig, dataset: Dataset) -> str | None:
    """Why this is no change of this recipe or dataset; None if it is one."""
    if change.only and config.model_type not in change.only:
        return f"a change of {' and '.join(change.only)}, not of {config.model_type}"
    if dict(_leaves(change.set)).get("augmentation.symmetry") and not dataset.info.symmetries:
        return "the dataset declares no symmetry"
    if change.every > 1 and (config.window_length % change.every or config.stride % change.every):
        return f"{config.window_length} rows or every {config.stride}th scan cannot be divided by {change.every}"
    try:
        kept_columns(dataset, change.leave_out)
    except UsageError as error:
        return str(error)
    return None


def _variant(name: str, part: str, change: Change, config: TrainingConfig, path: Path) -> Variant:
    values = dict(_leaves(change.set))
    if values.get("model_type", config.model_type) != config.model_type:
        config = replace(config, model={})  # the options of another architecture
    if change.every > 1:
        values["window_length"] = config.window_length // change.every
        values["stride"] = config.stride // change.every
        values["max_gap_periods"] = math.ceil(config.max_gap_periods / change.every)
    where = f"{part}.{name} of {path}"
    try:
        new = changed(config, values, where)
    except UsageError as error:
        raise UsageError(str(error) if where in str(error) else f"{error}: mend {where}") from None
    judged = any(getattr(new, field) != getattr(config, field) for field in JUDGES)
    return Variant(name, part, change.about, new, tuple(change.leave_out), change.every, judged or change.every > 1)


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def run_ablation(
    ablation: Ablation,
    seeds: int,
    log: RunLog,
    folder: Path,
    *,
    on_run: OnRun,
    weights: Weights | None = None,
    on_epoch: EpochReport | None = None,
    on_step: StepReport | None = None,
) -> dict[str | None, list[RunRow]]:
    """Train the recipe and every change with the seeds 0, 1, … and log each run; what the log has is not run again.

    Everything gets a seed before anything gets the next. A change that leaves the recipe as it is costs no training.

    Args:
        ablation: from `load_ablation`.
        seeds: how many.
        log: of the rows; a series' rows of the same recipe and data count.
        folder: derived datasets are kept in its `data/`, which may be deleted at any time.
        on_run: told before and after each run.
        weights: where the networks are kept; None keeps none.
        on_epoch: told of every epoch.
        on_step: told of every step.

    Returns:
        By change, None for the recipe itself, its rows in the order of the seeds.

    Raises:
        TrainingError, UsageError, ContractError: as for `train_on_dataset`; the rows before it stay.
    """
    rows: dict[str | None, list[RunRow]] = {variant.name: [] for variant in ablation.variants}
    for seed in range(seeds):
        for variant in ablation.variants:
            data = _data(ablation.dataset, variant, folder / "data")
            config = replace(variant.config, seed=seed)
            row = log.find(run_key(config, data.info.fingerprint))
            if row is None:
                on_run(variant.name, seed, None)
                row = train_and_score(
                    data.path,
                    ablation.recipe,
                    config,
                    change=variant.name,
                    weights=weights,
                    on_epoch=on_epoch,
                    on_step=on_step,
                )
                log.append(row)
            on_run(variant.name, seed, row)
            rows[variant.name].append(row)
    return rows


def _data(dataset: Dataset, variant: Variant, folder: Path) -> Dataset:
    if not variant.leave_out and variant.every == 1:
        return dataset
    return derive(dataset, folder, leave_out=variant.leave_out, every=variant.every)
