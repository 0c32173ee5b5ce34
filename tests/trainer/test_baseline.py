"""What the baseline learns from, that it finds what its features hold and no more, and that it is kept to the bit."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.errors import ContractError, UsageError
from models.features import Sensor
from models.windows import Float32Array
from trainer import cli
from trainer.baseline import (
    BaselineModel,
    BaselineRun,
    BaselineTrial,
    baseline_key,
    load_baseline,
    score_baseline,
    train_baseline,
)
from trainer.baseline_model import BASELINE_FILE, BaselinesTogether
from trainer.baseline_search import DEFAULTS, Drawn, SearchLog, Tries
from trainer.config import TrainingConfig, changed
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import SPLITS, Event, SequenceData
from trainer.datasets.writer import DatasetWriter
from trainer.evaluation.traces import trace_split
from trainer.loading.loaders import drawn_windows, judged_loader, open_split, training_loaders
from trainer.sequence_dataset import fit_preprocessor

ROWS, PERIOD_MS, BLOCKS = 60, 500, 90
SENSORS = tuple(Sensor(f"mould_tc_{row}_left_c", "°C", 0.0, 400.0) for row in ("upper", "lower"))


def write_blocks(path: Path, block: Callable[[np.random.Generator, bool], Float32Array]) -> Dataset:
    """A sequence a split, made of windows with long pauses between; every other one is positive."""
    rng = np.random.default_rng(0)
    with DatasetWriter(path, line="test", seed=0, period_ms=PERIOD_MS, sensors=SENSORS, targets=("sticker",)) as writer:
        for number, split in enumerate(SPLITS):
            strand, name = f"p1.c1.s{number + 1}", f"q{number}"
            within = np.arange(ROWS) * PERIOD_MS
            starts = np.arange(BLOCKS) * 4 * ROWS * PERIOD_MS
            times = (starts[:, None] + within).astype(np.int64)
            values = np.concatenate([block(rng, index % 2 == 0) for index in range(BLOCKS)]).astype(np.float32)
            count = BLOCKS * ROWS
            nowhere = np.full(count, np.nan)
            data = SequenceData(name, strand, times.ravel(), values, np.arange(count), (None,) * count, nowhere)
            writer.add(data, [happened(name, strand, row) for row in times[::2]], split)
    return Dataset.open(path)


def happened(sequence_id: str, strand: str, times: np.ndarray) -> Event:
    onset, end = int(times[0]), int(times[-1]) + 1
    return Event(
        f"{sequence_id}-{onset}", sequence_id, strand, "sticker", "sticker", onset, onset, end, end, end, False, 0
    )


def wander(rng: np.random.Generator, rows: int) -> Float32Array:
    """Smoothed noise: neighbours are alike, rows some seconds apart are not."""
    return np.convolve(rng.normal(size=rows + 2), np.ones(3) / 3, "valid").astype(np.float32)


def livelier(rng: np.random.Generator, positive: bool) -> Float32Array:
    return np.stack([wander(rng, ROWS) * (1.4 if positive else 1.0), wander(rng, ROWS)], axis=1)


def lower_row_later(rng: np.random.Generator, positive: bool) -> Float32Array:
    """Both rows see the same, four seconds apart; a positive has the upper first. Each row by itself tells nothing."""
    seen = wander(rng, ROWS + 8)
    first, second = seen[8:], seen[:ROWS]
    noise = 0.1 * rng.normal(size=(ROWS, 2))
    return np.stack([first, second] if positive else [second, first], axis=1) + noise


@pytest.fixture(scope="module")
def config(small_config: TrainingConfig) -> TrainingConfig:
    """A part of the windows, so that another seed draws others."""
    return replace(small_config, positive_share=0.7, decoy_share=0.6, negative_share=0.3, validation_share=0.7)


@pytest.fixture(scope="module")
def blocks_config(small_config: TrainingConfig) -> TrainingConfig:
    return replace(small_config, window_length=ROWS, stride=1)


@pytest.fixture(scope="module")
def run(small_line: Dataset, config: TrainingConfig) -> BaselineRun:
    return train_baseline(small_line.path, config, "summary", trials=2, seed=3)


@pytest.fixture(scope="module")
def kept(run: BaselineRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "baseline"
    run.model.save(folder)
    return folder


@pytest.fixture
def copied(kept: Path, tmp_path: Path) -> Path:
    for path in kept.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def windows(small_line: Dataset, config: TrainingConfig) -> Float32Array:
    return open_split(small_line.path, "test", config, None).raw(np.arange(0, 200, 3))


class TestWindowsLearntFrom:
    def test_are_those_that_the_networks_epochs_draw(self, small_line: Dataset, config: TrainingConfig) -> None:
        loaders = training_loaders(small_line.path, config, fit_preprocessor(small_line))
        seen: set[int] = set()
        for epoch in range(config.num_epochs):
            loaders.train.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
            seen |= {number % len(loaders.train_data) for number in loaders.train.sampler}
        drawn = drawn_windows(open_split(small_line.path, "train", config, None), config)
        assert drawn.tolist() == sorted(seen)
        assert 0 < len(seen) < len(loaders.train_data)

    def test_raw_windows_are_the_rows_of_the_same_windows(self, small_line: Dataset, config: TrainingConfig) -> None:
        scaler = fit_preprocessor(small_line)
        raw = judged_loader(open_split(small_line.path, "validation", config, None), config)
        normalised = judged_loader(open_split(small_line.path, "validation", config, scaler), config)
        for (values, labels), (sequences, wanted) in zip(raw, normalised, strict=True):
            assert bool((scaler.module()(values) == sequences).all())
            assert labels.equal(wanted)

    def test_are_others_with_another_seed_while_those_that_judge_stay(
        self, small_line: Dataset, config: TrainingConfig, run: BaselineRun
    ) -> None:
        windows = open_split(small_line.path, "train", config, None)
        one, other = (drawn_windows(windows, replace(config, seed=seed)).tolist() for seed in (3, 4))
        assert one != other
        about = train_baseline(small_line.path, config, "summary", seed=4, params={}).model.about
        assert about.train_windows == len(other)
        assert run.model.about.train_windows == len(one)
        assert about.validation_windows == run.model.about.validation_windows

    def test_a_label_left_out_is_left_out_for_its_target_only(self) -> None:
        rng = np.random.default_rng(1)
        features = rng.normal(size=(200, 3)).astype(np.float32)
        labels = (features[:, [0, 1]] + rng.normal(size=(200, 2)) > 0).astype(np.float32)
        left_out = labels.copy()
        left_out[::3, 1] = np.nan
        known = ~np.isnan(left_out[:, 1])

        def texts(train: Drawn, judged: Drawn) -> tuple[str, ...]:
            targets = ["one", "other"][: train.labels.shape[1]]
            made = Tries(
                train, judged, lambda _: 0.5, targets=targets, feature_names=["a", "b", "c"], seed=0, threads=1
            )
            return made.run(0, DEFAULTS).texts

        both = texts(Drawn(features, left_out), Drawn(features, labels))
        assert both[0] == texts(Drawn(features, labels[:, :1]), Drawn(features, labels[:, :1]))[0]
        assert both[1] == texts(Drawn(features[known], labels[known, 1:]), Drawn(features, labels[:, 1:]))[0]
        assert both[1] != texts(Drawn(features, labels[:, 1:]), Drawn(features, labels[:, 1:]))[0]


class TestWhatItFinds:
    def test_stickers_of_the_small_line_better_than_chance_with_either_features(
        self, small_line: Dataset, config: TrainingConfig, run: BaselineRun
    ) -> None:
        engineered = train_baseline(small_line.path, config, "engineered", params={})
        for model in (run.model, engineered.model):
            assert score_baseline(model, small_line.path, config, "test").roc_auc > 0.8
        assert len(engineered.model.about.feature_names) > len(run.model.about.feature_names)

    def test_a_statistic_is_found_by_summary(self, tmp_path: Path, blocks_config: TrainingConfig) -> None:
        line = write_blocks(tmp_path / "line", livelier)
        model = train_baseline(line.path, blocks_config, "summary", params={}).model
        assert score_baseline(model, line.path, blocks_config, "test").roc_auc > 0.85
        most = next(iter(model.importance()["sticker"]))
        assert most.startswith("mould_tc_upper_left_c.")

    def test_a_lag_is_found_by_engineered_and_cannot_be_by_summary(
        self, tmp_path: Path, blocks_config: TrainingConfig
    ) -> None:
        line = write_blocks(tmp_path / "line", lower_row_later)
        models = {
            kind: train_baseline(line.path, blocks_config, kind, params={}).model for kind in ("summary", "engineered")
        }
        scores = {
            kind: score_baseline(model, line.path, blocks_config, "test").roc_auc for kind, model in models.items()
        }
        assert scores["engineered"] > 0.95
        assert scores["summary"] < 0.7
        most = next(iter(models["engineered"].importance()["sticker"]))
        assert "mould_tc_upper_left_c_to_mould_tc_lower_left_c" in most


class TestSearch:
    def test_begins_with_the_defaults_and_keeps_the_best(self, run: BaselineRun) -> None:
        assert [trial.number for trial in run.trials] == [0, 1]
        assert run.trials[0].parameters == DEFAULTS
        assert run.trials[1].parameters != DEFAULTS
        best = max(run.trials, key=lambda trial: trial.roc_auc)
        assert run.model.about.parameters == best.parameters
        assert run.validation.roc_auc == pytest.approx(best.roc_auc, abs=1e-9)
        assert 0 < run.model.about.feature_seconds <= run.seconds

    def test_parameters_found_before_give_the_same_model_without_a_search(
        self, small_line: Dataset, config: TrainingConfig, run: BaselineRun
    ) -> None:
        told: list[float] = []
        again = train_baseline(
            small_line.path, config, "summary", seed=3, params=run.model.about.parameters, on_features=told.append
        )
        assert again.model.about.model_sha256 == run.model.about.model_sha256
        assert len(again.trials) == 1
        assert sum(told) == pytest.approx(100)

    def test_is_the_same_whatever_describes_a_network_alone(
        self, small_line: Dataset, config: TrainingConfig, run: BaselineRun
    ) -> None:
        other = changed(
            config,
            {"model_type": "cnn_lstm", "whitening": True, "batch_size": 7, "normalization": "robust",
             "augmentation.jitter": 0.5, "loss": "focal", "dropout": 0.0},
            "a test",
        )  # fmt: skip
        assert baseline_key(other, "data") == baseline_key(config, "data")
        again = train_baseline(small_line.path, other, "summary", seed=3, params=run.model.about.parameters)
        assert again.model.about.model_sha256 == run.model.about.model_sha256
        for field, value in (("window_length", 25), ("balance", 0.3), ("num_epochs", 9), ("seed", 5)):
            assert baseline_key(replace(config, **{field: value}), "data") != baseline_key(config, "data")

    def test_goes_on_from_its_log_to_the_same_model_and_forgets_another_searchs(
        self, small_line: Dataset, config: TrainingConfig, run: BaselineRun, tmp_path: Path
    ) -> None:
        class StoppedError(Exception):
            pass

        def stop(_: BaselineTrial) -> None:
            raise StoppedError

        log = tmp_path / "search.json"
        with pytest.raises(StoppedError):
            train_baseline(small_line.path, config, "summary", trials=2, seed=3, log=log, on_trial=stop)
        made: list[BaselineTrial] = []
        again = train_baseline(small_line.path, config, "summary", trials=2, seed=3, log=log, on_trial=made.append)
        assert [trial.number for trial in made] == [1]
        assert again.model.about.model_sha256 == run.model.about.model_sha256
        assert [trial.parameters for trial in again.trials] == [trial.parameters for trial in run.trials]
        assert len(SearchLog(log, "another").trials()) == 0
        log.write_text("no trials")
        with pytest.raises(ContractError, match="remove it"):
            SearchLog(log, "another").trials()

    def test_an_unknown_parameter_is_refused_before_anything_is_read(self, config: TrainingConfig) -> None:
        with pytest.raises(UsageError, match="got `num_leafs`"):
            train_baseline("nowhere", config, params={"num_leafs": 3})


class TestKept:
    def test_gives_the_same_bits_when_read_again(self, run: BaselineRun, kept: Path, windows: Float32Array) -> None:
        loaded = load_baseline(kept)
        assert loaded.about == run.model.about
        np.testing.assert_array_equal(loaded.predict(windows), run.model.predict(windows))
        assert loaded.importance() == run.model.importance()
        gains = list(loaded.importance()["sticker"].values())
        assert gains == sorted(gains, reverse=True)
        assert gains[-1] > 0

    def test_traces_a_split_as_the_worker_would_ask_it_from_several_threads(
        self, kept: Path, small_line: Dataset, config: TrainingConfig
    ) -> None:
        model = load_baseline(kept)
        alone, together = (trace_split(model, small_line, "test", at_once=count) for count in (1, 2))
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one.probabilities, other.probabilities)
        split = open_split(small_line.path, "test", config, None)
        said = {
            int(time): value
            for trace in alone
            for time, value in zip(trace.event_time_ms, trace.probabilities[:, 0], strict=True)
        }
        for time, value in zip(split.event_time_ms[:50], model.predict(split.raw(np.arange(50)))[:, 0], strict=True):
            assert said[int(time)] == value

    def test_several_asked_together_say_what_each_says_alone(
        self, run: BaselineRun, small_line: Dataset, config: TrainingConfig, windows: Float32Array
    ) -> None:
        other = train_baseline(small_line.path, config, "summary", seed=4, params={}).model
        together = BaselinesTogether([run.model, other])
        alone = np.concatenate([run.model.predict(windows), other.predict(windows)], axis=1)
        np.testing.assert_array_equal(together.predict(windows), alone)
        assert len(together.targets) == alone.shape[1]
        longer = train_baseline(small_line.path, replace(config, window_length=32), "summary", params={}).model
        with pytest.raises(ValueError, match="the same features and windows"):
            BaselinesTogether([run.model, longer])

    def test_nothing_asked_is_nothing_said(self, run: BaselineRun) -> None:
        empty = np.empty((0, run.model.window.length, len(run.model.sensors)), np.float32)
        assert run.model.predict(empty).shape == (0, 1)

    def test_an_altered_or_missing_model_is_refused(self, copied: Path) -> None:
        file = copied / "model_0.txt"
        text = file.read_bytes()
        file.write_bytes(text.replace(b"leaf_value=", b"leaf_value=0", 1))
        with pytest.raises(ContractError, match="sha256"):
            load_baseline(copied)
        file.unlink()
        with pytest.raises(ContractError, match="no such file"):
            load_baseline(copied)

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("format", 9, "expected format 1, got 9"),
            ("feature_names", ["mould_level_mm.mean"], "train the baseline anew"),
            ("features", "guessed", "expected a baseline"),
            ("model_sha256", [], "a checksum for each target"),
        ],
    )
    def test_another_head_is_refused(self, copied: Path, field: str, value: object, said: str) -> None:
        path = copied / BASELINE_FILE
        path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
        with pytest.raises(ContractError, match=said):
            load_baseline(copied)

    def test_a_text_that_is_no_model_is_refused(self, run: BaselineRun) -> None:
        with pytest.raises(ContractError, match="the model of `sticker`"):
            BaselineModel(run.model.about, ["nothing of LightGBM"])

    def test_no_folder_is_no_baseline(self, tmp_path: Path) -> None:
        with pytest.raises(ContractError, match="trainer baseline"):
            load_baseline(tmp_path / "nowhere")


class TestCommand:
    def trainer(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["trainer", "baseline", *arguments])
        try:
            cli.main()
        except SystemExit as left:
            if left.code:
                raise

    def test_tells_both_splits_and_what_tells_the_target_and_takes_parameters_found_before(
        self,
        small_line: Dataset,
        kept: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        small = ["--set", "window_length=24", "--set", "num_epochs=1", "--set", "threads=1"]
        begin = ["--data", str(small_line.path), *small, "--parameters-of", str(kept)]
        self.trainer(monkeypatch, *begin, "--out", str(tmp_path / "one"), "--json")
        result = json.loads(capsys.readouterr().out)
        assert result["test"]["targets"]["sticker"]["roc_auc"] > 0.5
        assert result["parameters"] == load_baseline(kept).about.parameters
        about = load_baseline(tmp_path / "one").about
        assert result["model_sha256"] == {"sticker": about.model_sha256[0]}
        assert msgspec.to_builtins(about.trials[0]) == result["trials"][0]
        self.trainer(monkeypatch, *begin, "--out", str(tmp_path / "two"))
        captured = capsys.readouterr()
        assert "test windows, sticker: ROC-AUC" in captured.out
        assert "validation windows, mean: ROC-AUC" in captured.out
        assert "sticker is told by" in captured.out
        assert "features: 100 of 100 %" in captured.err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--set", "seed=3"), "expected --seed N"),
            (("--features", "engineered"), "expected a baseline of `engineered`, got one of `summary`"),
        ],
    )
    def test_says_in_one_line_what_cannot_be_meant(
        self,
        small_line: Dataset,
        kept: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: tuple[str, ...],
        said: str,
    ) -> None:
        common = ("--data", str(small_line.path), "--parameters-of", str(kept), "--out", str(tmp_path / "new"))
        with pytest.raises(SystemExit) as left:
            self.trainer(monkeypatch, *common, *arguments)
        assert left.value.code == 2
        error = capsys.readouterr().err
        assert said in error
        assert "Traceback" not in error

    def test_writes_over_nothing(
        self, small_line: Dataset, kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as left:
            self.trainer(monkeypatch, "--data", str(small_line.path), "--out", str(kept))
        assert left.value.code == 2
        assert "--out" in capsys.readouterr().err
