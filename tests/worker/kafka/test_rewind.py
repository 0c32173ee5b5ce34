"""Where a partition is taken up, by what was committed and what the log still has."""

from collections.abc import Callable

import pytest
from confluent_kafka import TopicPartition

from worker.errors import StartupError
from worker.kafka import rewind
from worker.kafka.committed import Committed, Pointer, encode
from worker.kafka.rewind import EMPTY, Resume, Rewind
from worker.records import PLACES, AlertState, Partition, PartitionState, Reached
from worker.settings import KafkaSettings, Settings

ALERT = AlertState("p.c.a", "sticker", 1, None, 1, None, 1, 0.9, None, None, None, 0.9, "critical", "m@1", "ab")
UNTIL_S = 1e9
STARTS_OF_B = {"p.c.b": 75 * PLACES + 3}
REACHED = {"p.c.a": Reached(1_000_000, 69), "p.c.b": Reached(1_000_500, 99, (3, 990_000))}
STATE = PartitionState({"p.c.a": 60 * PLACES, **STARTS_OF_B}, [ALERT], reached=REACHED)


def as_found(_: Partition, __: int, found: Committed, ___: float) -> PartitionState:
    return found.state


def uncut(*_: object) -> None:
    """The log is as it was."""


def rewind_of(
    whole: Callable[..., PartitionState] = as_found, cut: Callable[..., int | None] = uncut, **settings: str
) -> Rewind:
    kafka = KafkaSettings(bootstrap_servers="x", group_id="g")
    return Rewind(Settings.model_construct(kafka=kafka, **{"start_from": "latest", **settings}), "ab12", whole, cut)


def resume(offset: int = 100, metadata: str | None = None, low: int = 0, high: int = 200, **settings: str) -> Resume:
    text = encode(Committed("ab12", 6, STATE)) if metadata is None else metadata
    return rewind_of(**settings).resume(TopicPartition("t", 3, offset, text), low, high, UNTIL_S)


def test_reads_from_the_oldest_window_and_is_live_from_the_committed_offset() -> None:
    assert resume() == Resume(60, 100, STATE)


@pytest.mark.parametrize(("rule", "start"), [("latest", 200), ("earliest", 7)])
def test_without_an_offset_begins_where_it_was_told(rule: str, start: int) -> None:
    assert resume(offset=-1001, metadata="", low=7, start_from=rule) == Resume(start, start, EMPTY, is_fresh=True)


def test_without_an_offset_begins_again_where_it_had_begun_until_that_is_committed() -> None:
    mine, nothing = rewind_of(), TopicPartition("t", 3, -1001, "")
    assert mine.resume(nothing, 0, 100, UNTIL_S).live_from == 100
    assert mine.resume(nothing, 0, 150, UNTIL_S) == Resume(100, 100, EMPTY, is_fresh=True)
    assert mine.resume(nothing, 120, 150, UNTIL_S).live_from == 150  # what it began with is gone
    mine.resume(TopicPartition("t", 3, 150, encode(Committed("ab12", 6, EMPTY))), 0, 160, UNTIL_S)
    assert mine.resume(nothing, 0, 170, UNTIL_S).live_from == 170


