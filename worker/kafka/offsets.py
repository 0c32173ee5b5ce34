"""Which input offsets may be committed: those whose every output has been acknowledged, and all before them."""

from collections import deque
from collections.abc import Iterable, Mapping

from worker.records import Partition


class Ticket:
    """One poll's records on their way: offsets to commit, and outputs still to be acknowledged."""

    __slots__ = ("next_offsets", "outstanding")

    def __init__(self, next_offsets: Mapping[Partition, int], outputs: int) -> None:
        self.next_offsets = dict(next_offsets)
        self.outstanding = outputs

    def acknowledge(self) -> bool:
        """One more output is safe; says whether that was the last."""
        self.outstanding -= 1
        return self.outstanding == 0


class OffsetLedger:
    """Tickets in the order of the log.

    Acknowledgements come in any order (outputs go to different partitions and brokers); an offset becomes
    committable only when its own ticket and every earlier one are complete.
    """

    def __init__(self) -> None:
        self._open: deque[Ticket] = deque()
        self._committable: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}

    @property
    def outstanding(self) -> int:
        """Outputs not yet acknowledged."""
        return sum(ticket.outstanding for ticket in self._open)

    def open(self, next_offsets: Mapping[Partition, int], outputs: int) -> Ticket:
        """Enter one poll: the offsets after its records, and how many outputs these caused."""
        ticket = Ticket(next_offsets, outputs)
        self._open.append(ticket)
        return ticket

    def committable(self) -> dict[Partition, int]:
        """Offsets that may be committed now and have not been."""
        while self._open and self._open[0].outstanding == 0:
            self._committable.update(self._open.popleft().next_offsets)
        return {
            partition: offset
            for partition, offset in self._committable.items()
            if self._committed.get(partition, -1) < offset
        }

    def committed(self, partition: Partition, offset: int) -> None:
        """The broker has this offset; a late answer about an older one changes nothing."""
        self._committed[partition] = max(offset, self._committed.get(partition, -1))

    def forget(self, partitions: Iterable[Partition]) -> None:
        """These partitions belong to another worker now: never commit for them again."""
        for partition in partitions:
            self._committable.pop(partition, None)
            self._committed.pop(partition, None)
            for ticket in self._open:
                ticket.next_offsets.pop(partition, None)
