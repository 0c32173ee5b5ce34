"""Checkpoints: all that a training run needs to go on as if nothing had happened, one file an epoch.

    checkpoints = Checkpoints(Path("runs/mine.training"))
    checkpoints.save(3, tensors, state)
    saved = checkpoints.newest()

A file is safetensors: the tensors, and in its metadata the rest as JSON and a sha256 over both, so that a flipped byte
is found. It is written beside its place, forced to the disk and then renamed, so that at any moment the newest whole
file stands under its name; the one before it is kept.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.whole_file import PART, write_whole
from trainer.errors import TrainingError

KEPT = 2


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that was read.

    Attributes:
        path: its file.
        tensors: by name, on the CPU.
        state: plain values.
    """

    path: Path
    tensors: dict[str, Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one training run; the folder is made by the first of them.

    Args:
        folder: of this run alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self) -> list[Path]:
        """Files of whole checkpoints, the newest last."""
        return sorted(self.folder.glob("epoch-*.safetensors"))

    def last_epoch(self) -> int:
        """The epoch of the newest; 0 if there is none."""
        paths = self.paths()
        return int(paths[-1].stem.removeprefix("epoch-")) if paths else 0

    def save(self, epoch: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
        """Write one and forget those before the last.

        Args:
            epoch: that has ended.
            tensors: by name; on any device.
            state: values that JSON has; floats may be infinite.

        Raises:
            TrainingError: it cannot be written; those before it are as they were.
        """
        data = _pack(tensors, state)
        path = self.folder / f"epoch-{epoch:06d}.safetensors"
        try:
            write_whole(path, data)
        except OSError as error:
            why = " ".join((error.strerror or str(error)).split())
            before = self.paths()
            kept = f"{before[-1].name} is whole, go on from it with --resume" if before else "there is none before it"
            raise TrainingError(
                f"expected room for a checkpoint of {len(data):,} bytes, got `{why}` at {path}: make room; {kept}"
            ) from None
        for old in self.paths()[:-KEPT]:
            old.unlink(missing_ok=True)
        return path

    def newest(self) -> Saved | None:
        """The last whole checkpoint; None if there is none yet.

        Raises:
            TrainingError: it was altered or cut short; names the file and what to do.
        """
        paths = self.paths()
        if not paths:
            return None
        try:
            return _read(paths[-1])
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            remedy = (
                f"delete it, then --resume goes on from {paths[-2].name}"
                if len(paths) > 1
                else "delete it and begin anew"
            )
            raise TrainingError(f"expected a whole checkpoint, got `{why}` at {paths[-1]}: {remedy}") from None

    def remove(self) -> None:
        """Take away the checkpoints and the folder, unless something else lies in it."""
        for path in (*self.paths(), *self.folder.glob(f".*{PART}")):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()


def _pack(tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> bytes:
    # A clone each: safetensors refuses tensors that share memory, and cuDNN keeps all weights of an LSTM in one block.
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    # Python's JSON, not msgspec's, because a schedule may hold infinities, and floats come back bit for bit.
    text = json.dumps(state, separators=(",", ":"))
    return save(copies, {"state": text, "sha256": _digest(copies, text)})


def _read(path: Path) -> Saved:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118, it is no mapping
    found = _digest(tensors, metadata["state"])
    if found != metadata["sha256"]:
        raise ValueError(f"content of sha256 {found[:12]} instead of {metadata['sha256'][:12]}")
    return Saved(path, tensors, json.loads(metadata["state"]))


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
