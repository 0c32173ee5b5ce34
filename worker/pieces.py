"""A poll in parts of so many bytes, for what should not be done with all of it at once."""

from collections.abc import Iterator, Sequence

from worker.records import RawRecord


def pieces(records: Sequence[RawRecord], size: int) -> Iterator[Sequence[RawRecord]]:
    """Parts of `size` bytes or, by their last record, more; the rest may be less."""
    first = taken = 0
    for index, record in enumerate(records):
        taken += len(record.value or b"")
        if taken >= size:
            yield records[first : index + 1]
            first, taken = index + 1, 0
    if first < len(records):
        yield records[first:]
