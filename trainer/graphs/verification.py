"""Is the exported graph the trained model? Held against torch, on windows that are harder than most.

Shape suffixes: n windows, t rows in time, s sensors.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from models import bundle as bundles
from models.bundle import Golden
from models.errors import StrandwatchError
from models.manifest import Manifest
from models.runtime import Predictor
from models.windows import Float32Array
from trainer.errors import ExportError
from trainer.graphs.serving_graph import ServingGraph
from trainer.sequence_dataset import NEAR, POSITIVE, CastingSequenceDataset

PARITY_ATOL = 1e-5
PARITY_BATCHES = (1, 3, 64, 257)
GOLDEN_WINDOWS = 8

Sample = Callable[[int, np.random.Generator], Float32Array]
"""Draws so many raw windows [n, t, s]."""


def verify(
    folder: Path,
    draft: Manifest,
    model: bytes,
    golden: Golden,
    graph: ServingGraph,
    sample: Sample,
    *,
    seed: int = 0,
) -> tuple[Predictor, dict[int, float]]:
    """Write a bundle to a scratch folder, read it again as the worker does and hold its answers against torch's.

    Args:
        folder: the scratch folder's.
        draft: the bundle's manifest, any valid policy in it.
        model: the exported graph.
        golden: windows and torch's answers to them; replayed at each batch size.
        graph: torch's, in eval mode.
        sample: where the windows come from that are tried.
        seed: of the windows.

    Returns:
        The predictor, for further use, and the largest difference at each batch size of `PARITY_BATCHES`.

    Raises:
        ExportError: the bundle cannot be opened, or an answer is more than 1e-5 off.
    """
    try:
        written = bundles.write(folder, draft, model, golden, {})
        predictor = Predictor(written, device="cpu", batch_sizes=PARITY_BATCHES)
    except StrandwatchError as error:
        raise ExportError(f"the exported graph cannot be served: {error}") from error
    rng = np.random.default_rng(seed)
    parity: dict[int, float] = {}
    for count in PARITY_BATCHES:
        windows = sample(count, rng)
        off = parity[count] = float(np.abs(predictor.predict(windows) - graph.expected(windows)).max())
        if not off <= PARITY_ATOL:
            raise ExportError(f"expected ONNX Runtime within {PARITY_ATOL:g} of torch, got {off:.3g} at batch {count}")
    return predictor, parity


def trying_windows(data: CastingSequenceDataset, count: int, rng: np.random.Generator) -> Float32Array:
    """Windows [count, t, s] of the data, made harder."""
    return made_harder(data.raw(rng.integers(len(data), size=count)), rng)


def random_windows(manifest: Manifest, count: int, rng: np.random.Generator) -> Float32Array:
    """Windows [count, t, s] without any data: noise of every size within the sensors' ranges, made harder."""
    low, high = (np.array([getattr(sensor, end) for sensor in manifest.sensors]) for end in ("low", "high"))
    shape = (count, manifest.window.length, len(manifest.sensors))
    level, size = rng.random((count, 1, shape[2])), rng.random((count, 1, 1))
    part = np.clip(level + size * (rng.random(shape) - 0.5), 0.0, 1.0)
    return made_harder((low + part * (high - low)).astype(np.float32), rng)


def made_harder(windows: Float32Array, rng: np.random.Generator) -> Float32Array:
    """The same windows [n, t, s], altered in place: missing values, sensors and rows, and outliers."""
    _, rows, sensors = windows.shape
    windows[rng.random(windows.shape) < 0.05] = np.nan
    for number, window in enumerate(windows):
        match number % 4:
            case 0:
                window[: rows // 3] = np.nan
            case 1:
                window[:, rng.integers(sensors)] = np.nan
            case 2:
                window[rng.integers(rows), rng.integers(sensors)] = 1e30
                window[rng.integers(rows), rng.integers(sensors)] = -np.inf
            case _:
                pass
    return windows


def golden_windows(graph: ServingGraph, data: CastingSequenceDataset, seed: int) -> Golden:
    """Eight windows to prove a provider with: positives, negatives near events, plain ones; some with much missing."""
    rng = np.random.default_rng(seed)
    positive, near = np.flatnonzero(data.kinds >= POSITIVE), np.flatnonzero(data.kinds == NEAR)
    chosen = [rng.choice(group, min(3, group.size), replace=False) for group in (positive, near)]
    rest = rng.choice(len(data), GOLDEN_WINDOWS - sum(map(len, chosen)))
    windows = data.raw(np.concatenate([*chosen, rest]))
    windows[-1] = np.nan
    windows[-2, : windows.shape[1] // 2] = np.nan
    windows[0, :, -1] = np.nan
    return Golden(windows, graph.expected(windows))
