"""Where a partition is taken up: what the group has committed, held against what the log still has.

    committed offset and state ─► read from the start of the oldest window, in silence
                                ─► live from the committed offset on

What the log no longer has is said, and shows as `warming` predictions; nothing is made up for it.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import TopicPartition

from models.errors import ContractError
from worker import logs
from worker.errors import StartupError
from worker.kafka.committed import Committed, decode
from worker.records import PLACES, AlertState, Partition, PartitionState
from worker.settings import Settings

log = logs.get(__name__)

MOST_REPLAYED = 2_000_000
"""Records that are read again at most: a strand whose window reaches further back starts warming."""

EMPTY = PartitionState({}, [])


@dataclass(frozen=True, slots=True)
class Resume:
    """How a partition is taken up.

    Attributes:
        read_from: offset of the first record to read.
        live_from: offset from which records are new; those before it refill windows.
        state: at `live_from`.
        is_fresh: whether the group had no offset there; the one begun at is to be committed.
        former: alerts of another model, to be closed.
        epoch: leader epoch of the last record taken in; -1 if it is not known.
    """

    read_from: int
    live_from: int
    state: PartitionState = EMPTY
    is_fresh: bool = False
    former: Sequence[AlertState] = ()
    epoch: int = -1


class Rewind:
    """Decides for one worker.

    Args:
        settings: `start_from`, and whose group.
        identity: of the model served; the state of another is not taken over.
        whole: reads what is committed by a pointer only.
        cut: see `worker.kafka.peek.Peek.cut`.
    """

    def __init__(
        self,
        settings: Settings,
        identity: str,
        whole: Callable[[Partition, int, Committed, float], PartitionState],
        cut: Callable[[str, int, int, int, int, float], int | None],
    ) -> None:
        self._settings = settings
        self._model = identity
        self._whole = whole
        self._cut = cut
        self._begun: dict[tuple[str, int], int] = {}

    def require_partitions(self, committed: Sequence[TopicPartition], partitions: int) -> None:
        """Hold how many partitions the topic has to what the group has committed in any of them.

        Raises:
            StartupError: there were others.
        """
        for one in committed:
            with suppress(ContractError):
                found = decode(one.metadata or "")
                if found.partitions != partitions:
                    raise StartupError(
                        f"expected {found.partitions} partitions of {one.topic} as when group "
                        f"`{self._settings.kafka.group_id}` last committed, got {partitions}: a strand's scans may lie "
                        "in another partition now than those of its window; begin with another kafka.group_id"
                    )

    def resume(self, committed: TopicPartition, low: int, high: int, until_s: float) -> Resume:
        """Decide for one partition.

        Args:
            committed: the group's offset and metadata; a negative offset is none.
            low: offset of the first record that the log has.
            high: offset after its last.
            until_s: by `time.monotonic`, when what must be asked of the broker must be answered.

        Raises:
            StartupError: there is no offset and `start_from` forbids to go on.
            NoAnswerError: the broker did not tell.
        """
        where = f"{committed.topic}/{committed.partition}"
        if committed.offset < 0:
            # Where it was once begun, until that is committed: "latest" would be later with every try.
            start = self._begun.get((committed.topic, committed.partition), -1)
            if not low <= start <= high:
                start = self._start(where, low, high)
            self._begun[committed.topic, committed.partition] = start
            return Resume(start, start, is_fresh=True)
        self._begun.pop((committed.topic, committed.partition), None)
        state, former, epoch = self._state(where, committed, until_s)
        offset = self._gone_on_at(committed, low, high, epoch, until_s)
        if offset != committed.offset:
            # Where a tail was cut off, what comes in its place is new: of its scans nothing is known.
            reached = {strand_id: one for strand_id, one in state.reached.items() if one.offset < offset}
            return Resume(offset, offset, PartitionState({}, state.alerts, reached=reached), former=former)
        oldest = max(low, offset - MOST_REPLAYED)
        windows = {strand_id: start for strand_id, start in state.windows.items() if start >= oldest * PLACES}
        if len(windows) < len(state.windows):
            log.error(
                "windows reach further back than what can be read; they start warming",
                partition=where, strands=len(state.windows) - len(windows), low=low, most_replayed=MOST_REPLAYED,
            )  # fmt: skip
        since = None if state.since is None else max(state.since, oldest)
        state = PartitionState(windows, state.alerts, since, state.reached)
        return Resume(state.begins(offset), offset, state, former=former, epoch=epoch)

    def _gone_on_at(self, committed: TopicPartition, low: int, high: int, epoch: int, until_s: float) -> int:
        """The committed offset, if the log is as it was up to there; or where what is new to us begins."""
        offset = int(committed.offset)
        if offset < low:
            log.error(
                "the log no longer has our offset; records in between are gone and windows start anew",
                partition=committed.partition, wanted=offset, low=low, high=high,
            )  # fmt: skip
            return low
        cut = None
        if epoch >= 0 and offset > low:
            cut = self._cut(committed.topic, committed.partition, low, offset, epoch, until_s)
        if cut is None and offset <= high:
            return offset
        start = high if cut is None else min(cut, high)
        log.error(
            "the log was cut off below our offset; going on from there, and windows start anew",
            partition=committed.partition, wanted=offset, low=low, high=high, cut_at=start,
        )  # fmt: skip
        return start

    def _start(self, where: str, low: int, high: int) -> int:
        rule = self._settings.start_from
        if rule == "refuse":
            raise StartupError(
                f"expected committed offsets of group `{self._settings.kafka.group_id}`, got none for {where}; "
                "start_from=refuse forbids a start without them: set start_from to latest or earliest once"
            )
        start = low if rule == "earliest" else high
        log.warning("no committed offset", partition=where, start_from=rule, offset=start, low=low, high=high)
        return start

    def _state(
        self, where: str, committed: TopicPartition, until_s: float
    ) -> tuple[PartitionState, Sequence[AlertState], int]:
        """The state to take over, alerts of another model, and the leader epoch of the last record."""
        if not committed.metadata:
            log.warning("no state with the committed offset; windows start warming", partition=where)
            return EMPTY, (), -1
        try:
            found = decode(committed.metadata)
        except ContractError as error:
            log.warning(
                "the committed state cannot be read; windows start warming, and alerts that were open get no closing",
                partition=where, why=str(error),
            )  # fmt: skip
            return EMPTY, (), -1
        state = self._whole((committed.topic, committed.partition), committed.offset, found, until_s)
        if found.model != self._model:
            log.warning(
                "the committed state is of another model; windows start warming and its alerts are closed",
                partition=where, expected=self._model, got=found.model, alerts=len(state.alerts),
            )  # fmt: skip
            return EMPTY, state.alerts, found.epoch
        return state, (), found.epoch
