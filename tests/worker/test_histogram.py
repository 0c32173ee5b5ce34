"""Many values at once are counted as one by one."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

from worker.histogram import BulkHistogram

BOUNDS = (0.1, 0.5, 1.0, 2.5)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0, 2.5, 7.0]) | st.floats(0, 10), min_size=1)))
def test_as_the_librarys_own(polls: list[list[float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    bulk = BulkHistogram("took_seconds", "What it took", BOUNDS, ours)
    single = Histogram("took_seconds", "What it took", buckets=BOUNDS, registry=theirs)
    for values in polls:
        bulk.observe(values)
        for value in values:
            single.observe(value)
    for suffix, labels in [("_bucket", {"le": le}) for le in ("0.1", "0.5", "1.0", "2.5", "+Inf")] + [("_count", {})]:
        name = f"took_seconds{suffix}"
        assert ours.get_sample_value(name, labels) == theirs.get_sample_value(name, labels)
    assert b"# TYPE took_seconds histogram" in generate_latest(ours)
