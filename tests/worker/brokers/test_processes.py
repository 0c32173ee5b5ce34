import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from worker.brokers.errors import BrokerError
from worker.brokers.processes import GuardedProcesses

SLEEPER = [sys.executable, "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]
# Prints the ids and the directory, then waits for its end; with `fork`, a child keeps all its pipes open meanwhile.
OWNER = textwrap.dedent("""
    import os, signal, sys
    from worker.brokers.processes import GuardedProcesses
    run = GuardedProcesses("strandwatch-test-")
    pid = run.start("sleeper", sys.argv[2:], run.directory / "log")
    child = os.fork() if sys.argv[1] == "fork" else -1
    if child:
        print(run.guardian_pid, pid, child, run.directory, flush=True)
    signal.pause()
""")


@pytest.fixture
def run() -> Iterator[GuardedProcesses]:
    guarded = GuardedProcesses("strandwatch-test-")
    yield guarded
    guarded.close()


def processes(*pids: int) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in pids]


def assert_ended(ended: list[psutil.Process], within_s: float = 15.0) -> None:
    _, alive = psutil.wait_procs(ended, timeout=within_s)
    assert not alive


def test_closing_ends_every_process_and_removes_the_directory(run: GuardedProcesses) -> None:
    pids = [run.start(name, SLEEPER, run.directory / name) for name in ("one", "two")]
    assert all(psutil.pid_exists(pid) for pid in pids)
    run.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not run.directory.exists()


def test_a_process_can_be_killed_and_started_again_under_its_name(run: GuardedProcesses) -> None:
    first = run.start("sleeper", SLEEPER, run.directory / "log")
    assert run.wait("sleeper", 0.0) is None
    with pytest.raises(BrokerError, match="still running"):
        run.start("sleeper", SLEEPER, run.directory / "log")
    run.kill("sleeper")
    assert run.wait("sleeper", 0.0) == -signal.SIGKILL
    assert run.start("sleeper", SLEEPER, run.directory / "log") != first


def test_the_exit_code_and_the_output_of_a_process_are_kept(run: GuardedProcesses) -> None:
    log = run.directory / "log"
    run.start("brief", [sys.executable, "-c", "import sys; print('said'); sys.exit(3)"], log)
    assert run.wait("brief", 30.0) == 3
    assert log.read_text() == "said\n"


def test_a_program_that_does_not_exist_is_named(run: GuardedProcesses) -> None:
    with pytest.raises(BrokerError, match="no-such-program"):
        run.start("absent", ["/no-such-program"], run.directory / "log")


def test_java_settings_of_the_shell_do_not_reach_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx1m")
    run = GuardedProcesses("strandwatch-test-")
    run.start(
        "env", [sys.executable, "-c", "import os; print(os.environ.get('JAVA_TOOL_OPTIONS'))"], run.directory / "e"
    )
    run.wait("env", 30.0)
    assert (run.directory / "e").read_text() == "None\n"
    run.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("mode", ["alone", "fork"])
def test_killing_the_owner_ends_its_processes_and_removes_the_directory(mode: str) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, mode, *SLEEPER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        guardian, sleeper, child, directory = owner.stdout.readline().split()
        started = processes(int(sleeper), int(guardian))
        assert Path(directory).is_dir()
        owner.kill()
        owner.wait()
        assert_ended(started)
        assert not Path(directory).exists()
        if mode == "fork":
            assert psutil.pid_exists(int(child))  # it held the pipe open all the while
            os.kill(int(child), signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_in_the_owners_terminal_does_not_reach_the_processes(run: GuardedProcesses) -> None:
    sleeper = run.start("sleeper", SLEEPER, run.directory / "log")
    # The terminal signals the foreground process group, which is the owner's.
    assert os.getpgid(sleeper) == os.getpgid(run.guardian_pid) != os.getpgid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_terminated_guardian_cleans_up_and_its_owner_is_told(run: GuardedProcesses) -> None:
    started = processes(run.start("sleeper", SLEEPER, run.directory / "log"))
    os.kill(run.guardian_pid, signal.SIGTERM)
    assert_ended(started)
    with pytest.raises(BrokerError, match="got its end"):
        run.wait("sleeper", 0.0)
