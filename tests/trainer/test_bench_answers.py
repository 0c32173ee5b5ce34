"""What `make bench` measures on a CUDA device, on the processor: the same path, a provider and a device apart."""

import importlib
from pathlib import Path

import pytest

from models import bundle as bundles
from models.runtime import CPU, why_no_cuda

BENCH = Path(__file__).parents[1] / "bench"


def test_every_size_is_answered_in_both_precisions_and_all_nodes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    bench = importlib.import_module("bench_cuda_answers")
    bundle = bundles.read("casting-cnn-lstm")
    rows = list(bench.answers(bundle, "cpu", "this processor", (1, 2), 0.01))
    assert [row.name.removeprefix("casting-cnn-lstm, ").removesuffix(", this processor") for row in rows[2:]] == [
        f"{precision}, batch {size}" for size in (1, 2) for precision in ("float32", "fp16")
    ]
    assert all(row.value > 0 and row.ratio > 0 for row in rows)
    assert [(row.value, row.reached) for row in rows[:2]] == [(100, True), (100, True)]
    count = bench.nodes_by_provider(bundle.model, CPU, bundle.golden.windows)
    assert set(count) == {CPU}
    assert f"all {count[CPU]}" == rows[0].against
    if missing := why_no_cuda():
        assert [one.why for one in bench.rows()] == [
            f"answering on CUDA (batches of each size, fp16, against the bare network): {missing}"
        ]
