"""Windows of a dataset for training and evaluation.

    train = CastingSequenceDataset("data/line", sequence_length=120, split="train", rules=rules)
    sequence, label = train[0]                       # [time, sensor] float32, [target] float32

Which windows there are and what their rows are is decided by `models.windows` alone, the code the worker runs; the
truth about them by `trainer.datasets.labels`. Windows are cut out of the sequences' arrays when they are asked for:
copies of all of them would take `length / stride` times the dataset.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from models.errors import UsageError
from models.windows import Float32Array, Int64Array, WindowPlan, WindowRules, gather_windows, plan_windows
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.labels import LEFT_OUT, label_at
from trainer.datasets.records import Event, SequenceData, Split
from trainer.preprocess import Preprocess, SequencePreprocessor

__all__ = ["CastingSequenceDataset", "EpochSampler", "Preprocess", "SequencePreprocessor"]

DEFAULT_LENGTH = 120
DEFAULT_GAP_PERIODS = 10
SHORTEST = 8
"""Rows below which a window of variable length says nothing."""

PLAIN, NEAR, POSITIVE = 0, 1, 2
"""What a window is for sampling: a plain negative, one near an event or look-alike, a positive of any target."""


class CastingSequenceDataset(TorchDataset[tuple[Tensor, Tensor]]):
    """Multivariate casting windows of one split, each with the labels of its last row.

    Items are `(sequence, label)`: float32 [time, sensor] and float32 [target], 1 positive, 0 negative, NaN for a
    target whose truth is left out there. Windows left out for every target are no items.

    Args:
        data_path: folder of a dataset.
        sequence_length: rows of every window; None for variable length: windows still growing after a start or a gap
            count too, from 8 rows up to the rules' length.
        normalize: fill and normalise; otherwise engineering units with NaN = missing.
        augment: augmentation of the minority class; not available yet.
        split: the split whose sequences are read.
        rules: the windows' rules; None for 120 rows, stride 1 and gaps up to 10 periods.
        targets: names of the targets, in the order of the labels; empty for all of the dataset.
        preprocessor: fitted; None fits one on the training split, whatever `split` is.

    Attributes:
        sequences: the casting sequences the windows are cut from.
        labels: float32 [window, target].
        event_time_ms: int64 [window], of the last row.
        sequence_index: int64 [window], into `sequences`.
        kinds: int8 [window], see `PLAIN`, `NEAR` and `POSITIVE`.
        sensor_names: in the order of the columns.
        targets: in the order of the labels.
        scaler: the preprocessor; None without `normalize`.
        rules: the windows' rules in use.

    Raises:
        UsageError: `augment`, or a target that the dataset does not have.
        ContractError: no dataset there, or a broken one.
    """

    def __init__(
        self,
        data_path: str | Path,
        sequence_length: int | None = None,
        normalize: bool = True,
        augment: bool = False,
        *,
        split: Split = "train",
        rules: WindowRules | None = None,
        targets: Sequence[str] = (),
        preprocessor: SequencePreprocessor | None = None,
    ) -> None:
        if augment:
            raise UsageError("expected augment=False, got True: augmentation is not available in this version")
        dataset = Dataset.open(data_path)
        period = dataset.info.period_ms
        rules = rules or WindowRules(DEFAULT_LENGTH, period, 1, DEFAULT_GAP_PERIODS * period)
        self.rules = rules if sequence_length is None else replace(rules, length=sequence_length)
        self.sequence_length = sequence_length
        self.targets = check_targets(dataset, targets)
        self.sensor_names = [sensor.name for sensor in dataset.info.sensors]
        self.scaler = (preprocessor or fit_preprocessor(dataset)) if normalize else None
        self._preprocess = self.scaler.module() if self.scaler else None
        self.sequences: list[SequenceData] = [dataset.load(info.sequence_id) for info in dataset.sequences(split)]
        self._plans: list[WindowPlan] = []
        imitated = {event.type for event in dataset.events() if event.target in self.targets}
        self._index([dataset.events(sequence.sequence_id) for sequence in self.sequences], imitated)

    def _index(self, events: list[list[Event]], imitated: set[str]) -> None:
        """Find the windows of all sequences, with their labels; `imitated` are the types that look-alikes matter of."""
        parts: list[tuple[Int64Array, ...]] = []
        labels, kinds = [], []
        for number, (sequence, happened) in enumerate(zip(self.sequences, events, strict=True)):
            plan = plan_windows(sequence.event_time_ms, sequence.strand_id, self.rules)
            self._plans.append(plan)
            long_enough = plan.full if self.sequence_length else plan.due - plan.start + 1 >= SHORTEST
            times = sequence.event_time_ms[plan.accepted[plan.due]]
            truth = np.stack([label_at(times, happened, target) for target in self.targets], axis=1)
            which = np.flatnonzero(long_enough & (truth != LEFT_OUT).any(axis=1))
            parts.append((np.full(which.size, number), which, times[which]))
            labels.append(np.where(truth == LEFT_OUT, np.nan, truth)[which].astype(np.float32))
            decoys = [event for event in happened if event.look_alike_of in {None, *imitated}]
            kinds.append(_kinds(times[which], labels[-1], decoys, self.rules))
        empty = np.empty(0, np.int64)
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] or [empty, empty, empty]
        self.sequence_index, self._which, self.event_time_ms = columns
        self.labels: Float32Array = np.concatenate([*labels, np.empty((0, len(self.targets)), np.float32)])
        self.kinds = np.concatenate([*kinds, np.empty(0, np.int8)])

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One window and its labels."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, Tensor]]:
        """Several at once: the DataLoader's way in, one gathering and normalising for a batch."""
        chosen = np.asarray(indices, np.int64)
        labels = torch.from_numpy(self.labels[chosen])
        if self.sequence_length is None:
            windows = [self._prepared(self._variable(index))[0] for index in chosen.tolist()]
            return list(zip(windows, labels, strict=True))
        return list(zip(self._prepared(self.raw(chosen)), labels, strict=True))

    def raw(self, indices: Int64Array) -> Float32Array:
        """Windows [k, time, sensor] in engineering units, NaN = missing; of fixed length only."""
        windows = np.empty((len(indices), self.rules.length, len(self.sensor_names)), np.float32)
        owners = self.sequence_index[indices]
        for owner in np.unique(owners).tolist():
            own = owners == owner
            windows[own] = gather_windows(
                self.sequences[owner].values, self._plans[owner], self._which[indices[own]], self.rules.length
            )
        return windows

    def _variable(self, index: int) -> Float32Array:
        owner, which = self.sequence_index[index], self._which[index]
        plan = self._plans[owner]
        rows = plan.accepted[plan.start[which] : plan.due[which] + 1]
        return np.asarray(self.sequences[owner].values[rows][None], np.float32)

    def _prepared(self, windows: Float32Array) -> Tensor:
        tensor = torch.from_numpy(windows)
        return tensor if self._preprocess is None else self._preprocess(tensor)

    def collate_fn(self, batch: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
        """Batch items: `(sequences, labels)`, and with variable length also `lengths`.

        Shapes [b, time, sensor], [b, target] and [b] int64; shorter windows are padded with zeros after their last row.
        """
        windows, labels = zip(*batch, strict=True)
        if self.sequence_length is not None:
            return torch.stack(windows), torch.stack(labels)
        lengths = torch.tensor([len(window) for window in windows])
        return pad_sequence(list(windows), batch_first=True), torch.stack(labels), lengths


class EpochSampler(Sampler[int]):
    """Draws an epoch: a share of the positives and of the negatives, anew each time.

    Neighbouring windows share nearly all their rows, so a share of them says almost as much as all.

    Args:
        dataset: windows with `kinds`.
        positive: share of the positives.
        plain: share of the plain negatives.
        near: share of the negatives near events and look-alikes.
        seed: of the drawing.
        fixed: draw once, in the order of the dataset; for validation.
    """

    def __init__(
        self,
        dataset: CastingSequenceDataset,
        *,
        positive: float = 1.0,
        near: float,
        plain: float,
        seed: int,
        fixed: bool = False,
    ) -> None:
        self._groups = [
            (np.flatnonzero(dataset.kinds == kind), share)
            for kind, share in ((POSITIVE, positive), (NEAR, near), (PLAIN, plain))
        ]
        self._seed = seed
        self._epoch = 0
        self._fixed = np.sort(self._draw(np.random.default_rng(seed))) if fixed else None

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is drawn next, from 0; without it, it is the one after the last drawn."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Windows of an epoch."""
        return sum(_share_of(group, share) for group, share in self._groups)

    def __iter__(self) -> Iterator[int]:
        """Indices of the next epoch, a function of seed and epoch."""
        if self._fixed is not None:
            return iter(self._fixed.tolist())
        rng = np.random.default_rng((self._seed, self._epoch))
        self._epoch += 1
        return iter(rng.permutation(self._draw(rng)).tolist())

    def _draw(self, rng: np.random.Generator) -> Int64Array:
        return np.concatenate(
            [rng.choice(group, _share_of(group, share), replace=False) for group, share in self._groups]
        )


def _share_of(group: Int64Array, share: float) -> int:
    return int(np.ceil(group.size * share))


def check_targets(dataset: Dataset, targets: Sequence[str]) -> list[str]:
    """The targets asked for, or all of the dataset.

    Raises:
        UsageError: the dataset lacks one.
    """
    for target in targets:
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
    """Fit on the dataset's training split; options as for `SequencePreprocessor`.

    Raises:
        UsageError: there is no training sequence.
    """
    infos = dataset.sequences("train")
    if not infos:
        raise UsageError(f"expected sequences of the split `train`, got none at {dataset.path}")
    names = [sensor.name for sensor in dataset.info.sensors]
    return SequencePreprocessor(**options).fit((dataset.load(info.sequence_id).values for info in infos), names)


def open_split(
    data: str | Path, split: Split, config: TrainingConfig, preprocessor: SequencePreprocessor
) -> CastingSequenceDataset:
    """The windows of one split.

    Raises:
        UsageError: a target has no positive or no negative window there.
    """
    rules = config.window_rules(Dataset.open(data).info.period_ms)
    windows = CastingSequenceDataset(
        data, rules.length, split=split, rules=rules, targets=config.targets, preprocessor=preprocessor
    )
    for target, label in zip(windows.targets, windows.labels.T, strict=True):
        for value, kind in ((1, "positive"), (0, "negative")):
            if not bool((label == value).any()):
                raise UsageError(
                    f"expected {kind} windows of `{target}` in the split `{split}`, got none of {len(windows)} "
                    f"at {data}: simulate longer, or change window_length or max_gap_periods"
                )
    return windows


def _kinds(
    times: Int64Array, labels: Float32Array, events: list[Event], rules: WindowRules
) -> np.ndarray[Any, np.dtype[np.int8]]:
    kinds = np.full(times.size, PLAIN, np.int8)
    span_ms = rules.length * rules.period_ms
    for event in events:
        # Any window that sees a row of it, and those just after, where the model must let go again.
        kinds[(times >= event.onset_ms) & (times < event.ignore_until_ms + span_ms)] = NEAR
    kinds[(labels == 1).any(axis=1)] = POSITIVE
    return kinds
