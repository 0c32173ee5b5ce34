"""What a training run is made of: one flat configuration, filled from a named recipe and `--set key=value`.

    config = load_config("tiny", ["hidden_size=64", "alert.sticker.on_delay_ms=3000"])

A recipe is a TOML file in `trainer/recipes/`; what it does not name keeps the default below.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from models.alerting import Severity
from models.errors import UsageError
from models.windows import WindowRules
from trainer.architectures import Inputs, Pooling, check_model
from trainer.loading.augmentation import AugmentationSettings

RECIPES = Path(__file__).parent / "recipes"

Whole = Annotated[int, Meta(ge=1, le=1_000_000)]
Count = Annotated[int, Meta(ge=0, le=2**31)]
Share = Annotated[float, Meta(ge=0, le=1)]
Finite0 = Annotated[float, Meta(ge=0, le=1e30)]
Above0 = Annotated[float, Meta(gt=0, le=1e30)]
Dropout = Annotated[float, Meta(ge=0, lt=1)]
Device = Annotated[str, Meta(pattern=r"^(cpu|cuda(:[0-9]+)?)$")]


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """How a target's alerts behave, and how many false ones its threshold may cost.

    Attributes:
        on_delay_ms: how long the probability must hold before an alert opens, milliseconds; half of it and twice are
            tried, too, as the threshold is chosen.
        off_delay_ms: how long it must stay low before the alert closes, milliseconds.
        cooldown_ms: no opening within this time of a closing, milliseconds.
        severity: `critical` or `advisory`.
        false_per_strand_day: false alerts on validation that the threshold may cost.
        min_lead_s: an alert nearer to the impact than this does not count for the choice of the threshold.
        on_delay_fixed: whether only `on_delay_ms` itself is tried.
    """

    on_delay_ms: Count = 5_000
    off_delay_ms: Count = 30_000
    cooldown_ms: Count = 60_000
    severity: Severity = "critical"
    false_per_strand_day: Finite0 = 2.0
    min_lead_s: Finite0 = 0.0
    on_delay_fixed: bool = False


# Delays and targets are assumed, no source; they wait for a caster engineer. Sticker: on 1-3 s, off 30-60 s, at most
# one false alarm in a strand-week, recall at least 95 %, lead at least 15 s before the mould exit. Quality: on 20-60 s,
# off 2-5 min, at most 2-5 advisories in a strand-day.
_ALERT_DEFAULTS: dict[str, dict[str, Any]] = {
    "sticker": {"on_delay_ms": 2_000, "false_per_strand_day": 1 / 7, "min_lead_s": 15.0},
    "quality": {
        "on_delay_ms": 20_000,
        "off_delay_ms": 120_000,
        "cooldown_ms": 300_000,
        "severity": "advisory",
        "false_per_strand_day": 4.0,
    },
}


def default_alert(target: str) -> AlertSettings:
    """The settings a target's alerts have unless a recipe says otherwise."""
    return AlertSettings(**_ALERT_DEFAULTS.get(target, {}))


