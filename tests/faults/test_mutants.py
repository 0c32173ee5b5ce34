"""A worker broken on purpose must be found out; an oracle that misses one is the first thing to mend."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fault_run import FaultRun
from support.faulty_worker import MUTANTS
from support.kafka_broker import Topics
from support.mutant_scenes import (
    ASLEEP_S,
    FENCED_S,
    SCENES,
    Scene,
    aborted,
    asleep_for,
    killed_twice,
    set_back,
    stalled,
    struck,
    undisturbed,
    with_many_strands,
)

ON_THEIR_TOPICS = pytest.mark.parametrize(
    ("topics", "mutant"), [(SCENES[name].partitions, name) for name in sorted(SCENES)], indirect=["topics"]
)


@ON_THEIR_TOPICS
def test_a_broken_worker_is_found_out(kafka_bootstrap: str, topics: Topics, bundle: Path, mutant: str) -> None:
    scene = SCENES[mutant]
    with FaultRun(kafka_bootstrap, topics, bundle, line=scene.line(), per_s=scene.per_s, seed=11) as run:
        scene.play(run, MUTANT=mutant)
        assert scene.given_away(run), f"{run.differences(1)[:10]}, {run.has_ended()}\n{run.logs()}"


@pytest.mark.extended
@pytest.mark.parametrize("topics", [3], indirect=True)
def test_one_that_merely_ends_is_not_taken_for_found_out(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    scene = SCENES["no_recovery_after_abort"]
    with FaultRun(kafka_bootstrap, topics, bundle, seed=11) as run:
        scene.play(run, MUTANT="crash_after_abort")
        assert not scene.given_away(run)
        assert run.has_ended()
        assert any(re.search(scene.shows, text) for text in run.differences(1)), "by what is missing alone it would be"


@pytest.mark.extended
@pytest.mark.parametrize("topics", [3], indirect=True)
@pytest.mark.parametrize("mutant", ["commit_before_produce", "no_transaction_offsets", "no_recovery_after_fencing"])
def test_one_that_nothing_happens_to_is_whole(kafka_bootstrap: str, topics: Topics, bundle: Path, mutant: str) -> None:
    """So it is the fault, not the patch, by which it is found out."""
    with FaultRun(kafka_bootstrap, topics, bundle, seed=11) as run:
        undisturbed(run, MUTANT=mutant)
        run.finish()


@pytest.mark.parametrize(
    ("topics", "play", "slowed"),
    [
        (3, killed_twice, ""),
        (3, killed_twice, "slow_refill"),
        (3, struck("mid_produce:20"), ""),
        (3, struck("after_commit:3"), ""),
        (3, aborted, ""),
        (3, asleep_for(ASLEEP_S), ""),
        (3, asleep_for(FENCED_S), ""),
        pytest.param(3, stalled, "", marks=pytest.mark.extended),
        (1, set_back, ""),
        (1, with_many_strands, ""),
    ],
    indirect=["topics"],
)
def test_a_whole_worker_is_not(
    kafka_bootstrap: str, topics: Topics, bundle: Path, play: Callable[..., None], slowed: str
) -> None:
    (scene, *_) = [one for one in SCENES.values() if one.play is play] or [Scene(play, "")]
    with FaultRun(kafka_bootstrap, topics, bundle, line=scene.line(), per_s=scene.per_s, seed=11) as run:
        play(run, MUTANT=slowed)
        run.finish()


def test_every_mutant_has_a_scene() -> None:
    assert set(SCENES) == set(MUTANTS)
