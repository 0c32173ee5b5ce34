"""The options --dirt and --dirt-seed, and how `trainer stream` tells what became of the line."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from models.errors import UsageError
from trainer.dirt.stream import Arrival, Soil

if TYPE_CHECKING:
    from trainer.dirt.ledger import Ledger


class Books:
    """Counts what is sent; of a soiled line, also its dirt and what a worker must count.

    Args:
        choices: what was given at --dirt.
        seed: what was given at --dirt-seed.

    Attributes:
        soil: how to soil the line; None leaves it clean.
        sent: records sent.
        of_line: scans of the clean line that are done, those lost on the way included.

    Raises:
        UsageError: a choice that is none, or a seed without dirt.
    """

    def __init__(self, choices: Sequence[str] | None, seed: int | None) -> None:
        self.sent = self.of_line = 0
        self.soil: Soil | None = None
        self._ledger: Ledger | None = None
        if choices:
            from trainer.dirt import figures, ledger  # with pydantic, which a clean line does without

            self.soil = Soil(figures.choose_dirt(choices), 1 if seed is None else seed)
            self._ledger = ledger.Ledger()
        elif seed is not None:
            raise UsageError("expected --dirt beside --dirt-seed, got none: add --dirt all, or leave the seed out")

    def note(self, arrival: Arrival) -> None:
        """Enter a record that was sent."""
        self.sent += 1
        self.of_line += arrival.of_line
        if self._ledger is not None:
            self._ledger.note(arrival)

    def result(self) -> dict[str, object]:
        """For a machine: the dirt that was sent, by kind, and the worker's counts; nothing of a clean line."""
        if self._ledger is None or self.soil is None:
            return {}
        return {"dirt_seed": self.soil.seed, "dirt": self._kinds(), "samples": self._ledger.samples}

    def sentences(self) -> list[str]:
        """For a person: a line a kind, and the sum from the clean line to the worker's counts."""
        if self._ledger is None or self.soil is None:
            return []
        kinds = self._kinds()
        width = max(map(len, kinds), default=0)
        lost = kinds.get("gap", {}).get("scans_lost", 0)
        copies = kinds.get("duplicate", {}).get("scans", 0)
        samples = ", ".join(f"{count:,} {outcome}" for outcome, count in self._ledger.samples.items())
        return [
            f"dirt of seed {self.soil.seed}:",
            *(f"  {kind:<{width}}  {_told(count)}" for kind, count in kinds.items()),
            f"{self.of_line:,} scans of the line - {lost:,} lost + {copies:,} duplicates = {self.sent:,} records sent",
            f"a worker that reads all of them counts {samples}",
        ]

    def _kinds(self) -> dict[str, dict[str, int]]:
        """What was sent of the kinds that are on."""
        if self._ledger is None or self.soil is None:
            return {}
        counts = self._ledger.dirt.as_dict()
        return {kind: count for kind, count in counts.items() if getattr(self.soil.dirt, kind).rate > 0}


def _told(count: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in count.items())
