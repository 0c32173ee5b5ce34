"""A poll in parts."""

from hypothesis import given
from hypothesis import strategies as st

from worker.pieces import pieces
from worker.records import Origin, RawRecord

PIECE_BYTES = 300
SIZES = st.lists(st.none() | st.sampled_from([0, 1, PIECE_BYTES // 3, PIECE_BYTES - 1, PIECE_BYTES]), max_size=20)


@given(SIZES)
def test_pieces_are_the_poll_and_none_has_a_record_too_many(sizes: list[int | None]) -> None:
    poll = [
        RawRecord(Origin(("t", 0), offset), None, None if size is None else bytes(size))
        for offset, size in enumerate(sizes)
    ]
    found = list(pieces(poll, PIECE_BYTES))
    assert [record for piece in found for record in piece] == poll
    for piece in found:
        assert piece
        assert sum(len(record.value or b"") for record in piece[:-1]) < PIECE_BYTES
    assert len(found) <= 1 + sum(size or 0 for size in sizes) // PIECE_BYTES
