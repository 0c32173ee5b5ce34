"""Publishing a line to Kafka, against librdkafka's own in-process broker."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from models import recording as recordings
from models.errors import MessageError, UsageError
from models.features import CASTING_SENSORS
from models.messages import SensorScan, decode_scan
from trainer import cli
from trainer.datasets.dataset import Dataset
from trainer.datasets.scans import open_scans
from trainer.datasets.writer import DatasetWriter
from trainer.dirt.figures import KINDS, choose_dirt
from trainer.dirt.stream import Arrival, Soil
from trainer.kafka import LOOP_PAUSE_MS, StreamError, looped, paced, parse_properties, shifted
from trainer.line.config import LineConfig
from trainer.line.simulator import simulate

TOPIC = "casting.sensors"


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """An in-process broker with the topic in place."""
    owner = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    found = owner.list_topics(TOPIC, timeout=10)
    yield ",".join(f"{one.host}:{one.port}" for one in found.brokers.values())
    owner.flush(1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two strands, three short sequences each."""
    path = tmp_path_factory.mktemp("stream") / "line"
    config = LineConfig.model_validate({"sequence_s": 150, "instruments": {"missing_share": 0.02}})
    with DatasetWriter(
        path, line="line/v0", seed=1, period_ms=500, sensors=CASTING_SENSORS, targets=("sticker",)
    ) as writer:
        for made in simulate(config, strands=2, hours=450 / 3600, seed=1):
            writer.add(made.sequence, made.events)
    return path


