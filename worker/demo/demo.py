"""`worker demo`: broker, recorded line, worker and reader in one command, judged against the recording's truth."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from models.bundle import read
from models.judging import event_caught, verdict
from models.manifest import Manifest
from models.messages import Alert, decode_alert, decode_prediction
from models.recording import Recording, default_path
from models.recording import read as read_recording
from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.in_process import InProcessBroker
from worker.brokers.topics import COMPACTED, create_topics
from worker.demo.player import Player
from worker.demo.score import Score, Summary, played_events
from worker.demo.screen import Screen
from worker.demo.thread import WorkerThread
from worker.errors import DeliveryError
from worker.kafka.publisher import ScanPublisher
from worker.kafka.reader import Reader
from worker.settings import HttpSettings, KafkaSettings, ModelSettings, Settings, TopicSettings
from worker.stop import Stop

_DRAIN_S = 10.0
_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line chose."""

    seconds: float = 60.0
    speed: float = 20.0
    bundle: str = "current"
    on_apache_kafka: bool = False


class Demo:
    """One demonstration."""

    def __init__(self, options: DemoOptions, screen: Screen) -> None:
        self._options = options
        self._screen = screen
        self._recording: Recording = read_recording(default_path())
        self._manifest: Manifest = read(options.bundle).manifest

    def run(self, stop: Stop) -> Summary:
        """Play, watch, sum up.

        Raises:
            StrandwatchError: the broker, the worker or the player failed.
        """
        with _broker(self._options.on_apache_kafka) as bootstrap:
            settings = _settings(bootstrap, self._options)
            topics = settings.topics
            outputs = [topics.predictions, topics.alerts, topics.dead_letters]
            with WorkerThread(settings, stop) as worker, Reader(settings.kafka, outputs, from_beginning=True) as reader:
                return self._play(settings, worker, reader, stop)

    def _play(self, settings: Settings, worker: WorkerThread, reader: Reader, stop: Stop) -> Summary:
        publisher = ScanPublisher(settings.kafka, settings.topics.sensors)
        player = Player(self._recording, publisher, speed=self._options.speed, start_ms=time.time_ns() // 1_000_000)
        score = Score(self._manifest.window, time.monotonic())
        self._screen.footer = lambda: (
            f"{len(player.sent_at)} scans sent, {score.predictions} predictions read back; "
            f"{self._options.speed:g} times real time; event times run ahead of the clock"
        )
        ends = time.monotonic() + self._options.seconds
        player.start()
        with self._screen.live():
            self._screen.announce(f"playing a simulated line for {self._options.seconds:g} s")
            while time.monotonic() < ends and not stop() and player.is_alive():
                worker.raise_if_failed()
                self._read(reader, settings, score, player)
            player.stop()
            player.join()
            if player.failure is not None:
                raise DeliveryError(f"expected the line to be played, got {player.failure}") from player.failure
            ends = time.monotonic() + _DRAIN_S
            while score.unanswered(player.sent_at) and time.monotonic() < ends:
                self._read(reader, settings, score, player)
        sent = list(player.sent_at)
        return score.summary(sent, played_events(self._recording, sent, player.shift_ms))

    def _read(self, reader: Reader, settings: Settings, score: Score, player: Player) -> None:
        for topic, value in reader.read(_WAIT_S):
            now = time.monotonic()
            if topic == settings.topics.predictions:
                prediction = decode_prediction(value)
                score.take_prediction(prediction, player.sent_at, now)
                self._screen.take_prediction(prediction)
            elif topic == settings.topics.alerts:
                alert = decode_alert(value)
                score.take_alert(alert, now)
                self._screen.take_alert(alert, self._remark(alert, player))
            else:
                score.dead_letters += 1

    def _remark(self, alert: Alert, player: Player) -> str:
        """What the recording knows of an opening: the event it warns of, or the look-alike that fooled it."""
        if alert.state != "open":
            return ""
        begin = int(self._recording.event_time_ms[0]) + player.shift_ms
        repeat_ms = (alert.opened_at_ms - begin) // self._recording.loop_ms * self._recording.loop_ms
        opened_ms = alert.opened_at_ms - player.shift_ms - repeat_ms
        on_strand = [event for event in self._recording.events if event.strand_id == alert.strand_id]
        ours = [event for event in on_strand if event.target == alert.target]
        event = event_caught(opened_ms, ours)
        if event is not None and event.impact_ms is not None:
            return f"true: {(event.impact_ms - opened_ms) / 1000:.0f} s before the breakout"
        if event is not None:
            return "true: it healed by itself"
        near = [e.type for e in on_strand if e.target is None and e.onset_ms <= opened_ms < e.ignore_until_ms]
        return verdict(opened_ms, ours) + (f": {near[-1].replace('_', ' ')}" if near else "")


def _settings(bootstrap: str, options: DemoOptions) -> Settings:
    # `model_construct`: the demo is whole in itself and must not read the surrounding STRANDWATCH_ variables.
    return Settings.model_construct(
        # The in-process broker answers a fetch that came too early only when its time is up; a real one at once.
        kafka=KafkaSettings(bootstrap_servers=bootstrap, group_id="strandwatch-demo", extra={"fetch.wait.max.ms": "5"}),
        start_from="earliest",
        # The in-process broker takes the offsets of a transaction and forgets them.
        delivery="exactly_once" if options.on_apache_kafka else "at_least_once",
        model=ModelSettings(bundle=options.bundle),
        http=HttpSettings(port=0),
    )


@contextmanager
def _broker(on_apache_kafka: bool) -> Iterator[str]:
    topics = TopicSettings()
    names = [*topics.model_dump().values()]
    if on_apache_kafka:
        with ApacheKafka() as kafka:
            create_topics(kafka.bootstrap_servers, dict.fromkeys(names, 4), configs={topics.worker_state: COMPACTED})
            yield kafka.bootstrap_servers
    else:
        with InProcessBroker() as broker:
            broker.create_topics(names)
            yield broker.bootstrap_servers
