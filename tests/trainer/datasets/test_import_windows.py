"""The importer of windows that were cut elsewhere."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ContractError, UsageError
from models.windows import WindowRules, gather_windows, plan_windows
from trainer import cli
from trainer.datasets.dataset import Dataset
from trainer.datasets.importers.windows import import_windows
from trainer.datasets.integrity import check_integrity
from trainer.datasets.labels import label_at

LENGTH = 10
RULES = WindowRules(LENGTH, 500, 1, 5_000)


def arrays(count: int = 24) -> dict[str, np.ndarray]:
    """Windows in six groups, in turn; each fourth is positive."""
    x = np.random.default_rng(5).normal(size=(count, LENGTH, 2)).astype(np.float32)
    index = np.arange(count)
    return {"X": x, "y": (index % 4 == 0).astype(int), "group": np.array([f"Day {number % 6}" for number in index])}


def write(path: Path, **changes: np.ndarray | None) -> Path:
    content = arrays() | changes
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    return path


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 10])
def test_each_window_comes_back_whole_with_the_label_of_its_end(tmp_path, stride):
    rules = WindowRules(LENGTH, 500, stride, 5_000)
    given = arrays()
    x = given["X"]
    x[3, 4, 1] = np.nan
    report = import_windows(write(tmp_path / "cut.npz", X=x), tmp_path / "out", period_ms=500)
    assert report.counts == {"windows": 24, "groups": 6, "positive_windows": 6, "shortest": 10, "longest": 10}
    assert (report.sequences, report.rows, report.events, report.missing_values) == (6, 240, {"defect": 6}, 1)
    dataset = Dataset.open(tmp_path / "out")
    check_integrity(dataset, rules)
    assert [(sensor.name, sensor.unit) for sensor in dataset.info.sensors] == [("sensor_1", "1"), ("sensor_2", "1")]
    for number in range(6):
        sequence = dataset.load(f"day-{number}")
        assert sequence.strand_id == f"windows.cut.day-{number}"
        plan = plan_windows(sequence.event_time_ms, sequence.strand_id, rules)
        full = np.flatnonzero(plan.full)
        found = gather_windows(sequence.values, plan, full, LENGTH)
        np.testing.assert_array_equal(found, x[number::6])
        ends = sequence.event_time_ms[plan.accepted[plan.due[full]]]
        labels = label_at(ends, dataset.events(sequence.sequence_id), "defect")
        assert labels.tolist() == given["y"][number::6].tolist()


def test_of_shorter_windows_within_a_positive_one_nothing_is_said(tmp_path):
    import_windows(write(tmp_path / "cut.npz"), tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    times = dataset.load("day-0").event_time_ms[:LENGTH]
    assert label_at(times, dataset.events("day-0"), "defect").tolist() == [-1] * (LENGTH - 1) + [1]


@pytest.mark.parametrize("told", [True, False])
def test_padding_at_the_end_of_a_window_is_dropped(tmp_path, told):
    x, lengths = arrays()["X"], np.full(24, LENGTH)
    lengths[[0, 7]] = 4, 9
    for window in (0, 7):
        x[window, lengths[window] :] = 99 if told else np.nan
    source = write(tmp_path / "cut.npz", X=x, lengths=lengths if told else None)
    report = import_windows(source, tmp_path / "out")
    assert (report.rows, report.missing_values) == (233, 0)
    assert (report.counts["shortest"], report.counts["longest"]) == (4, 10)
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.info.sensors[0].high < 99
    event = dataset.events("day-0")[0]
    assert event.detectable_ms == dataset.load("day-0").event_time_ms[3]


def test_several_targets_and_given_names(tmp_path):
    y = np.stack([arrays()["y"], np.arange(24) % 3 == 1], axis=1)
    source = write(
        tmp_path / "cut.npz",
        y=y,
        group=np.arange(24) // 2,
        sensors=np.array(["Mould Level [mm]", "Flow"]),
        units=np.array(["mm", "L/min"]),
        targets=np.array(["Sticker", "crack"]),
    )
    assert import_windows(source, tmp_path / "out").events == {"sticker": 6, "crack": 8}
    info = Dataset.open(tmp_path / "out").info
    assert [(sensor.name, sensor.unit) for sensor in info.sensors] == [("mould_level_mm", "mm"), ("flow", "L/min")]


@settings(max_examples=20, deadline=None)
@given(
    groups=st.lists(st.sampled_from(["a b", "A-B", "a/b", "7", "é", ""]), min_size=6, max_size=24),
    seed=st.integers(0, 9),
)
def test_a_group_is_one_sequence_whatever_its_name(tmp_path_factory, groups, seed):
    folder = tmp_path_factory.mktemp("groups")
    content = arrays(len(groups))
    source = write(folder / "cut.npz", X=content["X"], y=content["y"], group=np.array(groups))
    report = import_windows(source, folder / "out", seed=seed)
    dataset = Dataset.open(folder / "out")
    check_integrity(dataset, RULES)
    assert report.sequences == len(set(groups)) == len({info.strand_id for info in dataset.sequences()})
    assert report.rows == len(groups) * LENGTH


def changed(name: str, place: tuple[int, ...], value: float) -> dict[str, np.ndarray]:
    array = arrays()[name].astype(float)
    array[place] = value
    return {name: array}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group": None}, r"expected arrays X, y, group, got X, y at .*cut\.npz, group"),
        ({"X": arrays()["X"][:, :, 0]}, r"expected numbers \[window, time, sensor\], got float32 \[24, 10\] at .*, X"),
        ({"X": arrays()["X"].astype(str)}, r"expected numbers \[window, time, sensor\], got <U\d+ .* at .*, X"),
        (
            {"X": np.array([[1.0], [1.0, 2.0]], dtype=object)},
            r"expected arrays of numbers or text, got objects at .*npz",
        ),
        (changed("X", (2, 3, 1), np.inf), r"expected a number, got inf at .*X, window 2, row 3, sensor sensor_2"),
        (changed("X", (slice(None), slice(None), 1), np.nan), r"only missing ones at .*npz, X, column sensor_2"),
        (changed("X", (4,), np.nan), r"expected at least one value, got only missing ones at .*X, window 4"),
        ({"y": arrays()["y"][:5]}, r"expected numbers \[24\] or \[24, target\], got int64 \[5, 1\] at .*, y"),
        (changed("y", (6,), 2), r"expected 0 or 1, got 2\.0 at .*y, window 6, target defect"),
        (changed("y", (6,), np.nan), r"expected 0 or 1, got nan at .*y, window 6, target defect"),
        ({"y": np.zeros(24)}, r"expected at least one positive of `defect`, got none at .*y, column 1"),
        ({"group": np.zeros((24, 2))}, r"expected text or whole numbers \[24\], got float64 \[24, 2\] at .*, group"),
        ({"lengths": np.full(24, 11)}, r"expected a length from 1 to 10, got 11 at .*lengths, window 0"),
        ({"lengths": np.full(24, 1.5)}, r"expected whole numbers \[24\], got float64 \[24\] at .*, lengths"),
        ({"sensors": np.array(["a", "A"])}, r"expected different names, got `a` twice at .*, sensors"),
        ({"sensors": np.array(["a"])}, r"expected 2 names, got <U1 \[1\] at .*, sensors"),
        ({"units": np.array(["mm"])}, r"expected 2 units, got <U2 \[1\] at .*, units"),
    ],
)
def test_a_broken_array_is_named_with_its_place(tmp_path, changes, message):
    with pytest.raises(ContractError, match=message) as caught:
        import_windows(write(tmp_path / "cut.npz", **changes), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_window_in_two_groups_is_refused_unless_nothing_moves_in_it(tmp_path):
    x = arrays()["X"]
    x[[3, 4]] = 1.0
    import_windows(write(tmp_path / "cut.npz", X=x), tmp_path / "out")
    x[9] = x[2]
    with pytest.raises(
        ContractError, match=r"one group, got windows 2 and 9 with the same values in `Day 2` and `Day 3`"
    ):
        import_windows(write(tmp_path / "cut.npz", X=x), tmp_path / "refused")


def test_times_beyond_the_year_9999_are_refused(tmp_path):
    with pytest.raises(
        UsageError, match=r"before the year 10000, got 4 windows in a group at --period-ms 100000000000"
    ):
        import_windows(write(tmp_path / "cut.npz"), tmp_path / "out", period_ms=10**11)


def test_another_kind_of_file_is_named(tmp_path):
    (tmp_path / "cut.npz").write_text("window;label\n1;0\n")
    with pytest.raises(ContractError, match=r"expected an \.npz, got another kind of file at .*cut\.npz"):
        import_windows(tmp_path / "cut.npz", tmp_path / "out")
    with pytest.raises(UsageError, match=r"got no such file at .*none\.npz"):
        import_windows(tmp_path / "none.npz", tmp_path / "out")
    with pytest.raises(UsageError, match=r"expected each sensor's name once and none of .*, got `seq`"):
        import_windows(write(tmp_path / "cut.npz", sensors=np.array(["seq", "b"])), tmp_path / "out")


def test_the_command_tells_what_it_did(tmp_path, monkeypatch, capsys):
    source = write(tmp_path / "cut.npz")
    monkeypatch.setattr(sys, "argv", ["trainer", "import", "windows", str(source), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 0
    assert "24 windows of 10 to 10 rows in 6 groups, 6 positive" in capsys.readouterr().out
