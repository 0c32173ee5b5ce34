"""`worker run` with a fault in it: broken on purpose, or struck at a named point. Started as a process of its own.

MUTANT=skip_refill python faulty_worker.py run
FAILPOINT=before_commit:3:kill python faulty_worker.py run      # see `support.failpoints`
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from support.failpoints import Points, replace

from worker import cli, loop
from worker.kafka import checkpoints, exactly_once, rewind, source, transactional_producer
from worker.pipeline import Pipeline
from worker.records import PartitionState
from worker.stages import inference
from worker.stages.windows import Windows

Patch = Callable[[], None]
POINTS = Points(os.environ.get("FAILPOINT", ""))


def commit_before_produce() -> None:
    """Offsets go in a transaction of their own, before that of the outputs."""

    def make(publish: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any, processed: Any, polled_at: float) -> None:
            self._made.reached.update(processed.next_offsets)
            self._commit()
            publish(self, processed, polled_at)
            if self._producer.is_open:  # at once, so that nothing is lost but by a kill between the two
                self._producer.commit()
            self._made = exactly_once.Made()

        return broken

    replace(exactly_once.ExactlyOnceSink, "publish", make)


def skip_refill() -> None:
    """Windows are not refilled, and so begin anew."""

    def make(_: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any, records: Any) -> None:
            del self, records

        return broken

    replace(Pipeline, "refill", make)


def no_rewind() -> None:
    """Read from the committed offset on, with neither windows nor alerts."""

    def make(resume: Callable[..., Any]) -> Callable[..., Any]:
        def broken(*arguments: Any) -> Any:
            right = resume(*arguments)
            return rewind.Resume(right.live_from, right.live_from, is_fresh=right.is_fresh)

        return broken

    replace(rewind.Rewind, "resume", make)


def no_recovery_after_abort() -> None:
    """Go on in memory as if the transaction that came to nothing had been committed."""

    def make(_: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any) -> None:
            try:
                if self._has_joined and self._producer.is_open:
                    self._producer.abort()
                elif not self._has_joined and time.monotonic() >= self._join_after_s:
                    self._try_to_join()
            except transactional_producer.TransactionError as error:
                self._replace(error)
            if self._has_joined:
                self._void = None

        return broken

    replace(exactly_once.ExactlyOnceSink, "_mend", make)


def no_recovery_after_fencing() -> None:
    """The same, for a transaction that the broker ended."""
    no_recovery_after_abort()


def crash_after_abort() -> None:
    """Nothing is wrong but a slip of whoever wrote it: the worker ends at its first abort. No fault of delivery."""

    def make(_: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any) -> None:
            self.no_such_name()

        return broken

    replace(exactly_once.ExactlyOnceSink, "_mend", make)


def start_at_latest() -> None:
    """Take a partition up at its end, whatever is committed."""

    def make(_: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any, committed: Any, low: int, high: int, until_s: float) -> Any:
            del self, committed, low, until_s
            return rewind.Resume(high, high)

        return broken

    replace(rewind.Rewind, "resume", make)


def forget_alerts() -> None:
    replace(
        Pipeline, "restore",
        lambda restore: lambda self, partition, state: restore(
            self, partition, PartitionState(state.windows, [], state.since, state.reached)
        ),
    )  # fmt: skip


def one_start_for_all() -> None:
    """The oldest window's beginning for every strand of the partition."""

    def make(begin: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any, partition: Any, starts: Any, *rest: Any) -> None:
            begin(self, partition, dict.fromkeys(starts, min(starts.values(), default=0)), *rest)

        return broken

    replace(Windows, "begin_refill", make)


