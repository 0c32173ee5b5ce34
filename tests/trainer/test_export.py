"""From a trained model to a bundle that the worker can serve."""

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load

from models import bundle as bundles
from models.runtime import Predictor
from trainer.errors import ExportError
from trainer.export import (
    PARITY_ATOL,
    Exported,
    ServingGraph,
    export_run,
    golden_windows,
    trying_windows,
    verify,
)
from trainer.sequence_models import CastingLSTM
from trainer.train_sequence import TrainingRun


@pytest.fixture(scope="module")
def predictor(small_export: Exported) -> Predictor:
    return Predictor(bundles.read(small_export.bundle.path), device="cpu")


@pytest.fixture(scope="module")
def graph(small_run: TrainingRun) -> ServingGraph:
    return ServingGraph(small_run.preprocessor.module(), small_run.model).eval()


def test_worker_s_predictor_answers_as_torch_does(
    predictor: Predictor, graph: ServingGraph, small_run: TrainingRun
) -> None:
    windows = trying_windows(small_run.validation, 130, np.random.default_rng(9))
    assert np.isnan(windows).any()
    assert (np.abs(windows[np.isfinite(windows)]) > 1e20).any()
    off = np.abs(predictor.predict(windows) - graph.expected(windows))
    assert off.max() <= PARITY_ATOL


def test_the_graph_equals_the_training_path_without_missing_values(
    predictor: Predictor, small_run: TrainingRun
) -> None:
    data = small_run.validation
    raw = data.raw(np.arange(40))
    prepared = torch.stack([data[index][0] for index in range(40)])
    np.testing.assert_allclose(
        predictor.predict(raw), small_run.model.predict_proba(prepared).numpy(), atol=PARITY_ATOL
    )


def test_answer_depends_on_missing_values_only_through_the_fill(predictor: Predictor, small_run: TrainingRun) -> None:
    window = small_run.validation.raw(np.array([0]))
    gap = window.copy()
    gap[0, 10:, 11] = np.nan
    held = window.copy()
    held[0, 10:, 11] = held[0, 9, 11]
    np.testing.assert_array_equal(predictor.predict(gap), predictor.predict(held))
    leading = window.copy()
    leading[0, :5, 11] = np.nan
    filled = window.copy()
    filled[0, :5, 11] = small_run.preprocessor.fill[11]
    np.testing.assert_array_equal(predictor.predict(leading), predictor.predict(filled))


def test_manifest_says_what_was_trained(small_export: Exported, small_run: TrainingRun) -> None:
    manifest = small_export.bundle.manifest
    info = small_run.dataset.info
    assert manifest.sensor_names == [sensor.name for sensor in info.sensors]
    assert manifest.window == small_run.validation.rules
    assert manifest.data_fingerprint == info.fingerprint
    assert manifest.targets == ["sticker"]
    policy = manifest.alert["sticker"]
    assert (policy.on_delay_ms, policy.off_delay_ms, policy.cooldown_ms) == (2000, 30_000, 60_000)
    assert policy.severity == "critical"
    assert policy.close == pytest.approx(0.7 * policy.open, abs=1e-4)
    assert manifest.architecture["pooling"] == "last_max"
    assert manifest.metrics["validation"]["event"]["sticker"]["events"] == 1
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", manifest.git_commit)


def test_weights_beside_the_graph_rebuild_the_model(small_export: Exported, small_run: TrainingRun) -> None:
    architecture = dict(small_export.bundle.manifest.architecture)
    for told in ("model_type", "parameters"):
        del architecture[told]
    rebuilt = CastingLSTM(**architecture).eval()
    rebuilt.load_state_dict(load((small_export.bundle.path / "weights.safetensors").read_bytes()))
    windows = torch.randn(3, 24, 20)
    torch.testing.assert_close(rebuilt(windows), small_run.model(windows))


def test_training_json_tells_configuration_versions_and_history(small_export: Exported, small_run: TrainingRun) -> None:
    record = json.loads((small_export.bundle.path / "training.json").read_text())
    assert record["config"]["seed"] == small_run.config.seed
    assert record["versions"]["torch"] == torch.__version__.split("+")[0] or record["versions"]["torch"]
    assert [entry["epoch"] for entry in record["history"]] == [1, 2]
    assert record["windows"]["train"]["positive"]["sticker"] > 0


def test_graph_is_one_plain_file_without_traces_of_the_exporting_machine(small_export: Exported) -> None:
    data = small_export.bundle.model
    proto = onnx.load_from_string(data)
    assert {entry.domain: entry.version for entry in proto.opset_import} == {"": 20}
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    for trace in (b"site-packages", b".py", b"/home", bytes(Path(__file__).parents[2])):
        assert trace not in data


def test_golden_windows_hold_positives_negatives_and_gaps(small_export: Exported, small_run: TrainingRun) -> None:
    golden = small_export.bundle.golden
    assert golden.windows.shape == (8, 24, 20)
    assert np.isnan(golden.windows[-1]).all()
    assert 0.15 < np.isnan(golden.windows).mean() < 0.5
    again = golden_windows(
        ServingGraph(small_run.preprocessor.module(), small_run.model).eval(), small_run.validation, 3
    )
    np.testing.assert_array_equal(again.windows, golden.windows)


@contextmanager
def nudged(model: CastingLSTM, by: float) -> Iterator[None]:
    """The model's last bias moved, as if the export had lost precision."""
    bias = model.fc_layers[-1].bias
    with torch.no_grad():
        before = bias.clone()
        bias += by
        yield
        bias.copy_(before)  # by - by would not give back the same bits


def test_a_graph_that_computes_something_else_is_refused(
    small_export: Exported, small_run: TrainingRun, graph: ServingGraph, tmp_path: Path
) -> None:
    bundle = small_export.bundle
    draft = msgspec.structs.replace(bundle.manifest, files={})
    verify(tmp_path / "small", draft, bundle.model, bundle.golden, graph, small_run)
    with nudged(small_run.model, 0.01), pytest.raises(ExportError, match="within 1e-05 of torch"):
        verify(tmp_path / "small", draft, bundle.model, bundle.golden, graph, small_run)


def test_a_bundle_that_cannot_be_served_is_an_export_error(
    small_export: Exported, small_run: TrainingRun, graph: ServingGraph, tmp_path: Path
) -> None:
    bundle = small_export.bundle
    wrong = bundles.Golden(bundle.golden.windows, 1 - bundle.golden.probabilities)
    draft = msgspec.structs.replace(bundle.manifest, files={})
    with pytest.raises(ExportError, match="cannot be served"):
        verify(tmp_path / "small", draft, bundle.model, wrong, graph, small_run)


def test_export_is_quiet_and_leaves_the_model_as_it_was(
    small_run: TrainingRun, small_export: Exported, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {key: value.clone() for key, value in small_run.model.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = export_run(small_run, tmp_path / "small", name="small", recipe="test")
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert all(torch.equal(value, small_run.model.state_dict()[key]) for key, value in before.items())
    assert again.bundle.model == small_export.bundle.model  # the same weights make the same file
