"""Windows, their labels, and what is done to them before a model sees them."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.small_line import write_small_line
from torch.utils.data import DataLoader

from models.errors import ContractError, UsageError
from models.features import CASTING_SENSORS
from models.windows import WindowRules, gather_windows, plan_windows
from trainer.datasets.dataset import Dataset
from trainer.datasets.labels import LEFT_OUT, label_at
from trainer.datasets.writer import DatasetWriter
from trainer.line.config import LineConfig
from trainer.line.schedule import Scheduled
from trainer.line.simulator import simulate_sequence
from trainer.preprocess import Preprocess, forward_fill
from trainer.sequence_dataset import NEAR, PLAIN, POSITIVE, CastingSequenceDataset, EpochSampler, SequencePreprocessor

RULES = WindowRules(length=24, period_ms=500, stride=2, max_gap_ms=5000)

windows_with_gaps = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9),
    elements=st.one_of(st.floats(-50, 50, width=32), st.just(float("nan"))),
)


def naive_forward_fill(windows: np.ndarray) -> np.ndarray:
    filled = windows.copy()
    for row in range(1, windows.shape[1]):
        missing = np.isnan(filled[:, row])
        filled[:, row][missing] = filled[:, row - 1][missing]
    return filled


class TestForwardFill:
    @settings(deadline=None)
    @given(windows_with_gaps)
    def test_is_what_a_row_by_row_fill_gives(self, windows: np.ndarray) -> None:
        np.testing.assert_array_equal(forward_fill(torch.from_numpy(windows)).numpy(), naive_forward_fill(windows))

    @pytest.mark.parametrize("length", [1, 2, 3, 60, 119, 120, 128, 129])
    def test_carries_one_value_over_the_whole_window(self, length: int) -> None:
        windows = np.full((1, length, 1), np.nan, np.float32)
        windows[0, 0] = 7.0
        assert (forward_fill(torch.from_numpy(windows)) == 7.0).all()

    @settings(deadline=None)
    @given(windows_with_gaps, st.data())
    def test_preprocessing_never_looks_ahead(self, windows: np.ndarray, data: st.DataObject) -> None:
        sensors = windows.shape[2]
        preprocess = Preprocess(np.zeros(sensors), np.ones(sensors), np.full(sensors, 3.0), clip=8.0)
        row = data.draw(st.integers(0, windows.shape[1] - 1))
        changed = windows.copy()
        changed[:, row + 1 :] = 99.0
        before, after = (preprocess(torch.from_numpy(each)).numpy() for each in (windows, changed))
        np.testing.assert_array_equal(before[:, : row + 1], after[:, : row + 1])


class TestPreprocessor:
    def test_numbers_ignore_missing_values(self) -> None:
        rows = np.array([[1.0, 10.0], [np.nan, 20.0], [3.0, np.nan], [8.0, 60.0]], np.float32)
        fitted = SequencePreprocessor().fit([rows[:2], rows[2:]])
        np.testing.assert_allclose(fitted.center, [4.0, 30.0])
        np.testing.assert_allclose(fitted.scale, [np.std([1, 3, 8]), np.std([10, 20, 60])], rtol=1e-6)
        np.testing.assert_allclose(fitted.fill, [3.0, 20.0])

    def test_robust_numbers_are_not_moved_by_one_outlier(self) -> None:
        rows = np.linspace(-1, 1, 101, dtype=np.float32)[:, None]
        spoilt = rows.copy()
        spoilt[-1] = 1e6
        clean, dirty = (SequencePreprocessor("robust").fit([each]) for each in (rows, spoilt))
        np.testing.assert_allclose(dirty.center, clean.center)
        np.testing.assert_allclose(dirty.scale, clean.scale, rtol=1e-6)

    def test_none_leaves_engineering_units(self) -> None:
        rows = np.array([[1.0], [5.0]], np.float32)
        np.testing.assert_array_equal(SequencePreprocessor("none", clip=1e9).fit([rows]).transform([rows])[0], rows)

    def test_constant_and_absent_sensors_get_scale_one_and_are_told(self, caplog: pytest.LogCaptureFixture) -> None:
        rows = np.array([[5.0, np.nan, 1.0], [5.0, np.nan, 2.0]], np.float32)
        with caplog.at_level(logging.WARNING, "trainer"):
            fitted = SequencePreprocessor().fit([rows], ["stuck", "absent", "alive"])
        assert fitted.constant_sensors == (0, 1)
        np.testing.assert_array_equal(fitted.scale[:2], 1.0)
        assert [record.message.split()[0] for record in caplog.records] == ["stuck", "absent"]
        assert np.isfinite(fitted.transform([rows])[0]).all()

    def test_leading_gaps_get_the_training_median_and_outliers_are_clipped(self) -> None:
        fitted = SequencePreprocessor(clip=4.0).fit([np.array([[0.0], [1.0], [5.0]], np.float32)])
        done = fitted.transform([np.array([[np.nan], [1e30], [-np.inf]], np.float32)])[0]
        np.testing.assert_allclose(done[:, 0], [(1.0 - 2.0) / fitted.scale[0], 4.0, -4.0], rtol=1e-6)

    def test_manifest_numbers_read_back_as_the_same_floats(self) -> None:
        rows = np.random.default_rng(0).normal(100, 3, (50, 4)).astype(np.float32)
        fitted = SequencePreprocessor().fit([rows])
        np.testing.assert_array_equal(np.array(fitted.normalisation().center, np.float32), fitted.center)
        np.testing.assert_array_equal(np.array(fitted.missing().fill, np.float32), fitted.fill)

    @pytest.mark.parametrize(("normalization", "strategy"), [("bogus", "forward_fill"), ("zscore", "interpolate")])
    def test_unknown_kinds_are_refused(self, normalization: str, strategy: str) -> None:
        with pytest.raises(ValueError, match="expected"):
            SequencePreprocessor(normalization, strategy)


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

    def test_batches_equal_items(self, small_line: Dataset) -> None:
        data = CastingSequenceDataset(small_line.path, 24, rules=RULES)
        sequences, labels = next(iter(DataLoader(data, 5, collate_fn=data.collate_fn)))
        torch.testing.assert_close(sequences, torch.stack([data[index][0] for index in range(5)]))
        torch.testing.assert_close(labels, torch.stack([data[index][1] for index in range(5)]))

    def test_variable_length_pads_growing_windows_and_tells_their_lengths(self, small_line: Dataset) -> None:
        data = CastingSequenceDataset(small_line.path, rules=RULES)
        sequences, _, lengths = data.collate_fn(data.__getitems__(list(range(14))))
        assert lengths.tolist() == sorted(lengths.tolist())
        assert lengths[0] < RULES.length == lengths[-1]
        assert (sequences[0, lengths[0] :] == 0).all()
        torch.testing.assert_close(sequences[0, : lengths[0]], data[0][0])

    def test_splits_share_no_scan_and_the_scaler_sees_training_only(self, small_line: Dataset) -> None:
        splits = {
            split: CastingSequenceDataset(small_line.path, 24, split=split, rules=RULES)
            for split in ("train", "validation", "test")
        }
        seen = [
            {(s.strand_id, t) for s in data.sequences for t in s.event_time_ms.tolist()} for data in splits.values()
        ]
        assert len(set().union(*seen)) == sum(map(len, seen))
        training = [small_line.load(info.sequence_id).values for info in small_line.sequences("train")]
        fitted = SequencePreprocessor().fit(training)
        for data in splits.values():
            assert data.scaler is not None
            np.testing.assert_array_equal(data.scaler.center, fitted.center)

    def test_augmentation_says_that_it_is_not_there(self, small_line: Dataset) -> None:
        with pytest.raises(UsageError, match="augment"):
            CastingSequenceDataset(small_line.path, 24, augment=True)

    def test_unknown_target_and_missing_dataset_are_named(self, small_line: Dataset, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="bogus"):
            CastingSequenceDataset(small_line.path, targets=["bogus"])
        with pytest.raises(ContractError, match="nowhere"):
            CastingSequenceDataset(tmp_path / "nowhere")


class TestEpochSampler:
    def test_draws_shares_of_each_kind_anew(self, small_line: Dataset) -> None:
        data = CastingSequenceDataset(small_line.path, 24, rules=RULES)
        assert set(data.kinds) == {PLAIN, NEAR, POSITIVE}
        sampler = EpochSampler(data, positive=1.0, near=0.5, plain=0.1, seed=1)
        first, second = list(sampler), list(sampler)
        counts = np.bincount(data.kinds)
        expected = np.ceil(counts * [0.1, 0.5, 1.0])
        np.testing.assert_array_equal(np.bincount(data.kinds[first]), expected)
        assert len(first) == len(set(first)) == len(sampler)
        assert first != second

    def test_same_seed_draws_the_same_and_fixed_never_changes(self, small_line: Dataset) -> None:
        data = CastingSequenceDataset(small_line.path, 24, rules=RULES)
        shares = {"near": 0.5, "plain": 0.5}
        assert list(EpochSampler(data, seed=4, **shares)) == list(EpochSampler(data, seed=4, **shares))
        fixed = EpochSampler(data, seed=4, fixed=True, **shares)
        assert list(fixed) == list(fixed) == sorted(fixed)


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
    assert kinds == [{PLAIN, NEAR}, {PLAIN}]


def test_a_line_without_stickers_has_no_positive(tmp_path: Path) -> None:
    quiet = write_small_line(tmp_path / "quiet", stickers=False)
    data = CastingSequenceDataset(quiet.path, 24, rules=RULES)
    assert not (data.kinds == POSITIVE).any()