def _default_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """All that decides a training run besides the data.

    Attributes:
        model_type: architecture, the name of a file in `trainer/architectures/`.
        hidden_size: features of each LSTM layer.
        num_layers: LSTM layers.
        dropout: between layers and in the head.
        pooling: what the head sees of the states, see `Pool`.
        inputs: what the network sees of each sensor, see `SequenceModel`.
        whitening: whether it sees the sensors made uncorrelated, see `trainer.architectures.parts.Whitening`.
        model: an architecture's own options, such as `model.cnn_features`: the further arguments of its constructor.
        gradient_checkpointing: rows of a segment of the LSTM that is computed again in the backward pass, to save
            memory with long sequences; 0 = off.
        learning_rate: at the start; the largest of `one_cycle`.
        weight_decay: of the optimiser.
        batch_size: windows of one step, shared out among the processes if there are several.
        num_epochs: at most.
        early_stopping_patience: epochs without a better validation ROC-AUC before training stops.
        scheduler_patience: epochs without a better one before the learning rate is halved.
        loss: `bce`, cross-entropy, or `focal`, which counts less the windows that are told well already.
        focal_gamma: of the focal loss; 0 makes it cross-entropy.
        optimizer: `adamw`, or `adam`.
        scheduler: of the learning rate: `plateau`, `cosine`, `one_cycle` or `none`, see
            `trainer.training.optimisation`.
        precision: of the model's inner numbers: `float32`, `bf16` or `fp16`, see `trainer.training.precision`.
        class_weight: weight of a positive window in the loss.
        gradient_clip: largest norm of the gradient.
        device: `cpu`, `cuda` or `cuda:N`; whether it is there shows when training begins.
        targets: what to learn; empty means all targets of the dataset.
        window_length: rows of a window.
        variable_length: whether training also sees windows that still grow after a start or a gap, from 8 rows up;
            judged and served are whole ones.
        stride: scans between two due predictions.
        max_gap_periods: longest step within a window, in nominal periods.
        normalization: `zscore`, `robust`, `minmax`, `quantile` or `none`, see `trainer.preprocess`.
        missing_strategy: `forward_fill`, `mean`, `zero` or `interpolate`, see `trainer.preprocess`.
        clip: normalised values are cut at plus and minus this.
        positive_share: share of the positive windows drawn anew for each epoch; neighbours share nearly all their rows.
        negative_share: share of the plain negative windows drawn anew for each epoch.
        decoy_share: share of the negative windows near events and look-alikes drawn anew for each epoch.
        sampling: `shares`, or `balanced`: an epoch as long as the shares make it, in the ratio of `balance`; or
            `look_alikes`: balanced, and most negatives are of look-alikes, as many of each target and type.
        balance: part of an epoch's windows that is positive, with balanced sampling; as many of each target.
        augmentation: variations of the positive training windows, see `AugmentationSettings`; none by default.
        workers: processes that load batches; 0 loads in the training process.
        validation_share: share of the validation windows that judge an epoch, the same each time; thresholds are
            chosen on all.
        seed: of weights, dropout and sampling.
        threads: of torch on the CPU.
        alert: per target, see `AlertSettings`; what a recipe leaves out has the default for the target's name.
    """

    model_type: str = "lstm"
    hidden_size: Annotated[int, Meta(ge=2, le=16_384)] = 128
    num_layers: Annotated[int, Meta(ge=1, le=64)] = 2
    dropout: Dropout = 0.3
    pooling: Pooling = "last"
    inputs: Inputs = "level"
    whitening: bool = False
    model: dict[str, Any] = field(default_factory=dict)
    gradient_checkpointing: Count = 0
    learning_rate: Above0 = 0.001
    weight_decay: Finite0 = 1e-5
    batch_size: Whole = 32
    num_epochs: Whole = 100
    early_stopping_patience: Whole = 15
    scheduler_patience: Count = 5
    loss: Literal["bce", "focal"] = "bce"
    focal_gamma: Finite0 = 2.0
    optimizer: Literal["adamw", "adam"] = "adamw"
    scheduler: Literal["plateau", "cosine", "one_cycle", "none"] = "plateau"
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    class_weight: Above0 = 3.0
    gradient_clip: Above0 = 1.0
    device: Device = field(default_factory=_default_device)
    targets: list[str] = field(default_factory=list)
    window_length: Whole = 120
    variable_length: bool = False
    stride: Whole = 1
    max_gap_periods: Whole = 10
    normalization: Literal["zscore", "robust", "minmax", "quantile", "none"] = "zscore"
    missing_strategy: Literal["forward_fill", "mean", "zero", "interpolate"] = "forward_fill"
    clip: Above0 = 8.0
    positive_share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    negative_share: Share = 1.0
    decoy_share: Share = 1.0
    sampling: Literal["shares", "balanced", "look_alikes"] = "shares"
    balance: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    workers: Annotated[int, Meta(ge=0, le=1024)] = 0
    validation_share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    seed: Count = 0
    threads: Annotated[int, Meta(ge=1, le=1024)] = 2
    alert: dict[str, AlertSettings] = field(default_factory=dict)

    def window_rules(self, period_ms: int) -> WindowRules:
        """The windows' rules for scans that come every `period_ms` milliseconds."""
        return WindowRules(self.window_length, period_ms, self.stride, self.max_gap_periods * period_ms)

    def alert_settings(self, target: str) -> AlertSettings:
        """The settings of one target's alerts."""
        return self.alert.get(target) or default_alert(target)

    def as_dict(self) -> dict[str, Any]:
        """For training.json."""
        return asdict(self)


