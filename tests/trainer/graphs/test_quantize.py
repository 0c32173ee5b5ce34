"""Less precision: what the graphs compute, and which bundles are written at all."""

import copy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import UsageError
from models.manifest import LOOSEST_ATOL
from models.runtime import CUDA, Predictor, why_no_cuda
from models.windows import Float32Array
from trainer import cli
from trainer.commands import quantize
from trainer.datasets.dataset import Dataset
from trainer.errors import ExportError, QuantisationError
from trainer.export import Exported, export_run
from trainer.graphs.pinned_lstm import lstm_inputs, pin_lstms
from trainer.quantize import to_fp16, to_int8
from trainer.quantized_bundle import Quantised, quantize_bundle, sample_windows
from trainer.sequence_dataset import fit_preprocessor
from trainer.sequence_models import CastingLSTM
from trainer.speed import race
from trainer.train_sequence import TrainingRun

WIDE = (-40.0, 40.0)
"""Normalised values are cut at 8; with the window's mean subtracted they stay within 16."""

SIZES = (1, 2, 3, 8, 64)

Opened = Callable[[bytes], Predictor]


@pytest.fixture(scope="module")
def stacked(small_run: TrainingRun, small_line: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Ranks, two layers, whitened, the window's mean subtracted: the hardest of the graphs, with weights as drawn."""
    torch.manual_seed(1)
    sensors = len(small_run.train.sensor_names)
    model = CastingLSTM(sensors, 12, 2, 0.1, pooling="last_max", inputs="change", whitening=True).eval()
    assert model.whitening is not None
    preprocessor = fit_preprocessor(small_line, normalization="quantile")
    model.whitening.fit(preprocessor.correlation)
    run = replace(small_run, model=model, preprocessor=preprocessor)
    return export_run(run, tmp_path_factory.mktemp("stacked") / "stacked", name="stacked").bundle


@pytest.fixture(scope="module")
def windows(stacked: Bundle, small_line: Dataset) -> Float32Array:
    return sample_windows(small_line, stacked.manifest, "test", 128)


@pytest.fixture(scope="module")
def opened(stacked: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Opens another graph in the bundle's place."""

    def predictor(model: bytes) -> Predictor:
        folder = tmp_path_factory.mktemp("graph") / "stacked"
        bundle = bundles.write(folder, stacked.manifest, model, stacked.golden, {})
        return Predictor(bundle, device="cpu", batch_sizes=SIZES, replay=False)

    return predictor


@pytest.fixture(scope="module")
def int8_model(stacked: Bundle, small_line: Dataset) -> bytes:
    return to_int8(stacked.model, sample_windows(small_line, stacked.manifest, "train", 128))


@pytest.fixture(scope="module")
def int8(int8_model: bytes, opened: Opened) -> Predictor:
    return opened(int8_model)


def in_turn(predictor: Predictor, _: Float32Array) -> float:
    """A stopwatch by which a quantised graph takes half the time of the other."""
    return 1.0 if "-" in predictor.manifest.version else 2.0


def test_pinned_lstms_answer_in_float32_as_before(stacked: Bundle, windows: Float32Array, opened: Opened) -> None:
    proto = onnx.load_from_string(stacked.model)
    assert len(set(lstm_inputs(proto))) == 2
    pinned = pin_lstms(proto, dict.fromkeys(lstm_inputs(proto), WIDE))
    onnx.checker.check_model(pinned)
    before, after = (opened(model.SerializeToString()).predict(windows) for model in (proto, pinned))
    assert np.abs(before - after).max() <= 1e-6


def test_an_lstm_that_runs_backwards_is_not_pinned(stacked: Bundle) -> None:
    proto = onnx.load_from_string(stacked.model)
    for node in proto.graph.node:
        for entry in node.attribute:
            if entry.name == "direction":
                entry.s = b"reverse"
    with pytest.raises(ExportError, match="plain forward LSTM"):
        pin_lstms(proto, dict.fromkeys(lstm_inputs(proto), WIDE))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from(SIZES))
def test_an_int8_answer_is_the_same_bits_whatever_the_neighbours(
    int8: Predictor, windows: Float32Array, seed: int, size: int
) -> None:
    rng = np.random.default_rng(seed)
    batch = (rng.normal(size=(size, *windows.shape[1:])) * 10.0 ** rng.integers(-3, 31)).astype(np.float32)
    batch[rng.random(batch.shape) < 0.1] = np.nan
    place, window = rng.integers(size), windows[rng.integers(len(windows))]
    batch[place] = window
    assert np.array_equal(int8.run(batch)[place], int8.run(window[None])[0])


def test_without_pins_an_int8_answer_depends_on_the_neighbours(
    stacked: Bundle, windows: Float32Array, opened: Opened, tmp_path: Path
) -> None:
    """The reason for all of it; when ONNX Runtime mends this, the pins can go."""
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(
        _without_shapes(stacked.model),
        tmp_path / "plain.onnx",
        op_types_to_quantize=["LSTM"],
        reduce_range=True,
    )
    plain = opened((tmp_path / "plain.onnx").read_bytes())
    together = plain.run(windows[:64])
    alone = np.concatenate([plain.run(windows[number : number + 1]) for number in range(64)])
    assert np.abs(together - alone).max() > 1e-5


def _without_shapes(model: bytes) -> onnx.ModelProto:
    proto = onnx.load_from_string(model)
    del proto.graph.value_info[:]
    return proto


def test_int8_changes_the_lstms_and_nothing_else(int8_model: bytes, stacked: Bundle) -> None:
    proto = onnx.load_from_string(int8_model)
    count = [node.op_type for node in proto.graph.node].count
    assert (count("DynamicQuantizeLSTM"), count("LSTM"), count("DynamicQuantizeLinear")) == (2, 0, 0)
    assert proto.graph.input[0] == onnx.load_from_string(stacked.model).graph.input[0]
    assert len(int8_model) < len(stacked.model)
    assert b"onnx.quantize" not in int8_model


def test_fp16_is_the_network_s_alone(stacked: Bundle, windows: Float32Array, opened: Opened) -> None:
    model = to_fp16(stacked.model)
    proto = onnx.load_from_string(model)
    onnx.checker.check_model(proto, full_check=True)
    kinds = {entry.name: entry.data_type for entry in proto.graph.initializer}
    first = {kind for name, kind in kinds.items() if name.startswith(("preprocess.", "model.whitening."))}
    assert first == {onnx.TensorProto.FLOAT}
    assert {"preprocess.ranks.start", "preprocess.ranks.width", "model.whitening.matrix"} <= set(kinds)
    assert onnx.TensorProto.FLOAT16 in kinds.values()
    hard = windows.copy()
    hard[::2, 3, :4] = 1e30
    hard[1::2, 5, :4] = -np.inf
    hard[::3, :10] = np.nan
    before, after = opened(stacked.model), opened(model)
    for batch in (windows, hard):
        off = np.abs(before.predict(batch) - after.predict(batch)).max()
        assert 0 < off <= 5e-3


def test_fp16_leaves_z_scores_in_float32(small_export: Exported) -> None:
    proto = onnx.load_from_string(to_fp16(small_export.bundle.model))
    kinds = {entry.name: entry.data_type for entry in proto.graph.initializer}
    assert {kinds["preprocess.center"], kinds["preprocess.scale"]} == {onnx.TensorProto.FLOAT}
    assert onnx.TensorProto.FLOAT16 in kinds.values()


def test_a_model_without_an_lstm_has_no_int8(stacked: Bundle, windows: Float32Array) -> None:
    proto = onnx.load_from_string(stacked.model)
    for node in proto.graph.node:
        if node.op_type == "LSTM":
            node.op_type = "GRU"
    with pytest.raises(UsageError, match="a model with an LSTM"):
        to_int8(proto.SerializeToString(), windows)


def test_a_race_runs_both_at_every_batch_and_compares_by_repetition(stacked: Bundle, windows: Float32Array) -> None:
    first, second = (Predictor(stacked, device="cpu", batch_sizes=(1, 8)) for _ in range(2))
    clock = iter(range(1, 10_000))
    seen: set[tuple[bool, int]] = set()

    def growing(predictor: Predictor, batch: Float32Array) -> float:
        seen.add((predictor is first, len(batch)))
        return next(clock) * (3.0 if predictor is first else 1.0)

    results = race(first, second, windows, (1, 8), growing)
    assert seen == {(True, 1), (False, 1), (True, 8), (False, 8)}
    assert [entry.batch for entry in results] == [1, 8]
    # The machine gets slower all the time, and the first stays three times as slow.
    assert all(2.5 < entry.speed_up < 3.5 for entry in results)


@pytest.fixture(scope="module")
def made(small_export: Exported, small_line: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Quantised:
    folder = tmp_path_factory.mktemp("written") / "small-int8"
    made = quantize_bundle(small_export.bundle, small_line, folder, name="small-int8", max_loss=0.05, seconds=in_turn)
    assert made.neighbours <= 1e-6
    return made


@pytest.fixture(scope="module")
def written(made: Quantised) -> Bundle:
    return made.bundle


class TestBundle:
    def test_what_was_written_opens_and_replays(self, written: Bundle, small_export: Exported) -> None:
        read_back = bundles.read(written.path)
        Predictor(read_back, device="cpu")
        assert read_back.manifest.model == "small-int8@1-int8"
        assert read_back.golden.windows.tobytes() == small_export.bundle.golden.windows.tobytes()
        assert not np.array_equal(read_back.golden.probabilities, small_export.bundle.golden.probabilities)
        assert read_back.manifest.golden.cpu_atol <= LOOSEST_ATOL
        assert read_back.manifest.alert == small_export.bundle.manifest.alert

    def test_its_manifest_says_what_it_was_made_from_and_what_was_measured(
        self, written: Bundle, small_export: Exported
    ) -> None:
        record = written.manifest.training["quantised"]
        assert (record["kind"], record["from"]) == ("int8", "small@1")
        assert record["from_sha256"] == small_export.bundle.manifest.model_sha256
        assert set(record["roc_auc"]["sticker"]) == {"before", "after"}
        assert {batch: entry["speed_up"] for batch, entry in record["speed"].items()} == {"1": 2, "8": 2, "64": 2}
        assert written.manifest.training["seed"] == small_export.bundle.manifest.training["seed"]

    def test_weights_that_the_graph_does_not_use_stay_behind(self, written: Bundle) -> None:
        assert sorted(written.manifest.files) == ["golden.npz", "model.onnx", "training.json"]

    def test_the_command_tells_every_figure(self, made: Quantised) -> None:
        told = quantize._sentences(made, Path("runs/small-int8"))
        assert told[0].startswith("runs/small-int8: small-int8@1-int8, model ")
        assert told[2].startswith("test split, sticker: ROC-AUC 0.")
        assert [line.partition(":")[0] for line in told[3:]] == ["batch 1", "batch 8", "batch 64"]
        assert told[3].endswith("2.00 times as fast (CPUExecutionProvider, one thread)")
        assert quantize._result(made, Path("runs/small-int8"))["roc_auc"].keys() == {"sticker"}

    def test_quantised_once_is_enough(self, written: Bundle, small_line: Dataset, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="quantised already"):
            quantize_bundle(written, small_line, tmp_path / "again", name="again")

    @pytest.mark.parametrize("slow_at", [(1, 8, 64), (64,)])
    def test_what_is_not_faster_everywhere_is_not_written(
        self, slow_at: tuple[int, ...], small_export: Exported, small_line: Dataset, tmp_path: Path
    ) -> None:
        def slower(predictor: Predictor, batch: Float32Array) -> float:
            return in_turn(predictor, batch) if len(batch) not in slow_at else 3.0 - in_turn(predictor, batch)

        with pytest.raises(QuantisationError, match=r"got [01]\.\d\d \(.*0\.50 at batch 64\)") as refused:
            quantize_bundle(
                small_export.bundle, small_line, tmp_path / "new", name="new", max_loss=0.05, seconds=slower
            )
        assert "\n" not in str(refused.value)
        assert list(tmp_path.iterdir()) == []

    def test_what_loses_too_much_is_not_written(
        self, small_run: TrainingRun, small_line: Dataset, tmp_path: Path
    ) -> None:
        """One huge weight of a unit that nobody reads takes the int8 steps from all the others."""
        model = copy.deepcopy(small_run.model)
        assert isinstance(model, CastingLSTM)
        units = model.lstm.hidden_size
        with torch.no_grad():
            model.lstm.weight_ih_l0[0, 0] = 1e4
            model.lstm.weight_hh_l0[:, 0] = 0
            model.lstm.weight_hh_l0[0, 1] = 1e4
            model.fc_layers[0].weight[:, [0, units]] = 0
        fragile = export_run(replace(small_run, model=model), tmp_path / "fragile", name="fragile").bundle
        with pytest.raises(QuantisationError, match=r"at most 0\.005 ROC-AUC less than fragile@1, got 0\.\d{4} after"):
            quantize_bundle(fragile, small_line, tmp_path / "new", name="new", seconds=in_turn)
        assert not (tmp_path / "new").exists()

    def test_fp16_is_judged_like_int8(self, small_export: Exported, small_line: Dataset, tmp_path: Path) -> None:
        made = quantize_bundle(
            small_export.bundle,
            small_line,
            tmp_path / "half",
            name="half",
            kind="fp16",
            device="cpu",
            seconds=in_turn,
        )
        assert made.bundle.manifest.version == "1-fp16"
        Predictor(bundles.read(made.bundle.path), device="cpu")

    @pytest.mark.skipif(why_no_cuda() is not None, reason="no CUDA GPU here")
    def test_fp16_on_a_gpu(self, small_export: Exported, small_line: Dataset, tmp_path: Path) -> None:
        made = quantize_bundle(
            small_export.bundle, small_line, tmp_path / "half", name="half", kind="fp16", seconds=in_turn
        )
        assert made.after.provider == CUDA


class TestCommand:
    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["--out", "new", "--kind", "fp16"], 1, "expected a CUDA GPU to show that fp16 is faster"),
            (["--out", "full"], 2, "something else at full"),
            (["--out", "new", "--name", "current"], 2, "`current`"),
            (["--out", "new", "--kind", "int4"], 2, "int4"),
            (["--out", "new", "--batch", "0"], 2, "--batch"),
        ],
    )
    def test_mistakes_are_told_and_nothing_is_written(
        self,
        arguments: list[str],
        code: int,
        said: str,
        small_export: Exported,
        small_line: Dataset,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        if "fp16" in arguments and why_no_cuda() is None:
            pytest.skip("there is a GPU here")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "notes.txt").write_text("mine")
        bundle = str(small_export.bundle.path)
        monkeypatch.setattr(sys, "argv", ["trainer", "quantize", bundle, "--data", str(small_line.path), *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == code
        assert said in capsys.readouterr().err
        assert not (tmp_path / "new").exists()