def commit_while_refilling() -> None:
    """Commit a partition as it stands in the middle of a refill: half of its windows replace the whole."""
    sinks: list[Any] = []
    live_from: dict[Any, int] = {}

    def make(refill: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any, records: Any) -> None:
            for record in records:
                refill(self, [record])
                sinks[0]._made.reached = {record.origin.partition: live_from[record.origin.partition]}
                sinks[0]._commit()

        return broken

    def begun(begin: Callable[..., Any]) -> Callable[..., Any]:
        def noted(self: Any, resumes: Any) -> None:
            sinks.append(self)
            live_from.update({partition: one.live_from for partition, one in resumes.items()})
            begin(self, resumes)

        return noted

    replace(exactly_once.ExactlyOnceSink, "begin", begun)
    replace(Pipeline, "refill", make)


def trusts_its_producer() -> None:
    """A producer that lost its broker is used on, and its calls are waited for without end."""

    def make_blind(_: Callable[..., Any]) -> Callable[..., Any]:
        def blind(self: Any, error: Any) -> None:
            del self, error

        return blind

    def make_patient(_: Callable[..., Any]) -> Callable[..., Any]:
        def waits(self: Any, function: Any, *arguments: Any, within_s: float) -> Any:
            del self, within_s
            what = getattr(function, "__name__", "a call")
            print(f'{{"event": "calling", "what": "{what}"}}', file=sys.stderr, flush=True)
            answer = function(*arguments)
            print('{"event": "back"}', file=sys.stderr, flush=True)
            return answer

        return waits

    replace(transactional_producer.TransactionalProducer, "_on_error", make_blind)
    replace(transactional_producer.WatchedCalls, "run", make_patient)


def slow_refill() -> None:
    """Nothing is wrong but that windows are refilled record by record, 20 ms each."""
    loop.Loop.POLL_LIMIT = 1

    def make(refill: Callable[..., Any]) -> Callable[..., Any]:
        def slowly(self: Any, records: Any) -> None:
            time.sleep(0.02)
            refill(self, records)

        return slowly

    replace(Pipeline, "refill", make)


def offsets_from_position() -> None:
    """Commit where the client stands, which during a refill is before what is committed; refills take their time."""
    slow_refill()

    def make(tick: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any) -> None:
            if self._made.reached or self._source.is_refilling:
                held = self._source.client.position(self._source.client.assignment())
                self._made.reached.update({(tp.topic, tp.partition): tp.offset for tp in held if tp.offset >= 0})
            tick(self)

        return broken

    replace(exactly_once.ExactlyOnceSink, "tick", make)


def no_transaction_offsets() -> None:
    """Commit the offsets by the consumer, after the transaction."""
    clients: list[Any] = []
    last: list[Any] = []
    sent: list[Any] = []

    def keep(init: Callable[..., Any]) -> Callable[..., Any]:
        def kept(self: Any, *arguments: Any) -> None:
            init(self, *arguments)
            clients.append(self.client)

        return kept

    def note(_: Callable[..., Any]) -> Callable[..., Any]:
        def noted(self: Any, offsets: Any, group: Any) -> None:
            del self, group
            last[:] = offsets

        return noted

    def make(commit: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any) -> None:
            commit(self)
            if sent:  # or nothing would come twice
                POINTS.reach("between_commits")
            sent.clear()
            clients[0].commit(offsets=last, asynchronous=False)

        return broken

    def make_noted(produce: Callable[..., Any]) -> Callable[..., Any]:
        def noted(self: Any, topic: str, *rest: Any) -> None:
            sent.append(topic)
            produce(self, topic, *rest)

        return noted

    replace(source.Source, "__init__", keep)
    replace(transactional_producer.TransactionalProducer, "produce", make_noted)
    replace(transactional_producer.TransactionalProducer, "send_offsets", note)
    replace(transactional_producer.TransactionalProducer, "commit", make)


def accept_zombie() -> None:
    """A transaction's offsets are committed without membership: nothing tells a zombie's from the owner's."""

    from confluent_kafka import Consumer

    stranger = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": GROUP})

    def make(send: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any, offsets: Any, group: Any) -> None:
            del group
            send(self, offsets, stranger.consumer_group_metadata())

        return broken

    replace(transactional_producer.TransactionalProducer, "send_offsets", make)


