"""Faults by the hundred, and the table of what came of them.

python tests/faults/soak.py --seeds 5 --seconds 60 --long 2    # make soak SEEDS=5 SECONDS=60 LONG=2
python tests/faults/soak.py --only kills --seeds 10            # one kind anew; in the table the others stay

Ends with 1 if anything was lost, twice or wrong, or took longer than it may.
"""

import argparse
import random
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import soak_page
from soak_page import Told
from support import fault_scenes
from support.bundles import write_bundle
from support.fault_run import FaultRun
from support.mutant_scenes import ASLEEP_S, FENCED_S, SCENES, asleep_for, stalled
from support.mutants_apart import APART

Scene = Callable[[int], AbstractContextManager[FaultRun]]
"""One run of a seed, as a context that yields it before it is judged."""

MUTANTS = "mutants"

ZOMBIES = (asleep_for(ASLEEP_S), asleep_for(FENCED_S), stalled)
"""Its session ends; its session, then its transaction; its transaction only."""


def scenes(bundle: Path, seconds: float) -> dict[str, Scene]:
    """By name."""

    @contextmanager
    def workers(
        seed: int, partitions: int, play: Callable[[FaultRun, random.Random], None], **run_with: Any
    ) -> Iterator[FaultRun]:
        with fault_scenes.line(1, partitions, bundle, seed, **run_with) as (_, run):
            play(run, random.Random(seed))
            yield run

    @contextmanager
    def brokers(seed: int, count: int, play: Callable[[Any, FaultRun], None]) -> Iterator[FaultRun]:
        with fault_scenes.line(count, 3, bundle, seed, is_supervised=True) as (kafka, run):
            play(kafka, run)
            yield run

    def down(seconds: float, *, busy: bool) -> Callable[[Any, FaultRun], None]:
        return lambda kafka, run: fault_scenes.down(kafka, run, seconds, busy=busy)

    def zombie(seed: int) -> AbstractContextManager[FaultRun]:
        play = ZOMBIES[seed % len(ZOMBIES)]
        return workers(seed, 3, lambda run, _: play(run), is_begun=False, broker=fault_scenes.LOOKS_OFTEN)

    return {
        "kills": lambda seed: workers(seed, 3, lambda run, rng: fault_scenes.kills(run, rng, seconds)),
        "places": lambda seed: workers(seed, 3, fault_scenes.places),
        "zombie": zombie,
        "takeover": lambda seed: workers(seed, 6, fault_scenes.takeover),
        "handover": lambda seed: workers(seed, 6, fault_scenes.handover),
        "scale": lambda seed: workers(seed, 6, lambda run, _: fault_scenes.scale(run), per_s=2000),
        "restless": lambda seed: workers(seed, 6, lambda run, _: fault_scenes.restless(run, 60)),
        "roles": lambda seed: brokers(seed, 3, fault_scenes.every_role),
        "rolling": lambda seed: brokers(seed, 3, fault_scenes.rolling),
        "down busy": lambda seed: brokers(seed, 1, down(15, busy=True)),
        "down idle": lambda seed: brokers(seed, 1, down(15, busy=False)),
        "down long": lambda seed: brokers(seed, 1, down(120, busy=seed % 2 == 1)),
    }


def main() -> None:
    """Run; the page is written after every scene."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="runs of each scene")
    parser.add_argument("--seconds", type=float, default=30, help="how long a run of the scene `kills` lasts")
    parser.add_argument("--long", type=int, default=0, metavar="N", help="runs with an outage of two minutes")
    parser.add_argument("--only", action="append", help="a scene, or `mutants`; may be repeated")
    asked = parser.parse_args()
    command, commit = _command(asked), soak_page.head()
    is_well = True
    with tempfile.TemporaryDirectory() as folder:
        bundle = write_bundle(Path(folder) / "test")
        for name, scene in scenes(bundle, asked.seconds).items():
            runs = asked.long if name == "down long" else asked.seeds
            if runs and (not asked.only or name in asked.only):
                told = Told(soak_page.today(), command, commit)
                for seed in range(runs):
                    _play(name, seed, scene, told)
                soak_page.keep(name, told)
                is_well = is_well and told.is_well
        if not asked.only or MUTANTS in asked.only:
            caught = _mutants(bundle)
            soak_page.keep_mutants(caught, command, commit)
            is_well = is_well and all(caught.values())
    print(soak_page.PAGE.read_text())
    sys.exit(not is_well)


def _command(asked: argparse.Namespace) -> str:
    only = " ".join(f"--only {shlex.quote(name)}" for name in asked.only or ())
    return f"make soak SEEDS={asked.seeds} SECONDS={asked.seconds:g} LONG={asked.long}" + (only and f' ARGS="{only}"')


def _play(name: str, seed: int, scene: Scene, told: Told) -> None:
    try:
        with scene(seed) as run:
            differences = told.take(seed, run.differences(180), run.ended, run.progress_s)
    except Exception as error:
        differences = told.take(seed, [f"{type(error).__name__}: {str(error).splitlines()[0]}"], [], [])
    print(f"{name}, seed {seed}: {'; '.join(differences[:3]) or 'whole'}", file=sys.stderr, flush=True)


def _mutants(bundle: Path) -> dict[str, str]:
    """Every mutant in its scene, and what gave it away; empty where nothing did that fits."""
    caught: dict[str, str] = {}
    for name, scene in SCENES.items():
        how = {"line": scene.line(), "per_s": scene.per_s, "broker": fault_scenes.LOOKS_OFTEN}
        with fault_scenes.line(1, scene.partitions, bundle, 11, is_begun=False, **how) as (_, run):
            scene.play(run, MUTANT=name)
            caught[name] = scene.given_away(run)
            _tell(name, caught[name])
    for name, given_away in APART.items():
        caught[name] = given_away(bundle, 11)
        _tell(name, caught[name])
    return caught


def _tell(mutant: str, caught: str) -> None:
    print(f"{mutant}: {caught or 'NOTHING'}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
