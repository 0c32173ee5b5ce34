"""Runs of a session on buffers that stay on its device: one for each batch size, and for each thread that asks."""

import threading
from typing import NamedTuple

import numpy as np
import onnxruntime as ort

from models.manifest import INPUT_NAME, OUTPUT_NAME
from models.windows import Float32Array


class _Bound(NamedTuple):
    binding: ort.IOBinding
    windows: ort.OrtValue
    probabilities: ort.OrtValue


class BoundRuns:
    """Runs of one session.

    Args:
        session: of a graph with one input and one output.
        device: where its buffers are, `cuda` or `cpu`.
        targets: how many probabilities a window gets.
    """

    def __init__(self, session: ort.InferenceSession, device: str, targets: int) -> None:
        self._session = session
        self._device = device
        self._targets = targets
        self._mine = threading.local()

    def run(self, windows: Float32Array) -> Float32Array:
        """Probabilities [batch, target] of windows [batch, time, sensor], float32 in C order; one copy in, one out."""
        bound = self._bound(windows.shape)
        bound.windows.update_inplace(windows)
        self._session.run_with_iobinding(bound.binding)
        return np.array(bound.probabilities.numpy())  # on the CPU that is the buffer itself

    def _bound(self, shape: tuple[int, ...]) -> _Bound:
        by_shape: dict[tuple[int, ...], _Bound] = self._mine.__dict__.setdefault("by_shape", {})
        bound = by_shape.get(shape)
        if bound is None:
            binding = self._session.io_binding()
            windows = ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, self._device)
            answer = (shape[0], self._targets)
            probabilities = ort.OrtValue.ortvalue_from_shape_and_type(answer, np.float32, self._device)
            binding.bind_ortvalue_input(INPUT_NAME, windows)
            binding.bind_ortvalue_output(OUTPUT_NAME, probabilities)
            bound = by_shape[shape] = _Bound(binding, windows, probabilities)
        return bound
