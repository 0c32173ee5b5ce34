"""The stages together, cut anywhere: a worker that takes over goes on to the same bytes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bundles import write_bundle

from models.messages import Prediction, SensorScan, decode_prediction, encode
from models.runtime import Predictor
from worker import pipeline
from worker.kafka.committed import Committed, decode
from worker.kafka.committed import encode as as_metadata
from worker.metrics import Metrics
from worker.pipeline import Pipeline
from worker.records import Origin, Outgoing, PartitionState, RawRecord

PARTITION = ("t", 0)


@pytest.fixture(autouse=True, scope="module")
def small_pieces() -> Iterator[None]:
    """A few records are decoded at once, so that what these tests take at once is of many pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "DECODED_BYTES", 300)
        yield


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder: Path = write_bundle(tmp_path_factory.mktemp("bundles") / "test")
    return Predictor.load(folder, device="cpu", batch_sizes=(1, 4))


@pytest.fixture(scope="module")
def singly(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder: Path = write_bundle(tmp_path_factory.mktemp("bundles") / "test")
    return Predictor.load(folder, device="cpu", batch_sizes=(1,))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["p.c.a", "p.c.a", "p.c.b", "rubbish"]),
        st.sampled_from([500, 500, 500, 500, 0, -500, 9000]),
        st.sampled_from([-1.0, 0.9, 0.9, 0.9, 0.9]),
    ),
    max_size=80,
)


def as_log(steps: list[tuple[str, int, float]]) -> list[RawRecord]:
    """Records with holes between their offsets, as a transaction's marker leaves them."""
    clocks, log = dict.fromkeys(("p.c.a", "p.c.b"), 1_000_000), []
    for index, (strand, step, value) in enumerate(steps):
        if strand == "rubbish":
            payload = b"{"
        else:
            clocks[strand] += step
            payload = encode(
                SensorScan(strand_id=strand, event_time_ms=clocks[strand], values={"mould_tc_upper_left_c": value})
            )
        log.append(RawRecord(Origin(("t", 0), 2 * index), strand.encode(), payload))
    return log


def undisturbed(predictor: Predictor, log: list[RawRecord]) -> list[Sequence[Outgoing]]:
    whole = Pipeline(predictor, Metrics())
    return [whole.process([record]).outgoing for record in log]


def test_predictions_name_what_ran_the_model(predictor: Predictor) -> None:
    (outgoing, *_) = undisturbed(predictor, as_log([("p.c.a", 500, 0.9)]))[0]
    assert decode_prediction(outgoing.value or b"").provider == "CPUExecutionProvider"


@settings(deadline=None, max_examples=30)
@given(steps=STEPS, parts=st.integers(1, 9))
def test_batches_side_by_side_make_the_same_bytes(
    predictor: Predictor, singly: Predictor, steps: list[tuple[str, int, float]], parts: int
) -> None:
    """Batches of one window, so that many are under way and arrays are used again."""
    log = as_log(steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "WINDOWS_UNDER_WAY", 1)
        worker = Pipeline(singly, Metrics(), side_by_side=3)
    found = [out for part in range(0, len(log), parts) for out in worker.process(log[part : part + parts]).outgoing]
    worker.close()
    expected = [out for outgoing in undisturbed(predictor, log) for out in outgoing]
    for is_dead in (False, True):  # dead letters come first of what is decoded at once
        assert [out for out in found if (out.destination == "dead_letters") == is_dead] == [
            out for out in expected if (out.destination == "dead_letters") == is_dead
        ]


@settings(deadline=None, max_examples=60)
@given(steps=STEPS, cut=st.integers(0, 80), again=st.integers(0, 80))
def test_windows_from_before_with_alerts_of_now_go_on_to_the_same_bytes(
    predictor: Predictor, steps: list[tuple[str, int, float]], cut: int, again: int
) -> None:
    log = as_log(steps)
    first, last = sorted((min(cut, len(log)), min(again, len(log))))
    worker = Pipeline(predictor, Metrics())
    found = [worker.process([record]).outgoing for record in log[:first]]
    kept = worker.state(PARTITION)
    found += [worker.process([record]).outgoing for record in log[first:last]]
    now = worker.state(PARTITION)
    since, live = 2 * first, 2 * last
    taken = PartitionState(kept.windows, now.alerts, since, kept.reached)
    worker = Pipeline(predictor, Metrics())
    worker.restore(PARTITION, taken)
    worker.refill([record for record in log if taken.begins(live) <= record.origin.offset < live])
    assert worker.state(PARTITION) == now
    found += [worker.process([record]).outgoing for record in log[last:]]
    assert found == undisturbed(predictor, log)


@settings(deadline=None, max_examples=60)
@given(steps=STEPS, cut=st.integers(0, 80), again=st.integers(0, 80))
def test_what_is_taken_over_goes_on_to_the_same_bytes(
    predictor: Predictor, steps: list[tuple[str, int, float]], cut: int, again: int
) -> None:
    """Taken over twice: a table made after a refill must be as good as the first."""
    log = as_log(steps)
    expected = undisturbed(predictor, log)
    worker, metrics = Pipeline(predictor, Metrics()), Metrics()
    found: list[Sequence[Outgoing]] = []
    first, last = sorted((cut, again))
    for begin, end in ((0, first), (first, last), (last, len(log))):
        text = as_metadata(Committed("ab12", 1, worker.state(PARTITION)))
        committed = decode(text)
        metrics = Metrics()
        worker = Pipeline(predictor, metrics)
        offset = log[begin].origin.offset if begin < len(log) else 10**6
        worker.restore(PARTITION, committed.state)
        worker.refill([record for record in log if committed.state.begins(offset) <= record.origin.offset < offset])
        assert worker.state(PARTITION) == committed.state
        found += [worker.process([record]).outgoing for record in log[begin:end]]
    assert found == expected
    told = [
        metrics.registry.get_sample_value("strandwatch_samples_total", {"outcome": outcome}) or 0
        for outcome in ("used", "late", "duplicate")
    ]
    assert sum(told) == sum(record.key != b"rubbish" for record in log[last:])


@settings(deadline=None, max_examples=60)
@given(steps=STEPS, cut=st.integers(0, 80), left=st.integers(0, 8))
def test_of_what_the_log_lost_nothing_is_said_twice_and_nothing_else(
    predictor: Predictor, steps: list[tuple[str, int, float]], cut: int, left: int
) -> None:
    """The same scans are predicted, be it without a value; a value is that of the whole window."""
    log = as_log(steps)
    cut %= len(log) + 1
    worker = Pipeline(predictor, Metrics())
    for record in log[:cut]:
        worker.process([record])
    state = decode(as_metadata(Committed("ab12", 1, worker.state(PARTITION)))).state
    worker = Pipeline(predictor, Metrics())
    worker.restore(PARTITION, state)
    worker.refill([record for record in log[max(0, cut - left) : cut] if record.origin.offset >= state.begins(2 * cut)])
    found = [worker.process([record]).outgoing for record in log[cut:]]
    for wanted, said in zip(undisturbed(predictor, log)[cut:], found, strict=True):
        expected, got = predictions(wanted), predictions(said)
        assert got.keys() == expected.keys()
        assert all(one.probability is None or one == expected[key] for key, one in got.items())


def predictions(outgoing: Sequence[Outgoing]) -> dict[tuple[str, int], Prediction]:
    """By their key."""
    every = [decode_prediction(out.value or b"") for out in outgoing if out.destination == "predictions"]
    return {(one.strand_id, one.event_time_ms): one for one in every}
