"""What a topic refuses for its size, and what becomes of it."""

from confluent_kafka import KafkaError

from worker import logs
from worker.errors import DeliveryError
from worker.records import Outgoing

log = logs.get(__name__)

_CUT_TO_BYTES = 64 << 10
_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE}
_REFUSED = _TOO_LARGE | {
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_RECORD,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}


def is_refused(error: KafkaError) -> bool:
    """Whether it is about the record itself, which no second try would change; otherwise it is about the way there."""
    return error.code() in _REFUSED


def can_be_cut(out: Outgoing, error: KafkaError) -> bool:
    """Whether it is a dead letter that was refused for its size, and whole."""
    return error.code() in _TOO_LARGE and out.destination == "dead_letters" and "truncated_from" not in out.headers


def cut(out: Outgoing) -> Outgoing:
    """A dead letter its topic refuses for size: the beginning is kept, the original stands in the input topic."""
    value = out.value or b""
    headers = {**out.headers, "truncated_from": str(len(value))}
    log.warning("dead letter cut to what its topic takes", bytes=len(value), kept=_CUT_TO_BYTES)
    return Outgoing(out.destination, out.key, value[:_CUT_TO_BYTES], headers)


def refused(topic: str, out: Outgoing, error: KafkaError) -> DeliveryError:
    """An output that cannot be had: to go on would be to lose it."""
    return DeliveryError(f"expected {topic} to take a record of {len(out.value or b'')} bytes, got {error.str()}")
