"""Windows of a dataset for training and evaluation.

    train = CastingSequenceDataset("data/line", sequence_length=120, split="train", rules=rules)
    sequence, label = train[0]                       # [time, sensor] float32, [target] float32

Which windows there are and what their rows are is decided by `models.windows` alone, the code the worker runs; the
truth about them by `trainer.datasets.labels`. Neither rows nor windows are held in memory: a few bytes say where a
window ends (`trainer.loading.window_index`), and its rows are read from a file when it is asked for
(`trainer.loading.row_store`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset as TorchDataset

from models.errors import UsageError
from models.windows import BoolArray, Float32Array, Int64Array, WindowRules
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Split
from trainer.loading.augmentation import MODERATE, AugmentationSettings, Augmenter, mix
from trainer.loading.row_store import open_rows
from trainer.loading.window_index import NEAR, PLAIN, POSITIVE, Int8Array, index_windows
from trainer.preprocess import Preprocess, SequencePreprocessor

__all__ = ["NEAR", "PLAIN", "POSITIVE", "CastingSequenceDataset", "Preprocess", "SequencePreprocessor"]

DEFAULT_LENGTH = 120
DEFAULT_GAP_PERIODS = 10
_PARTNERS_TRIED = 16

Item = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class WindowBatch(Sequence[Item]):
    """Items that lie side by side already, so that collating copies nothing.

    Attributes:
        windows: float32 [b, time, sensor]; rows beyond a window's length mean nothing.
        labels: float32 [b, target].
        lengths: int64 [b].
    """

    windows: Tensor
    labels: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.labels)

    def __getitem__(self, index: Any) -> Any:
        """One item, cut to its length, or a list of them."""
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        return self.windows[index, : int(self.lengths[index])], self.labels[index]


class CastingSequenceDataset(TorchDataset[Item]):
    """Multivariate casting windows of one split, each with the labels of its last row.

    Items are `(sequence, label)`: float32 [time, sensor] and float32 [target], 1 positive, 0 negative, NaN for a
    target whose truth is left out there (soft labels between 0 and 1 come of mixup only). Windows left out for every
    target are no items.

    Fit for a loader's worker processes, forked or spawned: what they are sent does not grow with the data.

    Args:
        data_path: folder of a dataset.
        sequence_length: rows of every window; None for variable length: windows still growing after a start or a gap
            count too, from 8 rows up to the rules' length.
        normalize: fill and normalise; otherwise engineering units with NaN = missing.
        augment: variations of the windows with a positive label: none, those of
            `trainer.loading.augmentation.MODERATE`, or settings of one's own.
        split: the split whose sequences are read.
        rules: the windows' rules; None for 120 rows, stride 1 and gaps up to 10 periods.
        targets: names of the targets, in the order of the labels; empty for all of the dataset.
        preprocessor: fitted; None fits one on the training split, whatever `split` is.
        seed: of the augmentation.
        shuffle_labels: seed by which windows exchange their labels, for a leak test; None leaves them theirs.

    Attributes:
        sequences: what the dataset says of the casting sequences the windows are cut from, in order.
        sensor_names: in the order of the columns.
        targets: in the order of the labels.
        scaler: the preprocessor; None without `normalize`.
        rules: the windows' rules in use.
        sequence_length: as given.

    Raises:
        UsageError: a target that the dataset does not have, `augment` without `normalize` (its amounts are in
            normalised units), or with a symmetry that the dataset does not declare.
        ContractError: no dataset there, or a broken one.
    """

    def __init__(
        self,
        data_path: str | Path,
        sequence_length: int | None = None,
        normalize: bool = True,
        augment: bool | AugmentationSettings = False,
        *,
        split: Split = "train",
        rules: WindowRules | None = None,
        targets: Sequence[str] = (),
        preprocessor: SequencePreprocessor | None = None,
        seed: int = 0,
        shuffle_labels: int | None = None,
    ) -> None:
        dataset = Dataset.open(data_path)
        period = dataset.info.period_ms
        rules = rules or WindowRules(DEFAULT_LENGTH, period, 1, DEFAULT_GAP_PERIODS * period)
        self.rules = rules if sequence_length is None else replace(rules, length=sequence_length)
        self.sequence_length = sequence_length
        self.targets = check_targets(dataset, targets)
        self.sensor_names = [sensor.name for sensor in dataset.info.sensors]
        self.scaler = (preprocessor or fit_preprocessor(dataset)) if normalize else None
        self._preprocess = self.scaler.module() if self.scaler else None
        self._augmenter = self._augmenting(dataset, augment, seed)
        # In shared memory, so that a loader's lasting worker processes hear of a new epoch.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.untyped_storage().share_memory_()
        self.sequences = dataset.sequences(split)
        self._rows = open_rows(dataset, split)
        index = index_windows(
            dataset, self._rows, self.sequences, self.targets, self.rules, variable=sequence_length is None
        )
        self._index = index if shuffle_labels is None else index.shuffled(shuffle_labels)

    def _augmenting(self, dataset: Dataset, augment: bool | AugmentationSettings, seed: int) -> Augmenter | None:
        symmetries = dataset.info.symmetries
        if augment is True:
            augment = replace(MODERATE, symmetry=bool(symmetries))
        if not augment or not augment.is_on:
            return None
        if self.scaler is None:
            raise UsageError("expected normalize=True with augment, got False: its amounts are in normalised units")
        return Augmenter(augment, symmetries=symmetries, sensors=self.sensor_names, seed=seed, clip=self.scaler.clip)

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._index)

    @property
    def kinds(self) -> Int8Array:
        """Of each window [window], see `PLAIN`, `NEAR` and `POSITIVE`."""
        return self._index.kinds

    @property
    def look_alikes(self) -> Int8Array:
        """Of each window [window] the place of the look-alike it is a negative of in `look_alike_targets`, or -1."""
        return np.asarray(self._index.look_alike.numpy(), np.int8)

    @property
    def look_alike_targets(self) -> tuple[int, ...]:
        """Of each type of look-alike the place of the target it imitates."""
        return self._index.look_alike_targets

    @property
    def labels(self) -> Float32Array:
        """Labels float32 [window, target]; made anew each time it is asked for, as are the two below."""
        return self._index.labels(self._index.last_rows())

    @property
    def event_time_ms(self) -> Int64Array:
        """Event times int64 [window] of the last rows, milliseconds."""
        return self._rows.event_times()[self._index.last_rows()]

    @property
    def sequence_index(self) -> Int64Array:
        """Places int64 [window] in `sequences`."""
        ends = np.cumsum([info.rows for info in self.sequences])
        return np.searchsorted(ends, self._index.last_rows(), side="right")

    def set_epoch(self, epoch: int) -> None:
        """Vary windows as of this epoch from now on; without augmentation nothing changes."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> Item:
        """One window and its labels."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected a window below {len(self)}, got {index}")
        item: Item = self.__getitems__([index % len(self)])[0]
        return item

    def __getitems__(self, indices: list[int]) -> WindowBatch:
        """Several at once: the DataLoader's way in, one reading and normalising for a batch.

        An index of c · len(self) + i is the c-th further copy of window i: the same, varied otherwise.
        """
        numbers = np.asarray(indices, np.int64)
        last = self._index.last_rows(numbers % len(self))
        if self._augmenter is not None:
            return self._varied(self._augmenter, numbers, last)
        windows, lengths = self._read(last)
        return WindowBatch(self._prepared(windows), *map(torch.from_numpy, (self._index.labels(last), lengths)))

    def raw(self, indices: Int64Array) -> Float32Array:
        """Windows [k, time, sensor] in engineering units, NaN = missing; a shorter window is followed by NaN."""
        return self._read(self._index.last_rows(np.asarray(indices, np.int64)))[0]

    def _read(self, last: Int64Array) -> tuple[Float32Array, Int64Array]:
        """Windows that end with the rows `last`, and their lengths."""
        first = self._index.first_rows(last)
        lengths = last - first + 1
        return self._rows.read(first, lengths), lengths

    def _prepared(self, windows: Float32Array) -> Tensor:
        """Fill and normalise. NaN rows behind a shorter window change nothing before them, whatever the strategy."""
        tensor = torch.from_numpy(windows)
        return tensor if self._preprocess is None else self._preprocess.overwrite(tensor)

    def _varied(self, augmenter: Augmenter, numbers: Int64Array, last: Int64Array) -> WindowBatch:
        positive = (self._index.labels(last) == 1).any(axis=1)
        drawn = augmenter.drawn(int(self._epoch), numbers, positive)
        partners = []
        for place, rng in drawn.items():
            if augmenter.settings.shift:
                last[place] = rng.choice(self._index.ends_near(int(last[place]), augmenter.settings.shift))
            if augmenter.settings.mixup:
                partners.append(self._partner(rng, ~np.isnan(self._index.labels(last[[place]])[0]), numbers[place]))
        # The other windows of mixups are read and normalised with the batch, behind it.
        last = np.concatenate([last, self._index.last_rows(np.array(partners, np.int64))])
        raw, lengths = self._read(last)
        for place, rng in drawn.items():
            raw[place] = augmenter.exchanged(raw[place], rng)
        windows, labels = self._prepared(raw).numpy(), self._index.labels(last)
        for other, (place, rng) in enumerate(drawn.items(), start=len(numbers)):
            window = augmenter.varied(windows[place, : lengths[place]], rng)
            if partners:
                whole = windows[other, : lengths[other]]
                window, labels[place] = mix(window, labels[place], whole, labels[other], augmenter.own_weight(rng))
            lengths[place] = len(window)
            windows[place, : len(window)] = window
        return WindowBatch(*(torch.from_numpy(part[: len(numbers)]) for part in (windows, labels, lengths)))

    def _partner(self, rng: np.random.Generator, known: BoolArray, own: int) -> int:
        """A window to mix with that knows the `known` targets, so that no label is lost; if there is none, itself."""
        for other in rng.integers(len(self), size=_PARTNERS_TRIED).tolist():
            if not np.isnan(self._index.labels(self._index.last_rows(np.array([other])))[0][known]).any():
                return int(other)
        return own % len(self)

    def collate_fn(self, batch: Sequence[Item]) -> tuple[Tensor, ...]:
        """Batch items: `(sequences, labels)`, and with variable length `(sequences, labels, lengths, mask)`.

        Shapes [b, time, sensor], [b, target], [b] int64 and [b, time] bool; shorter windows are padded with zeros
        after their last row, and the mask is True where a row is in use.
        """
        if not isinstance(batch, WindowBatch):
            windows, labels = zip(*batch, strict=True)
            lengths = torch.tensor([len(window) for window in windows])
            batch = WindowBatch(pad_sequence(list(windows), batch_first=True), torch.stack(labels), lengths)
        if self.sequence_length is not None:
            return batch.windows, batch.labels
        mask = torch.arange(int(batch.lengths.max())) < batch.lengths[:, None]
        padded = batch.windows[:, : mask.shape[1]].masked_fill(~mask[:, :, None], 0.0)
        return padded, batch.labels, batch.lengths, mask


def check_targets(dataset: Dataset, targets: Sequence[str]) -> list[str]:
    """The targets asked for, or all of the dataset.

    Raises:
        UsageError: the dataset lacks one.
    """
    for target in targets:
        if list(targets).count(target) > 1:
            raise UsageError(f"expected each target once, got `{target}` again at targets")
        if target not in dataset.info.targets:
            known = ", ".join(dataset.info.targets)
            raise UsageError(f"expected targets of the dataset ({known}), got `{target}` at targets")
    return list(targets or dataset.info.targets)


def check_alerts(config: TrainingConfig, targets: Sequence[str]) -> None:
    """Refuse alert settings that no target would use, so that a misspelt one is not lost without a word.

    Raises:
        UsageError: names the first.
    """
    for target in config.alert:
        if target not in targets:
            known = ", ".join(f"alert.{name}" for name in targets)
            raise UsageError(f"expected {known}, got `alert.{target}` at --set or the recipe: no such target is learnt")


def fit_preprocessor(dataset: Dataset, **options: Any) -> SequencePreprocessor:
    """Fit on the dataset's training split, one sequence in memory at a time; options as for `SequencePreprocessor`.

    Raises:
        UsageError: there is no training sequence.
    """
    infos = dataset.sequences("train")
    if not infos:
        raise UsageError(f"expected sequences of the split `train`, got none at {dataset.path}")
    names = [sensor.name for sensor in dataset.info.sensors]
    return SequencePreprocessor(**options).fit((dataset.load(info.sequence_id).values for info in infos), names)
