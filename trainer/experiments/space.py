"""What `trainer tune` may try: a TOML file of fields and their ranges, in `trainer/spaces/` or the user's own.

    hidden_size = { low = 32, high = 128, step = 16 }
    learning_rate = { low = 3e-4, high = 1e-2, log = true }
    pooling = { choices = ["last", "max"] }
    augmentation.jitter = { low = 0.0, high = 0.1 }

Every field and both ends of every range are held to `TrainingConfig` before anything is trained.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from models.errors import UsageError
from trainer.config import TrainingConfig, changed

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SPACES = Path(__file__).parents[1] / "spaces"

JUDGES = ("targets", "validation_share", "seed", "stride", "max_gap_periods", "window_length")
"""Fields that decide which windows a trial is judged on: trials that differ in them cannot be compared."""

IDLE = ("alert", "threads", "workers", "device")
"""Fields that move no score."""

Choice = bool | int | float | str


class Dimension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One field's values: some choices, or a range with both ends, whole numbers if both ends and the step are.

    Attributes:
        choices: the values; empty for a range.
        low: smallest value.
        high: largest value.
        log: whether orders of magnitude count, not differences.
        step: from one value to the next, counted from `low`.
    """

    choices: list[Choice] = []
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = None

    def ends(self) -> list[Choice]:
        """The values that are held to the configuration."""
        return [value for value in (*self.choices, self.low, self.high) if value is not None]

    def distribution(self) -> "BaseDistribution":
        """As optuna knows it.

        Raises:
            ValueError: low is not below high, a step that does not fit, a logarithm of 0.
        """
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            if self != Dimension(choices=self.choices):
                raise ValueError("choices have no low, high, log or step")
            return CategoricalDistribution(self.choices)
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("low must be there and below high")
        if self.log and self.step is not None:
            raise ValueError("a range has log or step, not both")
        numbers = (self.low, self.high) if self.step is None else (self.low, self.high, self.step)
        whole = all(isinstance(number, int) for number in numbers)
        if self.step is not None and not (self.step > 0 and _whole((self.high - self.low) / self.step)):
            raise ValueError("step must lead from low to high")
        if whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step)


Space = dict[str, Dimension]


def space_names() -> list[str]:
    """The spaces that come with the trainer."""
    return sorted(path.stem for path in SPACES.glob("*.toml"))


def load_space(space: str, config: TrainingConfig) -> Space:
    """Read a space and check it against the configuration whose fields it varies.

    Args:
        space: name of a space, or path of a TOML file.
        config: what all trials have in common.

    Returns:
        Dimensions by field, a dot for a table.

    Raises:
        UsageError: no such space, an unknown field, or a range that does not fit it.
    """
    path = SPACES / f"{space}.toml" if space in space_names() else Path(space)
    if not path.is_file():
        raise UsageError(f"expected a space ({', '.join(space_names())}) or a TOML file, got `{space}` at --space")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"expected TOML, got something else ({error}) at {path}") from None
    dimensions = {key: _dimension(key, values, path) for key, values in _leaves(tables, "", path)}
    if not dimensions:
        raise UsageError(f"expected a field at least, got none at {path}")
    for key, dimension in dimensions.items():
        if key in JUDGES:
            raise UsageError(
                f"expected a field that trials may differ in, got `{key}` at {path}: it decides what they are judged on"
            )
        if key.partition(".")[0] in IDLE:
            raise UsageError(f"expected a field that moves the score, got `{key}` at {path}: use --set")
        for value in dimension.ends():
            changed(config, {key: value}, f"space {space}")
    return dimensions


def _leaves(table: Mapping[str, Any], prefix: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if not isinstance(value, dict):
            raise UsageError(f"expected `choices`, or `low` and `high`, got {value!r} at {key} of {path}: use --set")
        if value and all(isinstance(inner, dict) for inner in value.values()):
            yield from _leaves(value, f"{key}.", path)
        else:
            yield key, value


def _dimension(key: str, values: dict[str, Any], path: Path) -> Dimension:
    try:
        dimension = msgspec.convert(values, Dimension)
        dimension.distribution()
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"expected `choices`, or `low` < `high`, got {values} ({error}) at {key} of {path}") from None
    return dimension


def _whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-9
