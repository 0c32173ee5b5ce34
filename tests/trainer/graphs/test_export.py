"""From a trained model to a bundle that the worker can serve."""

import json
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch

from models import bundle as bundles
from models.errors import BundleError
from models.runtime import Predictor
from trainer.errors import ExportError
from trainer.experiments.runs import RunLog, latest
from trainer.export import Exported, export_run, load_model
from trainer.graphs.serving_graph import ServingGraph
from trainer.graphs.verification import PARITY_ATOL, PARITY_BATCHES, Sample, golden_windows, trying_windows, verify
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


def test_model_of_a_bundle_takes_raw_windows_and_gives_the_logits_of_the_graph(
    small_export: Exported, small_run: TrainingRun, predictor: Predictor
) -> None:
    loaded = load_model(small_export.bundle)
    assert not loaded.training
    windows = trying_windows(small_run.validation, 40, np.random.default_rng(4))
    logits = loaded(torch.from_numpy(windows))
    torch.testing.assert_close(torch.sigmoid(logits), loaded.predict_proba(torch.from_numpy(windows)))
    np.testing.assert_allclose(torch.sigmoid(logits).detach().numpy(), predictor.predict(windows), atol=PARITY_ATOL)
    trained = small_run.model(small_run.preprocessor.module()(torch.from_numpy(windows)))
    torch.testing.assert_close(logits, trained)


def test_released_bundles_still_load() -> None:
    names = sorted(path.parent.name for path in bundles.RELEASED.glob("*/manifest.json"))
    assert bundles.resolve("current").name in names
    for name in names:
        golden = bundles.read(name).golden
        answer = load_model(name).predict_proba(torch.from_numpy(golden.windows))
        np.testing.assert_allclose(answer.numpy(), golden.probabilities, atol=PARITY_ATOL, err_msg=name)


@pytest.mark.parametrize("recipe", ["cnn_lstm", "lstm", "attention_lstm"])
def test_the_released_bundle_of_an_architecture_is_the_best_of_its_series_on_validation(recipe: str) -> None:
    bundle = bundles.read(f"casting-{recipe.replace('_', '-')}")
    rows = latest(RunLog(bundles.RELEASED / "evaluation/line-v1/runs.jsonl").rows(), bundle.manifest.data_fingerprint)
    best = max((row for row in rows if row.recipe == recipe), key=lambda row: row.validation.roc_auc)
    said = bundle.manifest
    assert (said.training["recipe"], said.training["seed"]) == (recipe, best.seed)
    assert said.metrics["validation"]["window"]["roc_auc"] == pytest.approx(best.validation.roc_auc, abs=1e-3)
    assert sum(path.stat().st_size for path in bundle.path.iterdir()) < 5_000_000


def test_weights_that_are_altered_missing_or_of_another_network_are_refused(
    small_export: Exported, tmp_path: Path
) -> None:
    bundle = small_export.bundle
    copy = shutil.copytree(bundle.path, tmp_path / "small")
    (copy / "weights.safetensors").unlink()
    with pytest.raises(BundleError, match="expected a readable file, got No such file"):
        load_model(copy)
    data = bytearray((bundle.path / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(data)
    with pytest.raises(BundleError, match=r"expected sha256 .* the file was altered"):
        load_model(copy)
    wider = {**bundle.manifest.architecture, "hidden_size": 8}
    with pytest.raises(BundleError, match=r"expected the weights of the architecture, got .*size mismatch"):
        load_model(replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, architecture=wider)))
    served = msgspec.structs.replace(bundle.manifest, files={})
    bare = bundles.write(tmp_path / "bare", served, bundle.model, bundle.golden, {})
    with pytest.raises(BundleError, match=r"expected a checksum of `weights.safetensors`, got none"):
        load_model(bare)


def test_training_json_tells_configuration_versions_and_history(small_export: Exported, small_run: TrainingRun) -> None:
    record = json.loads((small_export.bundle.path / "training.json").read_text())
    assert record["config"]["seed"] == small_run.config.seed
    assert record["versions"]["torch"] == torch.__version__.split("+")[0] or record["versions"]["torch"]
    assert [entry["epoch"] for entry in record["history"]] == [1, 2]
    assert list(record["parity"]) == ["1", "3", "64", "257"]
    assert all(0 <= off <= PARITY_ATOL for off in record["parity"].values())
    assert record["windows"]["train"]["positive"]["sticker"] > 0


def test_graph_is_one_plain_file_without_traces_of_the_exporting_machine(small_export: Exported) -> None:
    data = small_export.bundle.model
    proto = onnx.load_from_string(data)
    assert {entry.domain: entry.version for entry in proto.opset_import} == {"": 20}
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    for trace in (b"site-packages", b".py", b"/home", bytes(Path(__file__).parents[3])):
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


@pytest.fixture(scope="module")
def sample(small_run: TrainingRun) -> Sample:
    return lambda count, rng: trying_windows(small_run.validation, count, rng)


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
    small_export: Exported, small_run: TrainingRun, graph: ServingGraph, sample: Sample, tmp_path: Path
) -> None:
    bundle = small_export.bundle
    draft = msgspec.structs.replace(bundle.manifest, files={})
    verify(tmp_path / "small", draft, bundle.model, bundle.golden, graph, sample)
    with nudged(small_run.model, 0.01), pytest.raises(ExportError, match="within 1e-05 of torch"):
        verify(tmp_path / "small", draft, bundle.model, bundle.golden, graph, sample)


