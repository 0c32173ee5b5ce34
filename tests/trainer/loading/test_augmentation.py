"""Variations of the rare windows: shape, range, label, and who never sees them."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.errors import UsageError
from models.windows import WindowRules
from trainer.datasets.dataset import Dataset
from trainer.datasets.labels import LEFT_OUT, label_at
from trainer.datasets.records import Symmetry
from trainer.datasets.writer import DatasetWriter
from trainer.line.config import LineConfig
from trainer.line.mould_array import MouldArray
from trainer.loading.augmentation import MODERATE, AugmentationSettings, jitter, mix, permutation, scale, time_warp
from trainer.sequence_dataset import CastingSequenceDataset, SequencePreprocessor, fit_preprocessor

RULES = WindowRules(length=24, period_ms=500, stride=2, max_gap_ms=5000)
ALL = AugmentationSettings(share=1.0, jitter=0.05, scaling=0.1, time_warp=0.2, shift=6, mixup=0.4, symmetry=True)
MIRROR = MouldArray.of(LineConfig()).symmetries

windows = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=30), elements=st.floats(-8, 8, width=32)
)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def line(small_line: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The small line again, with the mirror of its mould declared."""
    path, info = tmp_path_factory.mktemp("symmetric") / "line", small_line.info
    with DatasetWriter(
        path, line=info.line, seed=info.seed, period_ms=info.period_ms, sensors=info.sensors, targets=info.targets,
        symmetries=MIRROR,
    ) as writer:  # fmt: skip
        for entry in small_line.sequences():
            writer.add(small_line.load(entry.sequence_id), small_line.events(entry.sequence_id), entry.split)
    return Dataset.open(path)


@pytest.fixture(scope="module")
def fitted(line: Dataset) -> SequencePreprocessor:
    return fit_preprocessor(line)


def varied(line: Dataset, fitted: SequencePreprocessor, augment: AugmentationSettings | bool, **more: object):
    return CastingSequenceDataset(line.path, 24, rules=RULES, augment=augment, preprocessor=fitted, **more)


class TestVariations:
    @given(windows, seeds, st.floats(0.01, 1.0))
    def test_jitter_and_scaling_keep_the_shape(self, window: np.ndarray, seed: int, amount: float) -> None:
        for change in (jitter, scale):
            found = change(window, amount, np.random.default_rng(seed))
            assert (found.shape, found.dtype) == (window.shape, np.float32)
            assert np.isfinite(found).all()

    def test_jitter_has_the_standard_deviation_asked_for(self) -> None:
        found = jitter(np.zeros((400, 50), np.float32), 0.3, np.random.default_rng(1))
        assert found.std() == pytest.approx(0.3, rel=0.02)
        assert found.mean() == pytest.approx(0.0, abs=0.01)

    @given(windows, seeds)
    def test_scaling_is_one_positive_factor_a_sensor(self, window: np.ndarray, seed: int) -> None:
        found = scale(window, 0.2, np.random.default_rng(seed))
        factors = scale(np.ones_like(window), 0.2, np.random.default_rng(seed))
        assert (factors > 0).all()
        assert (factors == factors[0]).all()
        np.testing.assert_array_equal(found, window * factors)

    @given(windows, seeds, st.floats(0.01, 1.0))
    def test_time_warp_keeps_ends_and_range(self, window: np.ndarray, seed: int, amount: float) -> None:
        found = time_warp(window, amount, np.random.default_rng(seed))
        assert (found.shape, found.dtype) == (window.shape, np.float32)
        np.testing.assert_allclose(found[[0, -1]], window[[0, -1]], atol=1e-4)
        assert (found >= window.min(axis=0) - 1e-5).all()
        assert (found <= window.max(axis=0) + 1e-5).all()

    @given(st.integers(2, 200), seeds, st.floats(0.01, 1.0))
    def test_time_warp_never_turns_back(self, rows: int, seed: int, amount: float) -> None:
        ramp = np.arange(rows, dtype=np.float32)[:, None]
        found = time_warp(ramp, amount, np.random.default_rng(seed))
        assert (np.diff(found, axis=0) > 0).all() or rows > 100  # float32 may not tell two slow rows apart
        assert (np.diff(found, axis=0) >= 0).all()
        assert rows < 20 or np.abs(found - ramp).max() > 0

    @given(windows, seeds, st.floats(0.5, 1.0))
    def test_mixup_lies_between_and_softens_the_label(self, window: np.ndarray, seed: int, weight: float) -> None:
        other = np.random.default_rng(seed).uniform(-8, 8, window.shape).astype(np.float32)
        label, other_label = np.array([1.0, np.nan, 1.0], np.float32), np.array([0.0, 0.0, np.nan], np.float32)
        found, soft = mix(window, label, other, other_label, weight)
        assert (found >= np.minimum(window, other) - 1e-5).all()
        assert (found <= np.maximum(window, other) + 1e-5).all()
        np.testing.assert_allclose(soft, [weight, np.nan, np.nan], rtol=1e-6)

    def test_mixup_of_different_lengths_lays_last_row_on_last_row(self) -> None:
        long, short = np.arange(5, dtype=np.float32)[:, None], np.full((3, 1), 10.0, np.float32)
        label = np.ones(1, np.float32)
        for pair in ((long, short), (short, long)):
            found, _ = mix(pair[0], label, pair[1], label, 0.5)
            np.testing.assert_allclose(found[:, 0], [6.0, 6.5, 7.0])


