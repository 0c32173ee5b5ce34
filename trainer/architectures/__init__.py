"""The architectures: one file each, and what is found here by a file's name.

To add one, drop `trainer/architectures/<name>.py` with one `SequenceModel` whose `model_type` is `<name>`, and a recipe
with `model_type = "<name>"`. Its constructor takes `input_size` and `output_size`, the fields of `SHARED` (or what
`config_names` calls them) and, keyword-only, whatever else it can be told: a recipe sets those under `[model]`.

Nothing here imports torch before a model is wanted, so that a command line can name the architectures at once.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from models.errors import ContractError, UsageError, mismatch

if TYPE_CHECKING:
    from trainer.architectures.base import SequenceModel
    from trainer.config import TrainingConfig

Pooling = Literal["last", "max", "mean", "attention", "last_max"]
Inputs = Literal["level", "change", "both"]

SHARED = ("hidden_size", "num_layers", "dropout", "pooling", "inputs", "whitening")
"""Fields of `TrainingConfig` that every architecture's constructor takes."""

_PARTS = {"__init__", "base", "parts"}
_TOLD = {"model_type", "parameters"}
"""What a manifest's `architecture` says besides the constructor's arguments."""


MOST_PARAMETERS = 1_000_000_000
"""Of a model: 16 GB with gradients and the optimiser's moments, far beyond what windows of sensors can use."""


def architecture_names() -> list[str]:
    """The architectures there are: the names of their files."""
    return sorted(path.stem for folder in __path__ for path in Path(folder).glob("*.py") if path.stem not in _PARTS)


def check_model(config: "TrainingConfig") -> None:
    """Refuse what no model can be built of, before data is read for minutes.

    Raises:
        UsageError: an unknown `model_type`, an unknown or unfit option under `model`, or sizes that do not go together.
    """
    import torch

    with torch.device("meta"):  # shapes only: neither memory nor random numbers
        numbers = sum(parameter.numel() for parameter in build_model(config, 1, 1).parameters())
    if numbers > MOST_PARAMETERS:
        raise UsageError(
            f"expected a model of {MOST_PARAMETERS:,} parameters at most, got {numbers:,} at hidden_size or num_layers"
        )


def build_model(config: "TrainingConfig", input_size: int, output_size: int) -> "SequenceModel":
    """A new model with random weights.

    Args:
        config: `model_type`, the fields of `SHARED`, `model` and `gradient_checkpointing` count.
        input_size: sensors.
        output_size: targets.

    Raises:
        UsageError: as for `check_model`.
    """
    kind = _class_of(config.model_type)
    shared = {kind.config_names.get(name, name): getattr(config, name) for name in SHARED}
    options = _options(kind, config.model, {"input_size", "output_size", *shared})
    try:
        model = kind(input_size=input_size, output_size=output_size, **shared, **options)
    except ValueError as error:
        raise UsageError(f"{error} of model_type={config.model_type}") from None
    except (RuntimeError, MemoryError) as error:  # torch's words for sizes that no memory has
        what = " ".join(str(error).split())[:80]
        raise UsageError(f"expected a model that fits the memory, got `{what}` at hidden_size or num_layers") from None
    model.gradient_checkpointing = config.gradient_checkpointing
    return model


def model_from(architecture: Mapping[str, Any]) -> "SequenceModel":
    """A model from what a manifest says of it (`SequenceModel.architecture`), its weights still random.

    Raises:
        ContractError: it is not the description of a model that can be built here.
    """
    try:
        kind = _class_of(str(architecture.get("model_type")))
        return kind(**{name: value for name, value in architecture.items() if name not in _TOLD})
    except (UsageError, TypeError, ValueError) as error:
        raise ContractError(
            mismatch("the description of a model", str(error), "architecture of manifest.json")
            + "; use the version of the trainer that wrote it"
        ) from None


def _class_of(model_type: str) -> "type[SequenceModel]":
    if model_type not in architecture_names():
        raise UsageError(f"expected one of {', '.join(architecture_names())}, got `{model_type}` at model_type")
    module = import_module(f"{__name__}.{model_type}")
    from trainer.architectures.base import SequenceModel

    for found in vars(module).values():
        if inspect.isclass(found) and issubclass(found, SequenceModel) and found.__module__ == module.__name__:
            return found
    raise ContractError(mismatch("a subclass of SequenceModel", "none", str(module.__file__)))


def _options(kind: "type[SequenceModel]", options: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """The options of `[model]`, each held against the constructor's annotation."""
    parameters = inspect.signature(kind, eval_str=True).parameters
    known = [name for name in parameters if name not in taken]
    checked = {}
    for name, value in options.items():
        if name not in known:
            there = f"one of {', '.join(known)}" if known else "no further option"
            raise UsageError(f"expected {there}, got `{name}` at model of model_type={kind.model_type}")
        try:
            checked[name] = msgspec.convert(value, parameters[name].annotation)
        except msgspec.ValidationError as error:
            what = str(error)
            raise UsageError(f"{what[:1].lower()}{what[1:]} at model.{name}") from None
    return checked
