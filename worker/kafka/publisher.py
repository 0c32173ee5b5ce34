"""Publishing scans, as a line's gateway would; for `worker demo`."""

from confluent_kafka import KafkaError, Message, Producer

from worker.errors import DeliveryError
from worker.kafka import config
from worker.settings import KafkaSettings


class ScanPublisher:
    """Publishes encoded scans keyed by strand."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._topic = topic
        self._refused: KafkaError | None = None
        self._producer = config.make(Producer, {**config.producer(kafka, lambda _: None), "linger.ms": 0})

    def publish(self, strand_id: str, value: bytes) -> None:
        """Send one scan; returns before it is acknowledged."""
        self._producer.produce(self._topic, value, strand_id.encode(), on_delivery=self._note)
        self._producer.poll(0)

    def flush(self, budget_s: float) -> None:
        """Wait for the acknowledgements.

        Raises:
            DeliveryError: a scan was refused, or is still under way.
        """
        waiting = self._producer.flush(budget_s)
        if self._refused is not None or waiting:
            problem = self._refused.str() if self._refused else f"{waiting} still under way"
            raise DeliveryError(f"expected {self._topic} to take every scan, got {problem}")

    def _note(self, error: KafkaError | None, _: Message) -> None:
        self._refused = self._refused or error
