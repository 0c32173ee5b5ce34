"""What the soak found: kept as JSON, by scene, and written as a page."""

import json
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).with_name("RESULTS.md")
KEPT = Path(__file__).with_name("results.json")

LIMITS_S = (
    ("killed and started again", 3.0),
    ("killed, and another takes over", 20.0),
    ("asleep, and another takes over", 20.0),
    ("told to stop, and another goes on", 3.0),
    ("one told to stop, down from four to one", 3.0),
    ("one that comes and goes every other second has gone", 3.0),
    ("partition leader killed", 15.0),
    ("group coordinator killed", 15.0),
    ("transaction coordinator killed", 15.0),
    ("a broker of three stopped, all in sync before", 15.0),
    ("the only broker back", 30.0),
)
"""What p95 may be, by how a fault's name begins; of others nothing is asked."""


@dataclass
class Told:
    """Of one kind of run: how often, what was wrong, and the seconds until all went on.

    Attributes:
        date: of its begin.
        command: by which it was run.
        commit: that it ran at; `-dirty` if files differed from it.
    """

    date: str
    command: str = ""
    commit: str = ""
    runs: int = 0
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    ended: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def take(
        self, seed: int, differences: list[str], ended: Sequence[str], progress_s: Sequence[tuple[str, float]]
    ) -> list[str]:
        """Enter a run that is over; returns the differences."""
        self.runs += 1
        self.ended += ended
        self.lost += any("lost" in text for text in differences)
        self.twice += any("twice" in text for text in differences)
        self.wrong += any("lost" not in text and "twice" not in text for text in differences)
        self.failures += [f"seed {seed}: {text}"[:300] for text in differences[:5]]
        for what, seconds in progress_s:
            self.seconds.setdefault(what, []).append(round(seconds, 3))
        return differences

    @property
    def is_well(self) -> bool:
        """Whether nothing was wrong, nor took longer than it may."""
        in_time = [p95(times) <= limit_s(what) for what, times in self.seconds.items()]
        return not self.failures and all(in_time)


def today() -> str:
    """The date."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def head() -> str:
    """The commit that is checked out, short, with `-dirty` if files differ; what a soak writes does not count."""
    but = [f":(exclude){one.name}" for one in (PAGE, KEPT)]
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", *but)
    return _git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=PAGE.parent, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def limit_s(what: str) -> float:
    """What p95 of a fault may be."""
    return next((limit for name, limit in LIMITS_S if what.startswith(name)), float("inf"))


def p95(seconds: Sequence[float]) -> float:
    """Of at least one."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]


def keep(name: str, told: Told) -> None:
    """Keep what a scene told in place of what it told before, and write the page."""
    kept = _kept()
    kept["scenes"][name] = asdict(told)
    _write(kept)


def keep_mutants(caught: dict[str, str], command: str, commit: str) -> None:
    """Keep by what each mutant was caught, and by which command at which commit."""
    kept = _kept()
    kept["mutants"] = {"date": today(), "command": command, "commit": commit, "caught": caught}
    _write(kept)


def _kept() -> dict[str, dict]:
    return json.loads(KEPT.read_text()) if KEPT.exists() else {"scenes": {}, "mutants": {}}


def _write(kept: dict[str, dict]) -> None:
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    told = {name: Told(**one) for name, one in kept["scenes"].items()}
    lines = [
        "# What faults did to workers", "",
        "On two shared cores, a real Apache Kafka 4.4.0; the commands are below. Every run holds what a reader of",
        "committed records saw against an oracle without Kafka: predictions and their values, alerts, dead letters,",
        "order, committed offsets. Seconds: from the fault, or from the broker's return, until scans published since",
        "were answered in every partition that had answers.", "",
        "| fault | times | p50 | p95 | longest | p95 at most |", "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for what, times in [(what, times) for one in told.values() for what, times in one.seconds.items()]:
        limit, late = limit_s(what), p95(times)
        asked = "" if limit == float("inf") else f"{limit:g} s{'' if late <= limit else ', **not reached**'}"
        figures = [statistics.median(times), late, max(times)]
        lines.append(f"| {what} | {len(times)} | {' | '.join(f'{one:.1f} s' for one in figures)} | {asked} |")
    ran = {name: (one.command, one.commit) for name, one in told.items()}
    heads = ("scene", "on", "runs", "with something lost", "twice", "otherwise wrong", "workers that ended themselves")
    lines += ["", f"| {' | '.join(heads)} |", "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {one.date} | {one.runs} | {one.lost} | {one.twice} | {one.wrong} | {len(one.ended)} |"
        for name, one in told.items()
    ]
    ended = sorted({text[:200] for one in told.values() for text in one.ended})
    if ended:
        lines += ["", "They were started again. What they said last:", "", *[f"- `{text}`" for text in ended]]
    if kept["mutants"]:
        mutants = kept["mutants"]
        lines += ["", f"Workers broken on purpose, on {mutants['date']}, and what gave each away:", ""]
        lines += ["| broken by | seen as |", "| --- | --- |"]
        lines += [f"| {name} | {text or '**nothing**'} |" for name, text in mutants["caught"].items()]
        ran["mutants"] = (mutants.get("command", ""), mutants.get("commit", ""))
    lines += ["", "Each was run by", "", *_commands(ran)]
    failures = [f"- {name}, {text}" for name, one in told.items() for text in one.failures]
    lines += ["", "## What was wrong", "", *failures] if failures else []
    PAGE.write_text("\n".join(lines) + "\n")


def _commands(ran: dict[str, tuple[str, str]]) -> Iterator[str]:
    """A line for each command at one commit, with the scenes that ran by it."""
    for command, commit in dict.fromkeys(ran.values()):
        by = f"`{command}` at {commit}" if command else "a command and at a commit that were not noted"
        yield f"- {by}: {', '.join(name for name, one in ran.items() if one == (command, commit))}"


if __name__ == "__main__":  # the page anew from what is kept
    _write(_kept())
