"""Windows of a dataset and their labels."""

from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from support import told_plant
from support.small_line import write_small_line
from torch.utils.data import DataLoader

from models.errors import ContractError, UsageError
from models.features import CASTING_SENSORS
from models.windows import WindowRules, gather_windows, plan_windows
from trainer.datasets.dataset import Dataset
from trainer.datasets.labels import LEFT_OUT, label_at
from trainer.datasets.records import SequenceData
from trainer.datasets.writer import DatasetWriter
from trainer.line.config import LineConfig
from trainer.line.schedule import Scheduled
from trainer.line.simulator import simulate_sequence
from trainer.preprocess import MissingStrategy
from trainer.sequence_dataset import (
    NEAR,
    PLAIN,
    POSITIVE,
    CastingSequenceDataset,
    SequencePreprocessor,
    fit_preprocessor,
)

RULES = WindowRules(length=24, period_ms=500, stride=2, max_gap_ms=5000)


class TestCastingSequenceDataset:
    def test_windows_and_labels_are_those_of_the_shared_rules(self, small_line: Dataset) -> None:
        data = CastingSequenceDataset(small_line.path, 24, normalize=False, split="train", rules=RULES)
        expected_windows, expected_labels = [], []
        for info in small_line.sequences("train"):
            sequence = small_line.load(info.sequence_id)
            plan = plan_windows(sequence.event_time_ms, sequence.strand_id, RULES)
            which = np.flatnonzero(plan.full)
            truth = label_at(sequence.event_time_ms[plan.due[which]], small_line.events(info.sequence_id), "sticker")
            expected_windows.append(gather_windows(sequence.values, plan, which[truth != LEFT_OUT], RULES.length))
            expected_labels.append(truth[truth != LEFT_OUT])
        np.testing.assert_array_equal(data.raw(np.arange(len(data))), np.concatenate(expected_windows))
        np.testing.assert_array_equal(data.labels[:, 0], np.concatenate(expected_labels))
        assert {0.0, 1.0} == set(data.labels[:, 0])

    def test_item_is_sequence_and_label(self, small_line: Dataset) -> None:
        data = CastingSequenceDataset(small_line.path, 24, rules=RULES)
        sequence, label = data[len(data) - 1]
        assert sequence.shape == (24, len(data.sensor_names))
        assert sequence.dtype == label.dtype == torch.float32
        assert label.shape == (1,)
        assert not torch.isnan(sequence).any()
        torch.testing.assert_close(data[-1][0], sequence)
        with pytest.raises(IndexError):
            data[len(data)]

    def test_batches_equal_items(self, small_line: Dataset) -> None:
        data = CastingSequenceDataset(small_line.path, 24, rules=RULES)
        sequences, labels = next(iter(DataLoader(data, 5, collate_fn=data.collate_fn)))
        torch.testing.assert_close(sequences, torch.stack([data[index][0] for index in range(5)]))
        torch.testing.assert_close(labels, torch.stack([data[index][1] for index in range(5)]))

    def test_variable_length_pads_growing_windows_and_tells_their_lengths(self, small_line: Dataset) -> None:
        data = CastingSequenceDataset(small_line.path, rules=RULES)
        sequences, _, lengths, mask = data.collate_fn(data.__getitems__(list(range(14))))
        assert lengths.tolist() == sorted(lengths.tolist())
        assert lengths[0] < RULES.length == lengths[-1]
        assert (sequences[0, lengths[0] :] == 0).all()
        assert (mask == (torch.arange(RULES.length) < lengths[:, None])).all()
        torch.testing.assert_close(sequences[0, : lengths[0]], data[0][0])

    def test_splits_share_no_scan_and_the_scaler_sees_training_only(self, small_line: Dataset) -> None:
        splits = {
            split: CastingSequenceDataset(small_line.path, 24, split=split, rules=RULES)
            for split in ("train", "validation", "test")
        }
        seen = [
            {(info.strand_id, t) for info in data.sequences for t in small_line.load(info.sequence_id).event_time_ms}
            for data in splits.values()
        ]
        assert len(set().union(*seen)) == sum(map(len, seen))
        training = [small_line.load(info.sequence_id).values for info in small_line.sequences("train")]
        fitted = SequencePreprocessor().fit(training)
        for data in splits.values():
            assert data.scaler is not None
            np.testing.assert_array_equal(data.scaler.center, fitted.center)

    def test_unknown_target_and_missing_dataset_are_named(self, small_line: Dataset, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="bogus"):
            CastingSequenceDataset(small_line.path, targets=["bogus"])
        with pytest.raises(ContractError, match="nowhere"):
            CastingSequenceDataset(tmp_path / "nowhere")

    def test_what_is_not_held_is_looked_up_of_each_window(self, small_line: Dataset) -> None:
        data = CastingSequenceDataset(small_line.path, 24, rules=RULES)
        assert set(data.sequence_index) == {0, 1}
        for index in (0, 57, len(data) - 1):
            sequence = small_line.load(data.sequences[data.sequence_index[index]].sequence_id)
            row = int(np.flatnonzero(sequence.event_time_ms == data.event_time_ms[index])[0])
            np.testing.assert_array_equal(data.raw(np.array([index]))[0], sequence.values[row - 23 : row + 1])

    @pytest.mark.parametrize("strategy", get_args(MissingStrategy))
    def test_padding_behind_a_short_window_does_not_reach_into_it(self, small_line: Dataset, strategy: str) -> None:
        fitted = fit_preprocessor(small_line, missing_strategy=strategy)
        data = CastingSequenceDataset(small_line.path, rules=RULES, preprocessor=fitted)
        raw = data.raw(np.arange(3))
        for index, (window, _) in enumerate(data.__getitems__([0, 1, 2])):
            np.testing.assert_array_equal(window, fitted.transform([raw[index, : len(window)]])[0])


