"""`Predictor`: a verified bundle on ONNX Runtime. The only place that makes sessions.

    from models.runtime import Predictor
    predictor = Predictor.load("current")
    probabilities = predictor.predict(windows)      # [n, time, sensor] raw units, NaN = missing -> [n, target]

Notable decisions: batches are padded to a few fixed sizes that are warmed before use, so no first batch of
its size is slow and a window's answer does not depend on its neighbours; the provider is asserted, because
ONNX Runtime falls back to the CPU in silence; the golden windows are replayed at every size before the
predictor is handed out.
"""

import ctypes
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from models.bound_runs import BoundRuns
from models.bundle import Bundle, read
from models.errors import BundleError, ProviderError, mismatch
from models.features import Sensor
from models.manifest import INPUT_NAME, OUTPUT_NAME, Manifest
from models.windows import Float32Array, WindowRules

Device = Literal["auto", "cpu", "cuda"]
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
"""TF32 rounds to ten bits of mantissa: more than the golden windows' tolerance allows. Convolutions are chosen by rule:
to try them out would take its time at the first batch of every size."""

_ORT_ERRORS = (
    ort_state.Fail, ort_state.InvalidArgument, ort_state.InvalidGraph, ort_state.InvalidProtobuf,
    ort_state.NotImplemented, ort_state.RuntimeException, ort_state.EPFail,
)  # fmt: skip
"""ONNX Runtime's errors have no common base of their own."""

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


def has_cuda(device: Device, *, require_gpu: bool = False) -> bool:
    """Whether a predictor asked for in this way would run on CUDA, or not at all."""
    return require_gpu or device == "cuda" or (device == "auto" and why_no_cuda() is None)


def padded_size(windows: int, sizes: tuple[int, ...]) -> int:
    """The smallest of the ascending `sizes` that holds `windows`; the largest if none does."""
    return next((size for size in sizes if size >= windows), sizes[-1])


