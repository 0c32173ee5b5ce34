"""The scene in which each worker broken on purpose gives itself away; a whole one plays it without a difference.

scene = SCENES["skip_refill"]
with FaultRun(bootstrap, topics, bundle, line=scene.line(), seed=11) as run:    # topics of `scene.partitions`
    scene.play(run, MUTANT="skip_refill")
    assert run.differences()
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from support.fault_run import FaultRun
from support.uneven_line import SENSOR, START_MS, Published, uneven_line

from models.messages import SensorScan, encode

ASLEEP_S, FENCED_S = 7, 13
"""Longer than the session of 3 s, and shorter than a transaction's 10 s: the broker gives the partitions away, and
would still take the commit. And longer than both: the broker has ended the transaction, too."""

Play = Callable[..., None]
"""What is done to a run; named arguments are for the environment of its workers."""


class SetBack:
    """A strand whose clock is set back, another whose window begins among the late scans; then, once told, the rest.

    Read again from the other's beginning, the last of those late scans would be the first of their strand.
    """

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self._seq = 0

    def __iter__(self) -> Iterator[Published]:
        for number in range(10):
            yield self._scan("p1.c1.s1", 600_000 + 500 * number)
        for number in range(11):  # the tenth begins anew
            yield self._scan("p1.c1.s1", 500 * number)
            if number == 4:
                yield self._scan("p1.c1.s2", 0)
        self.go_on.wait(60)
        for number in range(11, 40):
            yield self._scan("p1.c1.s1", 500 * number)
            yield self._scan("p1.c1.s2", 500 * (number - 10))

    def _scan(self, strand_id: str, after_ms: int) -> Published:
        self._seq += 1
        scan = SensorScan(
            strand_id=strand_id, event_time_ms=START_MS + after_ms, seq=self._seq, values={SENSOR: 0.001 * self._seq}
        )
        return Published(strand_id, encode(scan), scan)


def killed_twice(run: FaultRun, **env: str) -> None:
    """In the middle of the line."""
    run.restart(**env)
    for _ in range(2):
        run.wait_s(0.5)
        run.restart(**env)


def struck(point: str) -> Play:
    """Killed at a point, and gone on with, by a worker as broken."""

    def play(run: FaultRun, **env: str) -> None:
        run.restart(**env)
        run.kill()
        run.start(**env, FAILPOINT=f"{point}:kill")
        run.wait_for_end()
        run.restart(**env)

    return play


def aborted(run: FaultRun, **env: str) -> None:
    """One transaction is refused, as by a group that has moved on."""
    run.restart(**env, FAILPOINT="before_offsets:15:abort")
    run.wait_for("struck")


def asleep_for(seconds: float) -> Play:
    """Slot 0 falls asleep between its outputs and their offsets, slot 1 takes over, slot 0 goes on where it was."""

    def play(run: FaultRun, **env: str) -> None:
        run.restart(**env, FAILPOINT=f"before_offsets:15:pause:{seconds}")
        run.wait_for("struck")
        struck_s = time.monotonic()
        run.start(slot=1, **env)
        run.wait_for_progress(struck_s, "asleep, and another takes over")
        run.wait_for("awake")

    return play


def stalled(run: FaultRun, **env: str) -> None:
    """Slot 0 stands still within a transaction until the broker has ended it; it remains a member all the while."""
    run.restart(slot=1, **env)
    run.start(slot=0, **env, FAILPOINT=f"before_commit:40:stall:{FENCED_S}")
    run.wait_for("awake")
    run.wait_for_progress(time.monotonic(), "awake, its transaction timed out and its membership not")


def set_back(run: FaultRun, **env: str) -> None:
    """Killed where the windows of two strands begin on either side of a clock that was set back."""
    run.restart(**env)
    run.wait_for_committed(22)
    run.kill()
    assert isinstance(run.line, SetBack)
    run.line.go_on.set()
    run.start(**env)


def with_many_strands(run: FaultRun, **env: str) -> None:
    """Killed when its state is too long for an offset's metadata."""
    run.restart(**env)
    run.wait_for_committed(6000)
    run.restart(**env)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is played.

    Attributes:
        play: does it.
        shows: regular expression of the difference it must make; any other could be one of slowness or of a crash.
        partitions: of the topics.
        line: makes what is published; None for an uneven line.
        within_s: for `FaultRun.differences`, of a broken worker.
        per_s: records published a second.
    """

    play: Play
    shows: str
    partitions: int = 3
    line: Callable[[], Iterable[Published] | None] = lambda: None
    within_s: float = 15.0
    per_s: float = 600.0

    def given_away(self, run: FaultRun) -> str:
        """After `play`: the first difference of the kind it must make, shortened; empty if there is none.

        A worker that has ended loses what comes after: its patch may have a slip, and that is not what is looked for.
        """
        differences = run.differences(self.within_s)
        if run.has_ended():
            return ""
        return next((text for text in differences if re.search(self.shows, text)), "")[:160].replace("|", "/")


def undisturbed(run: FaultRun, **env: str) -> None:
    """Nothing is done to it."""
    run.restart(**env)
    run.wait_for_committed(1000)


SCENES = {
    "commit_before_produce": Scene(struck("mid_produce:20"), "lost"),
    "skip_refill": Scene(killed_twice, "instead of|no due scan"),
    "no_rewind": Scene(killed_twice, "instead of|no due scan"),
    "no_recovery_after_abort": Scene(aborted, "lost"),
    "no_recovery_after_fencing": Scene(stalled, "lost"),
    "start_at_latest": Scene(killed_twice, "lost"),
    "forget_alerts": Scene(killed_twice, "alerts"),
    "one_start_for_all": Scene(set_back, "instead of", partitions=1, line=SetBack),
    "commit_while_refilling": Scene(struck("after_commit:3"), "instead of|twice"),
    "offsets_from_position": Scene(killed_twice, "committed offset|twice"),
    "no_transaction_offsets": Scene(struck("between_commits:3"), "twice"),
    "accept_zombie": Scene(asleep_for(ASLEEP_S), "twice|lost", within_s=20.0),
    "forget_checkpoint": Scene(
        with_many_strands,
        "instead of|no due scan",
        partitions=1,
        line=lambda: uneven_line(11, strands=1000),
        per_s=3000,
    ),
}
"""By the name of what is broken."""
