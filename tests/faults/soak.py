"""Faults by the hundred, and the table of what came of them.

python tests/faults/soak.py --seeds 10 --kills 12        # make soak SEEDS=10 KILLS=12
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import fault_scenes
from support.bundles import write_bundle
from support.fault_run import FaultRun
from support.mutant_scenes import SCENES

PAGE = Path(__file__).with_name("RESULTS.md")

Scene = Callable[[int], AbstractContextManager[FaultRun]]
"""One run of a seed, as a context that yields it before it is judged."""


@dataclass
class Told:
    """Of one kind of run: how often, what was wrong, and the seconds until all went on."""

    runs: int = 0
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    ended: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def take(self, run: FaultRun) -> list[str]:
        """Judge a run that is over."""
        differences = run.differences(180)
        self.runs += 1
        self.ended += run.ended
        self.lost += any("lost" in text for text in differences)
        self.twice += any("twice" in text for text in differences)
        self.wrong += bool(differences) and not any("lost" in text or "twice" in text for text in differences)
        for what, seconds in run.progress_s:
            self.seconds[what].append(seconds)
        return differences


def scenes(bundle: Path, kills: int) -> dict[str, Scene]:
    """By name."""

    @contextmanager
    def workers(
        seed: int, partitions: int, play: Callable[[FaultRun, random.Random], None], per_s: float = 600.0
    ) -> Iterator[FaultRun]:
        with fault_scenes.line(1, partitions, bundle, seed, per_s=per_s) as (_, run):
            play(run, random.Random(seed))
            yield run

    @contextmanager
    def brokers(seed: int, count: int, play: Callable[[object, FaultRun], None]) -> Iterator[FaultRun]:
        with fault_scenes.line(count, 3, bundle, seed, is_supervised=True) as (kafka, run):
            play(kafka, run)
            yield run

    return {
        "kills": lambda seed: workers(seed, 3, lambda run, rng: fault_scenes.kills(run, rng, kills)),
        "takeover": lambda seed: workers(seed, 6, fault_scenes.takeover),
        "handover": lambda seed: workers(seed, 6, fault_scenes.handover),
        "scale": lambda seed: workers(seed, 6, lambda run, _: fault_scenes.scale(run), per_s=2000),
        "restless": lambda seed: workers(seed, 6, lambda run, _: fault_scenes.restless(run, 60)),
        "roles": lambda seed: brokers(seed, 3, fault_scenes.every_role),
        "rolling": lambda seed: brokers(seed, 3, fault_scenes.rolling),
        "down busy": lambda seed: brokers(seed, 1, lambda k, run: fault_scenes.down(k, run, 15, busy=True)),
        "down idle": lambda seed: brokers(seed, 1, lambda k, run: fault_scenes.down(k, run, 15, busy=False)),
        "down long": lambda seed: brokers(seed, 1, lambda k, run: fault_scenes.down(k, run, 120, busy=False)),
    }


def main() -> None:
    """Run, and write the page; ends with 1 if anything was lost, twice or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="runs of each scene")
    parser.add_argument("--kills", type=int, default=20, help="kills in each run of the scene `kills`")
    parser.add_argument("--long", type=int, default=0, metavar="N", help="runs with an outage of two minutes")
    parser.add_argument("--only", action="append", help="a scene; may be repeated; the page is not written")
    asked = parser.parse_args()
    began_s, told, failures = time.monotonic(), defaultdict(Told), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        bundle = write_bundle(Path(folder) / "test")
        for name, scene in scenes(bundle, asked.kills).items():
            runs = asked.long if name == "down long" else asked.seeds
            for seed in range(runs) if not asked.only or name in asked.only else ():
                failures += _play(name, seed, scene, told[name])
        caught = {} if asked.only else _mutants(bundle)
    text = page(
        told,
        caught,
        failures,
        time.monotonic() - began_s,
        f"make soak SEEDS={asked.seeds} KILLS={asked.kills} LONG={asked.long}",
    )
    print(text)
    if not asked.only:
        PAGE.write_text(text)
    sys.exit(bool(failures))


def _play(name: str, seed: int, scene: Scene, told: Told) -> list[str]:
    try:
        with scene(seed) as run:
            differences = told.take(run)
    except AssertionError as error:
        told.runs, told.wrong = told.runs + 1, told.wrong + 1
        differences = [str(error).splitlines()[0]]
    print(f"{name}, seed {seed}: {'; '.join(differences[:3]) or 'whole'}", file=sys.stderr, flush=True)
    return [f"{name}, seed {seed}: {text}" for text in differences[:5]]


def _mutants(bundle: Path) -> dict[str, str]:
    """Every mutant in its scene, and the first difference."""
    caught: dict[str, str] = {}
    for name, scene in SCENES.items():
        with fault_scenes.line(1, scene.partitions, bundle, 11, is_begun=False, line=scene.line()) as (_, run):
            scene.play(run, MUTANT=name)
            caught[name] = next(iter(run.differences(scene.within_s)), "**nothing**")[:160].replace("|", "/")
            print(f"{name}: {caught[name]}", file=sys.stderr, flush=True)
    return caught


def page(told: dict[str, Told], caught: dict[str, str], failures: list[str], seconds: float, command: str) -> str:
    """The page."""
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    lines = [
        "# What faults did to workers", "",
        f"Written by `{command}` on {date}, in {seconds / 60:.0f} min, on two shared cores, a real Apache Kafka 4.4.0.",
        "Every run holds what a reader of committed records saw against an oracle without Kafka: predictions and their",
        "values, alerts, dead letters, order, committed offsets. Seconds: from the fault, or from the broker's return,",
        "until scans published since were answered in every partition.", "",
        "| fault | times | p50 | p95 | longest |", "| --- | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for scene in told.values():
        for what, times in scene.seconds.items():
            p95 = statistics.quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
            lines.append(
                f"| {what} | {len(times)} | {statistics.median(times):.1f} s | {p95:.1f} s | {max(times):.1f} s |"
            )
    head = ("runs", "number", "with something lost", "twice", "otherwise wrong", "workers that ended of themselves")
    lines += ["", f"| {' | '.join(head)} |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {one.runs} | {one.lost} | {one.twice} | {one.wrong} | {len(one.ended)} |"
        for name, one in told.items()
    ]
    ended = sorted({text[:200] for one in told.values() for text in one.ended})
    if ended:
        lines += ["", "They were started again. What they said last:", "", *[f"- `{text}`" for text in ended]]
    if caught:
        lines += ["", "Workers broken on purpose, and the first thing that gave each away:", ""]
        lines += [
            "| broken by | seen as |",
            "| --- | --- |",
            *[f"| {name} | {text} |" for name, text in caught.items()],
        ]
    if failures:
        lines += ["", "## What was wrong", "", *[f"- {text}" for text in failures]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
