"""At least once: what a stop, a kill and a rebalance do to the outputs and the committed offsets."""

import itertools
from pathlib import Path

import pytest
from support.bundles import RULES
from support.kafka_broker import Topics
from support.kafka_io import at_least, committed_offsets, end_offsets, publish_scans, read_back
from support.lines import due_scans, offline_predictions, steady
from support.workers import environment, running

from models.messages import Prediction, decode_alert, decode_prediction
from models.runtime import Predictor


def predictions(bootstrap: str, topics: Topics, count: int) -> list[Prediction]:
    return [decode_prediction(m.value() or b"") for m in read_back(bootstrap, topics.predictions, at_least(count))]


def keys(found: list[Prediction]) -> list[tuple[str, int]]:
    return [(prediction.strand_id, prediction.event_time_ms) for prediction in found]


def test_sigterm_drains_commits_and_leaves_within_five_seconds(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str]
) -> None:
    scans = list(steady(8, 400))
    with running(env) as worker:
        worker.wait_ready()
        publish_scans(kafka_bootstrap, topics.sensors, scans)
        code, seconds = worker.terminate()
    assert code == 0
    assert seconds < 5
    committed = committed_offsets(kafka_bootstrap, topics.group_id, topics.sensors, topics.partitions)
    before = predictions(kafka_bootstrap, topics, 0)
    with running(env) as worker:
        worker.wait_ready()
        assert worker.events("no committed offset") == []
        started = worker.events("partitions assigned")[-1]["partitions"]
        assert {int(partition): offset for partition, offset in started.items()} == committed
        after = predictions(kafka_bootstrap, topics, len(due_scans(scans, RULES)))
    assert len(keys(after)) == len(set(keys(after)))
    assert set(keys(after)) >= due_scans(scans, RULES)
    assert len(after) >= len(before)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_kill_loses_no_due_scan(kafka_bootstrap: str, topics: Topics, env: dict[str, str], delivery: str) -> None:
    env = {**env, "STRANDWATCH_DELIVERY": delivery}
    scans = list(steady(8, 4000))
    publish_scans(kafka_bootstrap, topics.sensors, scans)
    due = due_scans(scans, RULES)
    with running(env) as worker:
        worker.wait_for("partitions assigned")
        first_seen = read_back(kafka_bootstrap, topics.predictions, bool, settle=False)
        worker.kill()
    committed = committed_offsets(kafka_bootstrap, topics.group_id, topics.sensors, topics.partitions)
    ends = end_offsets(kafka_bootstrap, topics.sensors)
    assert 0 < len(first_seen) < len(due), "the worker was to be killed in the middle of its work"
    assert any(committed[partition] < ends[partition] for partition in ends)
    with running(env):
        found = predictions(kafka_bootstrap, topics, len(due))
        missing = due - set(keys(found))
    assert missing == set()


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_killed_worker_goes_on_with_whole_windows_and_the_alerts_it_had(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str], bundle: Path, delivery: str
) -> None:
    """Every value as if nothing had happened; twice, for a state made after a refill must be as good as the first."""
    env = {**env, "STRANDWATCH_DELIVERY": delivery}
    scans = list(steady(8, 1200))
    expected = offline_predictions(scans, Predictor.load(bundle, device="cpu"))
    third = len(scans) // 3
    for part in range(3):
        publish_scans(kafka_bootstrap, topics.sensors, scans[part * third : (part + 1) * third])
        with running(env) as worker:
            worker.wait_for("partitions assigned")
            due = len(due_scans(scans[: (part + 1) * third], RULES))
            predictions(kafka_bootstrap, topics, due if part == 2 else due - third // 10)
            refilled = worker.events("windows refilled")
            assert bool(refilled) == (part > 0)
            assert worker.metric("strandwatch_replayed_samples_total") == sum(line["records"] for line in refilled)
            worker.kill()
    found = predictions(kafka_bootstrap, topics, 0)
    assert delivery == "at_least_once" or len(keys(found)) == len(set(keys(found)))
    assert set(keys(found)) == set(expected)
    for prediction in found:
        wanted = expected[prediction.strand_id, prediction.event_time_ms]
        assert prediction.probability == pytest.approx(wanted and wanted[0], abs=1e-6)
    assert alternate(kafka_bootstrap, topics)


def alternate(bootstrap: str, topics: Topics) -> bool:
    """Whether each strand's alerts open and close in turn, by what a reader sees who drops what comes twice."""
    alerts = [decode_alert(message.value() or b"") for message in read_back(bootstrap, topics.alerts, bool)]
    seen = list(dict.fromkeys((alert.strand_id, alert.alert_id, alert.state) for alert in alerts))
    of_strand = {strand: [entry[1:] for entry in seen if entry[0] == strand] for strand, *_ in seen}
    return all(
        [state for _, state in entries] == ["open", "closed"] * (len(entries) // 2) + ["open"] * (len(entries) % 2)
        and all(opened[0] == closed[0] for opened, closed in zip(entries[::2], entries[1::2], strict=False))
        for entries in of_strand.values()
    )


@pytest.mark.parametrize("topics", [6], indirect=True)
def test_partitions_are_shared_and_handed_over_without_losing_a_scan(
    kafka_bootstrap: str, topics: Topics, bundle: object
) -> None:
    first, second = (environment(kafka_bootstrap, topics, str(bundle), kafka__slot=slot) for slot in (0, 1))
    scans = list(steady(12, 900))
    third = len(scans) // 3
    with running(first) as one:
        one.wait_ready()
        publish_scans(kafka_bootstrap, topics.sensors, scans[:third])
        with running(second) as two:
            two.wait_ready()
            one.wait_for("partitions revoked")
            publish_scans(kafka_bootstrap, topics.sensors, scans[third : 2 * third])
            # Scans arrive at both; both must work, or nothing was shared.
            read_back(kafka_bootstrap, topics.predictions, at_least(len(due_scans(scans[: 2 * third], RULES))))
            assert two.metric("strandwatch_samples_total", outcome="used") > 0
            assert two.terminate()[0] == 0
            publish_scans(kafka_bootstrap, topics.sensors, scans[2 * third :])
            found = predictions(kafka_bootstrap, topics, len(due_scans(scans, RULES)))
    assert set(keys(found)) >= due_scans(scans, RULES)
    for strand in {prediction.strand_id for prediction in found}:
        times = [prediction.event_time_ms for prediction in found if prediction.strand_id == strand]
        assert all(before <= after for before, after in itertools.pairwise(times))


def test_worker_whose_slot_is_taken_over_says_so_and_ends(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str]
) -> None:
    with running(env) as first:
        first.wait_ready()
        with running(env) as second:
            assert first.wait_ended() == 1
            second.wait_ready()
        error = [line for line in first.log if line and not line.startswith("{")]
        assert len(error) == 1
        assert "another worker took this slot over" in error[0]


@pytest.mark.parametrize(("rule", "predicted"), [("latest", False), ("earliest", True)])
def test_group_without_offsets_begins_where_it_was_told_and_says_so(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str], rule: str, predicted: bool
) -> None:
    old, new = list(steady(2, 20)), list(steady(2, 40))[40:]
    publish_scans(kafka_bootstrap, topics.sensors, old)
    with running({**env, "STRANDWATCH_START_FROM": rule}) as worker:
        worker.wait_ready()
        assert {line["start_from"] for line in worker.events("no committed offset")} == {rule}
        publish_scans(kafka_bootstrap, topics.sensors, new)
        due = due_scans([*old, *new] if predicted else new, RULES)
        found = predictions(kafka_bootstrap, topics, len(due))
    assert set(keys(found)) == due
    assert bool(due & due_scans(old, RULES)) == predicted


