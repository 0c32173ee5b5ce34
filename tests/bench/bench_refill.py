"""How fast windows are refilled from the log, against fetching and decoding alone; on a real Apache Kafka."""

import random
import time
from collections.abc import Iterator
from uuid import uuid4

from confluent_kafka import Consumer, Producer, TopicPartition
from results import REPETITIONS, Row, row_paired

from models import bundle
from models.messages import SensorScan, encode
from models.runtime import Predictor
from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.topics import create_topics
from worker.kafka import config
from worker.kafka.committed import Committed
from worker.kafka.committed import encode as as_metadata
from worker.kafka.rewind import Rewind
from worker.kafka.source import Source
from worker.loop import Loop
from worker.metrics import Metrics
from worker.pieces import pieces
from worker.pipeline import DECODED_BYTES, Pipeline
from worker.records import PLACES, Origin, PartitionState, RawRecord
from worker.settings import KafkaSettings, Settings, TopicSettings
from worker.stages.decode import ScanDecoder

RECORDS, STRANDS = 200_000, 16
AT_LEAST = 0.7
TOPIC = "sensors"


def rows() -> Iterator[Row]:
    """Measure."""
    predictor = Predictor(bundle.read("current"), device="cpu", batch_sizes=(1,))
    sensors = predictor.manifest.sensor_names
    with ApacheKafka(jvm_options=("-Xmx1g",)) as kafka:
        create_topics(kafka.bootstrap_servers, {TOPIC: 1, "state": 1})
        _publish(kafka.bootstrap_servers, sensors)
        pairs = [
            (_bare(kafka.bootstrap_servers, sensors), _refilled(kafka.bootstrap_servers, predictor))
            for _ in range(REPETITIONS)
        ]
    bare, refilled = zip(*pairs, strict=True)
    name = f"windows refilled, {STRANDS} strands of 20 sensors"
    yield row_paired(name, refilled, "records/s", "records/s fetched and decoded", bare, AT_LEAST)


def _publish(bootstrap: str, sensors: tuple[str, ...]) -> None:
    rng, producer = random.Random(0), Producer({"bootstrap.servers": bootstrap, "compression.type": "lz4"})
    for number in range(RECORDS):
        strand_id = f"p1.c{number % STRANDS}.s1"
        values = {name: round(rng.uniform(50, 200), 2) for name in sensors}
        scan = SensorScan(strand_id=strand_id, event_time_ms=500 * (number // STRANDS), seq=number, values=values)
        producer.produce(TOPIC, encode(scan), strand_id)
        producer.poll(0)
        if number % 10_000 == 0:
            producer.flush()
    producer.flush()


def _settings(bootstrap: str) -> Settings:
    return Settings.model_construct(
        kafka=KafkaSettings(bootstrap_servers=bootstrap, group_id=f"g-{uuid4().hex}"),
        topics=TopicSettings(sensors=TOPIC, worker_state="state"),
        start_from="earliest",
    )


def _bare(bootstrap: str, sensors: tuple[str, ...]) -> float:
    """The client as the worker sets it, and the decoder."""
    consumer = Consumer(config.consumer(_settings(bootstrap).kafka, lambda _: None, lambda *_: None))
    consumer.list_topics(TOPIC, timeout=10)  # connected, as a worker is when a refill begins
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    decode, count, began_s = ScanDecoder(sensors).decode, 0, time.perf_counter()
    while count < RECORDS:
        messages = consumer.consume(Loop.POLL_LIMIT, 0.002)
        records = [RawRecord(Origin((m.topic(), m.partition()), m.offset()), m.key(), m.value()) for m in messages]
        for piece in pieces(records, DECODED_BYTES):
            decode(piece)
        count += len(records)
    seconds = time.perf_counter() - began_s
    consumer.close()
    return RECORDS / seconds


def _refilled(bootstrap: str, predictor: Predictor) -> float:
    """As after a restart: everything up to the committed offset belongs to windows."""
    settings, metrics = _settings(bootstrap), Metrics()
    pipeline = Pipeline(predictor, metrics)
    state = PartitionState({f"p1.c{number}.s1": number * PLACES for number in range(STRANDS)}, [])
    metadata = as_metadata(Committed(pipeline.identity, 1, state))
    stranger = Consumer(config.stranger(settings.kafka))
    stranger.commit(offsets=[TopicPartition(TOPIC, 0, RECORDS, metadata)], asynchronous=False)
    stranger.close()
    source = Source(settings, metrics)
    source.rewind = Rewind(settings, pipeline.identity, lambda _, __, found, ___: found.state, lambda *_: None)
    source.on_assigned = lambda resumes: (
        [pipeline.restore(one, resume.state) for one, resume in resumes.items()] and None
    )
    source.subscribe()
    while not source.has_joined or source.is_refilling:
        polled = source.poll(Loop.POLL_LIMIT, 0.05, 0.0)
        if polled.replayed:
            pipeline.refill(polled.replayed)
    seconds = metrics.registry.get_sample_value("strandwatch_refill_seconds_sum") or 0.0
    assert metrics.registry.get_sample_value("strandwatch_replayed_samples_total") == RECORDS
    source.close()
    return RECORDS / seconds
