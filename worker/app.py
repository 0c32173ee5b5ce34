"""The composition root: settings to a running worker."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from models.bundle import read
from models.runtime import BATCH_SIZES, CUDA, Predictor
from worker import __version__, logs
from worker.errors import StrandwatchError
from worker.health import Health, HealthServer
from worker.kafka.broker import Broker, require_topics
from worker.kafka.offsets import Partition
from worker.kafka.sink import AtLeastOnceSink
from worker.kafka.source import Source
from worker.metrics import Metrics
from worker.pipeline import Loop, Pipeline
from worker.settings import Settings

log = logs.get(__name__)

LEAVE_WITHIN_S = 5.0
_DRAIN_S = 3.0


class Stop:
    """Asked to stop, by a signal or by code."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def ask(self) -> None:
        """Ask to stop; returns at once."""
        self._event.set()

    @contextmanager
    def on_signals(self, within_s: float = LEAVE_WITHIN_S) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT; a process that cannot leave in time is ended all the same."""
        guard = threading.Timer(within_s - 0.3, _leave_undrained)
        guard.daemon = True

        def react(number: int, _: FrameType | None) -> None:
            if self():
                return
            log.info("stopping", signal=signal.Signals(number).name)
            self.ask()
            guard.start()

        before = {number: signal.signal(number, react) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            guard.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)


def _leave_undrained() -> None:
    log.error("not drained in time; what was not committed will be read again")
    os._exit(1)


def batch_sizes(max_windows: int) -> tuple[int, ...]:
    """The sizes batches are padded to: powers of two, and the largest batch itself."""
    return (*(size for size in BATCH_SIZES if size < max_windows), max_windows)


def load_predictor(settings: Settings) -> Predictor:
    """The bundle of the settings, verified and warmed on the device of the settings."""
    model = settings.model
    predictor = Predictor(
        read(model.bundle),
        device=model.device,
        require_gpu=model.require_gpu,
        batch_sizes=batch_sizes(settings.batch.max_windows),
        threads=model.threads,
    )
    if model.device == "auto" and predictor.provider != CUDA:
        log.info("serving on the CPU", provider=predictor.provider)
    return predictor


def run(settings: Settings, stop: Stop, metrics: Metrics | None = None) -> None:
    """Serve until told to stop.

    Raises:
        StrandwatchError: the worker cannot start or cannot go on; its message says why.
    """
    metrics = metrics or Metrics()
    health = Health(metrics.ready.set, time.monotonic)
    health.wait_for("model", "the model is being loaded")
    health.wait_for("kafka", f"waiting for the broker at {settings.kafka.bootstrap_servers}")
    with HealthServer(settings.http.host, settings.http.port, health, metrics.registry) as server:
        log.info("worker starting", version=__version__, port=server.port, delivery=settings.delivery)
        predictor = load_predictor(settings)
        manifest = predictor.manifest
        metrics.model_info.labels(manifest.name, manifest.version, manifest.model_sha256, predictor.provider).set(1)
        log.info("model ready", model=manifest.model, sha256=manifest.model_sha256, provider=predictor.provider)
        health.have("model")
        topics = settings.topics
        present = _wait_for_broker(settings, health, stop)
        if not stop():
            require_topics(present, (topics.sensors, topics.predictions, topics.alerts, topics.dead_letters))
            _serve(settings, predictor, metrics, health, stop)
    log.info("worker stopped")


def _wait_for_broker(settings: Settings, health: Health, stop: Stop) -> dict[str, int]:
    def clock() -> float:
        health.turned()
        return time.monotonic()

    return Broker(settings.kafka).wait(clock, stop)


def _serve(settings: Settings, predictor: Predictor, metrics: Metrics, health: Health, stop: Stop) -> None:
    health.wait_for("kafka", f"joining the group {settings.kafka.group_id}")
    source = Source(settings, metrics)
    sink = AtLeastOnceSink(settings, source, metrics)
    pipeline = Pipeline(predictor, metrics)

    def released(partitions: Sequence[Partition], lost: bool) -> None:
        sink.release(partitions, lost=lost)
        for partition in partitions:
            pipeline.drop(partition)

    source.on_assigned = sink.begin
    source.on_released = released
    source.subscribe()
    try:
        Loop(source, pipeline, sink, health, company_s=settings.batch.deadline_ms / 1000).run(stop)
    except StrandwatchError:
        # Whatever failed, what was acknowledged before may still be committed; nothing else is.
        source.on_released = lambda partitions, _: sink.release(partitions, lost=True)
        raise
    finally:
        health.wait_for("kafka", "stopping")
        if stop() and not sink.close(_DRAIN_S):
            log.warning("not all outputs were acknowledged; their records will be read again")
        source.close()