def test_without_an_offset_refuses_if_told_so() -> None:
    with pytest.raises(StartupError, match=r"got none for t/3; start_from=refuse forbids"):
        resume(offset=-1001, metadata="", start_from="refuse")


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ("", "no state with the committed offset"),
        ("written by hand", "the committed state cannot be read"),
    ],
)
def test_what_cannot_be_taken_over_starts_warming_and_says_so(
    metadata: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resume(metadata=metadata) == Resume(100, 100, EMPTY)
    assert said in capsys.readouterr().out


def test_of_another_models_state_only_its_alerts_are_told_to_close_them(capsys: pytest.CaptureFixture[str]) -> None:
    others = encode(Committed("another", 6, STATE))
    assert resume(metadata=others) == Resume(100, 100, EMPTY, former=[ALERT])
    assert "the committed state is of another model" in capsys.readouterr().out
    assert resume(metadata=others, low=120) == Resume(120, 120, EMPTY, former=[ALERT])


def test_other_partitions_are_refused_and_the_remedy_told() -> None:
    """Also by who has none of those that were there before."""
    mine = rewind_of()
    before = [TopicPartition("t", 3, 100, encode(Committed("ab12", 6, STATE))), TopicPartition("t", 7, -1001, "")]
    mine.require_partitions([*before, TopicPartition("t", 4, 9, "written by hand")], 6)
    with pytest.raises(
        StartupError, match=r"expected 6 partitions of t .*, got 8: .* begin with another kafka\.group_id"
    ):
        mine.require_partitions(before, 8)


ONLY_A = PartitionState({}, [ALERT], reached={"p.c.a": REACHED["p.c.a"]})
"""Of the other strand some scan that was judged is not in the log any more, and others take its place."""


@pytest.mark.parametrize(
    ("cut_at", "high", "expected"),
    [
        (None, 200, Resume(60, 100, STATE, epoch=4)),
        (60, 200, Resume(60, 60, PartitionState({}, [ALERT]))),
        (70, 200, Resume(70, 70, ONLY_A)),
        (70, 90, Resume(70, 70, ONLY_A)),  # written on, but not up to where it was
        (90, 90, Resume(90, 90, ONLY_A)),
    ],
)
def test_a_log_that_was_cut_off_is_gone_on_with_from_there(
    cut_at: int | None, high: int, expected: Resume, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []
    committed = TopicPartition("t", 3, 100, encode(Committed("ab12", 6, STATE, epoch=4)))
    mine = rewind_of(cut=lambda *of: asked.append(of) or cut_at)
    assert mine.resume(committed, 10, high, UNTIL_S) == expected
    assert asked == [("t", 3, 10, 100, 4, UNTIL_S)]
    assert ("cut off below our offset" in capsys.readouterr().out) == (cut_at is not None)


def test_a_window_whose_beginning_is_gone_starts_warming_and_its_alert_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert resume(low=61) == Resume(75, 100, PartitionState(STARTS_OF_B, [ALERT], reached=REACHED))
    assert resume(low=76) == Resume(100, 100, PartitionState({}, [ALERT], reached=REACHED))
    assert "strands" in capsys.readouterr().out


def test_no_more_is_read_again_than_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewind, "MOST_REPLAYED", 30)
    assert resume() == Resume(75, 100, PartitionState(STARTS_OF_B, [ALERT], reached=REACHED))


@pytest.mark.parametrize(
    ("low", "expected"),
    [
        (0, Resume(60, 100, PartitionState(STATE.windows, [ALERT], 80, REACHED))),
        (76, Resume(80, 100, PartitionState({}, [ALERT], 80, REACHED))),
        (90, Resume(90, 100, PartitionState({}, [ALERT], 90, REACHED))),
    ],
)
def test_from_a_checkpoint_every_strand_is_read_from_where_it_was_made(low: int, expected: Resume) -> None:
    mine = rewind_of(lambda *_: PartitionState(STATE.windows, [ALERT], 80, REACHED))
    text = encode(Committed("ab12", 6, PartitionState({}, [ALERT]), Pointer(0, 7, at=80)))
    assert mine.resume(TopicPartition("t", 3, 100, text), low, 200, UNTIL_S) == expected


@pytest.mark.parametrize(
    ("low", "high", "start", "known", "said"),
    [
        (120, 200, 120, STATE.reached, "the log no longer has our offset"),
        # And nobody knows under which epoch it was written.
        (0, 90, 90, ONLY_A.reached, "the log was cut off below our offset"),
    ],
)
def test_an_offset_the_log_does_not_have_goes_on_at_its_nearest_end(
    low: int, high: int, start: int, known: dict[str, Reached], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resume(low=low, high=high) == Resume(start, start, PartitionState({}, [ALERT], reached=known))
    assert said in capsys.readouterr().out
