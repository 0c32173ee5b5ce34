"""What a bundle costs: counted exactly where it can be, told completely where it is measured. No time is judged."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
import torch
from support.bundles import write_bundle

from models import bundle as bundles
from models.errors import ProviderError, UsageError
from models.runtime import why_no_cuda
from models.windows import Float32Array
from trainer import cli
from trainer.datasets.dataset import Dataset
from trainer.experiments.series import train_and_score
from trainer.export import Exported
from trainer.profiling.memory import peak_memory
from trainer.profiling.operations import count_operations
from trainer.profiling.page import as_markdown, bar_sentence, table
from trainer.profiling.profile import INT8, profile_bundle
from trainer.profiling.records import Bar, Profile
from trainer.profiling.timing import Runner, quantiles, time_runners
from trainer.profiling.training import training_cost
from trainer.sequence_models import CastingAttentionLSTM, CastingCNNLSTM, CastingLSTM
from trainer.speed import in_turn
from trainer.train_sequence import TrainingRun

ROWS, SENSORS = 24, 5


class TestOperations:
    def test_an_lstm_counts_as_its_products(self) -> None:
        model = CastingLSTM(SENSORS, 8, 2, 0.1, 3, pooling="last")
        gates = ROWS * sum(2 * 4 * 8 * (width + 8) for width in (SENSORS, 8))
        head = 2 * (8 * 4 + 4 * 3)
        assert count_operations(model, ROWS, SENSORS).total == gates + head

    def test_convolutions_and_attention_count_too(self) -> None:
        cnn = CastingCNNLSTM(SENSORS, 16, 8, 1, 0.0, 1, kernel_size=3, pool_size=2)
        found = count_operations(cnn, ROWS, SENSORS)
        assert found.by_operator["aten.convolution"] == ROWS * 2 * 3 * 16 * (SENSORS + 16)
        assert found.total == sum(found.by_operator.values())
        attention = CastingAttentionLSTM(SENSORS, 8, 1, 4, 0.0, 1)
        plain = CastingLSTM(SENSORS, 8, 1, 0.0, 1)
        more = count_operations(attention, ROWS, SENSORS).total - count_operations(plain, ROWS, SENSORS).total
        # Keys and values of every row, question and answer of the last, and its products with every row.
        assert more == 2 * 8 * 8 * (2 * ROWS + 2) + 2 * 2 * 8 * ROWS

    def test_the_model_is_left_as_it_was(self) -> None:
        model = CastingLSTM(SENSORS, 8, 1, 0.1).train()
        count_operations(model, ROWS, SENSORS)
        assert model.training
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


class TestTurns:
    def test_everything_is_measured_in_every_round_and_each_begins_one(self) -> None:
        seen: list[str] = []

        def of(name: str) -> Callable[[], int]:
            return lambda: seen.append(name) or len(seen)

        taken = in_turn([of("a"), of("b"), of("c")], [1, 2, 1], 3)
        assert "".join(seen) == "abbc" + "bbca" + "cabb"
        assert taken == [[[1], [8], [10]], [[2, 3], [5, 6], [11, 12]], [[4], [7], [9]]]

    def test_every_runner_answers_every_batch(self) -> None:
        answered: list[tuple[str, int]] = []

        def prepared(name: str) -> Callable[[Float32Array], Callable[[], object]]:
            return lambda batch: lambda: answered.append((name, len(batch)))

        runners = [Runner(name, "cpu", prepared(name)) for name in ("one", "other")]
        found = time_runners(runners, np.zeros((8, 4, 2), np.float32), (1, 8), rounds=2, seconds=1e-9)
        assert [(timing.runtime, timing.batch, timing.rounds, timing.runs) for timing in found] == [
            ("one", 1, 2, 6), ("other", 1, 2, 6), ("one", 8, 2, 6), ("other", 8, 2, 6),
        ]  # fmt: skip
        assert set(answered) == {("one", 1), ("other", 1), ("one", 8), ("other", 8)}

    def test_quantiles_are_of_all_runs(self) -> None:
        assert quantiles([float(value) for value in range(101)]) == quantiles(list(map(float, range(100, -1, -1))))
        found = quantiles([float(value) for value in range(101)])
        assert (found.p50, found.p95, found.p99) == (50.0, 95.0, 99.0)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the system does not tell a process's peak")
class TestMemory:
    def test_more_windows_take_more_and_this_process_does_not_count(self, small_export: Exported) -> None:
        few, many = (peak_memory("onnxruntime", small_export.bundle.path, batch) for batch in (1, 4096))
        assert few is not None
        assert many is not None
        assert many.peak_bytes > few.peak_bytes > few.imported_bytes > 0
        # What of torch lies in this process would show in one that was forked, and in what `getrusage` tells.
        assert few.peak_bytes < psutil.Process().memory_info().rss

    def test_a_training_step_can_be_measured(self, small_export: Exported) -> None:
        found = peak_memory("training step", small_export.bundle.path, 32)
        assert found is not None
        assert found.batch == 32
        assert found.peak_bytes > found.imported_bytes

    def test_what_cannot_be_read_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(ProviderError, match=r"expected the peak memory of onnxruntime, got `.*nothing.*`"):
            peak_memory("onnxruntime", tmp_path / "nothing", 1)


@pytest.fixture(scope="module")
def profile(small_export: Exported, small_line: Dataset) -> Profile:
    return profile_bundle(
        small_export.bundle, dataset=small_line, batches=(1, 4), rounds=2, seconds=0.002, memory=False
    )


class TestProfile:
    def test_every_runtime_is_timed_at_every_batch(self, profile: Profile) -> None:
        on_cpu = {(timing.runtime, timing.batch) for timing in profile.timings if timing.device == "cpu"}
        assert on_cpu == {(name, batch) for name in ("onnxruntime", INT8, "torch") for batch in (1, 4)}
        for timing in profile.timings:
            took, speed = timing.latency_ms, timing.windows_per_second
            assert 0 < took.p50 <= took.p95 <= took.p99
            assert 0 < speed.low <= speed.median <= speed.high
        on_gpu = {timing.runtime for timing in profile.timings if timing.device == "cuda"}
        assert ("onnxruntime" in on_gpu) == (why_no_cuda() is None)
        assert ("onnxruntime on cuda" in profile.left_out) == (why_no_cuda() is not None)

    def test_it_tells_what_the_bundle_is(
        self, profile: Profile, small_export: Exported, small_run: TrainingRun
    ) -> None:
        bundle = small_export.bundle
        assert profile.parameters == sum(parameter.numel() for parameter in small_run.model.parameters())
        assert profile.operations == count_operations(small_run.model, *profile.window)
        assert profile.window == (24, 20)
        assert profile.bytes["bundle"] == sum(path.stat().st_size for path in bundle.path.iterdir())
        assert profile.bytes["model.onnx"] == (bundle.path / "model.onnx").stat().st_size
        assert 0 < profile.bytes["int8"] < profile.bytes["model.onnx"] * 2
        assert profile.int8_moved is not None
        assert 0 < profile.int8_moved < 0.1
        assert profile.training is not None
        assert profile.training.seconds == pytest.approx(sum(entry.seconds for entry in small_run.history), abs=0.06)
        assert profile.training.epochs == 2
        assert profile.left_out["memory"] == "not asked for"

    def test_bars_are_held_against_the_served_graph_at_batch_1(self, profile: Profile) -> None:
        (served,) = (
            timing
            for timing in profile.timings
            if (timing.runtime, timing.device, timing.batch) == ("onnxruntime", "cpu", 1)
        )
        assert [bar.limit_ms for bar in profile.bars] == [100.0, 10.0]
        assert {bar.measured_ms for bar in profile.bars} == {served.latency_ms.p99}
        assert bar_sentence(Bar("p99", 10.0, 3.0)).endswith(": kept")
        assert bar_sentence(Bar("p99", 10.0, 10.0)).endswith(": NOT kept")

    def test_its_page_says_where_it_was_measured_and_what_int8_is_not(self, profile: Profile) -> None:
        text = as_markdown(profile)
        assert profile.machine.processor in text
        assert "`trainer quantize` decides" in text
        assert "windows of the dataset's test split" in text
        assert all(why in text for why in profile.left_out.values())
        busy = replace(profile, machine=replace(profile.machine, load=profile.machine.cores + 1.0))
        idle = replace(profile, machine=replace(profile.machine, load=0.0))
        assert "more than there are cores" in as_markdown(busy)
        assert "more than there are cores" not in as_markdown(idle)

    def test_a_bundle_of_a_graph_alone_is_timed_as_far_as_it_goes(self, tmp_path: Path) -> None:
        bundle = bundles.read(write_bundle(tmp_path / "test"))
        profile = profile_bundle(bundle, batches=(1, 2), rounds=1, seconds=0.001)
        assert {timing.runtime for timing in profile.timings if timing.device == "cpu"} == {"onnxruntime"}
        assert set(profile.left_out) >= {"torch", INT8}
        assert ("memory" in profile.left_out) == ("onnxruntime" not in profile.memory)
        assert (profile.parameters, profile.operations, profile.training, profile.int8_moved) == (None,) * 4
        assert "golden windows" in as_markdown(profile)
        assert table(profile)

    def test_without_batch_1_there_is_no_bar(self, small_export: Exported) -> None:
        with pytest.raises(UsageError, match="expected batch 1 among the sizes, got 2, 4"):
            profile_bundle(small_export.bundle, batches=(2, 4))


def test_rows_of_the_same_configuration_tell_what_training_takes(
    small_export: Exported, small_run: TrainingRun
) -> None:
    row = train_and_score(small_run.dataset.path, "small", small_run.config)
    other = msgspec.structs.replace(row, seed=8, seconds=row.seconds + 2)
    foreign = msgspec.structs.replace(row, configuration="another", seconds=1e6)
    cost = training_cost(small_export.bundle, [row, other, foreign])
    assert cost is not None
    assert (cost.source, cost.runs, cost.threads) == ("runs.jsonl", 2, 1)
    assert cost.seconds == pytest.approx(row.seconds + 1)
    alone = training_cost(small_export.bundle, [foreign])
    assert alone is not None
    assert alone.source == "training.json"


def test_command_writes_the_page(
    small_export: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "small"
    shutil.copytree(small_export.bundle.path, folder)
    arguments = ["trainer", "profile", "--bundle", str(folder), "--out", str(tmp_path / "out"), "--batch", "1"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--rounds", "1", "--seconds", "0.001", "--no-memory", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "out" / "profile.json").read_text())
    assert {
        "model", "machine", "versions", "measured", "parameters", "operations", "bytes", "memory", "training",
        "timings", "bars", "left_out",
    } <= set(told)  # fmt: skip
    assert (tmp_path / "out" / "profile.svg").read_text().startswith("<?xml")

    monkeypatch.setattr(sys, "argv", [*arguments, "--runs", str(tmp_path / "none.jsonl")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "no such file at" in capsys.readouterr().err
