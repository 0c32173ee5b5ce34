"""Peak memory of answering and of training, each measured in a process of its own.

A process's peak never falls, so what one runtime took would hide what the next takes. Nothing heavy is imported here
before it is wanted: importing is part of what is measured.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.errors import ProviderError, mismatch

_STATUS = Path("/proc/self/status")

Work = Literal["torch", "onnxruntime", "training step"]

_RUNS = 3


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """Resident memory of one process.

    Attributes:
        batch: windows at once.
        imported_bytes: the peak before the bundle was read: the interpreter and the libraries.
        peak_bytes: the peak after it answered, or learnt from, some batches.
    """

    batch: int
    imported_bytes: int
    peak_bytes: int


def peak_memory(work: Work, bundle: Path, batch: int) -> PeakMemory | None:
    """Measure one kind of work on the CPU with one thread; None where the system does not tell (it is not Linux).

    Args:
        work: who answers, or one training step with the bundle's own configuration.
        bundle: folder of a bundle.
        batch: windows at once.

    Raises:
        ProviderError: it failed; says what the process said last.
    """
    if not _STATUS.is_file():
        return None
    told = subprocess.run(
        [sys.executable, "-m", __name__, work, str(bundle), str(batch)], capture_output=True, text=True, check=False
    )
    if told.returncode:
        what = (told.stderr.strip() or f"exit code {told.returncode}").splitlines()[-1]
        raise ProviderError(mismatch(f"the peak memory of {work}", f"`{what}`", str(bundle)))
    return PeakMemory(batch, **json.loads(told.stdout))


def _main(work: str, bundle: str, batch: str) -> None:
    """The process of its own: one line of JSON."""
    run = {"torch": _answer_in_torch, "onnxruntime": _answer_in_onnxruntime, "training step": _train}[work]
    imported = run(Path(bundle), int(batch))
    print(json.dumps({"imported_bytes": imported, "peak_bytes": _peak_bytes()}))


def _peak_bytes() -> int:
    """Of this program alone: `getrusage` would tell that of the process it was started from too."""
    for line in _STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    raise OSError(f"expected VmHWM, got none at {_STATUS}")


def _answer_in_onnxruntime(path: Path, batch: int) -> int:
    import numpy as np

    from models.bundle import read
    from models.runtime import Predictor

    imported = _peak_bytes()
    bundle = read(path)
    # Not replayed: an int8 graph made for timing alone answers its golden windows a little otherwise.
    predictor = Predictor(bundle, device="cpu", batch_sizes=(batch,), replay=False)
    windows = np.resize(bundle.golden.windows, (batch, *bundle.golden.windows.shape[1:]))
    for _ in range(_RUNS):
        predictor.run(windows)
    return imported


def _answer_in_torch(path: Path, batch: int) -> int:
    import numpy as np
    import torch

    from models.bundle import read
    from trainer.export import load_model

    torch.set_num_threads(1)
    imported = _peak_bytes()
    bundle = read(path)
    model = load_model(bundle)
    windows = np.resize(bundle.golden.windows, (batch, *bundle.golden.windows.shape[1:]))
    for _ in range(_RUNS):
        model.predict_proba(torch.from_numpy(windows))
    return imported


def _train(path: Path, batch: int) -> int:
    import torch

    from models.bundle import read
    from trainer.architectures import model_from
    from trainer.config import TrainingConfig
    from trainer.training.losses import build_loss, label_weights, weighted_loss
    from trainer.training.optimisation import build_optimizer

    torch.set_num_threads(1)
    imported = _peak_bytes()
    manifest = read(path).manifest
    # Numbers as they come: what a step takes does not depend on them, nor on loss, rate and clipping.
    config = TrainingConfig(device="cpu")
    model = model_from(manifest.architecture).train()
    optimizer, criterion = build_optimizer(model, config), build_loss(config)
    windows = torch.randn(batch, manifest.window.length, len(manifest.sensors))
    labels = (torch.rand(batch, len(manifest.targets)) > 0.5).float()
    for _ in range(_RUNS):
        optimizer.zero_grad()
        torch.autograd.backward(weighted_loss(criterion, model(windows), labels, label_weights(labels)))
        optimizer.step()
    return imported


if __name__ == "__main__":
    _main(*sys.argv[1:])
