"""What a reader of committed records sees of a worker's outputs, as it comes."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from support.kafka_broker import Topics
from support.oracle import Found

from models.messages import Alert, decode_alert, decode_prediction

QUIET_S = 1.0

PublishedAt = Callable[[str, int | None], float]
"""When a scan of this strand and number was published, by `time.monotonic`; 0.0 if it never was."""


class CommittedReader:
    """On a thread of its own, from `start` until `over` is set.

    Attributes:
        found: everything, in the order of each partition.
        read_again: places of records that the client gave twice; they count once.
    """

    def __init__(self, bootstrap: str, topics: Topics, published_at: PublishedAt, over: threading.Event) -> None:
        self.found = Found()
        self.read_again: list[tuple[str, int | None, int | None]] = []
        self._bootstrap, self._topics, self._published_at, self._over = bootstrap, topics, published_at, over
        self._places: set[tuple[str, int | None, int | None]] = set()
        self._arrivals: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self._newest_s = 0.0
        self._arrived = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)

    @property
    def alerts(self) -> list[Alert]:
        """Those read so far."""
        with self._arrived:
            return list(self.found.alerts)

    def open_alerts(self, model: str) -> set[str]:
        """Those of a model that are open."""
        last = {one.alert_id: one.state for one in self.found.alerts if one.model == model}
        return {name for name, state in last.items() if state == "open"}

    def wait_until(self, is_so: Callable[[], bool], within_s: float) -> bool:
        """Wait until something that records change is so; says whether it came about."""
        with self._arrived:
            return self._arrived.wait_for(is_so, within_s)

    def wait_for_any(self, since_s: float, within_s: float) -> bool:
        """Wait for a record that comes after this moment."""
        return self.wait_until(lambda: self._newest_s > since_s, within_s)

    def wait_until_quiet(self) -> None:
        """Wait until nothing came for a second."""
        with self._arrived:
            while self._arrived.wait(QUIET_S):
                pass

    def progress(self, since_s: float, within_s: float) -> float | None:
        """How long it took until scans published after `since_s` were answered, in every partition that had answers.

        None if that does not come about within `within_s`.
        """

        def recovered_s() -> float | None:
            seconds = [
                next((arrived_s - since_s for arrived_s, published_s in one if published_s > since_s), None)
                for one in self._arrivals.values()
            ]
            known = [one for one in seconds if one is not None]
            return max(known) if known and len(known) == len(seconds) else None

        with self._arrived:
            self._arrived.wait_for(lambda: recovered_s() is not None, within_s)
            return recovered_s()

    def _read(self) -> None:
        names = (self._topics.predictions, self._topics.alerts, self._topics.dead_letters)
        consumer = Consumer(
            {"bootstrap.servers": self._bootstrap, "group.id": "independent-reader", "enable.auto.commit": False,
             "isolation.level": "read_committed", "fetch.wait.max.ms": 20}
        )  # fmt: skip
        consumer.assign([TopicPartition(n, p, OFFSET_BEGINNING) for n in names for p in range(self._topics.partitions)])
        while not self._over.is_set():
            messages = [message for message in consumer.consume(1000, 0.02) if message.error() is None]
            if messages:
                with self._arrived:
                    for message in messages:
                        self._take(message)
                    self._newest_s = time.monotonic()
                    self._arrived.notify_all()
        consumer.close()

    def _take(self, message: Message) -> None:
        place = (str(message.topic()), message.partition(), message.offset())
        if place in self._places:
            self.read_again.append(place)
            return
        self._places.add(place)
        value = message.value() or b""
        if message.topic() == self._topics.predictions:
            prediction = decode_prediction(value)
            self.found.predictions.append(prediction)
            published_s = self._published_at(prediction.strand_id, prediction.seq)
            self._arrivals[message.partition() or 0].append((time.monotonic(), published_s))
        elif message.topic() == self._topics.alerts:
            self.found.alerts.append(decode_alert(value))
        else:
            headers = {key: bytes(text).decode() for key, text in message.headers() or []}
            self.found.dead_letters.append((value, headers["reason"], headers["partition"], headers["offset"]))
