"""Membership in the group: joining, leaving, handing over, and a client made anew where the old one is void.

Static and cooperative: a worker that comes back within its session finds its partitions as it left them. Which those
are is told to `worker.kafka.source`; errors of the client are kept here until it asks.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from worker import logs
from worker.errors import DeliveryError, StrandwatchError
from worker.kafka import config
from worker.kafka.config import is_fatal
from worker.kafka.group_view import GroupView
from worker.settings import Settings

log = logs.get(__name__)

_LEAVE_S = 1.5
_LOOK_AGAIN_S = 5.0
_ANSWERED_S = 0.5
_QUIET_S = 0.05
_RENEW_AGAIN_S = 2.0
_LEFT_OVER = 100_000  # records fetched before we left; more than wait in the queue, or `consume` would not wait at all
_EXCUSED_S = 60.0
_MEANWHILE_S = 0.5
"""Partitions lost are told in the same turn as the refusal, before it or after."""

_BROKER_LOST = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}
_NOT_YET_RELEASED = {KafkaError.UNRELEASED_INSTANCE_ID}
_TAKEN_OVER = {KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED}

OnPartitions = Callable[[list[TopicPartition]], None]


class Membership:
    """One worker's.

    Args:
        settings: whose group and which topic.
        on_commit: librdkafka's, for every offset the broker has stored.
        clock: in seconds.

    Attributes:
        client: the consumer; another one after `renew`.
        has_joined: whether the group has answered.
        on_assigned: called with new partitions of the sensors' topic, to take them.
        on_revoked: called with partitions about to go, to give them back.
        on_lost: called with partitions that are gone.
    """

    def __init__(
        self, settings: Settings, on_commit: Callable[..., None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._topic = settings.topics.sensors
        self._wanted = [self._topic]
        self._on_commit = on_commit
        self._clock = clock
        self._group = GroupView(settings.kafka, self.on_error)
        self._failure: StrandwatchError | None = None
        self._look_at: float | None = None
        self._has_asked = False
        self._excused_at = -_EXCUSED_S
        self._fenced: KafkaError | None = None
        self._fenced_at = 0.0
        self._turned_at = math.inf
        self._renew_at: float | None = None
        self._is_leaving = False
        self._answered = 0
        self.has_joined = False
        self.on_assigned: OnPartitions = lambda _: None
        self.on_revoked: OnPartitions = lambda _: None
        self.on_lost: OnPartitions = lambda _: None
        self.client = self._make()

    @property
    def is_leaving(self) -> bool:
        """Whether what comes and goes is of no interest any more."""
        return self._is_leaving

    @property
    def is_void(self) -> bool:
        """Whether the client is of no use, and it is time to `renew` it."""
        return self._renew_at is not None and self._clock() >= self._renew_at

    def join(self) -> None:
        """Ask for partitions."""
        self.client.subscribe(
            self._wanted,
            on_assign=self._guarded(self._assigned),
            on_revoke=self._guarded(lambda gone: self._gone(gone, self.on_revoked)),
            on_lost=self._guarded(self._lost),
        )

    def turned(self) -> None:
        """To be called before every `consume`: one who has slept past its session may have fenced itself."""
        if self._has_slept():
            self._excused_at = self._clock()
        self._turned_at = self._clock()

    def _has_slept(self) -> bool:
        return self._clock() - self._turned_at > self._settings.kafka.session_timeout_ms / 1000

    def renew(self) -> None:
        """Leave the client that is void, and join with another; what it had must have been given up."""
        log.warning("joining the group anew", why="the client was refused and cannot be used any more")
        self.has_joined = False
        self.leave()
        self._renew_at, self._is_leaving = None, False
        self.client = self._make()
        self.join()

    def raise_failure(self, *, is_last_word: bool = False) -> None:
        """Raise what went wrong for good, if anything did.

        Args:
            is_last_word: whether the caller gives up: an excuse that may still be told is not waited for.

        Raises:
            StrandwatchError: the worker cannot go on.
        """
        if self._fenced is not None and (is_last_word or self._clock() - self._fenced_at >= _MEANWHILE_S):
            self._judge(self._fenced)
        if self._failure is not None:
            raise self._failure

    def fail(self, error: StrandwatchError) -> None:
        """Have `raise_failure` raise it, unless it has something already."""
        self._failure = self._failure or error

    def on_error(self, error: KafkaError) -> None:
        """Take an error of the client itself, of whatever kind.

        A static member can be refused for what it did itself: joining again after it has lost its coordinator, slept
        past its session, or had no answer for so long, it fences the one it was (seen where a broker of three was
        killed, after a sleep, and with a broker that stood still). With one of these about then it is made anew once;
        otherwise another worker has taken its slot.
        """
        code, now_s = error.code(), self._clock()
        if code in _BROKER_LOST or self._has_slept():
            self._excused_at = now_s
        if code in _NOT_YET_RELEASED or (is_fatal(error) and "still used by another member" in error.str()):
            self._renew_at = now_s + _RENEW_AGAIN_S
        elif code in _TAKEN_OVER or (is_fatal(error) and "fenced" in error.str()):
            if self._renew_at is None and self._fenced is None:
                self._fenced, self._fenced_at = error, now_s
        elif is_fatal(error) and self._renew_at is None and self._fenced is None:
            self.fail(DeliveryError(f"expected a working consumer, got {error.str()}"))
        else:
            log.debug("kafka", error=error.name(), detail=error.str())  # librdkafka logs it itself

    def _judge(self, error: KafkaError) -> None:
        """Whether we were fenced by ourselves, now that an excuse which came with it has been told too."""
        self._fenced = None
        if self._fenced_at - self._excused_at < _EXCUSED_S:
            self._excused_at, self._renew_at = -_EXCUSED_S, self._clock()
            return
        self.fail(
            DeliveryError(
                f"expected to be the only `{self._settings.kafka.member}`, got {error.str()}: another worker took "
                "this slot over; give every worker its own kafka.slot"
            )
        )

    def look_after(self, partitions: int, *, has_any: bool) -> None:
        """Join again if partitions belong to nobody; asks the broker once after an assignment, so for now and then.

        A static member that was killed between giving a partition up and joining again gets its old assignment back
        without a rebalance, and what it gave up would wait for the next one.

        Args:
            partitions: of the topic.
            has_any: whether this member has one of them.
        """
        if self._look_at is None or self._clock() < self._look_at or self._renew_at is not None:
            return
        if not self._has_asked:  # scans do not wait for the answer
            self._group.ask()
            self._has_asked, self._look_at = True, self._clock() + _ANSWERED_S
            return
        self._has_asked = False
        nobodys = self._group.partitions_of_nobody(self._topic, partitions)
        if nobodys:
            log.warning("partitions of nobody; joining the group again", partitions=nobodys)
            self._join_again()
        elif nobodys == [] and not has_any and len(self._wanted) == 1:
            # The group may still take what this slot wanted when it handed over for what it wants: only a wish that
            # differs from both makes it think again.
            self._wanted = [self._topic, self._settings.topics.worker_state]
            self._join_again()
        self._look_at = self._clock() + _LOOK_AGAIN_S if nobodys or nobodys is None else None

    def _join_again(self) -> None:
        try:
            self.client.unsubscribe()
            self.join()
        except KafkaException as error:
            self.on_error(error.args[0])

    def hand_over(self, partitions: int, within_s: float) -> None:
        """Give all partitions to the other members at once, where there are any; everything must be committed before.

        A static member's partitions are kept for it until its session ends. That is right for one that comes back, and
        silence where others could go on: one that subscribes to another topic has them taken, in the rebalance that
        follows or, if that only takes them from it, in the one after. It stays until the others have them, or gives up:
        who else is leaving, or is gone and still waited for, takes none.

        Args:
            partitions: of the topic.
            within_s: time for it.
        """
        kafka, began_s = self._settings.kafka, self._clock()
        members = self._group.members(within_s) if kafka.group_protocol == "classic" else 1
        if members in (None, 1):
            log.info("partitions not handed over", members=members)
            return
        self._is_leaving = True
        self._wanted = [self._settings.topics.worker_state]
        left = None
        with suppress(KafkaException):
            self.join()
            while left != [] and (left_s := began_s + within_s - self._clock()) > 0:
                self.client.consume(_LEFT_OVER, _QUIET_S)
                left = self._group.partitions_of_nobody(self._topic, partitions, but=kafka.member, within_s=left_s)
        seconds = round(self._clock() - began_s, 3)
        if left == []:
            log.info("partitions handed over", seconds=seconds)
        else:
            log.warning("partitions not handed over in time", partitions=left, seconds=seconds)

    def leave(self) -> None:
        """Leave; a static member keeps its partitions reserved until its session ends.

        Nothing may be assigned or revoked within the client's own close: where an assignment still waits to be
        answered, answering it there hangs for ever with the interpreter's lock held (seen; librdkafka issue 4884).
        So the group is left first, what waits is answered, and only then the client is closed.
        """
        self._is_leaving = True
        deadline = self._clock() + _LEAVE_S
        with suppress(KafkaException):
            self.client.unsubscribe()  # from here on nothing more is assigned, but what waits already
            answered = -1
            while answered != self._answered and self._clock() < deadline:
                answered = self._answered
                self.client.consume(_LEFT_OVER, _QUIET_S)
        self.client.close()

    def _make(self) -> Consumer:
        return config.make(Consumer, config.consumer(self._settings.kafka, self.on_error, self._on_commit))

    def _assigned(self, assigned: list[TopicPartition]) -> None:
        if self._is_leaving:  # taken only to be given back: the client insists on an answer
            self.client.incremental_assign(_at_their_end(assigned))
            return
        others = [tp for tp in assigned if tp.topic != self._topic]
        if others:
            self.client.incremental_assign(_at_their_end(others))
            self.client.pause(others)
        self.on_assigned([tp for tp in assigned if tp.topic == self._topic])
        self.has_joined = True
        # Not before the others have noticed what changed: until then what moves is nobody's, also in a late answer.
        self._has_asked = False
        self._look_at = self._clock() + 2 * self._settings.kafka.heartbeat_ms / 1000

    def _lost(self, gone: list[TopicPartition]) -> None:
        self.has_joined = False
        self._excused_at = self._clock()
        self._gone(gone, self.on_lost)

    def _gone(self, gone: list[TopicPartition], react: OnPartitions) -> None:
        try:
            react([tp for tp in gone if tp.topic == self._topic])
        finally:  # the client waits for this answer, whatever failed, and would not close without it
            # What could not be taken is not held; to give it back would be an error, and leave the client waiting.
            held = {(tp.topic, tp.partition) for tp in self.client.assignment()}
            given_back = [tp for tp in gone if (tp.topic, tp.partition) in held]
            # One that is given back while it is paused would be paused still when it comes again.
            self.client.resume(given_back)
            self.client.incremental_unassign(given_back)

    def _guarded(self, react: OnPartitions) -> Callable[[Any, list[TopicPartition]], None]:
        """Keep an error of a callback for `raise_failure`; the client would lose it."""

        def callback(_: Any, partitions: list[TopicPartition]) -> None:
            self._answered += 1
            try:
                react(partitions)
            except StrandwatchError as error:
                self.fail(error)
            except KafkaException as error:
                self.fail(DeliveryError(f"expected a rebalance, got {error.args[0].str()}"))
            else:
                return
            with suppress(KafkaException):  # the client must not assign by itself what we could not
                self.client.incremental_assign([])

        return callback


def _at_their_end(partitions: list[TopicPartition]) -> list[TopicPartition]:
    return [TopicPartition(tp.topic, tp.partition, OFFSET_END) for tp in partitions]
