"""One of the trainer's two doors to Kafka: publish scans, idempotently, keyed by strand, at a chosen pace.

The other, `trainer.kafka_range`, reads; what both need to reach a broker stands here.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from models.errors import StrandwatchError, UsageError
from trainer.dirt.stream import Arrival
from trainer.packing import Packed

IDLE_MS = 60_000
"""A pause of all strands longer than this is not waited for."""

LOOP_PAUSE_MS = 30_000
"""How long a looped line stands still between two turns: longer than a window's gap, so windows start anew."""

_POLL_S = 0.1
_SECRETS = ("password", "secret", "key.pem")
_OURS: Mapping[str, object] = {
    "enable.idempotence": True,  # also keeps each strand's order over retries
    "partitioner": "murmur2_random",  # as Java clients do: readers agree on a key's partition
    "client.id": "strandwatch-trainer",
}


class StreamError(StrandwatchError):
    """Kafka failed: broker not reached, topic missing, a scan not acknowledged, a record that did not come."""


def parse_properties(pairs: Iterable[str], ours: Collection[str] = tuple(_OURS)) -> dict[str, str]:
    """Properties for librdkafka from `key=value`; a secret only from a file, as `key=@FILE`.

    Args:
        pairs: as the user gave them.
        ours: properties that the command sets itself.

    Raises:
        UsageError: no `=`, a property that is ours, a secret in the arguments, a file that cannot be read.
    """
    properties = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise UsageError(f"expected key=value, got `{pair}` at --property")
        if key in ours or key == "bootstrap.servers":
            raise UsageError(f"`{key}` is set by the command itself: leave it out of --property")
        if value.startswith("@"):
            try:
                value = Path(value[1:]).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"expected a text file, got {error} at --property {key}") from error
        elif any(word in key for word in _SECRETS):
            raise UsageError(
                f"`{key}` is a secret and arguments are seen by every user of this machine: "
                f"write it to a file and say --property {key}=@FILE"
            )
        properties[key] = value
    return properties


def refused_property(error: Exception) -> UsageError:
    """What there is to say of a client that could not be made; for the caller to raise."""
    return UsageError(f"librdkafka refuses a property: {error_text(error)}, at --property or --bootstrap")


def find_topic(
    client: Producer | Consumer, topic: str, bootstrap: str, timeout_s: float, reason: Callable[[], str]
) -> list[int]:
    """The numbers of a topic's partitions; `reason` tells what was heard of the broker meanwhile.

    Raises:
        StreamError: broker not reached in time, topic missing.
    """
    try:
        topics = client.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        why = reason() or error_text(error)
        raise StreamError(
            f"expected a broker within {timeout_s:g} s, got none at {bootstrap} ({why}): check --bootstrap"
        ) from error
    if topic not in topics:
        raise StreamError(f"expected topic {topic}, got none of that name at {bootstrap}: create it first")
    return sorted(topics[topic].partitions)