def forget_checkpoint() -> None:
    """What an offset's metadata only points to is not read."""

    def make(_: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any, partition: Any, offset: int, found: Any, until_s: float) -> Any:
            del self, partition, offset, until_s
            return found.state

        return broken

    replace(checkpoints.Checkpoints, "whole", make)


def leave_former_open() -> None:
    """Alerts that another model left open are not closed."""

    def make(_: Callable[..., Any]) -> Callable[..., Any]:
        def broken(*_: Any) -> None:
            pass

        return broken

    replace(Pipeline, "close_former", make)


def slow_commit() -> None:
    """Nothing is wrong but that every commit takes a second: what happens meanwhile happens within one."""

    def make(commit: Callable[..., Any]) -> Callable[..., Any]:
        def slowly(self: Any) -> None:
            time.sleep(1)
            commit(self)

        return slowly

    replace(transactional_producer.TransactionalProducer, "commit", make)


def last_commit_void() -> None:
    """Nothing is wrong but the group, which has changed when a worker that leaves commits."""
    reached: dict[Any, int] = {}

    def note(publish: Callable[..., Any]) -> Callable[..., Any]:
        def noted(self: Any, processed: Any, polled_at: float) -> None:
            publish(self, processed, polled_at)
            reached.update(processed.next_offsets)

        return noted

    def make(close: Callable[..., bool]) -> Callable[..., bool]:
        def late(self: Any, budget_s: float) -> bool:
            def refused(*_: Any) -> None:
                raise transactional_producer.TransactionError("abort", "the group has changed")

            transactional_producer.TransactionalProducer.send_offsets = refused
            if self._void is None:  # there is something to commit, whenever it is told to stop
                self._made.reached.update(reached)
            return close(self, budget_s)

        return late

    replace(exactly_once.ExactlyOnceSink, "publish", note)
    replace(exactly_once.ExactlyOnceSink, "close", make)


def slow_model() -> None:
    """Nothing is wrong but that each window takes 10 ms."""

    def make(run: Callable[..., Any]) -> Callable[..., Any]:
        def slowly(self: Any, batch: Any) -> Any:
            time.sleep(0.01 * batch.count)
            return run(self, batch)

        return slowly

    replace(inference.Inference, "run", make)


def clock_jumps() -> None:
    """Nothing is wrong but the wall clock: after two seconds an hour ahead, a second later an hour behind."""
    real = time.time
    began = real()

    def jumping() -> float:
        now = real()
        return now + (0 if now < began + 2 else 3600 if now < began + 3 else -3600)

    time.time = jumping
    replace(
        Pipeline, "__init__",
        lambda init: lambda *arguments, **named: init(*arguments, wall_clock=jumping, **named),
    )  # fmt: skip


BOOTSTRAP = os.environ.get("STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS", "")
GROUP = os.environ.get("STRANDWATCH_KAFKA__GROUP_ID", "")

MUTANTS: dict[str, Patch] = {
    patch.__name__: patch
    for patch in (
        commit_before_produce, skip_refill, no_rewind, no_recovery_after_abort, no_recovery_after_fencing,
        start_at_latest, forget_alerts, one_start_for_all, commit_while_refilling, offsets_from_position,
        no_transaction_offsets, accept_zombie, forget_checkpoint,
    )
}  # fmt: skip

OTHERS: tuple[Patch, ...] = (
    clock_jumps, crash_after_abort, last_commit_void, leave_former_open, slow_commit, slow_model, slow_refill,
    trusts_its_producer,
)  # fmt: skip
"""Slowed, or without a remedy: nothing that an oracle of one model could tell."""


def main() -> None:
    mutant = os.environ.get("MUTANT")
    if mutant:
        {**MUTANTS, **{patch.__name__: patch for patch in OTHERS}}[mutant]()
    POINTS.arm()
    cli.main()


if __name__ == "__main__":
    main()
