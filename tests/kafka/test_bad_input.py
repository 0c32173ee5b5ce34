"""Rubbish of every kind beside good scans, through the whole worker: nothing crashes, nothing is silent."""

from pathlib import Path

import numpy as np
from support.bundles import RULES
from support.kafka_broker import Topics
from support.kafka_io import at_least, publish, publish_scans, read_back
from support.lines import START_MS, due_scans, steady
from support.workers import environment, running

from models.messages import SensorScan, decode_alert, decode_prediction, encode
from worker.brokers.topics import create_topics

LARGE = 10 << 20


def scan(event_time_ms: int, **fields: object) -> bytes:
    values = fields.pop("values", {"mould_tc_upper_left_c": 0.5})
    return encode(SensorScan(strand_id="p1.c1.bad", event_time_ms=event_time_ms, values=values, **fields))  # type: ignore[arg-type]


RUBBISH: list[tuple[str, bytes | None]] = [
    ("empty", b""),
    ("empty", None),
    ("malformed", scan(1)[:-5]),
    ("malformed", b"not json"),
    ("malformed", scan(1).replace(b"0.5", b"NaN")),
    ("malformed", scan(1).replace(b"0.5", b"Infinity")),
    ("schema", scan(1).replace(b"0.5", b'"half"')),
    ("schema", b'{"strand_id": "p1.c1.bad", "values": {}}'),
    ("schema", scan(1).replace(b"p1.c1.bad", b"nowhere")),
    ("schema", scan(1).replace(b"0.5", b"1e39")),
    ("encoding", b"\x00\x00\x00\x00\x01avro"),
    ("too_large", scan(1) + b" " * (2 << 20)),
]


def test_each_kind_of_rubbish_is_a_dead_letter_and_good_scans_are_unharmed(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str]
) -> None:
    create_topics(
        kafka_bootstrap,
        {f"{topics.sensors}.large": 1, f"{topics.dead_letters}.large": 1},
        configs={
            name: {"max.message.bytes": str(16 << 20)}
            for name in (f"{topics.sensors}.large", f"{topics.dead_letters}.large")
        },
    )
    env = {**env, "STRANDWATCH_TOPICS__SENSORS": f"{topics.sensors}.large",
           "STRANDWATCH_TOPICS__DEAD_LETTERS": f"{topics.dead_letters}.large"}  # fmt: skip
    good = list(steady(2, 60))
    records: list[tuple[str, bytes | None]] = []
    for index, one in enumerate(good):
        records.append((one.strand_id, encode(one)))
        if index % 8 == 0 and index // 8 < len(RUBBISH):
            records.append(("p1.c1.bad", RUBBISH[index // 8][1]))
    publish(kafka_bootstrap, f"{topics.sensors}.large", records)
    with running(env) as worker:
        letters = read_back(kafka_bootstrap, f"{topics.dead_letters}.large", at_least(len(RUBBISH)))
        due = due_scans(good, RULES)
        predictions = read_back(kafka_bootstrap, topics.predictions, at_least(len(due)))
        for reason in {reason for reason, _ in RUBBISH}:
            expected = sum(other == reason for other, _ in RUBBISH)
            assert worker.metric("strandwatch_dead_letters_total", reason=reason) == expected
        assert worker.metric("strandwatch_samples_total", outcome="invalid") == len(RUBBISH)
        assert worker.metric("strandwatch_samples_total", outcome="used") == len(good)
        assert worker.terminate()[0] == 0
    assert len(letters) == len(RUBBISH)
    headers = [dict(letter.headers() or []) for letter in letters]
    assert [header["reason"].decode() for header in headers] == [reason for reason, _ in RUBBISH]
    # Kafka has no empty key or value of its own: b"" stays b"", null stays null.
    assert [letter.value() for letter in letters] == [value for _, value in RUBBISH]
    for header, letter in zip(headers, letters, strict=True):
        assert letter.key() == b"p1.c1.bad"
        assert header["topic"].decode() == f"{topics.sensors}.large"
        assert records[int(header["offset"])][1] == letter.value()
        assert set(header) == {"reason", "detail", "topic", "partition", "offset", "worker_version"}
    found = [decode_prediction(message.value() or b"") for message in predictions]
    assert {(p.strand_id, p.event_time_ms) for p in found} == due
    assert len(found) == len(due)


def test_dead_letter_too_large_for_its_topic_is_cut_and_says_so(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str]
) -> None:
    large = f"{topics.sensors}.large"
    create_topics(kafka_bootstrap, {large: 1}, configs={large: {"max.message.bytes": str(16 << 20)}})
    value = np.random.default_rng(1).bytes(LARGE)  # does not compress: it is the size on the wire that counts
    publish(kafka_bootstrap, large, [("k", value), *((s.strand_id, encode(s)) for s in steady(1, 10))])
    with running({**env, "STRANDWATCH_TOPICS__SENSORS": large}) as worker:
        (letter,) = read_back(kafka_bootstrap, topics.dead_letters, at_least(1))
        read_back(kafka_bootstrap, topics.predictions, at_least(5))
        assert worker.terminate()[0] == 0
    headers = {name: text.decode() for name, text in letter.headers() or []}
    assert headers["reason"] == "too_large"
    assert int(headers["truncated_from"]) == LARGE
    assert value.startswith(letter.value() or b"-")


def test_duplicates_late_scans_and_unknown_sensors_are_dropped_by_rule_and_counted(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str]
) -> None:
    scans = list(steady(1, 20))
    twice = [scans[0], scans[0], scans[5], scans[3], *scans[6:]]
    strange = SensorScan(
        strand_id="never.seen.before", event_time_ms=START_MS, values={"colour": 1.0, "mould_tc_upper_left_c": 1.0}
    )
    publish_scans(kafka_bootstrap, topics.sensors, [*twice, strange])
    with running(env) as worker:
        read_back(kafka_bootstrap, topics.predictions, at_least(8))
        assert worker.metric("strandwatch_samples_total", outcome="duplicate") == 1
        assert worker.metric("strandwatch_samples_total", outcome="late") == 1
        assert worker.metric("strandwatch_samples_total", outcome="used") == len(twice) - 2 + 1
        assert worker.metric("strandwatch_unknown_sensor_values_total") == 1
        worker.wait_metric("strandwatch_strands", 2)


def test_scan_with_every_sensor_missing_degrades_the_prediction(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str]
) -> None:
    nothing = [SensorScan(strand_id="p1.c1.s0", event_time_ms=START_MS + n * 500, values={}) for n in range(10)]
    publish_scans(kafka_bootstrap, topics.sensors, nothing)
    with running(env):
        messages = read_back(kafka_bootstrap, topics.predictions, at_least(len(due_scans(nothing, RULES))))
    last = decode_prediction(messages[-1].value() or b"")
    assert (last.quality, last.missing_fraction, last.probability) == ("degraded", 1.0, 0.5)


