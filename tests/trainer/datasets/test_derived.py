"""Datasets of fewer sensors or scans: what stays, what goes, and that they are made once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.told_line import SENSORS, told_event, told_sequence, write_told_line

from models.errors import UsageError
from trainer.datasets.dataset import Dataset
from trainer.datasets.derived import derive
from trainer.datasets.writer import DatasetWriter


def test_sensors_and_scans_go_and_the_truth_stays(tmp_path: Path) -> None:
    line = write_told_line(tmp_path / "line")
    made = derive(line, tmp_path / "derived", leave_out=["sec_cool_"], every=2)
    made.verify()
    assert [sensor.name for sensor in made.info.sensors] == [SENSORS[0].name, SENSORS[2].name]
    assert made.info.period_ms == 2 * line.info.period_ms
    for before, after in zip(line.sequences(), made.sequences(), strict=True):
        assert (after.sequence_id, after.split) == (before.sequence_id, before.split)
        whole, part = line.load(before.sequence_id), made.load(before.sequence_id)
        assert part.event_time_ms.tolist() == whole.event_time_ms[::2].tolist()
        np.testing.assert_array_equal(part.values, whole.values[::2][:, [0, 2]])
    assert str(made.events()) == str(line.events())  # as text, for a position may be NaN; none touched the flow
    assert made.info.fingerprint != line.info.fingerprint


def test_it_is_made_once_and_the_same_again(tmp_path: Path) -> None:
    line = write_told_line(tmp_path / "line")
    first = derive(line, tmp_path / "one", every=3)
    written = (first.path / "dataset.json").stat().st_mtime_ns
    again = derive(line, tmp_path / "one", every=3)
    assert (again.path, (again.path / "dataset.json").stat().st_mtime_ns) == (first.path, written)
    elsewhere = derive(line, tmp_path / "two", every=3)
    assert elsewhere.info.fingerprint == first.info.fingerprint


def test_events_and_symmetries_forget_a_sensor_that_is_gone(tmp_path: Path) -> None:
    speed, flow, upper = (sensor.name for sensor in SENSORS)
    event = replace(told_event("e", "a", "crack", "quality", 10, 20), sensors=(speed, upper))
    with DatasetWriter(
        tmp_path / "line", line="line/test", seed=1, period_ms=1000, sensors=SENSORS, targets=("quality",),
        symmetries=(((speed, flow),), ((flow, upper),)),
    ) as writer:  # fmt: skip
        for name in "abc":
            writer.add(told_sequence(name, 0, 60, 0), [event] if name == "a" else [])
    made = derive(Dataset.open(tmp_path / "line"), tmp_path, leave_out=[speed])
    assert [one.sensors for one in made.events()] == [(upper,)]
    assert made.info.symmetries == (((flow, upper),),)


@pytest.mark.parametrize(
    ("leave_out", "said"), [(["mould_lvl"], "begins with `mould_lvl`"), (["casting", "sec", "mould"], "sensors that")]
)
def test_what_leaves_nothing_or_names_nothing_is_refused(leave_out: list[str], said: str, tmp_path: Path) -> None:
    line = write_told_line(tmp_path / "line")
    with pytest.raises(UsageError, match=said):
        derive(line, tmp_path / "derived", leave_out=leave_out)
    assert not (tmp_path / "derived").exists()
