"""The file of rows: the same rows, once, whole or anew."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.small_line import write_tampered

from models.errors import ContractError
from trainer.datasets.dataset import Dataset
from trainer.loading.row_store import FOLDER, open_rows


@pytest.fixture
def line(small_line: Dataset, tmp_path: Path) -> Dataset:
    shutil.copytree(small_line.path, tmp_path / "line", ignore=shutil.ignore_patterns(FOLDER))
    return Dataset.open(tmp_path / "line")


def all_rows(line: Dataset) -> np.ndarray:
    return np.concatenate([line.load(info.sequence_id).values for info in line.sequences("train")])


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_any_stretches_are_those_of_the_sequences(small_line: Dataset, data: st.DataObject) -> None:
    store, expected = open_rows(small_line, "train"), all_rows(small_line)
    assert (store.rows, store.sensors) == expected.shape
    firsts = data.draw(st.lists(st.integers(0, store.rows - 1), max_size=90))
    counts = [data.draw(st.integers(1, min(30, store.rows - first))) for first in firsts]
    found = store.read(np.array(firsts, np.int64), np.array(counts, np.int64))
    assert found.shape == (len(firsts), max(counts, default=0), store.sensors)
    for window, first, count in zip(found, firsts, counts, strict=True):
        np.testing.assert_array_equal(window[:count], expected[first : first + count])
        assert np.isnan(window[count:]).all()


def test_event_times_are_those_of_the_sequences_one_after_another(small_line: Dataset) -> None:
    times = [small_line.load(info.sequence_id).event_time_ms for info in small_line.sequences("train")]
    store = open_rows(small_line, "train")
    np.testing.assert_array_equal(store.event_times(), np.concatenate(times))
    np.testing.assert_array_equal(store.event_times(len(times[0]), len(times[1])), times[1])
    assert store.event_times(store.rows).size == 0


def test_the_file_is_made_once_and_other_content_is_another_file(line: Dataset) -> None:
    store = open_rows(line, "train")
    made = store.path.stat()
    assert store.path.parent == line.path / FOLDER
    assert open_rows(line, "train") == store
    assert store.path.stat().st_ino == made.st_ino
    assert open_rows(line, "test").path != store.path
    index = line.path / "dataset.json"
    index.write_text(index.read_text().replace(line.sequences("train")[0].sha256, "0" * 64))
    with pytest.raises(ContractError, match="expected content of sha256 000000000000"):
        open_rows(Dataset.open(line.path), "train")


@pytest.mark.parametrize("harm", ["truncated", "altered", "foreign", "empty"])
def test_a_broken_or_foreign_file_is_made_anew(line: Dataset, harm: str) -> None:
    store = open_rows(line, "train")
    whole = store.path.read_bytes()
    spoilt = {"truncated": whole[:-1], "altered": whole[:-1] + b"?", "foreign": b"mine" * 2000, "empty": b""}[harm]
    store.path.write_bytes(spoilt)
    assert open_rows(line, "train") == store
    assert store.path.read_bytes() == whole


def test_an_altered_sequence_is_refused_and_leaves_no_file(line: Dataset, tmp_path: Path) -> None:
    tampered = Dataset.open(write_tampered(line, tmp_path / "tampered"))
    with pytest.raises(ContractError, match="expected content of sha256"):
        open_rows(tampered, "test")
    assert list((tampered.path / FOLDER).iterdir()) == []


def test_where_the_dataset_takes_no_file_a_temporary_folder_does_and_the_log_says_so(
    line: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    (line.path / FOLDER).write_text("in the way")
    with caplog.at_level(logging.WARNING, "trainer"):
        store = open_rows(line, "train")
        assert open_rows(line, "train") == store
    assert line.path not in store.path.parents
    np.testing.assert_array_equal(store.read(np.array([3]), np.array([5]))[0], all_rows(line)[3:8])
    (said,) = caplog.messages
    assert str(store.path.parent) in said
    assert str(line.path / FOLDER) in said


def test_the_temporary_folder_goes_when_the_program_ends(line: Dataset) -> None:
    (line.path / FOLDER).write_text("in the way")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(line.path)], check=True, capture_output=True, text=True, timeout=60
    )
    assert not Path(done.stdout.strip()).exists()


PROGRAM = """
import sys
from trainer.datasets.dataset import Dataset
from trainer.loading.row_store import open_rows
print(open_rows(Dataset.open(sys.argv[1]), "train").path)
"""


def test_two_processes_at_once_leave_one_whole_file(line: Dataset) -> None:
    programs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(line.path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    paths = {program.communicate(timeout=60)[0].strip() for program in programs}
    assert [program.returncode for program in programs] == [0, 0]
    assert [str(path) for path in (line.path / FOLDER).iterdir()] == list(paths)
    made = Path(*paths).stat().st_ino
    assert open_rows(line, "train").path.stat().st_ino == made


def test_what_a_killed_process_left_is_swept_after_a_day(line: Dataset) -> None:
    store = open_rows(line, "train")
    left, fresh = (store.path.with_name(f".{store.path.name}.{name}") for name in ("1-old", "2-new"))
    left.write_text("half")
    fresh.write_text("half")
    os.utime(left, (1, 1))
    store.path.unlink()
    open_rows(line, "train")
    assert {path.name for path in store.path.parent.iterdir()} == {store.path.name, fresh.name}
