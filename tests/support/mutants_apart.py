"""Workers broken on purpose whom the oracle cannot tell from a whole one, and what gives them away instead.

APART["leave_former_open"](bundle, seed)        # what it was seen by; empty if it was not
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from support import fault_scenes
from support.bundles import write_bundle
from support.fault_run import FaultRun

from models.messages import Alert


def succeeded(run: FaultRun, successor: Path, failpoints: Sequence[str] = (), **env: str) -> list[Alert]:
    """Killed with alerts open, and gone on with by a worker with another model, after one killed at each failpoint.

    Returns:
        All alerts told.
    """
    env = {**env, "STRANDWATCH_MODEL__BUNDLE": str(write_bundle(successor, gain=3.0, version="2"))}
    run.restart()
    run.wait_for_open_alerts(3, "test@1")
    run.pause_line()
    run.reader.wait_until_quiet()
    assert run.reader.open_alerts("test@1")
    run.kill()
    for failpoint in failpoints:
        run.start(FAILPOINT=failpoint, **env)
        run.wait_for_end()
    run.start(**env)
    run.go_on_with_line()
    run.wait_for_open_alerts(1, "test@2")
    return run.reader.alerts


def left_open(run: FaultRun, successor: Path) -> str:
    """What of the former model's alerts is open still, by a successor that does not close them."""
    succeeded(run, successor, MUTANT="leave_former_open")
    count = len(run.reader.open_alerts("test@1"))
    return f"{count} alerts of the former model open for ever" if count and not run.has_ended() else ""


def hung(bundle: Path, seed: int) -> str:
    """The call that does not come back once the broker is, without the remedy (librdkafka 5456)."""
    with fault_scenes.line(1, 2, bundle, seed, is_begun=False) as (kafka, run):
        run.restart(MUTANT="trusts_its_producer")
        back_s = fault_scenes.outage(kafka, run, 15, busy=False)
        if run.reader.progress(back_s, within_s=25) is not None or run.has_ended():
            return ""
        calls = [json.loads(line) for line in run.worker().log if line.startswith('{"event": "')]
        last = next((one for one in reversed(calls) if one["event"] in ("calling", "back")), {"event": ""})
        return f"nothing within 25 s of the broker's return: {last['what']} hangs" if last["event"] == "calling" else ""


def _leave_former_open(bundle: Path, seed: int) -> str:
    with TemporaryDirectory() as folder, fault_scenes.line(1, 3, bundle, seed, is_begun=False) as (_, run):
        return left_open(run, Path(folder) / "successor")


def _trusts_its_producer(bundle: Path, seed: int) -> str:
    """Five outages of six show it."""
    return next((text for number in range(4) if (text := hung(bundle, seed + number))), "")


APART: dict[str, Callable[[Path, int], str]] = {
    "leave_former_open": _leave_former_open,
    "trusts_its_producer": _trusts_its_producer,
}
"""By the name of what is broken."""
