"""A member that was refused: by itself, and joins anew; or by another worker in its slot, and ends."""

import socket
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError

from worker.errors import DeliveryError
from worker.kafka.membership import Membership
from worker.settings import KafkaSettings, Settings

FENCED = KafkaError(KafkaError.FENCED_INSTANCE_ID)
LOST_BROKER = KafkaError(KafkaError._TRANSPORT)
NO_LONGER = KafkaError(KafkaError._FATAL, "the client cannot be used", True)


class Member(Membership):
    """One whose broker never answers; its clock is set by hand."""

    def __init__(self, port: int) -> None:
        self.now_s = 1000.0
        kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}", group_id="g", session_timeout_ms=3000)
        super().__init__(Settings.model_construct(kafka=kafka), lambda *_: None, lambda: self.now_s)

    def loses_its_partitions(self) -> None:
        self._lost([])


@pytest.fixture
def member() -> Iterator[Member]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield Member(silent.getsockname()[1])


def judged(member: Member) -> Member:
    """After the time in which an excuse may still be told."""
    member.raise_failure()
    member.now_s += 1
    member.raise_failure()
    return member


def test_without_an_excuse_it_was_another_worker(member: Member) -> None:
    member.on_error(FENCED)
    with pytest.raises(DeliveryError, match="another worker took this slot over"):
        judged(member)


@pytest.mark.parametrize("before", [True, False])
def test_who_lost_its_partitions_about_then_joins_anew(member: Member, before: bool) -> None:
    if before:
        member.loses_its_partitions()
    member.on_error(FENCED)
    if not before:
        member.loses_its_partitions()
    assert not member.is_void
    assert judged(member).is_void


def test_so_does_who_lost_its_broker_a_while_before(member: Member) -> None:
    member.on_error(LOST_BROKER)
    member.now_s += 50
    member.on_error(FENCED)
    assert judged(member).is_void


def test_what_the_refused_client_says_meanwhile_does_not_count(member: Member) -> None:
    member.loses_its_partitions()
    member.on_error(FENCED)
    member.on_error(NO_LONGER)
    assert judged(member).is_void


def test_an_excuse_is_good_for_once(member: Member) -> None:
    member.loses_its_partitions()
    member.on_error(FENCED)
    judged(member).renew()
    member.on_error(FENCED)
    with pytest.raises(DeliveryError, match="another worker took this slot over"):
        judged(member)


def test_who_gives_up_does_not_wait_for_an_excuse(member: Member) -> None:
    member.on_error(FENCED)
    with pytest.raises(DeliveryError, match="another worker took this slot over"):
        member.raise_failure(is_last_word=True)