def test_gap_closes_an_open_alert_and_says_why(kafka_bootstrap: str, topics: Topics, env: dict[str, str]) -> None:
    hot = [
        SensorScan(strand_id="p1.c1.s0", event_time_ms=START_MS + n * 500, values={"mould_tc_upper_left_c": 2.0})
        for n in range(20)
    ]
    after = SensorScan(strand_id="p1.c1.s0", event_time_ms=START_MS + 60_000, values={"mould_tc_upper_left_c": 2.0})
    publish_scans(kafka_bootstrap, topics.sensors, [*hot, after])
    with running(env):
        messages = read_back(kafka_bootstrap, topics.alerts, at_least(2))
    opened, closed = (decode_alert(message.value() or b"") for message in messages)
    assert (opened.state, closed.state, opened.alert_id) == ("open", "closed", closed.alert_id)
    assert "gap of 50.5 s" in closed.message
    assert {message.key() for message in messages} == {b"p1.c1.s0"}


def test_missing_topics_are_named(kafka_bootstrap: str, topics: Topics, env: dict[str, str]) -> None:
    env = {**env, "STRANDWATCH_TOPICS__SENSORS": "not.there", "STRANDWATCH_TOPICS__ALERTS": "not.there.either"}
    with running(env) as worker:
        assert worker.wait_ended() == 1
        error = worker.log[-2]
    assert error.startswith("error: expected the topics not.there, not.there.either, got no such topics")


def test_gpu_that_is_required_and_absent_is_an_error_with_its_cause(
    kafka_bootstrap: str, topics: Topics, bundle: Path
) -> None:
    env = environment(kafka_bootstrap, topics, bundle, model__require_gpu="true")
    with running(env | {"CUDA_VISIBLE_DEVICES": ""}) as worker:
        assert worker.wait_ended() == 1
        error = worker.log[-2]
    assert error.startswith("error: expected a CUDA GPU (model.require_gpu), got ")
