"""`worker watch`: what a worker publishes, live in the terminal, from any broker."""

import time
from collections.abc import Callable

from worker.demo.screen import Screen
from worker.formats import output_readers
from worker.kafka.reader import Reader
from worker.settings import Settings

_WAIT_S = 0.1


def watch(settings: Settings, seconds: float | None, should_stop: Callable[[], bool]) -> None:
    """Show strands and alerts from now on, for some seconds or until told to stop.

    Raises:
        UsageError: outputs in Avro, and the extra `avro` is not installed.
        StartupError: the broker does not answer, or a topic is missing.
        DeliveryError: the registry does not answer.
    """
    topics, read = settings.topics, output_readers(settings)
    screen = Screen(f"{settings.kafka.bootstrap_servers}: {topics.predictions}, {topics.alerts}")
    count = 0
    screen.footer = lambda: f"{count} predictions read; Ctrl-C ends"
    ends = None if seconds is None else time.monotonic() + seconds
    with Reader(settings.kafka, [topics.predictions, topics.alerts], from_beginning=False) as reader, screen.live():
        screen.announce(f"watching {topics.predictions} and {topics.alerts} at {settings.kafka.bootstrap_servers}")
        while not should_stop() and (ends is None or time.monotonic() < ends):
            for topic, value in reader.read(_WAIT_S):
                if topic == topics.alerts:
                    screen.take_alert(read.alert(value))
                else:
                    count += 1
                    screen.take_prediction(read.prediction(value))
