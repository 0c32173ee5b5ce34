"""`trainer simulate` and the command line around it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import run_trainer

from models import recording as recordings
from trainer import cli
from trainer.datasets.dataset import Dataset
from trainer.line.config import LineConfig

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), "OMP_NUM_THREADS": "1"}


def test_a_dataset_is_simulated_and_told_as_json(tmp_path, capsys):
    out = tmp_path / "line"
    code = run_trainer("simulate", "--hours", "0.1", "--strands", "3", "--seed", "4", "--out", str(out), "--json")
    assert code == 0
    told = json.loads(capsys.readouterr().out)
    dataset = Dataset.open(out)
    assert told["fingerprint"] == dataset.info.fingerprint
    assert told["sequences"] == {"train": 1, "validation": 1, "test": 1}
    assert (told["rows"], told["strand_hours"], dataset.info.seed) == (3 * 720, 0.3, 4)
    assert dataset.info.line == "line/v1"
    assert dataset.info.configuration["sticker"]["amplitude_k"]["order"] == [15.0, 24.0]


def test_progress_is_plain_lines_off_a_terminal_and_the_result_a_sentence(tmp_path, capsys):
    assert run_trainer("simulate", "--hours", "0.05", "--strands", "2", "--out", str(tmp_path / "line")) == 0
    out, err = capsys.readouterr()
    assert "fingerprint" in out
    assert "leave a split empty" in out
    assert err.splitlines() == ["simulating: 0.05 of 0.10 strand-hours", "simulating: 0.10 of 0.10 strand-hours"]
    assert "\x1b" not in err + out


def test_rates_can_be_set_and_switched_off(tmp_path, capsys):
    off = [word for kind in LineConfig().happenings() for word in ("--rate", f"{kind}=0")]
    arguments = ["--hours", "2", "--strands", "1", "--out", str(tmp_path / "line"), "--json"]
    assert run_trainer("simulate", *arguments, *off, "--rate", "tc_fault=6") == 0
    assert set(json.loads(capsys.readouterr().out)["events"]) - {"ladle_change", "false_record"} == {"tc_fault"}


def test_a_natural_line_and_a_larger_array_are_told_in_the_dataset(tmp_path, capsys):
    out = tmp_path / "line"
    wanted = ["--hours", "0.2", "--strands", "1", "--natural", "--thermocouples", "3x4", "--out", str(out)]
    assert run_trainer("simulate", *wanted) == 0
    dataset = Dataset.open(out)
    assert dataset.info.configuration["sticker"]["per_hour"] == LineConfig().sticker.natural_per_hour
    assert len(dataset.info.sensors) == 28
    assert len(dataset.info.symmetries[0]) == 6


def test_a_soiled_line_has_the_same_truth_and_fewer_scans(tmp_path, capsys):
    told = []
    for name, dirt in (("clean", []), ("dirty", ["--dirt", "all", "--dirt", "gap=2"])):
        arguments = ["--hours", "0.7", "--strands", "1", "--seed", "3", "--out", str(tmp_path / name), "--json"]
        assert run_trainer("simulate", *arguments, *dirt) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[1]["rows"] < told[0]["rows"]
    assert told[1]["strand_hours"] == told[0]["strand_hours"] == 0.7
    assert told[1]["dirt"]["gap"]["scans_lost"] > 0
    clean, dirty = (Dataset.open(tmp_path / name) for name in ("clean", "dirty"))
    assert list(map(repr, clean.events())) == list(map(repr, dirty.events()))  # NaN equals nothing
    assert dirty.info.configuration["dirt"]["gap"]
    assert run_trainer("simulate", "--out", str(tmp_path / "x"), "--dirt", "mud") == 2
    assert "got `mud` at --dirt" in capsys.readouterr().err


def test_the_recording_is_written_instead_of_a_dataset(tmp_path, capsys):
    path = tmp_path / "line.npz"
    assert run_trainer("simulate", "--recording", str(path), "--json") == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == path.stat().st_size
    assert recordings.read(path).events == recordings.read(recordings.default_path()).events
    path.write_bytes(b"mine")
    assert run_trainer("simulate", "--recording", str(path)) == 2
    assert "error: expected a new file, got one at" in capsys.readouterr().err
    assert path.read_bytes() == b"mine"
    assert run_trainer("simulate", "--recording", str(path), "--force") == 0
    assert path.read_bytes() == recordings.default_path().read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hours", "1"], "error: expected one of --out and --recording"),
        (["--out", "x", "--recording", "y.npz"], "error: expected one of --out and --recording"),
        (["--recording", "y.txt"], "error: expected a name that ends in .npz, got y.txt at --recording"),
        (["--recording", "y.npz", "--hours", "2"], "error: expected no --hours beside --recording"),
        (["--recording", "y.npz", "--strands", "4"], "error: expected no --strands beside --recording"),
        (["--recording", "y.npz", "--rate", "sticker=1"], "error: expected no --rate beside --recording"),
        (["--out", "x", "--force"], "error: expected no --force beside --out"),
        (["--out", "x", "--rate", "sticker"], "error: expected TYPE=N"),
        (["--out", "x", "--rate", "earthquake=1"], "error: expected TYPE=N"),
        (
            ["--out", "x", "--rate", "sticker=99"],
            "error: expected 0 to 20 events in a strand-hour, got `sticker=99` at --rate",
        ),
        (["--out", "x", "--rate", "sticker=nan"], "error: expected 0 to 20 events in a strand-hour, got `sticker=nan`"),
        (["--out", "x", "--thermocouples", "3"], "error: expected ROWSxCOLUMNS, got `3` at --thermocouples"),
        (["--out", "x", "--thermocouples", "0x3"], "error: expected 1 to 20 1, got 0 at rows, of --thermocouples"),
        (["--recording", "y.npz", "--natural"], "error: expected no --natural beside --recording"),
        (["--out", "."], "error: expected a new or empty folder, got a folder that is not empty at ."),
        (["--out", "x", "--hours", "-1"], "Invalid value for '--hours'"),
    ],
)
def test_wrong_usage_ends_with_code_2_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("keep")
    assert run_trainer("simulate", *arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_without_a_trace_and_the_same_command_runs_again(tmp_path, number, code):
    hours = ["simulate", "--strands", "2", "--out", str(tmp_path / "line"), "--hours"]
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", *hours, "100"], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stderr is not None
    while not any(tmp_path.glob(".line.unfinished-*/dataset/sequences/*.parquet")):
        assert process.poll() is None
        process.stderr.readline()  # a tenth further; a hundred hours are far from done
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
    assert run_trainer(*hours, "0.05") == 0


def test_a_place_that_cannot_be_written_is_one_line(capsys):
    assert run_trainer("simulate", "--hours", "0.05", "--out", "/proc/nope") == 1
    err = capsys.readouterr().err
    assert err.startswith("error: expected the system to read and write, got `No such file or directory` at /proc/nope")
    assert err.count("\n") == 1


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); import trainer.cli as c; c.main()"
    )
    arguments = ["simulate", "--hours", "0.1", "--out", str(tmp_path / "line")]
    done = subprocess.run(
        [sys.executable, "-c", limited, *arguments], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: expected the system to read and write, got `")
    assert "p1.c1.s1-0000.parquet" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [[], ["simulate"], ["import"], ["import", "skab"], ["stream"], ["train"], ["evaluate"], ["compare"]]
)
def test_help_teaches_with_an_example_within_80_columns(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert run_trainer(*command, "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    example = next(index for index, line in enumerate(lines) if line.strip() in {"Example:", "Examples:"})
    assert lines[example + 1].strip().startswith("trainer ")


def test_the_command_line_starts_without_the_heavy_libraries():
    heavy = ("torch", "pyarrow", "scipy", "confluent_kafka")
    code = f"import sys, trainer.cli; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert found.stdout.strip() == "[]"
