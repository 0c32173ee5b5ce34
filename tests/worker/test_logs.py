"""A broker that is away must not fill the disk with its absence."""

import logging

from worker.logs import KAFKA_LOGGER, SparingFilter


def test_what_librdkafka_repeats_passes_once_in_a_while_and_is_counted() -> None:
    now = 0.0
    sparing = SparingFilter(every_s=10, clock=lambda: now)
    passed = []
    for attempt in range(300):
        now = attempt / 10
        record = logging.LogRecord(KAFKA_LOGGER, logging.ERROR, "", 0, f"FAIL after {attempt} ms", None, None)
        if sparing.filter(record):
            passed.append(record.getMessage())
    assert passed == [
        "FAIL after 0 ms",
        "FAIL after 100 ms (and 99 times before)",
        "FAIL after 200 ms (and 99 times before)",
    ]


def test_others_are_never_held_back() -> None:
    sparing = SparingFilter(clock=lambda: 0.0)
    record = logging.LogRecord("worker.app", logging.ERROR, "", 0, "same", None, None)
    assert [sparing.filter(record) for _ in range(3)] == [True, True, True]
