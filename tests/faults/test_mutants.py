"""A worker broken on purpose must be found out; an oracle that misses one is the first thing to mend."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fault_run import FaultRun
from support.faulty_worker import MUTANTS
from support.kafka_broker import Topics
from support.uneven_line import SENSOR, START_MS, Published

from models.messages import SensorScan, encode

THREE_PARTITIONS = pytest.mark.parametrize("topics", [3], indirect=True)


def kills(run: FaultRun, **env: str) -> None:
    """Twice in the middle of the line."""
    run.restart(**env)
    for _ in range(2):
        run.wait_s(0.5)
        run.restart(**env)


def struck(point: str) -> Callable[..., None]:
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


SCENES: dict[str, Callable[..., None]] = {
    "commit_before_produce": struck("mid_produce:20"),
    "skip_refill": kills,
    "no_rewind": kills,
    "no_recovery_after_abort": aborted,
    "start_at_latest": kills,
    "forget_alerts": kills,
    "commit_while_refilling": struck("after_commit:3"),
    "offsets_from_position": kills,
    "no_transaction_offsets": struck("between_commits:3"),
}


@THREE_PARTITIONS
@pytest.mark.parametrize("mutant", sorted(SCENES))
def test_a_broken_worker_is_found_out(kafka_bootstrap: str, topics: Topics, bundle: Path, mutant: str) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=11) as run:
        SCENES[mutant](run, MUTANT=mutant)
        assert run.differences(within_s=15)


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


@pytest.mark.parametrize("topics", [1], indirect=True)
@pytest.mark.parametrize("mutant", ["", "one_start_for_all"])
def test_each_strand_is_refilled_from_its_own_beginning(
    kafka_bootstrap: str, topics: Topics, bundle: Path, mutant: str
) -> None:
    line = SetBack()
    with FaultRun(kafka_bootstrap, topics, bundle, line=line) as run:
        run.restart(MUTANT=mutant)
        run.wait_for_committed(22)
        run.kill()
        line.go_on.set()
        run.start(MUTANT=mutant)
        assert bool(run.differences()) == bool(mutant)


@THREE_PARTITIONS
@pytest.mark.parametrize(
    ("scene", "slowed"),
    [
        (kills, ""),
        (kills, "slow_refill"),
        (struck("mid_produce:20"), ""),
        (struck("after_commit:3"), ""),
        (aborted, ""),
    ],
)
def test_a_whole_worker_is_not(
    kafka_bootstrap: str, topics: Topics, bundle: Path, scene: Callable[..., None], slowed: str
) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=11) as run:
        scene(run, MUTANT=slowed)
        run.finish()


def test_every_mutant_has_a_scene() -> None:
    assert {*SCENES, "one_start_for_all", "accept_zombie"} == set(MUTANTS)