class Predictor:
    """Runs one bundle's model.

    Attributes:
        manifest: of the bundle.
        provider: the ONNX Runtime execution provider that is in fact in use.
        batch_sizes: ascending sizes that batches are padded to.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: Device = "auto",
        require_gpu: bool = False,
        batch_sizes: tuple[int, ...] = BATCH_SIZES,
        threads: int = 1,
        bound: bool | None = None,
        replay: bool = True,
    ) -> None:
        """Open a session, warm it, and replay the golden windows.

        Args:
            bundle: from `models.bundle.read`.
            device: `cuda` or `cpu` insist; `auto` takes CUDA if there is a GPU.
            require_gpu: anything but CUDA is an error, whatever `device` says.
            batch_sizes: ascending sizes to pad to.
            threads: of ONNX Runtime within an operator.
            bound: whether batches are run on buffers that stay on the device; by default on CUDA.
            replay: False is for whoever makes the golden windows' probabilities, or only times the graph.

        Raises:
            ProviderError: the provider asked for cannot be had, or answers the golden windows wrongly.
        """
        self.manifest: Manifest = bundle.manifest
        self.batch_sizes = batch_sizes
        wants_cuda = device == "cuda" or require_gpu
        missing = None if device == "cpu" and not require_gpu else why_no_cuda()
        if wants_cuda and missing:
            asked = "model.require_gpu" if require_gpu else "model.device=cuda"
            raise ProviderError(mismatch(f"a CUDA GPU ({asked})", missing, "ONNX Runtime") + "; see `worker doctor`")
        self._session = _open_session(
            bundle, use_cuda=missing is None and (wants_cuda or device == "auto"), threads=threads
        )
        self.provider: str = self._session.get_providers()[0]
        if wants_cuda and self.provider != CUDA:
            raise ProviderError(mismatch(CUDA, f"{self.provider} (it fell back in silence)", "ONNX Runtime"))
        self._bound: BoundRuns | None = None
        if bound or (bound is None and self.provider == CUDA):
            device = "cuda" if self.provider == CUDA else "cpu"
            self._bound = BoundRuns(self._session, device, len(self.manifest.targets))
        if replay:
            self._replay(bundle)

    @classmethod
    def load(cls, bundle: str | Path = "current", **options: Any) -> "Predictor":
        """Read a bundle (a folder, a released name, or `current`) and open it; options as for `Predictor`."""
        return cls(read(bundle), **options)

    @property
    def window(self) -> WindowRules:
        """The rules of its windows."""
        return self.manifest.window

    @property
    def sensors(self) -> list[Sensor]:
        """In the order of a window's columns."""
        return self.manifest.sensors

    @property
    def targets(self) -> list[str]:
        """In the order of the probabilities."""
        return self.manifest.targets

    def predict(self, windows: Float32Array) -> Float32Array:
        """Probabilities of any number of windows.

        Args:
            windows: [n, time, sensor], engineering units, NaN = missing.

        Returns:
            [n, target] float32, in the order of `manifest.targets`.
        """
        expected = (self.manifest.window.length, len(self.manifest.sensors))
        if windows.ndim != 3 or windows.shape[1:] != expected:
            raise ValueError(mismatch(f"windows [n, {expected[0]}, {expected[1]}]", list(windows.shape), "predict"))
        largest = self.batch_sizes[-1]
        parts = [self._padded(windows[first : first + largest]) for first in range(0, len(windows), largest)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.manifest.targets)), np.float32)

    def run(self, windows: Float32Array) -> Float32Array:
        """Probabilities of a batch that already has one of `batch_sizes`: the hot path, on the CPU without a copy."""
        if self._bound is not None:
            return self._bound.run(windows)
        result: Float32Array = self._session.run([OUTPUT_NAME], {INPUT_NAME: windows})[0]
        return result

    def _padded(self, windows: Float32Array) -> Float32Array:
        size = padded_size(len(windows), self.batch_sizes)
        batch = np.zeros((size, *windows.shape[1:]), np.float32)
        batch[: len(windows)] = windows
        return self.run(batch)[: len(windows)]

    def _replay(self, bundle: Bundle) -> None:
        golden, tolerance = bundle.golden, self.manifest.golden
        atol = tolerance.cuda_atol if self.provider == CUDA else tolerance.cpu_atol
        for size in self.batch_sizes:
            which = np.arange(max(size, len(golden.windows))) % len(golden.windows)
            for first in range(0, len(which), size):
                chosen = which[first : first + size]
                error = np.abs(self._golden_answer(golden.windows[chosen], bundle) - golden.probabilities[chosen])
                if not bool(np.all(error <= atol)):
                    raise ProviderError(
                        mismatch(
                            f"the golden probabilities within {atol:g}", f"{np.max(error):.3g} off", str(bundle.path)
                        )
                        + f" on {self.provider} at batch {size}; the model must not be served here"
                    )

    def _golden_answer(self, windows: Float32Array, bundle: Bundle) -> Float32Array:
        try:
            return self._padded(windows)
        except _ORT_ERRORS as error:
            raise ProviderError(mismatch("a graph that runs", _first_line(error), str(bundle.path))) from None


def why_no_cuda() -> str | None:
    """None if a CUDA session can be tried here, else the cause in a few words."""
    if CUDA not in ort.get_available_providers():
        return "an ONNX Runtime built without CUDA"
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1 not found)"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return "an NVIDIA driver without a device"
    return None


def _open_session(bundle: Bundle, *, use_cuda: bool, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads look fast alone and steal the core from the Kafka client beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    providers: list[str | tuple[str, dict[str, str]]] = [CPU]
    if use_cuda:
        ort.preload_dlls()
        providers.insert(0, (CUDA, CUDA_OPTIONS))
    try:
        return ort.InferenceSession(bundle.model, options, providers=providers)
    except _ORT_ERRORS as error:
        raise BundleError(mismatch("a graph ONNX Runtime loads", _first_line(error), str(bundle.path))) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
