"""Batches keep log order, are padded, and every window gets its own answer."""

from pathlib import Path

import numpy as np
import pytest
from support.bundles import RULES, expected, write_bundle

from models.runtime import Predictor
from worker.records import DueScan, DueWindow, GivenUp, Origin, Scored
from worker.stages.batch import Batcher
from worker.stages.inference import Inference

SIZES = (1, 2, 4)


def due(number: int, *, is_full: bool = True) -> DueWindow:
    rows = np.full((RULES.length, 2), number / 10, np.float32)
    scan = DueScan(Origin(("t", 0), number), "p.c.s", number, number, None, None, 0, 0.0, is_full)
    return DueWindow(scan, rows if is_full else rows[:1])


def test_batch_is_padded_to_the_next_warmed_size() -> None:
    batcher = Batcher(SIZES, RULES.length, 2)
    sizes = []
    for count in range(5):
        for number in range(count):
            batcher.add(due(number))
        batch = batcher.take()
        sizes.append((batch.count, len(batch.windows)))
    assert sizes == [(0, 0), (1, 1), (2, 2), (3, 4), (4, 4)]


def test_full_batch_takes_no_more_windows_but_still_what_is_none() -> None:
    batcher = Batcher(SIZES, RULES.length, 2)
    for number in range(4):
        batcher.add(due(number))
    assert batcher.is_full
    batcher.add(GivenUp(Origin(("t", 0), 5), "p.c.s", 5, "why"))
    batcher.add(due(6, is_full=False))
    with pytest.raises(ValueError, match="full"):
        batcher.add(due(7))
    assert len(batcher.take().entries) == 6


def test_every_window_gets_its_own_answer_in_log_order(tmp_path: Path) -> None:
    inference = Inference(Predictor.load(write_bundle(tmp_path / "test"), batch_sizes=SIZES))
    batcher = Batcher(SIZES, RULES.length, 2)
    entries = [due(0, is_full=False), due(1), GivenUp(Origin(("t", 0), 1), "p.c.x", 1, "why"), due(2), due(3)]
    for entry in entries:
        batcher.add(entry)
    scored = inference.run(batcher.take()).entries
    assert scored[2] == GivenUp(Origin(("t", 0), 1), "p.c.x", 1, "why")
    answers = [entry.probabilities for entry in scored if isinstance(entry, Scored)]
    assert answers[0] is None
    for number, answer in zip((1, 2, 3), answers[1:], strict=True):
        assert answer == pytest.approx(expected(due(number).rows[None])[0], abs=1e-6)


def test_batch_array_is_used_again_without_leaking_into_the_next_answers(tmp_path: Path) -> None:
    inference = Inference(Predictor.load(write_bundle(tmp_path / "test"), batch_sizes=SIZES))
    batcher = Batcher(SIZES, RULES.length, 2)
    for number in (9, 8, 7):
        batcher.add(due(number))
    first = batcher.take()
    inference.run(first)
    batcher.give_back(first)
    batcher.take()
    batcher.add(due(1))
    (only,) = inference.run(batcher.take()).entries
    assert isinstance(only, Scored)
    assert only.probabilities == pytest.approx(expected(due(1).rows[None])[0], abs=1e-6)