def test_start_is_refused_without_offsets_if_told_so(kafka_bootstrap: str, topics: Topics, env: dict[str, str]) -> None:
    with running({**env, "STRANDWATCH_START_FROM": "refuse"}) as worker:
        assert worker.wait_ended() == 1
        error = [line for line in worker.log if line and not line.startswith("{")]
        assert len(error) == 1
        assert "start_from=refuse forbids a start" in error[0]
        assert (
            worker.events("the log no longer has our offset; records in between are gone and windows start anew") == []
        )


def test_start_at_latest_is_remembered_even_if_nothing_came(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str]
) -> None:
    env = {**env, "STRANDWATCH_START_FROM": "latest"}
    with running(env) as worker:
        worker.wait_ready()
        assert worker.terminate()[0] == 0
    scans = list(steady(2, 20))
    publish_scans(kafka_bootstrap, topics.sensors, scans)
    with running(env) as worker:
        found = predictions(kafka_bootstrap, topics, len(due_scans(scans, RULES)))
        assert worker.events("no committed offset") == []
    assert set(keys(found)) == due_scans(scans, RULES)


def test_records_gone_by_retention_are_told_and_the_rest_is_served(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str]
) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    scans = list(steady(4, 100))
    with running(env) as worker:
        worker.wait_ready()
        assert worker.terminate()[0] == 0
    publish_scans(kafka_bootstrap, topics.sensors, scans)
    ends = end_offsets(kafka_bootstrap, topics.sensors)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    cut = [TopicPartition(topics.sensors, partition, end // 2) for partition, end in ends.items() if end]
    for future in admin.delete_records(cut).values():
        future.result(timeout=10)
    kept = sum(end - end // 2 for end in ends.values())
    with running(env) as worker:
        worker.wait_for("the log no longer has our offset")
        read_back(kafka_bootstrap, topics.predictions, at_least(kept // RULES.stride - 4))
        assert worker.metric("strandwatch_samples_total", outcome="used") == kept
        assert worker.terminate()[0] == 0
    committed = committed_offsets(kafka_bootstrap, topics.group_id, topics.sensors, topics.partitions)
    assert committed == ends


def test_consumer_group_protocol_is_an_option(kafka_bootstrap: str, topics: Topics, env: dict[str, str]) -> None:
    scans = list(steady(2, 20))
    publish_scans(kafka_bootstrap, topics.sensors, scans)
    with running({**env, "STRANDWATCH_KAFKA__GROUP_PROTOCOL": "consumer"}):
        found = predictions(kafka_bootstrap, topics, len(due_scans(scans, RULES)))
    assert set(keys(found)) == due_scans(scans, RULES)
