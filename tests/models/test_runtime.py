"""The predictor: right values at any batch, the provider proven, wrong answers refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.bundles import RULES, expected, golden, graph, manifest, write_bundle

from models import bundle as bundles
from models.errors import BundleError, ProviderError
from models.runtime import BATCH_SIZES, CPU, CUDA, Predictor, padded_size, why_no_cuda

needs_no_gpu = pytest.mark.skipif(why_no_cuda() is None, reason="this machine has a CUDA device")

RELEASED = ("casting-cnn-lstm", "casting-lstm", "casting-attention-lstm")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "test")


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3, 8, 9, 20])
def test_any_number_of_windows_is_answered(folder: Path, count: int, bound: bool) -> None:
    predictor = Predictor.load(folder, batch_sizes=(1, 4, 8), bound=bound)
    windows = np.random.default_rng(count).normal(size=(count, RULES.length, 2)).astype(np.float32)
    windows[:, 0, 0] = np.nan
    np.testing.assert_allclose(predictor.predict(windows), expected(windows), atol=1e-6)


def test_answer_does_not_depend_on_the_neighbours(folder: Path) -> None:
    predictor = Predictor.load(folder, batch_sizes=(8,))
    windows = np.random.default_rng(0).normal(size=(8, RULES.length, 2)).astype(np.float32)
    alone = np.concatenate([predictor.predict(window[None]) for window in windows])
    np.testing.assert_array_equal(predictor.predict(windows), alone)


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_bundle_answers_alike_at_every_batch_size(name: str) -> None:
    """Its golden windows, and the same with noise: real values, some of them missing."""
    alone = Predictor.load(name, device="cpu", batch_sizes=(1,))
    windows = bundles.read(name).golden.windows
    rng = np.random.default_rng(0)
    noisy = (windows * rng.normal(1, 0.01, windows.shape)).astype(np.float32)
    windows = np.concatenate([windows, noisy, np.where(rng.random(windows.shape) < 0.05, np.nan, noisy)])
    wanted = np.concatenate([alone.predict(window[None]) for window in windows])
    assert np.ptp(wanted) > 0.1
    for size in BATCH_SIZES:
        found = Predictor.load(name, device="cpu", batch_sizes=(size,)).predict(windows)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6, err_msg=f"batches of {size}")


def test_runs_on_bound_buffers_are_those_without() -> None:
    """The released default at the sizes that CUDA is served with; side by side, and each answer its own to keep."""
    sizes = (*BATCH_SIZES, 128, 256)
    free, bound = (Predictor.load("current", device="cpu", batch_sizes=sizes, bound=one) for one in (False, True))
    rng, window = np.random.default_rng(0), free.window.length
    batches = [rng.normal(100, 30, (size, window, len(free.sensors))).astype(np.float32) for size in (*sizes, *sizes)]
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(bound.run, batches))
    for batch, answer in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(answer, free.run(batch))


def test_windows_of_another_shape_are_a_programmers_mistake(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"expected windows \[n, 5, 2\], got \[1, 4, 2\]"):
        Predictor.load(folder).predict(np.zeros((1, 4, 2), np.float32))


def test_provider_in_use_is_told(folder: Path) -> None:
    predictor = Predictor.load(folder, device="cpu")
    assert predictor.provider == CPU


def test_wrong_golden_probabilities_are_refused(tmp_path: Path) -> None:
    wrong = bundles.Golden(golden().windows, golden().probabilities + np.float32(1e-3))
    bundles.write(tmp_path / "test", manifest(), graph().SerializeToString(), wrong, {})
    with pytest.raises(ProviderError, match=r"expected the golden probabilities within 1e-05, got 0\.001"):
        Predictor.load(tmp_path / "test", device="cpu")


@needs_no_gpu
@pytest.mark.parametrize(
    ("options", "setting"), [({"require_gpu": True}, "model.require_gpu"), ({"device": "cuda"}, "model.device=cuda")]
)
def test_missing_gpu_is_an_error_with_its_cause(folder: Path, options: dict[str, object], setting: str) -> None:
    with pytest.raises(ProviderError, match=rf"expected a CUDA GPU \({setting}\), got .*(NVIDIA|CUDA)"):
        Predictor.load(folder, **options)


@needs_no_gpu
def test_auto_serves_on_the_cpu_without_a_gpu(folder: Path) -> None:
    assert Predictor.load(folder, device="auto").provider == CPU != CUDA


def test_padding_takes_the_smallest_size_that_holds_the_windows() -> None:
    assert [padded_size(n, (1, 4, 8)) for n in (1, 2, 4, 5, 8, 9)] == [1, 4, 4, 8, 8, 8]


@pytest.mark.parametrize("op_type", ["NoSuchOperator", "Sin"])
def test_graph_that_onnx_runtime_does_not_load_is_refused_in_a_line(tmp_path: Path, op_type: str) -> None:
    model = graph()
    model.graph.node[-1].op_type = op_type
    if op_type == "Sin":
        model.graph.node[-1].input.append("logit")
    bundles.write(tmp_path / "test", manifest(), model.SerializeToString(), golden(), {})
    with pytest.raises(BundleError, match="expected a graph ONNX Runtime loads, got ") as caught:
        Predictor.load(tmp_path / "test", device="cpu")
    assert "\n" not in str(caught.value)
