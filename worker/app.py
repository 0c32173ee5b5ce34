"""The composition root: settings to a running worker."""

import gc
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.bundle import read
from models.runtime import CUDA, Predictor, has_cuda
from worker import __version__, logs
from worker.errors import DeliveryError, StrandwatchError
from worker.formats import formats
from worker.health import Health, HealthServer
from worker.kafka.broker import Broker, require_topics
from worker.kafka.checkpoints import Checkpoints
from worker.kafka.exactly_once import ExactlyOnceSink
from worker.kafka.rewind import Resume, Rewind
from worker.kafka.sink import AtLeastOnceSink
from worker.kafka.source import Source
from worker.loop import Loop
from worker.metrics import Metrics
from worker.pipeline import Pipeline
from worker.records import Partition
from worker.settings import Settings
from worker.stop import Stop

log = logs.get(__name__)

_DRAIN_S = 3.0
_TO_LEAVE_S = 2.0

Sink = AtLeastOnceSink | ExactlyOnceSink

_SINKS: Mapping[str, type[Sink]] = {"exactly_once": ExactlyOnceSink, "at_least_once": AtLeastOnceSink}


MOST_SIDE_BY_SIDE = 32
CPU_WINDOWS, CUDA_WINDOWS = 16, 256
"""Windows of a batch by default: a processor is as fast with 8 as with 32, a GPU wants many (EXPERIMENTS.md)."""


def batch_sizes(max_windows: int) -> tuple[int, ...]:
    """The sizes batches are padded to: powers of two, and the largest batch itself."""
    return (*(1 << power for power in range(10) if 1 << power < max_windows), max_windows)


def load_predictor(settings: Settings) -> Predictor:
    """The bundle of the settings, verified and warmed on the device of the settings."""
    model = settings.model
    by_default = CUDA_WINDOWS if has_cuda(model.device, require_gpu=model.require_gpu) else CPU_WINDOWS
    predictor = Predictor(
        read(model.bundle),
        device=model.device,
        require_gpu=model.require_gpu,
        batch_sizes=batch_sizes(settings.batch.max_windows or by_default),
    )
    if model.device == "auto" and predictor.provider != CUDA:
        log.info("serving on the CPU", provider=predictor.provider)
    return predictor


def side_by_side(settings: Settings, predictor: Predictor) -> int:
    """Batches that run at once: one a processor, and on a GPU one, which fills it."""
    return settings.model.threads or (1 if predictor.provider == CUDA else min(processors(), MOST_SIDE_BY_SIDE))


def processors() -> int:
    """Those this process may use: by its affinity, and by its control group's quota where there is one."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):
        return allowed


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
        # The clients first: a wrong Kafka setting shows at once, not after the model and the broker were waited for.
        source = Source(settings, metrics)
        try:
            sink = _SINKS[settings.delivery](settings, source, metrics)
            predictor = _load_model(settings, metrics, health)
            present = _wait_for_broker(settings, health, stop)
            if not stop():
                topics = settings.topics
                require_topics(present, topics.model_dump().values())
                health.wait_for("kafka", f"joining the group {settings.kafka.group_id}")
                sink.join(stop)
                pipeline = Pipeline(
                    predictor,
                    metrics,
                    **formats(settings, predictor.manifest.sensor_names)._asdict(),
                    side_by_side=side_by_side(settings, predictor),
                )
                checkpoints = Checkpoints(
                    settings, pipeline.identity, pipeline.state, pipeline.alerts, source.log_of, source.peek
                )
                source.rewind = Rewind(settings, pipeline.identity, checkpoints.whole, source.peek.cut)
                sink.state_text = checkpoints.text
                _serve(source, sink, pipeline, checkpoints, health, settings.batch.deadline_ms / 1000, stop)
        finally:
            health.wait_for("kafka", "stopping")
            source.close()
    log.info("worker stopped")


def _load_model(settings: Settings, metrics: Metrics, health: Health) -> Predictor:
    predictor = load_predictor(settings)
    manifest = predictor.manifest
    metrics.model_info.labels(manifest.name, manifest.version, manifest.model_sha256, predictor.provider).set(1)
    log.info("model ready", model=manifest.model, sha256=manifest.model_sha256, provider=predictor.provider)
    health.have("model")
    return predictor


def _wait_for_broker(settings: Settings, health: Health, stop: Stop) -> dict[str, int]:
    def clock() -> float:
        health.turned()
        return time.monotonic()

    return Broker(settings.kafka).wait(clock, stop)


def _serve(
    source: Source,
    sink: Sink,
    pipeline: Pipeline,
    checkpoints: Checkpoints,
    health: Health,
    company_s: float,
    stop: Stop,
) -> None:
    def taken_up(resumes: Mapping[Partition, Resume]) -> None:
        for partition, resume in resumes.items():
            pipeline.restore(partition, resume.state)
            pipeline.close_former(partition, resume.live_from, resume.former)
            checkpoints.forget(partition)
        sink.begin(resumes)

    loop = Loop(source, pipeline, sink, health, company_s=company_s)

    def released(partitions: Sequence[Partition], lost: bool) -> None:
        sink.release(partitions, lost=lost)
        loop.forget(partitions)
        for partition in partitions:
            pipeline.drop(partition)
            checkpoints.forget(partition)

    source.on_assigned, source.on_released = taken_up, released
    source.subscribe()
    gc.collect()
    gc.freeze()  # what a start makes stays; to look through all of it now and then would keep scans waiting for 30 ms
    try:
        loop.run(stop)
        log.info("stopping")
        if not sink.close(_DRAIN_S):
            raise DeliveryError(
                f"expected every output committed before leaving, got {sink.outstanding} still under way or their "
                "offsets not committed; their records will be read again"
            )
        source.hand_over(within_s=stop.left_s() - _TO_LEAVE_S)
    except StrandwatchError:
        # Nothing more is committed, not even in the last revocation: the next start reads on from the last commit.
        source.on_released = lambda partitions, _: sink.release(partitions, lost=True)
        raise
    finally:
        gc.unfreeze()
        pipeline.close()
