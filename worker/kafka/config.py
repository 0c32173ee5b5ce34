"""Settings to librdkafka's configuration."""

from collections.abc import Callable
from logging import getLogger
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from models.errors import UsageError
from worker.logs import KAFKA_LOGGER
from worker.settings import KafkaSettings

_SECURITY = (
    ("sasl.mechanism", "sasl_mechanism"),
    ("sasl.username", "sasl_username"),
    ("sasl.password", "sasl_password"),
    ("ssl.ca.location", "ssl_ca_location"),
    ("ssl.certificate.location", "ssl_certificate_location"),
    ("ssl.key.location", "ssl_key_location"),
    ("ssl.key.password", "ssl_key_password"),
)

_OURS = {
    "bootstrap.servers", "metadata.broker.list", "group.id", "group.instance.id", "group.protocol",
    "partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms", "enable.auto.commit",
    "enable.auto.offset.store", "auto.offset.reset", "isolation.level", "enable.idempotence", "acks",
    "request.required.acks", "partitioner", "security.protocol", "transactional.id", "transaction.timeout.ms",
}  # fmt: skip
"""Keys that carry a guarantee or have a setting of their own: `kafka.extra` may not change them."""

Client = TypeVar("Client", Consumer, Producer, AdminClient)

OnError = Callable[[KafkaError], None]


def is_fatal(error: KafkaError) -> bool:
    """Whether the client can no longer be used; librdkafka wraps what it tells of it in an error that is not."""
    return bool(error.fatal()) or error.code() == KafkaError._FATAL


def make(kind: type[Client], settings: dict[str, Any]) -> Client:
    """A client of librdkafka.

    Raises:
        UsageError: a key or value it does not take; those come from `kafka.*` alone.
    """
    try:
        return kind(settings)
    except (KafkaException, ValueError, TypeError) as error:
        first = error.args[0] if error.args else error
        text = first.str() if isinstance(first, KafkaError) else str(first)
        text = " ".join(text.split())
        raise UsageError(f"expected settings librdkafka takes, got {text} at kafka.* (kafka.extra?)") from None


def common(kafka: KafkaSettings, on_error: OnError | None = None) -> dict[str, Any]:
    """What every client needs: address, security, log.

    Raises:
        UsageError: `kafka.extra` names a key that is ours.
    """
    named = {f"{key}" for key, _ in _SECURITY}
    for key in kafka.extra:
        if key in _OURS | named:
            raise UsageError(
                f"expected a further librdkafka key, got `{key}` at kafka.extra: the worker sets it itself"
            )
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "logger": getLogger(KAFKA_LOGGER),
        "reconnect.backoff.max.ms": 1000,
    }
    for key, field in _SECURITY:
        value = getattr(kafka, field)
        if value is not None:
            config[key] = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
    if on_error is not None:
        config["error_cb"] = on_error
    return {**config, **kafka.extra}


def consumer(kafka: KafkaSettings, on_error: OnError, on_commit: Callable[..., None]) -> dict[str, Any]:
    """A static member of the group, cooperative, with offsets in our own hands."""
    config = {
        # The default of one second stalls a busy consumer each time its queue has been full.
        "fetch.queue.backoff.ms": 10,
        "queued.min.messages": 20_000,
        **common(kafka, on_error),
        "group.id": kafka.group_id,
        "group.instance.id": kafka.member,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # librdkafka's default skips data in silence; `start_from` decides, and says so.
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "on_commit": on_commit,
    }
    if kafka.group_protocol == "consumer":
        return {**config, "group.protocol": "consumer"}
    return {
        **config,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": kafka.session_timeout_ms,
        "heartbeat.interval.ms": kafka.heartbeat_ms,
    }


def stranger(kafka: KafkaSettings, on_error: OnError | None = None) -> dict[str, Any]:
    """A consumer that is no member of the group, and may ask about it.

    A member's own questions wait behind its request to join, which the broker answers when all others have joined.
    """
    return {
        **common(kafka, on_error),
        "group.id": kafka.group_id,
        "session.timeout.ms": kafka.session_timeout_ms,
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
    }


def peeking(kafka: KafkaSettings) -> dict[str, Any]:
    """A `stranger` that reads single records, and is told where there is none.

    With the client's usual times the next record would wait up to a second for what was fetched with the last.
    """
    return {
        **stranger(kafka),
        "isolation.level": "read_uncommitted",
        "enable.partition.eof": True,
        "queued.min.messages": 1,
        "fetch.queue.backoff.ms": 1,
        "fetch.wait.max.ms": 10,
    }


def transactional_producer(kafka: KafkaSettings, on_error: OnError) -> dict[str, Any]:
    """A `producer` with transactions under the slot's name.

    With the client's usual 100 ms between two tries of a request, back-to-back transactions take 100 ms each. What a
    dead worker left open blocks readers until the broker's time-out: for a transaction, that is a session's.
    """
    return {
        "retry.backoff.ms": 1,
        **producer(kafka, on_error),
        "transactional.id": kafka.producer,
        "transaction.timeout.ms": round(transaction_timeout_s(kafka) * 1000),
        "linger.ms": 0,
    }


def transaction_timeout_s(kafka: KafkaSettings) -> float:
    """After which the broker ends a transaction that nobody goes on with."""
    return max(10.0, kafka.session_timeout_ms / 1000)


def producer(kafka: KafkaSettings, on_error: OnError) -> dict[str, Any]:
    """Idempotent, so that retries neither double nor reorder; partitions as Java's default chooses them."""
    return {
        "linger.ms": 2,
        "compression.type": "lz4",
        "message.max.bytes": 64 << 20,
        **common(kafka, on_error),
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
    }