class ScanPublisher:
    """Publishes scans and counts what the broker acknowledged.

    Args:
        bootstrap: `host:port`, several separated by commas.
        topic: an existing topic.
        properties: further librdkafka properties.
        timeout_s: how long the broker may take to be reached, and to acknowledge.

    Attributes:
        acknowledged: scans the broker has stored.
        failed: scans it has not and will not.

    Raises:
        UsageError: a property librdkafka does not know.
        StreamError: broker not reached in time, topic missing.
    """

    def __init__(
        self, bootstrap: str, topic: str, *, properties: Mapping[str, str] | None = None, timeout_s: float = 30.0
    ) -> None:
        self.acknowledged = 0
        self.failed = 0
        self._reason = ""
        self._topic = topic
        self._timeout_s = timeout_s
        settings: dict[str, object] = {
            "linger.ms": 5,
            "message.timeout.ms": max(1, round(timeout_s * 1000)),
            **(properties or {}),
            **_OURS,
            "bootstrap.servers": bootstrap,
            "error_cb": self._note,
        }
        try:
            self._producer = Producer(settings, logger=quiet_logger())
        except (KafkaException, ValueError, TypeError) as error:
            raise refused_property(error) from error
        find_topic(self._producer, topic, bootstrap, timeout_s, lambda: self._reason)

    def _note(self, error: KafkaError) -> None:
        self._reason = error.str()

    def __enter__(self) -> Self:
        return self

    def publish(self, packed: Packed) -> None:
        """Hand over one record; waits while the queue is full.

        Raises:
            StreamError: a scan before this one was not acknowledged.
        """
        if self.failed:
            raise self.error()
        delivered = partial(self._delivered, packed.scans)
        while True:
            try:
                self._producer.produce(self._topic, value=packed.value, key=packed.key, on_delivery=delivered)
            except BufferError:
                self._producer.poll(_POLL_S)
            else:
                self._producer.poll(0)
                return

    def wait(self, seconds: float) -> None:
        """Serve acknowledgements for a while, at most a tenth of a second, so that a caller may look up."""
        self._producer.poll(min(seconds, _POLL_S))

    def flush(self) -> None:
        """Wait until every scan is acknowledged or has failed.

        Raises:
            StreamError: some scan was not acknowledged within the time-out.
        """
        left = self._producer.flush(self._timeout_s + 1)
        if self.failed or left:
            self.failed += left
            self._producer.purge()
            raise self.error()

    def error(self) -> StreamError:
        """What there is to say of the scans that failed."""
        return StreamError(
            f"expected every scan acknowledged, got {self.acknowledged} acknowledged and {self.failed} failed at "
            f"topic {self._topic} ({self._reason or 'timed out'}): publish again, readers drop what they have"
        )

    def _delivered(self, scans: int, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.acknowledged += scans
        else:
            self.failed += scans
            self._reason = error.str()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.purge()
        self._producer.flush(1)


def paced(
    arrivals: Iterable[Arrival],
    *,
    speed: float,
    clock: Callable[[], float],
    wait: Callable[[float], None],
    stopped: Callable[[], bool],
) -> Iterator[Arrival]:
    """Let records through when they arrive, on a clock that runs `speed` times as fast as the line.

    Args:
        arrivals: in the order of arrival.
        speed: line seconds per second of the clock; 0 lets all through at once.
        clock: seconds, monotonic.
        wait: waits at most so many seconds; may return early.
        stopped: asked before each record and each wait; True ends the stream.
    """
    due, before_ms = clock(), None
    for arrival in arrivals:
        if speed > 0 and before_ms is not None:
            step_ms = arrival.at_ms - before_ms
            due = max(due, clock()) if step_ms > IDLE_MS else due + step_ms / 1000 / speed
        before_ms = arrival.at_ms
        while not stopped() and speed > 0 and (left := due - clock()) > 0:
            wait(left)
        if stopped():
            return
        yield arrival


def shifted(arrivals: Iterable[Arrival], begins_ms: int) -> Iterator[Arrival]:
    """The same records with all times moved so that the first arrives at `begins_ms`."""
    shift: int | None = None
    for arrival in arrivals:
        if shift is None:
            shift = begins_ms - arrival.at_ms
        scan = msgspec.structs.replace(arrival.scan, event_time_ms=arrival.scan.event_time_ms + shift)
        yield replace(arrival, at_ms=arrival.at_ms + shift, scan=scan)


def looped(turn: Callable[[], Iterable[Arrival]]) -> Iterator[Arrival]:
    """One turn of a line after another without end, each moved to begin `LOOP_PAUSE_MS` after the one before."""
    begins_ms: int | None = None
    while True:
        arrivals = turn()
        newest = 0
        for arrival in arrivals if begins_ms is None else shifted(arrivals, begins_ms):
            newest = max(newest, arrival.at_ms)
            yield arrival
        begins_ms = newest + LOOP_PAUSE_MS


def quiet_logger() -> logging.Logger:
    """For librdkafka's lines, which would cut through the progress bar; what matters of them comes by `error_cb`."""
    logger = logging.getLogger("trainer.kafka.librdkafka")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def error_text(error: Exception) -> str:
    """What a client's exception says, in one line."""
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(first)
