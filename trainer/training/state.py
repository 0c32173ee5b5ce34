"""The state of a training run as tensors and plain values, and back: what a checkpoint holds.

What is drawn in an epoch is a function of seed and epoch, so samplers have no state here; torch's generator has,
because dropout draws from it, and each process has its own.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from trainer.training.distributed import World
from trainer.training.history import EpochRecord


def optimizer_state(optimizer: Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Moments and step counts by `<index>.<name>`, and the settings of each group."""
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": torch.as_tensor(value)
        for index, values in state["state"].items()
        for name, value in values.items()
    }
    return tensors, state["param_groups"]


def load_optimizer_state(optimizer: Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]) -> None:
    """Put back what `optimizer_state` gave."""
    values: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        values.setdefault(int(index), {})[name] = tensor
    # JSON has no tuples; the optimisers' own are all there are.
    plain = [{key: tuple(value) if key == "betas" else value for key, value in group.items()} for group in groups]
    optimizer.load_state_dict({"state": values, "param_groups": plain})


def generator_states(world: World) -> dict[str, Tensor]:
    """States of torch's generators by `<kind>.<rank>`, of all processes."""
    states = {"cpu": torch.get_rng_state()}
    if world.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(world.device)
    return {
        f"{kind}.{rank}": one.cpu() for kind, state in states.items() for rank, one in enumerate(world.gather(state))
    }


def load_generator_states(states: Mapping[str, Tensor], world: World) -> None:
    """Put back this process's."""
    torch.set_rng_state(states[f"cpu.{world.rank}"])
    if world.device.type == "cuda":
        torch.cuda.set_rng_state(states[f"cuda.{world.rank}"], world.device)


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under `<prefix>.<name>`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those under `<prefix>.`, by the names that follow it."""
    return {
        name.removeprefix(f"{prefix}."): tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")
    }


def history_values(history: list[EpochRecord]) -> list[dict[str, Any]]:
    """Plain values of the records."""
    return [asdict(record) for record in history]


def first_difference(asked: Any, saved: Any, path: str = "") -> str | None:
    """Where two trees of plain values differ first, as ``expected SAVED, got ASKED at PATH``; None if nowhere."""
    if isinstance(asked, Mapping) and isinstance(saved, Mapping):
        for key in sorted({*asked, *saved}):
            found = first_difference(asked.get(key), saved.get(key), f"{path}.{key}" if path else str(key))
            if found:
                return found
        return None
    return None if asked == saved else f"expected {saved}, got {asked} at {path}"