def test_windows_do_not_reach_over_a_gap(tmp_path: Path) -> None:
    times = np.concatenate([np.arange(40), np.arange(40) + 200]) * 500
    values = np.arange(80, dtype=np.float32)[:, None].repeat(len(CASTING_SENSORS), 1)
    with DatasetWriter(
        tmp_path / "d", line="t", seed=1, period_ms=500, sensors=CASTING_SENSORS, targets=("sticker",)
    ) as writer:
        writer.add(
            SequenceData("s", "p1.c1.s1", times, values, np.arange(80), (None,) * 80, np.zeros(80)), split="train"
        )
    data = CastingSequenceDataset(tmp_path / "d", 24, normalize=False, rules=replace(RULES, stride=1))
    firsts = data.raw(np.arange(len(data)))[:, 0, 0]
    assert firsts.tolist() == [*range(17), *range(40, 57)]


def test_what_worker_processes_are_sent_does_not_grow_with_the_data(small_line: Dataset) -> None:
    data = CastingSequenceDataset(small_line.path, 24, rules=RULES, augment=True)
    many = CastingSequenceDataset(small_line.path, 24, rules=replace(RULES, stride=1), augment=True)
    sent, more = (len(ForkingPickler.dumps(each)) for each in (data, many))
    assert len(many) > 1.9 * len(data)
    assert more < sent + 100


def test_look_alikes_of_what_is_not_learned_are_as_plain_as_a_quiet_line(tmp_path: Path) -> None:
    config, kinds = LineConfig().with_rates({"clogging_release": 0.0}), []
    for name, happens in (("of a sticker", "film_fracture"), ("of thinning", "powder_change")):
        with DatasetWriter(
            tmp_path / name, line=config.version, seed=1, period_ms=500, sensors=CASTING_SENSORS, targets=("sticker",)
        ) as writer:
            schedule = [Scheduled(happens, 100.0), Scheduled("sticker", 800.0, healed=True)]
            made = simulate_sequence(config, strand=0, index=0, duration_s=1200, seed=1, schedule=schedule)
            writer.add(made.sequence, made.events, "train")
        data = CastingSequenceDataset(tmp_path / name, 24, rules=RULES)
        early = data.event_time_ms < made.sequence.event_time_ms[0] + 700_000
        kinds.append(set(data.kinds[early]))
        alike, near = data.look_alikes, data.kinds == NEAR
        assert data.look_alike_targets == ((0,) if happens == "film_fracture" else ())
        assert set(alike[early].tolist()) == ({-1, 0} if happens == "film_fracture" else {-1})
        assert not (alike[~near] >= 0).any()  # nor is a window of the sticker one of its look-alike
        fracture = next(event for event in made.events if event.type == happens)
        ends = data.event_time_ms[alike == 0]
        if len(ends):
            assert ends.min() >= fracture.onset_ms
            assert fracture.ignore_until_ms < ends.max() < fracture.ignore_until_ms + 6000  # half a window
    assert kinds == [{PLAIN, NEAR}, {PLAIN}]


def test_a_line_without_stickers_has_no_positive(tmp_path: Path) -> None:
    quiet = write_small_line(tmp_path / "quiet", stickers=False)
    data = CastingSequenceDataset(quiet.path, 24, rules=RULES)
    assert not (data.kinds >= POSITIVE).any()


def test_a_window_positive_for_several_targets_is_sampled_for_the_rarest(tmp_path: Path) -> None:
    rules = told_plant.RULES
    with DatasetWriter(
        tmp_path, line="import/table", seed=0, period_ms=rules.period_ms, sensors=told_plant.SENSORS,
        targets=told_plant.TARGETS,
    ) as writer:  # fmt: skip
        happened = [
            told_plant.event("s0", "leak", 60, 100, target="leak"),
            told_plant.event("s0", "fire", 90, 110, target="fire"),
        ]
        writer.add(told_plant.sequence("s0", np.zeros((200, 2), np.float32)), happened, "train")
    data = CastingSequenceDataset(tmp_path, 10, rules=rules, normalize=False)
    leak, fire = (data.labels == 1).T
    assert (leak & fire).any()
    assert (data.kinds[fire] == POSITIVE + 1).all()
    assert (data.kinds[leak & ~fire] == POSITIVE).all()
    assert (data.kinds[~leak & ~fire] < POSITIVE).all()
