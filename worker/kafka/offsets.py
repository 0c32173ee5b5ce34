"""Which input offsets may be committed: those whose every output has been acknowledged, and all before them."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from worker.records import Partition


class Position(NamedTuple):
    """What is committed for a partition.

    Attributes:
        offset: after the last record whose outputs are safe.
        state: of the partition there, see `worker.kafka.committed`.
    """

    offset: int
    state: str


class Ticket:
    """One poll's outputs on their way, or a mark: positions that may be committed once all before it is safe."""

    __slots__ = ("outstanding", "positions")

    def __init__(self, outputs: int, positions: Mapping[Partition, Position]) -> None:
        self.outstanding = outputs
        self.positions = dict(positions)

    def acknowledge(self) -> bool:
        """One more output is safe; says whether that was the last."""
        self.outstanding -= 1
        return self.outstanding == 0


class OffsetLedger:
    """Tickets in the order of the log.

    Acknowledgements come in any order (outputs go to different partitions and brokers); a position becomes committable
    only when every ticket before its mark is complete. A position's state is of the moment it was marked, so positions
    are marked as often as they are committed, and not with every poll.
    """

    def __init__(self) -> None:
        self._open: deque[Ticket] = deque()
        self._committable: dict[Partition, Position] = {}
        self._committed: dict[Partition, int] = {}

    @property
    def outstanding(self) -> int:
        """Outputs not yet acknowledged."""
        return sum(ticket.outstanding for ticket in self._open)

    def open(self, outputs: int) -> Ticket:
        """Enter one poll: how many outputs its records caused."""
        ticket = Ticket(outputs, {})
        self._open.append(ticket)
        return ticket

    def mark(self, positions: Mapping[Partition, Position]) -> None:
        """Positions that hold everything entered so far."""
        self._open.append(Ticket(0, positions))

    def committable(self) -> dict[Partition, Position]:
        """Positions that may be committed now and have not been."""
        while self._open and self._open[0].outstanding == 0:
            self._committable.update(self._open.popleft().positions)
        return {
            partition: position
            for partition, position in self._committable.items()
            if self._committed.get(partition, -1) < position.offset
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
                ticket.positions.pop(partition, None)
