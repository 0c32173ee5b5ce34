"""What is done to workers and brokers while a line runs; each scene notes how long it took until all went on."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from support.failpoints import PLACES
from support.fault_run import STOPPING, FaultRun
from support.kafka_broker import Topics

from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.topics import COMPACTED, create_topics

AS_USUAL = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "10000"}
"""A broker that looks for what timed out every 200 ms, as others in these tests do, would abort it at its start before
partitions have leaders, and leave those out: what was aborted there would come to light with the next commit."""

LOOKS_OFTEN = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "200"}
"""For scenes in which a transaction times out, and no broker is started anew."""


@contextmanager
def line(
    brokers: int,
    partitions: int,
    bundle: Path,
    seed: int,
    *,
    broker: Mapping[str, str] = MappingProxyType({}),
    is_begun: bool = True,
    **run_with: Any,
) -> Iterator[tuple[ApacheKafka, FaultRun]]:
    """Brokers of its own, and a line that runs on them.

    Args:
        brokers: how many.
        partitions: of each topic.
        bundle: see `FaultRun`.
        seed: see `FaultRun`.
        broker: further properties of the brokers.
        is_begun: whether a worker serves already.
        run_with: further arguments of `FaultRun`.
    """
    with ApacheKafka(brokers=brokers, extra={**AS_USUAL, **broker}) as kafka:
        topics = Topics.unique(partitions)
        configs = {topics.worker_state: COMPACTED}
        counts = dict.fromkeys(topics.names, partitions)
        create_topics(kafka.bootstrap_servers, counts, replication_factor=min(3, brokers), configs=configs)
        with FaultRun(kafka.bootstrap_servers, topics, bundle, seed=seed, **run_with) as run:
            if is_begun:
                run.restart()
            yield kafka, run


def kills(run: FaultRun, rng: random.Random, seconds: float) -> None:
    """The only worker is killed at any moment and started again, over and over."""
    ends_s, number = time.monotonic() + seconds, 0
    while number == 0 or time.monotonic() < ends_s:  # once at least
        kill(run, rng, number)
        number += 1


def kill(run: FaultRun, rng: random.Random, number: int) -> None:
    """One kill of a row; every third is two, the second within 1.5 s of a start or 0.1 s after it has its partitions.

    So it joins, refills, or commits for the first time. Seconds are counted from the last kill.
    """
    if number % 3 < 2:
        run.wait_s(rng.uniform(0.0, 0.6))
        run.restart()
        return
    run.kill()
    killed = run.start()
    if rng.random() < 0.5:
        run.wait_s(rng.uniform(0.0, 1.5))
    else:
        run.wait_for("partitions assigned")
        run.wait_s(rng.uniform(0.0, 0.1))
    struck_s = time.monotonic()
    run.kill()
    run.start()
    when = "soon after" if killed.events("partitions assigned") else "before"
    run.wait_for_progress(struck_s, f"killed and started again, {when} it had its partitions")


def takeover(run: FaultRun, rng: random.Random) -> None:
    """One of two is killed, and does not come back."""
    _second(run)
    run.wait_s(rng.uniform(0.0, 0.6))
    struck_s = time.monotonic()
    run.kill(0)
    run.wait_for_progress(struck_s, "killed, and another takes over")


def handover(run: FaultRun, rng: random.Random) -> None:
    """One of two is told to stop; none of its transactions comes to nothing."""
    _second(run)
    run.wait_s(rng.uniform(0.0, 0.6))
    struck_s = time.monotonic()
    run.stop(0)
    assert run.aborted(since=STOPPING) == [], run.logs()
    run.wait_for_progress(struck_s, "told to stop, and another goes on")


def places(run: FaultRun, rng: random.Random, count: int = 4) -> None:
    """At a drawn place the only worker is killed, fails, or sleeps beyond its session; and so on, `count` times."""
    for _ in range(count):
        place = rng.choice([one for one in PLACES if one != "in_revoke"])  # for that it takes another worker
        times = 1 if place == "mid_refill" else rng.randint(2, 20)
        action = rng.choice(["kill", "raise", "pause:5"])
        run.kill()
        run.start(FAILPOINT=f"{place}:{times}:{action}")
        if action == "pause:5":
            run.wait_for("awake")
        else:
            run.wait_for_end()
            run.restart()


def scale(run: FaultRun) -> None:
    """One worker becomes four, and one again."""
    for slot in (1, 2, 3):
        run.start(slot=slot)
        run.wait_for(r'"partitions": {"', slot=slot)
        run.wait_for_progress(time.monotonic(), "another worker has joined, up to four")
    for slot in (2, 0, 3):
        struck_s = time.monotonic()
        run.stop(slot)
        run.wait_for_progress(struck_s, "one told to stop, down from four to one")


def restless(run: FaultRun, seconds: float) -> None:
    """A second worker comes and goes: a rebalance or two every other second."""
    ends_s = time.monotonic() + seconds
    while (began_s := time.monotonic()) < ends_s:
        run.start(slot=1)
        run.wait_for("partitions assigned", slot=1)
        run.wait_s(began_s + 2 - time.monotonic())
        struck_s = time.monotonic()
        run.stop(1)
        run.wait_for_progress(struck_s, "one that comes and goes every other second has gone")


def every_role(kafka: ApacheKafka, run: FaultRun) -> None:
    """Of three brokers, that with each role is killed and started again."""
    for role, find in ROLES.items():
        node = kafka.nodes[find(kafka.bootstrap_servers, run.topics) - 1]
        struck_s = time.monotonic()
        node.kill()
        run.wait_for_progress(struck_s, f"{role} killed")
        node.start()


def rolling(kafka: ApacheKafka, run: FaultRun) -> None:
    """Brokers are stopped and started, one after the other, each when all replicas are in sync again."""
    for node in kafka.nodes:
        _wait_in_sync(kafka.bootstrap_servers)
        struck_s = time.monotonic()
        node.stop()
        run.wait_for_progress(struck_s, "a broker of three stopped, all in sync before")
        node.start()


def down(kafka: ApacheKafka, run: FaultRun, seconds: float, *, busy: bool) -> None:
    """The only broker is killed and started again, and all goes on."""
    back_s = outage(kafka, run, seconds, busy=busy)
    run.wait_for_progress(back_s, f"the only broker back after {seconds:g} s, worker {'busy' if busy else 'idle'}")


def outage(kafka: ApacheKafka, run: FaultRun, seconds: float, *, busy: bool) -> float:
    """The only broker is killed and started again; when it was back, by `time.monotonic`.

    Idle is the worse: a call of the idle producer may hang for ever once the broker is back (librdkafka issue 5456).
    """
    run.wait_s(1.0)
    if not busy:
        run.pause_line()
        run.reader.wait_until_quiet()
    (broker,) = kafka.nodes
    broker.kill()
    run.wait_s(seconds)
    broker.start()
    back_s = time.monotonic()
    run.go_on_with_line()
    return back_s


def _second(run: FaultRun) -> None:
    run.start(slot=1)
    run.wait_for(r'"partitions": {"', slot=1)
    run.wait_s(1.0)


def _wait_in_sync(bootstrap: str, within_s: float = 60.0) -> None:
    """As whoever restarts a cluster does: with one of three away and another behind, nobody can write."""
    admin, until_s = AdminClient({"bootstrap.servers": bootstrap}), time.monotonic() + within_s
    while behind := _behind(admin):
        assert time.monotonic() < until_s, f"expected all replicas in sync, got {behind[:5]} behind"
        time.sleep(0.1)  # a broker tells when asked, and only then


def _behind(admin: AdminClient) -> list[str]:
    """Partitions of which a replica is not in sync."""
    try:
        topics = admin.list_topics(timeout=5).topics.values()
    except KafkaException as error:
        return [str(error)]
    return [
        f"{topic.topic}/{number}"
        for topic in topics
        for number, partition in topic.partitions.items()
        if set(partition.isrs) != set(partition.replicas)
    ]


def _leader(bootstrap: str, topic: str, partition: int) -> int:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    return int(admin.list_topics(topic, timeout=10).topics[topic].partitions[partition].leader)


def _coordinated(text: str) -> int:
    """The partition of a coordinator's topic of four, by Java's `String.hashCode`."""
    number = 0
    for character in text:
        number = (31 * number + ord(character)) & 0xFFFFFFFF
    return (number & 0x7FFFFFFF) % 4


ROLES: dict[str, Callable[[str, Topics], int]] = {
    "partition leader": lambda bootstrap, topics: _leader(bootstrap, topics.sensors, 0),
    "group coordinator": lambda bootstrap, topics: _leader(
        bootstrap, "__consumer_offsets", _coordinated(topics.group_id)
    ),
    "transaction coordinator": lambda bootstrap, topics: _leader(
        bootstrap, "__transaction_state", _coordinated(f"{topics.group_id}-0")
    ),
}
