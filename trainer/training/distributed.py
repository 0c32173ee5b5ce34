"""Several processes that train one model together, started by `torchrun`.

    torchrun --nproc-per-node 2 -m trainer train --data data/line --out runs/mine

Each process takes its share of every batch, so that a step of all of them is the step of one process on the whole
batch, but for dropout and batch norm. gloo carries the gradients between CPUs, nccl between GPUs.

Gradients are added up here, once a step and as one vector, instead of by torch's `DistributedDataParallel`: that one
sends them off while the backward pass still runs, and a step that is done again in smaller parts because one device
ran out of memory would have sent some of them twice.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from models.errors import UsageError
from trainer.device import open_device
from trainer.errors import TrainingError


@dataclass(frozen=True, slots=True)
class World:
    """The processes that train together, and which of them this one is.

    Every method is called by all of them at the same point; with one process it does nothing.

    Attributes:
        rank: of this process; only rank 0 writes and tells.
        size: number of processes.
        device: where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def sum_gradients(self, model: nn.Module) -> None:
        """Replace each gradient, which is of this process's part of the batch's loss, by the sum over the processes."""
        if self.size == 1:
            return
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        vector = parameters_to_vector(gradients)
        dist.all_reduce(vector)
        vector_to_parameters(vector, gradients)

    def summed(self, counts: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        if self.size > 1:
            dist.all_reduce(counts)
        return counts

    def same_weights(self, model: nn.Module) -> None:
        """Give every process the weights and buffers of rank 0."""
        if self.size > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, src=0)

    def mean_buffers(self, model: nn.Module) -> None:
        """Average what layers keep besides weights, such as the running statistics of batch norm."""
        if self.size > 1:
            for buffer in model.buffers():
                if buffer.is_floating_point():
                    dist.all_reduce(buffer)
                    buffer.div_(self.size)

    def total(self, values: Sequence[float]) -> list[float]:
        """Sum of each value over the processes."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensors of all processes in the order of their ranks; they may differ in their first dimension."""
        if self.size == 1:
            return [tensor]
        here = tensor.to(self.device)
        counts = [torch.empty(1, dtype=torch.int64, device=self.device) for _ in range(self.size)]
        dist.all_gather(counts, torch.tensor([len(here)], device=self.device))
        most = max(int(count) for count in counts)
        padded = torch.cat((here, here.new_zeros((most - len(here), *here.shape[1:]))))
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return [part[: int(count)] for part, count in zip(parts, counts, strict=True)]


def alone(device: str) -> World:
    """The world of a single process.

    Raises:
        TrainingError: the device is not there.
    """
    return World(0, 1, open_device(device))


@contextmanager
def join(device: str, environment: Mapping[str, str] = os.environ, *, timeout_s: float = 600) -> Iterator[World]:
    """Meet the other processes that `torchrun` started, if it did; they part when the block ends.

    Args:
        device: `cpu`, or `cuda`: then each process has the GPU of its local rank.
        environment: torchrun's variables are read from it.
        timeout_s: how long one waits for the others before it gives up, seconds.

    Raises:
        UsageError: one GPU is named for several processes.
        TrainingError: the device is not there.
    """
    size = int(environment.get("WORLD_SIZE", "1"))
    if size == 1:
        yield alone(device)
        return
    if ":" in device:
        raise UsageError(f"expected device=cuda for {size} processes, got {device}: each has a GPU of its own")
    own = open_device(f"cuda:{environment['LOCAL_RANK']}" if device == "cuda" else device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    backend = "nccl" if own.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout_s))
    try:
        yield World(dist.get_rank(), dist.get_world_size(), own)
    except RuntimeError as error:
        if isinstance(error, dist.DistBackendError) or "gloo" in str(error):
            first = str(error).splitlines()[0]
            raise TrainingError(f"expected the other processes to go on, got `{first}`: see what they say") from None
        raise
    finally:
        dist.destroy_process_group()


def share_of_batch(batch_size: int, world: World) -> int:
    """Windows of a batch that each process takes.

    Raises:
        UsageError: they cannot be shared out evenly.
    """
    if batch_size % world.size:
        raise UsageError(
            f"expected a batch_size that {world.size} processes can share evenly, got {batch_size}: set batch_size"
        )
    return batch_size // world.size


def set_epoch(part: object, epoch: int) -> None:
    """Tell a sampler or dataset which epoch begins, if it wants to know."""
    wants = getattr(part, "set_epoch", None)
    if wants is not None:
        wants(epoch)
