"""What goes with an offset when the state is too long for it."""

import random

import pytest

from worker.kafka.checkpoints import EVERY_S, Checkpoints
from worker.kafka.committed import LONGEST, Pointer, decode, unpack
from worker.kafka.peek import Peek
from worker.records import AlertState, Partition, PartitionState
from worker.settings import KafkaSettings, Settings

P: Partition = ("t", 3)
SMALL = PartitionState({"p.c.a": 60}, [])


def alerts(count: int) -> list[AlertState]:
    rng = random.Random(0)
    return [
        AlertState(
            f"plant1.c{number}.s{rng.randrange(10**6)}", "sticker", rng.randrange(10**12), None,
            rng.randrange(10**12), None, rng.randrange(10**12), rng.random(), None, rng.random(), rng.random(), 0.5,
            "critical", "m@1", "ab",
        )
        for number in range(count)
    ]  # fmt: skip


def windows(count: int) -> dict[str, int]:
    rng = random.Random(1)
    return {f"plant{rng.randrange(10**6)}.c{number}.s1": rng.randrange(10**6) for number in range(count)}


class Kept:
    """A partition as told, a topic as a list, a clock as set."""

    def __init__(self, state: PartitionState) -> None:
        self.state, self.now_s, self.is_down = state, 100.0, False
        self.records: list[tuple[bytes, bytes]] = []
        settings = Settings.model_construct(kafka=KafkaSettings(bootstrap_servers="x", group_id="g"))
        peek = Peek(settings.kafka)  # unasked
        self.checkpoints = Checkpoints(
            settings,
            "ab12",
            lambda _: self.state,
            lambda _: self.state.alerts,
            lambda _: (6, 4),
            peek,
            lambda: self.now_s,
        )

    def keep(self, key: bytes, value: bytes) -> tuple[int, int] | None:
        if self.is_down:
            return None
        self.records.append((key, value))
        return 0, len(self.records) - 1

    def text(self, offset: int) -> str | None:
        text = self.checkpoints.text(P, offset, self.keep)
        assert text is None or len(text) <= LONGEST
        return text


def test_what_fits_goes_with_the_offset() -> None:
    kept = Kept(SMALL)
    found = decode(kept.text(100) or "")
    assert (found.state, found.checkpoint, found.model, found.partitions) == (SMALL, None, "ab12", 6)
    assert kept.records == []


def test_what_does_not_is_kept_every_few_seconds_and_its_alerts_go_with_every_offset() -> None:
    kept = Kept(PartitionState(windows(600), alerts(1)))
    first = decode(kept.text(100) or "")
    assert (first.checkpoint, first.state) == (Pointer(0, 0, at=100), PartitionState({}, alerts(1)))
    ((key, value),) = kept.records
    assert (key, unpack(value).state) == (b"g/t/3", kept.state)
    kept.now_s += EVERY_S - 0.1
    kept.state = PartitionState(windows(601), alerts(2))
    second = decode(kept.text(110) or "")
    assert (second.checkpoint, second.state) == (Pointer(0, 0, at=100), PartitionState({}, alerts(2)))
    kept.now_s += 0.1
    assert decode(kept.text(120) or "").checkpoint == Pointer(0, 1, at=120)
    assert unpack(kept.records[1][1]).state == kept.state


def test_alerts_too_many_for_an_offset_are_kept_with_every_one() -> None:
    kept = Kept(PartitionState(windows(5), alerts(300)))
    for number, offset in enumerate((100, 110, 120)):
        found = decode(kept.text(offset) or "")
        assert (found.checkpoint, found.state) == (Pointer(0, number, at=offset), PartitionState({}, []))
        assert unpack(kept.records[number][1]).state == kept.state


def test_goes_back_into_the_offset_once_it_fits() -> None:
    kept = Kept(PartitionState(windows(600), []))
    kept.text(100)
    kept.state = SMALL
    kept.now_s += EVERY_S
    assert decode(kept.text(110) or "").state == SMALL


def test_what_was_taken_up_anew_is_kept_anew() -> None:
    kept = Kept(PartitionState(windows(600), []))
    kept.text(100)
    kept.checkpoints.forget(P)
    assert decode(kept.text(101) or "").checkpoint == Pointer(0, 1, at=101)


@pytest.mark.parametrize("count", [0, 300])
def test_nothing_is_to_be_committed_while_nothing_can_be_kept(count: int) -> None:
    kept = Kept(PartitionState(windows(600), alerts(count)))
    kept.is_down = True
    assert kept.text(100) is None
    kept.is_down = False
    assert decode(kept.text(101) or "").checkpoint == Pointer(0, 0, at=101)