def recipe_names() -> list[str]:
    """The recipes that come with the trainer."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_config(recipe: str | None = None, assignments: Iterable[str] = ()) -> TrainingConfig:
    """A configuration from a recipe and changes to it.

    Args:
        recipe: name of a recipe, or path of a TOML file; None for the defaults.
        assignments: `key=value`, the value as in TOML (or a bare word); a dot leads into a table.

    Raises:
        UsageError: no such recipe or field, or a value that does not fit.
    """
    config = TrainingConfig() if recipe is None else from_dict(_read_recipe(recipe), f"recipe {recipe}")
    return with_changes(config, assignments)


def with_changes(config: TrainingConfig, assignments: Iterable[str]) -> TrainingConfig:
    """A configuration with some fields changed, `key=value` as for `load_config`.

    Raises:
        UsageError: no such field, or a value that does not fit.
    """
    return changed(config, dict(map(_assigned, assignments)), "--set")


def from_dict(settings: Mapping[str, Any], where: str = "the configuration") -> TrainingConfig:
    """A configuration from plain values, checked.

    Raises:
        UsageError: an unknown field, a value that does not fit, or no model that can be built of them.
    """
    _refuse_unknown(settings, TrainingConfig, "", where)
    augmentation = settings.get("augmentation")
    if isinstance(augmentation, Mapping):
        _refuse_unknown(augmentation, AugmentationSettings, "augmentation.", where)
    filled = dict(settings)
    alerts = settings.get("alert", {})
    if isinstance(alerts, Mapping):
        for target, values in alerts.items():
            if isinstance(values, Mapping):
                _refuse_unknown(values, AlertSettings, f"alert.{target}.", where)
        filled["alert"] = {
            target: {**_ALERT_DEFAULTS.get(target, {}), **values} if isinstance(values, Mapping) else values
            for target, values in alerts.items()
        }
        for target, values in filled["alert"].items():  # by itself: of a whole table msgspec does not tell which
            _converted(values, AlertSettings, f"alert.{target}", where)
    config = _converted(filled, TrainingConfig, "", where)
    check_model(config)
    return config


_Kind = TypeVar("_Kind")


def _converted(values: Any, kind: type[_Kind], table: str, where: str) -> _Kind:
    """Values as a dataclass.

    Raises:
        UsageError: one does not fit; names its place.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at ")
        key = path.strip("`").removeprefix("$").removeprefix(".")
        at = ".".join(filter(None, (table, key))) or "the top level"
        text = isinstance(values, Mapping) and isinstance(values.get(key), str)
        hint = f": write [{values[key]!r}]" if text and "`array`" in what else ""
        raise UsageError(f"{what[:1].lower()}{what[1:]} at {at} of {where}{hint}") from None


def changed(config: TrainingConfig, values: Mapping[str, Any], where: str) -> TrainingConfig:
    """A configuration with other values, checked.

    Args:
        config: the configuration to start from.
        values: by field; a dot leads into a table.
        where: what an error says the values are of.

    Raises:
        UsageError: an unknown field, or a value that does not fit.
    """
    settings = config.as_dict()
    for key, value in values.items():
        _place(settings, key, value, where)
    return from_dict(settings, where)


def _read_recipe(recipe: str) -> dict[str, Any]:
    path = RECIPES / f"{recipe}.toml" if recipe in recipe_names() else Path(recipe)
    if not path.is_file():
        raise UsageError(f"expected a recipe ({', '.join(recipe_names())}) or a TOML file, got `{recipe}` at --recipe")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"expected TOML, got something else ({error}) at {path}") from None


def _assigned(assignment: str) -> tuple[str, Any]:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise UsageError(f"expected key=value, got `{assignment}` at --set")
    return key.strip(), _value(text.strip())


def _place(settings: dict[str, Any], key: str, value: Any, where: str) -> None:
    *tables, name = key.split(".")
    for table in tables:
        settings = settings.setdefault(table, {})
        if not isinstance(settings, dict):
            raise UsageError(f"expected a table, got a value at `{table}` of {key} at {where}")
    settings[name] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word: --set pooling=max without quotes for the shell to eat


def _refuse_unknown(settings: Mapping[str, Any], kind: type, prefix: str, where: str) -> None:
    known = [entry.name for entry in fields(kind)]
    for key in settings:
        if key not in known:
            raise UsageError(f"expected one of {', '.join(known)}, got `{prefix}{key}` at {where}")
