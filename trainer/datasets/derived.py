"""A dataset of fewer sensors or fewer scans, made from another: what a line with less to measure would have recorded.

    derive(Dataset.open("data/line"), Path("runs/ablation/data"), leave_out=["mould_tc_"], every=2)

Sequences, splits and events stay; so whatever is trained on both is judged by the same truth.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from models.errors import UsageError, mismatch
from models.windows import Int64Array
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event, SequenceData
from trainer.datasets.writer import DatasetWriter


def derive(dataset: Dataset, folder: Path, *, leave_out: Sequence[str] = (), every: int = 1) -> Dataset:
    """The derived dataset, a folder of its own within `folder`; one that is there already is opened, not made anew.

    Args:
        dataset: to derive from.
        folder: where derived datasets lie; its content may be deleted at any time.
        leave_out: beginnings of the names of sensors that are not there.
        every: every so manieth scan is there, the first of each sequence among them.

    Raises:
        UsageError: no sensor's name begins so, or none is left.
        ContractError: the dataset was altered while it was read.
    """
    columns = kept_columns(dataset, leave_out)
    told = {"from": dataset.info.fingerprint, "leave_out": sorted(leave_out), "every": every}
    name = hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()[:16]
    path = folder / name
    if (path / "dataset.json").is_file():
        return Dataset.open(path)
    info = dataset.info
    sensors = [info.sensors[column] for column in columns.tolist()]
    names = {sensor.name for sensor in sensors}
    with DatasetWriter(
        path,
        line=info.line,
        seed=info.seed,
        period_ms=info.period_ms * every,
        sensors=sensors,
        targets=info.targets,
        configuration={**info.configuration, "derived": told},
        symmetries=[
            symmetry for symmetry in info.symmetries if names.issuperset(one for pair in symmetry for one in pair)
        ],
    ) as writer:
        for entry in dataset.sequences():
            sequence = _thinned(dataset.load(entry.sequence_id), columns, every)
            writer.add(sequence, [_known(event, names) for event in dataset.events(entry.sequence_id)], entry.split)
    return Dataset.open(path)


def kept_columns(dataset: Dataset, leave_out: Sequence[str]) -> Int64Array:
    """The columns [k] of the sensors that stay.

    Raises:
        UsageError: no sensor's name begins as one of `leave_out` does, or none is left.
    """
    names = [sensor.name for sensor in dataset.info.sensors]
    for beginning in leave_out:
        if not any(name.startswith(beginning) for name in names):
            raise UsageError(mismatch(f"a sensor whose name begins with `{beginning}`", "none", str(dataset.path)))
    kept = [place for place, name in enumerate(names) if not name.startswith(tuple(leave_out))]
    if not kept:
        raise UsageError(mismatch("sensors that are left", "none", f"leave_out for {dataset.path}"))
    return np.array(kept, np.int64)


def _thinned(sequence: SequenceData, columns: Int64Array, every: int) -> SequenceData:
    return replace(
        sequence,
        event_time_ms=sequence.event_time_ms[::every],
        values=sequence.values[::every, columns],
        seq=sequence.seq[::every],
        heat_id=sequence.heat_id[::every],
        strand_position_m=sequence.strand_position_m[::every],
    )


def _known(event: Event, names: set[str]) -> Event:
    return replace(event, sensors=tuple(name for name in event.sensors if name in names))