class WrongOnceExported(CastingLSTM):
    """Computes something else as soon as it is traced, for windows with an outlier, from row `first` of a batch on.

    The golden windows have no outliers, so the check with them cannot notice.
    """

    first = 0

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        logits: torch.Tensor = super().forward(x, lengths)
        if not torch.compiler.is_exporting():
            return logits
        row = torch.ones_like(logits).cumsum(0) - 1
        before, now, after = x[:, :-2].abs(), x[:, 1:-1].abs(), x[:, 2:].abs()
        outlier = ((now >= CLIP) & (before < CLIP / 2) & (after < CLIP / 2)).flatten(1).any(1, keepdim=True)
        return logits + ((row >= self.first) & outlier).float()


CLIP = 8.0


@pytest.mark.parametrize(("first", "batch"), [(0, 3), (8, 64)])
def test_export_of_a_graph_that_computes_something_else_writes_nothing(
    small_run: TrainingRun, small_export: Exported, tmp_path: Path, first: int, batch: int
) -> None:
    architecture = dict(small_export.bundle.manifest.architecture)
    for told in ("model_type", "parameters"):
        del architecture[told]
    wrong = WrongOnceExported(**architecture).eval()
    wrong.first = first
    wrong.load_state_dict(small_run.model.state_dict())
    assert small_run.config.clip == CLIP
    with pytest.raises(ExportError, match=f"within 1e-05 of torch, got .* at batch {batch}"):
        export_run(replace(small_run, model=wrong), tmp_path / "small", name="small")
    assert list(tmp_path.iterdir()) == []


def test_one_few_and_many_windows_are_compared(small_export: Exported) -> None:
    assert PARITY_BATCHES == (1, 3, 64, 257)
    assert tuple(small_export.parity) == PARITY_BATCHES
    assert 0 <= max(small_export.parity.values()) <= PARITY_ATOL


def test_thresholds_are_chosen_on_the_validation_split(small_export: Exported, small_run: TrainingRun) -> None:
    ids = {
        split: [info.sequence_id for info in small_run.dataset.sequences(split)]
        for split in ("train", "validation", "test")
    }
    assert [sequence.sequence_id for sequence in small_run.train.sequences] == ids["train"]
    assert [sequence.sequence_id for sequence in small_run.validation.sequences] == ids["validation"]
    scores = small_export.validation["sticker"]
    judged = {outcome.event_id for outcome in scores.outcomes}
    happened = {split: [e for name in names for e in small_run.dataset.events(name)] for split, names in ids.items()}
    stickers = {split: {e.event_id for e in events if e.target} for split, events in happened.items()}
    assert {split: len(names) for split, names in stickers.items()} == {"train": 2, "validation": 1, "test": 2}
    assert judged == stickers["validation"]
    rows = sum(sequence.rows for sequence in small_run.validation.sequences)
    assert scores.strand_days == pytest.approx((rows - 23) * 500 / 86_400_000, rel=0.01)


@pytest.mark.parametrize(("bias", "in_budget"), [(-30.0, True), (30.0, False)], ids=["never alarms", "always alarms"])
def test_a_model_that_catches_nothing_says_so_and_never_becomes_the_default(
    small_run: TrainingRun, tmp_path: Path, bias: float, in_budget: bool
) -> None:
    stubborn = CastingLSTM(20, 6, 1, 0.1, 1, pooling="last_max", inputs="change").eval()
    with torch.no_grad():
        stubborn.fc_layers[-1].bias.fill_(bias)
    run = replace(small_run, model=stubborn)
    with pytest.raises(ExportError, match=r"got none for sticker at .*nothing was written"):
        export_run(run, tmp_path / "stubborn", name="stubborn", must_catch=True)
    assert list(tmp_path.iterdir()) == []
    exported = export_run(run, tmp_path / "stubborn", name="stubborn")
    said = ["no event caught: `sticker` raises no alert in time for any of 1 validation events"]
    said += [] if in_budget else ["budget not kept: `sticker` raises "]
    assert len(exported.warnings) == len(said)
    for warning, start in zip(exported.warnings, said, strict=True):
        assert warning.startswith(start)
    told = exported.bundle.manifest.metrics["validation"]["event"]["sticker"]
    assert (told["no_event_caught"], told["budget_kept"]) == (True, in_budget)


def test_a_bundle_that_cannot_be_served_is_an_export_error(
    small_export: Exported, graph: ServingGraph, sample: Sample, tmp_path: Path
) -> None:
    bundle = small_export.bundle
    wrong = bundles.Golden(bundle.golden.windows, 1 - bundle.golden.probabilities)
    draft = msgspec.structs.replace(bundle.manifest, files={})
    with pytest.raises(ExportError, match="cannot be served"):
        verify(tmp_path / "small", draft, bundle.model, wrong, graph, sample)


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
