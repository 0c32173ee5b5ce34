"""The books of a soiled stream: what was sent, and what a worker that reads all of it must count."""

from models.windows import Outcome, StrandTimeline
from trainer.dirt.counts import DirtCounts
from trainer.dirt.dataset import ACCEPTANCE
from trainer.dirt.stream import Arrival


class Ledger:
    """Kept record by record, so that it is right wherever a stream is stopped.

    Attributes:
        dirt: the dirt of what was sent, by kind.
    """

    def __init__(self) -> None:
        self.dirt = DirtCounts()
        self._outcomes = dict.fromkeys(Outcome, 0)
        self._invalid = 0
        self._strands: dict[str, StrandTimeline] = {}

    def note(self, arrival: Arrival) -> None:
        """Enter a record that was sent."""
        if arrival.marks is not None:
            self.dirt.add(arrival.marks.touched, arrival.marks.begun)
        if arrival.damage is not None:
            self._invalid += 1
            return
        strand_id = arrival.scan.strand_id
        timeline = self._strands.get(strand_id)
        if timeline is None:
            timeline = self._strands[strand_id] = StrandTimeline(ACCEPTANCE, strand_id)
        self._outcomes[timeline.observe(arrival.scan.event_time_ms).outcome] += 1

    @property
    def samples(self) -> dict[str, int]:
        """By how much a worker's `samples_total` rises, by outcome, where nobody else publishes these strands."""
        return {outcome.value: count for outcome, count in self._outcomes.items()} | {"invalid": self._invalid}
