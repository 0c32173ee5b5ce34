"""The ledger: no position before the outputs entered before its mark are safe."""

from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.offsets import OffsetLedger, Position

P0, P1 = ("t", 0), ("t", 1)


def at(offset: int) -> Position:
    return Position(offset, f"state at {offset}")


def test_position_waits_for_every_output_before_it() -> None:
    ledger = OffsetLedger()
    ticket = ledger.open(2)
    ledger.mark({P0: at(10)})
    ticket.acknowledge()
    assert ledger.committable() == {}
    assert ticket.acknowledge()
    assert ledger.committable() == {P0: at(10)}


def test_position_waits_for_earlier_polls() -> None:
    ledger = OffsetLedger()
    first, second = ledger.open(1), ledger.open(1)
    ledger.mark({P0: at(20), P1: at(5)})
    second.acknowledge()
    assert ledger.committable() == {}
    first.acknowledge()
    assert ledger.committable() == {P0: at(20), P1: at(5)}


def test_position_does_not_wait_for_what_comes_after_it() -> None:
    ledger = OffsetLedger()
    ledger.mark({P0: at(7)})
    ledger.open(1)
    ledger.mark({P0: at(8)})
    assert ledger.committable() == {P0: at(7)}


def test_uncommitted_position_is_offered_again_and_a_committed_one_is_not() -> None:
    ledger = OffsetLedger()
    ledger.mark({P0: at(7)})
    assert ledger.committable() == ledger.committable() == {P0: at(7)}
    ledger.committed(P0, 7)
    assert ledger.committable() == {}
    ledger.committed(P0, 3)
    assert ledger.committable() == {}


def test_partition_given_away_is_never_committed_for() -> None:
    ledger = OffsetLedger()
    under_way = ledger.open(1)
    ledger.mark({P0: at(10), P1: at(10)})
    ledger.forget([P0])
    under_way.acknowledge()
    assert ledger.committable() == {P1: at(10)}


def test_partition_that_comes_back_earlier_can_be_committed_again() -> None:
    ledger = OffsetLedger()
    ledger.mark({P0: at(100)})
    ledger.committed(P0, 100)
    ledger.forget([P0])
    ledger.mark({P0: at(5)})
    assert ledger.committable() == {P0: at(5)}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.randoms())
def test_committable_is_always_the_end_of_the_longest_acknowledged_prefix(outputs: list[int], random: object) -> None:
    ledger, tickets = OffsetLedger(), []
    for poll, count in enumerate(outputs):
        tickets.append(ledger.open(count))
        ledger.mark({P0: at(poll + 1)})
    left = list(outputs)
    pending = [poll for poll, count in enumerate(outputs) for _ in range(count)]
    random.shuffle(pending)  # type: ignore[attr-defined]
    for poll in [None, *pending]:
        if poll is not None:
            tickets[poll].acknowledge()
            left[poll] -= 1
        done = next((index for index, count in enumerate(left) if count), len(left))
        assert ledger.committable() == ({P0: at(done)} if done else {})
        assert ledger.outstanding == sum(left)
