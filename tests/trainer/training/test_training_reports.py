"""What a training tells: on a terminal, in a file, as a picture, to TensorBoard."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from support.small_training import CONFIG, Linear, mean_of_first_sensor
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.commands.training_progress import training_progress
from trainer.training.curves import curves_svg
from trainer.training.history import EpochRecord, StepRecord
from trainer.training.sequence_trainer import SequenceModelTrainer
from trainer.training.tensorboard import tensorboard_log


def record(epoch: int, *, best: bool = True, skipped: int = 0) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_loss=0.5 / epoch,
        validation_loss=0.6 / epoch,
        roc_auc=0.91234,
        pr_auc=0.8,
        learning_rate=1e-3,
        seconds=12.34,
        best=best,
        gradient_norm=0.7,
        windows_per_second=1234.5,
        skipped_steps=skipped,
        windows_at_once=32,
    )


def test_a_bar_says_all_in_80_columns() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, color_system=None)
    with training_progress(100, console) as (on_epoch, on_step):
        assert on_step is not None
        on_epoch(record(98))
        for step in (10, 20):
            on_step(StepRecord(99, step, 1000, 0.12345, 2.5e-4, 12345.6))
    lines = re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", screen.getvalue())
    bars = [line for line in lines if "seq/s" in line]
    assert bars
    for part in ("99/100", "loss 0.1235", "AUC 0.9123", "lr 2.5e-04", "12,346 seq/s", ":"):
        assert part in bars[-1]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("epoch 98/100: loss 0.0051, validation 0.0061, ROC-AUC 0.9123") for line in lines)


def test_elsewhere_each_epoch_is_a_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress(3, Console(file=io.StringIO())) as (on_epoch, on_step):
        assert on_step is None
        on_epoch(record(1))
        on_epoch(record(2, best=False, skipped=4))
    first, second = capsys.readouterr().err.splitlines()
    scores = "ROC-AUC 0.9123, lr {:.1e}, {:,.0f} seq/s, 12.3 s"
    told = [scores.format(record(1).learning_rate, record(1).windows_per_second)] * 2
    assert first == f"epoch 1/3: loss 0.5000, validation 0.6000, {told[0]}, best"
    assert second == f"epoch 2/3: loss 0.2500, validation 0.3000, {told[1]}, 4 skipped"


def test_history_says_how_each_epoch_was_trained() -> None:
    trainer = SequenceModelTrainer(Linear(), CONFIG, mean_of_first_sensor(), mean_of_first_sensor(32))
    for entry in trainer.train():
        assert entry.gradient_norm > 0
        assert entry.windows_per_second > 0
        assert (entry.skipped_steps, entry.windows_at_once) == (0, 8)


@pytest.mark.parametrize("epochs", [1, 3])
def test_curves_are_one_svg_picture_that_is_the_same_each_time(epochs: int) -> None:
    history = [record(epoch, best=epoch < 3) for epoch in range(1, epochs + 1)]
    picture = curves_svg(history)
    assert picture.startswith("<?xml")
    assert picture.endswith("</svg>\n")
    assert picture == curves_svg(history)
    assert picture != curves_svg([*history, record(epochs + 1)])


def test_tensorboard_reads_back_what_each_epoch_brought(tmp_path: Path) -> None:
    with tensorboard_log(tmp_path) as on_epoch:
        on_epoch(record(1))
        on_epoch(record(2))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, round(event.value, 4)) for event in events.Scalars("loss/train")] == [(1, 0.5), (2, 0.25)]
    assert [event.step for event in events.Scalars("validation/roc_auc")] == [1, 2]
    assert {"training/learning_rate", "training/gradient_norm"} <= set(events.Tags()["scalars"])
