"""Training on a CUDA device: half the width against float32, how busy the device is, and the largest batch.

Without a device there is nothing to measure, and the page says so.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from results import REPETITIONS, Absent, Row, row
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, TensorDataset

from trainer.config import TrainingConfig, load_config
from trainer.errors import TrainingError
from trainer.sequence_models import build_model
from trainer.train_sequence import SequenceModelTrainer

RECIPES = ("cnn_lstm", "lstm", "attention_lstm")
SENSORS, TARGETS = 20, 2
BATCH, BATCHES = 1024, 20
MOST = 1 << 17
"""Windows of a batch that is large enough: beyond, one is not looked for."""


def rows() -> Iterator[Row | Absent]:
    """Measure; nothing without a device."""
    if not torch.cuda.is_available():
        yield Absent("training on CUDA: no CUDA device here")
        return
    name = torch.cuda.get_device_name()
    for recipe in RECIPES:
        plain = replace(load_config(recipe), device="cuda", batch_size=BATCH)
        trainers = {
            precision: _trainer(replace(plain, precision=precision), BATCH * BATCHES)
            for precision in ("float32", "bf16", "fp16")
        }
        for trainer in trainers.values():
            _windows_per_s(trainer)  # what is done once only
        # One after the other each time, so that all meet the same neighbours on the device.
        turns = [{which: _windows_per_s(one) for which, one in trainers.items()} for _ in range(REPETITIONS)]
        wide = statistics.median(turn["float32"] for turn in turns)
        for precision in ("bf16", "fp16"):
            found = [turn[precision] for turn in turns]
            against = f"{wide:,.0f} in float32"
            what = f"{recipe} trained in {precision}, batch {BATCH}, {name}"
            yield row(what, found, "windows/s", against, wide, None)
        busy = [100 * _busy_share(trainers["bf16"]) for _ in range(REPETITIONS)]
        yield row(f"{recipe} in bf16, {name}: time that a kernel runs", busy, "%", "100 %", 100.0, None)
        yield _largest(recipe, replace(plain, precision="bf16"), name)


def _trainer(config: TrainingConfig, windows: int) -> SequenceModelTrainer:
    generator = torch.Generator().manual_seed(0)
    sequences = torch.randn(windows, config.window_length, SENSORS, generator=generator)
    labels = (torch.rand(windows, TARGETS, generator=generator) < 0.1).float()
    loader = DataLoader(TensorDataset(sequences, labels), config.batch_size, pin_memory=True)
    # `one_cycle` would end with the configured epochs.
    config = replace(config, scheduler="none")
    return SequenceModelTrainer(build_model(config, SENSORS, TARGETS), config, loader, loader)


def _windows_per_s(trainer: SequenceModelTrainer) -> float:
    torch.cuda.synchronize()
    began_s = time.perf_counter()
    trainer.train_epoch()
    torch.cuda.synchronize()
    return BATCH * BATCHES / (time.perf_counter() - began_s)


def _busy_share(trainer: SequenceModelTrainer) -> float:
    """Part of an epoch in which a kernel ran, copies not counted."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        began_s = time.perf_counter()
        trainer.train_epoch()
        torch.cuda.synchronize()
        lasted_s = time.perf_counter() - began_s
    kernels_us = sum(
        event.self_device_time_total
        for event in seen.events()
        if event.device_type == DeviceType.CUDA and not event.name.startswith(("Memcpy", "Memset"))
    )
    return kernels_us / 1e6 / lasted_s


def _largest(recipe: str, config: TrainingConfig, name: str) -> Row:
    """The largest batch, doubled from `BATCH` on, that the device takes at once, and what it held then."""
    size, peak_mib = 0, 0.0
    while size < MOST:
        more = 2 * size or BATCH
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        trainer = _trainer(replace(config, batch_size=more), more)
        try:
            done = trainer.train_epoch()
        except TrainingError:
            break
        if done["windows_at_once"] < more or done["skipped_steps"]:
            break
        size, peak_mib = more, torch.cuda.max_memory_allocated() / 2**20
    whole_mib = torch.cuda.get_device_properties(0).total_memory / 2**20
    against = f"{peak_mib:,.0f} of {whole_mib:,.0f} MiB held"
    return row(f"{recipe} in bf16, {name}: largest batch at once", [float(size)], "windows", against, BATCH, None)