class TestSymmetry:
    def test_a_mirror_exchanges_and_a_shift_moves_along(self) -> None:
        sensors = ["speed", "a", "b", "c"]
        window = np.array([[0.0, 1.0, 2.0, 3.0]])
        exchange: Symmetry = (("a", "c"),)
        shift: Symmetry = (("a", "b"), ("b", "c"), ("c", "a"))
        assert window[:, permutation(exchange, sensors)].tolist() == [[0.0, 3.0, 2.0, 1.0]]
        assert window[:, permutation(shift, sensors)].tolist() == [[0.0, 3.0, 1.0, 2.0]]

    @pytest.mark.parametrize("symmetry", [(("a", "b"), ("a", "c")), (("a", "b"), ("b", "c")), (("a", "nobody"),)])
    def test_what_is_no_exchange_is_refused(self, symmetry: Symmetry) -> None:
        with pytest.raises(UsageError, match="symmetries"):
            permutation(symmetry, ["a", "b", "c"])

    @pytest.mark.parametrize("columns", [2, 3, 4])
    def test_what_a_line_declares_mirrors_each_row(self, columns: int) -> None:
        array = MouldArray((0.1, 0.25), tuple(np.linspace(-0.3, 0.3, columns)))
        (symmetry,) = array.symmetries
        place = permutation(symmetry, array.names).reshape(2, columns)
        np.testing.assert_array_equal(place, np.arange(2 * columns).reshape(2, columns)[:, ::-1])

    def test_windows_are_exchanged_in_engineering_units(self, line: Dataset, fitted: SequencePreprocessor) -> None:
        only = AugmentationSettings(share=1.0, symmetry=True)
        data, plain = varied(line, fitted, only), varied(line, fitted, False)
        columns = permutation(MIRROR[0], data.sensor_names)
        chosen = np.flatnonzero(data.labels[:, 0] == 1)
        mirrored = torch.from_numpy(np.stack(fitted.transform(list(data.raw(chosen)[:, :, columns]))))
        found = torch.stack([data[index][0] for index in chosen.tolist()])
        same = torch.stack([plain[index][0] for index in chosen.tolist()])
        is_mirrored, is_same = ((found == each).all(dim=(1, 2)) for each in (mirrored, same))
        assert (is_mirrored ^ is_same).all()
        assert 0.2 < is_mirrored.float().mean() < 0.8