class Reader:
    """Reads what is published after its creation, in the order of each partition."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "log_level": 0})
        partitions = self._consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
        starts = []
        for partition in partitions:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), timeout=10)
            starts.append(TopicPartition(TOPIC, partition, high))
        self._consumer.assign(starts)

    def read(self, count: int) -> list[tuple[int, bytes, SensorScan]]:
        """Partition, key and scan of the next `count` messages."""
        return [(partition, key, decode_scan(value)) for partition, key, value in self.read_raw(count)]

    def read_raw(self, count: int) -> list[tuple[int, bytes, bytes | None]]:
        """Partition, key and value of the next `count` messages."""
        found = []
        while len(found) < count:
            messages = self._consumer.consume(count - len(found), timeout=10)
            assert messages, f"only {len(found)} of {count} messages came"
            for message in messages:
                assert message.error() is None
                found.append((message.partition(), message.key(), message.value()))
        assert not self._consumer.consume(1, timeout=0.2)
        self._consumer.close()
        return found


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process: exit code, stdout, stderr."""
    before = sys.argv
    sys.argv = ["trainer", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    else:
        code = 0
    finally:
        sys.argv = before
    out, err = capsys.readouterr()
    return code, out, err


def test_everything_is_published_in_order_and_keyed_by_strand(broker, dataset, capsys):
    reader = Reader(broker)
    code, out, _ = run(capsys, "stream", str(dataset), "--bootstrap", broker, "--speed", "0", "--json")
    assert code == 0
    told = json.loads(out)
    opened = Dataset.open(dataset)
    total = sum(info.rows for info in opened.sequences())
    assert (told["sent"], told["acknowledged"], told["total"], told["interrupted"]) == (total, total, total, False)
    found = reader.read(total)
    for strand in {info.strand_id for info in opened.sequences()}:
        mine = [(partition, scan) for partition, key, scan in found if key == strand.encode()]
        assert len({partition for partition, _ in mine}) == 1
        assert {scan.strand_id for _, scan in mine} == {strand}
        loaded = [opened.load(info.sequence_id) for info in opened.sequences() if info.strand_id == strand]
        times = np.concatenate([sequence.event_time_ms for sequence in loaded])
        assert [scan.event_time_ms for _, scan in mine] == times.tolist()
        assert [scan.seq for _, scan in mine] == np.concatenate([sequence.seq for sequence in loaded]).tolist()
        read = np.array(
            [[np.nan if (v := scan.values[s.name]) is None else v for s in CASTING_SENSORS] for _, scan in mine]
        )
        expected = np.concatenate([sequence.values for sequence in loaded])
        assert np.isnan(expected).any()
        assert np.array_equal(read.astype(np.float32), expected, equal_nan=True)
        assert [scan.heat_id for _, scan in mine] == [heat for sequence in loaded for heat in sequence.heat_id]


def test_a_choice_of_split_strand_and_sequence_is_published_alone(broker, dataset, capsys):
    (info, *_) = Dataset.open(dataset).sequences("test")
    reader = Reader(broker)
    arguments = ["--split", "test", "--strand", info.strand_id, "--sequence", info.sequence_id, "--speed", "0", "--now"]
    code, out, _ = run(capsys, "stream", str(dataset), "--bootstrap", broker, *arguments)
    assert code == 0
    assert f"{info.rows} scans acknowledged" in out
    found = reader.read(info.rows)
    assert {scan.strand_id for _, _, scan in found} == {info.strand_id}
    times = [scan.event_time_ms for _, _, scan in found]
    assert times[0] > info.end_ms  # the line was simulated for a day long past
    assert set(np.diff(times)) == {500}


def test_the_recording_can_be_published(broker, tmp_path, capsys):
    shipped = recordings.read(recordings.default_path())
    strand = shipped.strands[0]
    reader = Reader(broker)
    code, _, _ = run(
        capsys, "stream", str(recordings.default_path()), "--bootstrap", broker, "--speed", "0", "--strand", strand
    )
    assert code == 0
    found = reader.read(len(shipped.event_time_ms))
    assert [scan.event_time_ms for _, _, scan in found] == shipped.event_time_ms.tolist()


DIRT = ("late=0.05", "duplicate=0.05", "rubbish=0.05", "gap=60", "backfill=60")


def test_dirt_goes_out_in_the_order_of_arrival_and_is_told(broker, dataset, capsys):
    reader = Reader(broker)
    chosen = [argument for kind in DIRT for argument in ("--dirt", kind)]
    arguments = ("stream", str(dataset), "--bootstrap", broker, "--speed", "0", *chosen, "--dirt-seed", "4", "--json")
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    told = json.loads(out)
    assert told["sent"] == told["acknowledged"] == sum(told["samples"].values())
    assert told["dirt"].keys() == {kind.partition("=")[0] for kind in DIRT}
    assert told["total"] - told["dirt"]["gap"]["scans_lost"] + told["dirt"]["duplicate"]["scans"] == told["sent"]
    found = reader.read_raw(told["sent"])
    expected = list(open_scans(dataset, soil=Soil(choose_dirt(DIRT), 4)))
    assert [one.at_ms for one in expected] == sorted(one.at_ms for one in expected)
    for strand in {one.scan.strand_id for one in expected}:
        mine = [value for _, key, value in found if key == strand.encode()]
        assert mine == [one.encoded() for one in expected if one.scan.strand_id == strand]
    invalid = 0
    for _, _, value in found:
        try:
            decode_scan(value)
        except MessageError:
            invalid += 1
    assert invalid == told["samples"]["invalid"] == told["dirt"]["rubbish"]["scans"] > 0


def test_the_recording_can_be_soiled_and_the_sum_is_told(broker, capsys):
    strand = recordings.read(recordings.default_path()).strands[0]
    arguments = ("--bootstrap", broker, "--speed", "0", "--strand", strand, "--dirt", "all", "--dirt", "duplicate=0")
    code, out, _ = run(capsys, "stream", str(recordings.default_path()), *arguments)
    assert code == 0
    first, second, *kinds, books, worker = out.splitlines()
    assert re.fullmatch(r"casting.sensors: [\d,]+ records acknowledged in [\d.]+ s", first)
    assert second == "dirt of seed 1:"
    assert [line.split()[0] for line in kinds] == [kind for kind in KINDS if kind != "duplicate"]
    assert re.fullmatch(r"2,400 scans of the line - [\d,]+ lost \+ 0 duplicates = [\d,]+ records sent", books)
    assert re.fullmatch(r"a worker that reads all of them counts .+ used, .+ duplicate, .+ late, .+ invalid", worker)


def test_scans_of_all_strands_come_in_the_order_of_event_time(dataset):
    times = [(arrival.at_ms, arrival.scan.strand_id) for arrival in open_scans(dataset)]
    assert times == sorted(times)
    assert len({strand for _, strand in times}) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--topic", "nowhere"], 1, "error: expected topic nowhere, got none of that name at"),
        (["--strand", "x.y.z"], 2, "got x.y.z at --strand"),
        (["--sequence", "x"], 2, "got x at --sequence"),
        (["--split", "all"], 2, "error: expected one of train, validation, test, got all at --split"),
        (["--property", "sasl.password=hunter2"], 2, "write it to a file and say --property sasl.password=@FILE"),
        (["--property", "ssl.key.pem=x"], 2, "is a secret"),
        (["--property", "no.such.key=1"], 2, "error: librdkafka refuses a property"),
        (["--property", "partitioner=random"], 2, "is set by the command itself"),
        (["--property", "acks"], 2, "expected key=value, got `acks`"),
        (["--property", "ssl.key.password=@/no/such/file"], 2, "expected a text file"),
        (["--dirt", "lat"], 2, "error: expected all, KIND or KIND=RATE with a KIND of drift, stuck, missing_sensor"),
        (["--dirt", "late=2"], 2, "expected a rate of 0 to 0.5 of the scans, got `late=2` at --dirt"),
        (["--dirt-seed", "3"], 2, "expected --dirt beside --dirt-seed, got none"),
    ],
)
def test_a_mistake_is_one_clear_line(broker, dataset, capsys, arguments, code, message):
    found, out, err = run(capsys, "stream", str(dataset), "--bootstrap", broker, *arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "hunter2" not in err


def test_a_broker_that_does_not_answer_is_named(dataset, capsys):
    arguments = ("stream", str(dataset), "--bootstrap", "127.0.0.1:1", "--timeout", "0.5")
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert err.startswith("error: expected a broker within 0.5 s, got none at 127.0.0.1:1")


def test_a_missing_option_is_wrong_usage(dataset, capsys):
    assert run(capsys, "stream", str(dataset))[0] == 2


def test_a_secret_comes_from_a_file(tmp_path):
    (tmp_path / "password").write_text("hunter2\n")
    given = ["sasl.username=line", f"sasl.password=@{tmp_path / 'password'}"]
    assert parse_properties(given) == {"sasl.username": "line", "sasl.password": "hunter2"}
    with pytest.raises(UsageError):
        parse_properties(["=x"])


def test_interrupting_sends_what_is_under_way_and_ends_well(broker, dataset):
    arguments = [str(dataset), "--bootstrap", broker, "--speed", "100", "--json"]
    reader = Reader(broker)
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", "stream", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("publishing: ")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    told = json.loads(out)
    assert told["interrupted"]
    assert 0 < told["sent"] == told["acknowledged"] < told["total"]
    assert len(reader.read(told["sent"])) == told["sent"]


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += min(seconds, 0.1)


def scans(*seconds: float, event_s: float | None = None) -> list[Arrival]:
    """Records that arrive at these seconds; all scanned then, or at one time."""
    return [
        Arrival(
            round(s * 1000), SensorScan(strand_id="p1.c1.s1", event_time_ms=round((event_s or s) * 1000), values={})
        )
        for s in seconds
    ]


def arrivals(line: list[Arrival], speed: float, stop_at: float = 1e9) -> list[float]:
    clock = Clock()
    stream = paced(line, speed=speed, clock=clock, wait=clock.wait, stopped=lambda: clock.now >= stop_at)
    return [round(clock.now - 100, 6) for _ in stream]


def test_scans_wait_for_their_time_on_a_faster_clock():
    assert arrivals(scans(10, 10, 20, 30), speed=20) == [0, 0, 0.5, 1.0]
    assert arrivals(scans(10, 20, 30), speed=0) == [0, 0, 0]


def test_the_pace_is_that_of_arrival():
    assert arrivals(scans(10, 20, 30, event_s=5), speed=10) == [0, 1, 2]


def test_a_long_pause_of_the_line_is_not_waited_for():
    assert arrivals(scans(0, 1, 500, 501), speed=1) == [0, 1, 1, 2]


def test_stopping_ends_the_stream_while_it_waits():
    assert arrivals(scans(0, 1, 50), speed=1, stop_at=110) == [0, 1]


def test_shifting_moves_the_beginning_and_keeps_the_distances():
    assert [one.at_ms for one in shifted(scans(5, 6, 8), 1_000_000)] == [1_000_000, 1_001_000, 1_003_000]
    late = [one.scan.event_time_ms for one in shifted(scans(5, 6, 8, event_s=4), 1_000_000)]
    assert late == [999_000, 999_000, 999_000]


def test_a_looped_line_begins_again_after_a_standstill():
    turns = looped(lambda: scans(1, 1.5))
    times = [one.scan.event_time_ms for one in itertools.islice(turns, 6)]
    second = 1500 + LOOP_PAUSE_MS
    assert times == [1000, 1500, second, second + 500, second + 500 + LOOP_PAUSE_MS, second + 1000 + LOOP_PAUSE_MS]


def test_a_scan_that_is_not_acknowledged_is_a_failure():
    from trainer.kafka import ScanPublisher
    from trainer.packing import Single

    owner = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    one = next(iter(owner.list_topics(TOPIC, timeout=10).brokers.values()))
    with ScanPublisher(f"{one.host}:{one.port}", TOPIC, timeout_s=1.0) as publisher:
        del owner  # the broker goes with the client that runs it
        publisher.publish(next(Single().take(scans(1)[0])))
        with pytest.raises(StreamError, match="got 0 acknowledged and 1 failed at topic casting"):
            publisher.flush()
