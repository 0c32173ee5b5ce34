"""The ledger: no offset before its own outputs and all earlier ones are safe."""

from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.offsets import OffsetLedger

P0, P1 = ("t", 0), ("t", 1)


def test_offset_waits_for_every_output_of_its_poll() -> None:
    ledger = OffsetLedger()
    ticket = ledger.open({P0: 10}, outputs=2)
    ticket.acknowledge()
    assert ledger.committable() == {}
    assert ticket.acknowledge()
    assert ledger.committable() == {P0: 10}


def test_offset_waits_for_earlier_polls() -> None:
    ledger = OffsetLedger()
    first, second = ledger.open({P0: 10}, 1), ledger.open({P0: 20, P1: 5}, 1)
    second.acknowledge()
    assert ledger.committable() == {}
    first.acknowledge()
    assert ledger.committable() == {P0: 20, P1: 5}


def test_poll_without_outputs_is_done_at_once() -> None:
    ledger = OffsetLedger()
    ledger.open({P0: 7}, 0)
    assert ledger.committable() == {P0: 7}


def test_uncommitted_offset_is_offered_again_and_a_committed_one_is_not() -> None:
    ledger = OffsetLedger()
    ledger.open({P0: 7}, 0)
    assert ledger.committable() == ledger.committable() == {P0: 7}
    ledger.committed(P0, 7)
    assert ledger.committable() == {}
    ledger.committed(P0, 3)
    assert ledger.committable() == {}


def test_partition_given_away_is_never_committed_for() -> None:
    ledger = OffsetLedger()
    under_way = ledger.open({P0: 10, P1: 10}, 1)
    ledger.forget([P0])
    under_way.acknowledge()
    assert ledger.committable() == {P1: 10}


def test_partition_that_comes_back_earlier_can_be_committed_again() -> None:
    ledger = OffsetLedger()
    ledger.open({P0: 100}, 0)
    ledger.committed(P0, 100)
    ledger.forget([P0])
    ledger.open({P0: 5}, 0)
    assert ledger.committable() == {P0: 5}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.randoms())
def test_committable_is_always_the_end_of_the_longest_acknowledged_prefix(outputs: list[int], random: object) -> None:
    ledger = OffsetLedger()
    tickets = [ledger.open({P0: poll + 1}, count) for poll, count in enumerate(outputs)]
    left = list(outputs)
    pending = [poll for poll, count in enumerate(outputs) for _ in range(count)]
    random.shuffle(pending)  # type: ignore[attr-defined]
    for poll in [None, *pending]:
        if poll is not None:
            tickets[poll].acknowledge()
            left[poll] -= 1
        done = next((index for index, count in enumerate(left) if count), len(left))
        assert ledger.committable() == ({P0: done} if done else {})
        assert ledger.outstanding == sum(left)