class TestInADataset:
    def test_everything_is_off_by_default(self, line: Dataset, fitted: SequencePreprocessor) -> None:
        assert not AugmentationSettings().is_on
        assert not replace(ALL, share=0.0).is_on
        plain, off = varied(line, fitted, False), varied(line, fitted, AugmentationSettings())
        for index in np.flatnonzero(plain.labels[:, 0] == 1)[:20].tolist():
            assert torch.equal(plain[index][0], off[index][0])

    @pytest.mark.parametrize("name", [field.name for field in fields(AugmentationSettings) if field.name != "share"])
    def test_each_alone_changes_positives_only_within_the_clip(
        self, line: Dataset, fitted: SequencePreprocessor, name: str
    ) -> None:
        only = AugmentationSettings(share=1.0, **{name: getattr(ALL, name)})
        plain, data = varied(line, fitted, False), varied(line, fitted, only)
        before, after = (each.__getitems__(list(range(len(plain)))) for each in (plain, data))
        changed = np.array([not torch.equal(was[0], now[0]) for was, now in zip(before, after, strict=True)])
        positive = plain.labels[:, 0] == 1
        assert not changed[~positive].any()
        assert changed[positive].mean() > 0.3
        for (was, label), (now, new_label) in zip(before, after, strict=True):
            assert was.shape == now.shape
            assert was.dtype == now.dtype == new_label.dtype == torch.float32
            assert now.abs().max() <= fitted.clip
            assert 0 <= new_label <= 1
            assert name in {"shift", "mixup"} or torch.equal(label, new_label)
        if name == "mixup":
            assert any(0.5 <= label.item() < 1 for _, label in after)

    def test_share_is_the_part_that_varies(self, line: Dataset, fitted: SequencePreprocessor) -> None:
        plain = varied(line, fitted, False)
        data = varied(line, fitted, AugmentationSettings(share=0.3, jitter=0.1))
        changed = 0
        chosen = np.flatnonzero(plain.labels[:, 0] == 1).tolist()
        for epoch in range(10):
            data.set_epoch(epoch)
            pairs = zip(plain.__getitems__(chosen), data.__getitems__(chosen), strict=True)
            changed += sum(not torch.equal(was[0], now[0]) for was, now in pairs)
        assert changed / (10 * len(chosen)) == pytest.approx(0.3, abs=0.08)

    def test_is_a_function_of_seed_epoch_and_index_alone(self, line: Dataset, fitted: SequencePreprocessor) -> None:
        data = varied(line, fitted, ALL, seed=3)
        chosen = np.flatnonzero(data.labels[:, 0] == 1)[:8].tolist()
        together = data.__getitems__(chosen)
        data.set_epoch(1)
        later = data.__getitems__(chosen)
        data.set_epoch(0)
        for index, item, other in zip(chosen, together, later, strict=True):
            assert all(map(torch.equal, data[index], item))
            assert not torch.equal(item[0], other[0])
        other_seed = varied(line, fitted, ALL, seed=4)
        assert not torch.equal(other_seed[chosen[0]][0], together[0][0])

    def test_copies_of_a_window_vary_differently(self, line: Dataset, fitted: SequencePreprocessor) -> None:
        data, plain = varied(line, fitted, ALL), varied(line, fitted, False)
        index = int(np.flatnonzero(data.labels[:, 0] == 1)[0])
        (first, _), (copy, _) = data.__getitems__([index, index + len(data)])
        assert not torch.equal(first, copy)
        (first, _), (copy, _) = plain.__getitems__([index, index + len(plain)])
        assert torch.equal(first, copy)

    def test_a_shifted_window_is_a_recorded_one_with_its_own_label(
        self, line: Dataset, fitted: SequencePreprocessor
    ) -> None:
        reach = 12
        data = varied(line, fitted, AugmentationSettings(share=1.0, shift=reach))
        moved, labels = [], set()
        for index in np.flatnonzero(data.labels[:, 0] == 1).tolist():
            info = data.sequences[data.sequence_index[index]]
            sequence = line.load(info.sequence_id)
            truth = label_at(sequence.event_time_ms, line.events(info.sequence_id), "sticker")
            row = int(np.searchsorted(sequence.event_time_ms, data.event_time_ms[index]))
            window, label = data[index]
            rows = [r for r in range(max(row - reach, 23), min(row + reach + 1, info.rows)) if truth[r] != LEFT_OUT]
            each = fitted.transform([sequence.values[r - 23 : r + 1] for r in rows])
            (found,) = [r for r, one in zip(rows, each, strict=True) if np.array_equal(one, window)]
            assert label.item() == truth[found]
            moved.append(found - row)
            labels.add(label.item())
        assert min(moved) < 0 < max(moved)
        assert max(map(abs, moved)) <= reach

    def test_no_label_is_lost_or_made_up_where_a_target_s_truth_is_left_out(
        self, line: Dataset, fitted: SequencePreprocessor, tmp_path: Path
    ) -> None:
        """Two targets, one of which knows nothing of much of the line."""
        info = line.info
        with DatasetWriter(
            tmp_path / "line", line=info.line, seed=info.seed, period_ms=info.period_ms, sensors=info.sensors,
            targets=("sticker", "quality"),
        ) as writer:  # fmt: skip
            for entry in line.sequences():
                own = line.events(entry.sequence_id)
                late = replace(
                    own[0], event_id=f"{entry.sequence_id}-quality", target="quality", onset_ms=entry.start_ms,
                    detectable_ms=entry.start_ms, impact_ms=None, end_ms=entry.start_ms + 30_000,
                    ignore_until_ms=entry.start_ms + (entry.end_ms - entry.start_ms) // 2,
                )  # fmt: skip
                writer.add(line.load(entry.sequence_id), [*own, late], entry.split)
        two = Dataset.open(tmp_path / "line")
        plain = varied(two, fitted, False)
        unknown = np.isnan(plain.labels)
        assert unknown.any(axis=0).tolist() == [True, True]
        for settings in (AugmentationSettings(share=1.0, mixup=0.4), AugmentationSettings(share=1.0, shift=6)):
            data = varied(two, fitted, settings)
            positives = np.flatnonzero((plain.labels == 1).any(axis=1)).tolist()
            batch, before = data.__getitems__(positives), plain.__getitems__(positives)
            assert not torch.equal(batch.windows, before.windows)
            assert not bool(batch.labels.isnan().all(dim=1).any())
            if settings.mixup:
                assert torch.equal(batch.labels.isnan(), before.labels.isnan())

    def test_true_means_moderate_with_symmetry_where_it_is_declared(
        self, line: Dataset, small_line: Dataset, fitted: SequencePreprocessor
    ) -> None:
        assert MODERATE.mixup == 0
        for dataset, meant in ((line, MODERATE), (small_line, replace(MODERATE, symmetry=False))):
            told, asked = varied(dataset, fitted, True), varied(dataset, fitted, meant)
            for index in np.flatnonzero(told.labels[:, 0] == 1)[:20].tolist():
                assert torch.equal(told[index][0], asked[index][0])

    def test_variable_lengths_vary_too(self, line: Dataset, fitted: SequencePreprocessor) -> None:
        data = CastingSequenceDataset(line.path, rules=replace(RULES, length=500), augment=ALL, preprocessor=fitted)
        chosen = np.flatnonzero(data.labels[:, 0] == 1).tolist()
        sequences, labels, lengths, mask = data.collate_fn(data.__getitems__(chosen))
        assert len(set(lengths.tolist())) > 5
        assert torch.isfinite(sequences).all()
        assert (sequences[~mask] == 0).all()
        assert ((labels >= 0) & (labels <= 1)).all()

    def test_amounts_need_normalised_units_and_symmetry_a_declaration(self, line: Dataset, small_line: Dataset) -> None:
        with pytest.raises(UsageError, match="normalize=True with augment"):
            CastingSequenceDataset(line.path, 24, False, True, rules=RULES)
        with pytest.raises(UsageError, match="declares symmetries"):
            CastingSequenceDataset(small_line.path, 24, rules=RULES, augment=AugmentationSettings(symmetry=True))
