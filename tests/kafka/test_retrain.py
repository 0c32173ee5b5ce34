"""`trainer retrain` from a real topic: the range as a worker would have seen it, and `current` moved."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from support import bundles as exact
from support.kafka_broker import Topics
from support.kafka_io import committed_offsets, publish
from support.small_line import write_small_line
from support.trainers import trainer

from models import bundle as bundles
from models.features import CASTING_SENSORS
from models.windows import WindowRules
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event
from trainer.kafka_range import TopicRange

CONFIG = {
    "hidden_size": 6,
    "num_layers": 1,
    "dropout": 0.0,
    "pooling": "last_max",
    "inputs": "change",
    "learning_rate": 0.01,
    "num_epochs": 2,
    "class_weight": 1.0,
    "window_length": 24,
    "stride": 2,
    "seed": 3,
    "threads": 1,
    "device": "cpu",
    # One false alert in the held-out minutes is some hundred a day.
    "alert": {"sticker": {"false_per_strand_day": 1000.0, "min_lead_s": 0.0}},
}
DIRT = ("--dirt", "late=0.01", "--dirt", "duplicate=0.01", "--dirt", "rubbish=0.01", "--dirt", "quality=0.01")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_small_line(tmp_path_factory.mktemp("line") / "data")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of released bundles whose current one looks at the mould level only, with a recipe for a better one."""
    folder = tmp_path_factory.mktemp("models")
    rules, sensors = WindowRules(length=24, period_ms=500, stride=2, max_gap_ms=5000), list(CASTING_SENSORS)
    manifest = exact.manifest(rules, sensors, name="old", version="7")
    model = exact.graph(rules, len(sensors)).SerializeToString()
    recipe = msgspec.json.encode({"config": CONFIG})
    golden = exact.golden(rules, len(sensors))
    bundles.write(folder / "old", manifest, model, golden, {"training.json": recipe})
    bundles.make_current("old", folder)
    return folder


def write_events(path: Path, events: list[Event]) -> Path:
    rows = [f"{one.strand_id},{one.target},{one.detectable_ms},{one.end_ms}" for one in events if one.target]
    path.write_text("\n".join(["run,target,start,end", *rows, "p9.c9.s9,sticker,1,4000000000000"]) + "\n")
    return path


def retrain(*arguments: str) -> tuple[int, dict[str, object], str]:
    ended = subprocess.run(
        [sys.executable, "-m", "trainer", "retrain", *arguments, "--min-events", "1", "--json"],
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else {}, ended.stderr


@pytest.mark.timeout(200)
def test_a_topic_and_its_events_make_a_better_bundle_current(
    kafka_bootstrap: str, topics: Topics, line: Dataset, models: Path, tmp_path: Path
) -> None:
    where = ("--bootstrap", kafka_bootstrap, "--topic", topics.sensors)
    sent = trainer("stream", str(line.path), *where, "--speed", "0", *DIRT, "--dirt-seed", "7")
    events = write_events(tmp_path / "events.csv", line.events())
    data, begin = tmp_path / "new", min(info.start_ms for info in line.sequences())
    told = ("--from", str(begin), "--events", str(events), "--models", str(models))
    code, result, errors = retrain("--data", str(data), *where, *told, "--out", str(models / "new"))
    assert code == 0, errors
    assert result["promoted"], result
    assert result["model"] == "new@8"
    assert (models / "current").read_text() == "new\n"
    assert bundles.read(models / "old").manifest.model == "old@7"
    read, samples, dataset = result["import"], sent["samples"], Dataset.open(data)
    assert isinstance(read, dict)
    assert isinstance(samples, dict)
    assert read["records"] == sent["sent"]
    assert {what: read[f"{what}_scans"] for what in samples} == samples
    assert all(samples.values()), samples
    assert read["rows"] == samples["used"] == sum(info.rows for info in dataset.sequences())
    assert dataset.info.fingerprint == read["fingerprint"]
    assert read["events"] == {"sticker": sum(event.target is not None for event in line.events())}
    assert read["events_without_scans"] == 1
    for side in ("current", "new"):
        judged = result[side]
        assert isinstance(judged, dict)
        assert judged["data"]["fingerprint"] == dataset.info.fingerprint
        assert judged["data"]["split"] == "test"
    assert committed_offsets(
        kafka_bootstrap, "strandwatch-trainer", topics.sensors, topics.partitions
    ) == dict.fromkeys(range(topics.partitions), -1001)


@pytest.mark.timeout(200)
def test_reading_a_range_ends_before_what_is_still_open_and_leaves_out_what_was_aborted(
    kafka_bootstrap: str, topics: Topics
) -> None:
    publish(kafka_bootstrap, topics.sensors, [("a", b"plain-%d" % number) for number in range(5)])
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "transactional.id": topics.group_id})
    producer.init_transactions(30)
    for value, end in ((b"committed", producer.commit_transaction), (b"aborted", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topics.sensors, value, "a")
        assert producer.flush(30) == 0
        end(30)
    producer.begin_transaction()
    producer.produce(topics.sensors, b"open", "a")
    assert producer.flush(30) == 0
    with TopicRange(kafka_bootstrap, topics.sensors, from_ms=0, to_ms=None, margin_ms=0) as records:
        publish(kafka_bootstrap, topics.sensors, [("a", b"later")])
        assert [value for _, value in records] == [*(b"plain-%d" % number for number in range(5)), b"committed"]
    producer.abort_transaction(30)


def test_records_are_found_by_when_they_were_published_and_kept_in_the_order_of_their_partition(
    kafka_bootstrap: str, topics: Topics
) -> None:
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    for number in range(40):
        ahead = 900_000 if number == 14 else 0  # one clock that is ahead does not end the stretch
        timestamp = 1_000_000 + number * 1000 + ahead
        producer.produce(topics.sensors, b"%d" % number, partition=number % 2, timestamp=timestamp)
    assert producer.flush(30) == 0
    wanted = {"from_ms": 1_012_000, "to_ms": 1_020_000, "margin_ms": 2000}
    with TopicRange(kafka_bootstrap, topics.sensors, **wanted, patience=2) as records:
        found = [(partition, int(value or b"")) for partition, value in records]
    assert found == [(number % 2, number) for number in [*range(10, 27, 2), *range(11, 26, 2)]]
    with TopicRange(kafka_bootstrap, topics.sensors, **wanted) as records:
        assert [int(value or b"") for _, value in records] == [*range(10, 40, 2), *range(11, 40, 2)]
    with TopicRange(kafka_bootstrap, topics.sensors, from_ms=2_000_000, to_ms=None, margin_ms=0) as records:
        assert list(records) == []
