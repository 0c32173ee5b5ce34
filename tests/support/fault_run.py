"""A line published at its pace while workers are struck, and read as a reader of committed records would.

with FaultRun(bootstrap, topics, bundle, seed=7) as run:
    run.restart(0)               # the worker of slot 0; again, after a kill -9
    ...
    run.finish()                 # raises with everything that is lost, twice, out of order or wrong
"""

import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import dropwhile
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from support.bundles import expected
from support.committed_reader import CommittedReader
from support.kafka_broker import Topics
from support.kafka_io import aborted_records, committed_offsets, end_offsets
from support.offset_watch import OffsetWatch
from support.oracle import Letter, Oracle
from support.uneven_line import RUBBISH, Published, uneven_line
from support.workers import WorkerProcess, environment

from models import bundle as bundles

FAULTY = (str(Path(__file__).with_name("faulty_worker.py")),)
WITHIN_S = 60.0
ABORTED = ("transaction void", "not committed; its records will be read again")
STOPPING = '"event": "stopping"'


class FaultRun:
    """One run; its seed is in every failure's text.

    Args:
        bootstrap: of the broker.
        topics: fresh ones.
        bundle: of tests/support/bundles.py.
        seed: of the line.
        per_s: records published a second, until `differences` or `finish`.
        line: what is published; None for an uneven line of the seed.
        is_supervised: whether a worker that ends of itself is started again, as by whatever runs it.
        env: further settings of every worker.

    Attributes:
        topics: its own.
        line: what is published.
        kills: how many workers were killed.
        ended: what workers said last that ended of themselves.
        progress_s: what was done, and how long after it all partitions answered scans published since.
        reader: of what came of it.
    """

    def __init__(
        self, bootstrap: str, topics: Topics, bundle: Path, *, seed: int = 0, per_s: float = 600.0,
        line: Iterable[Published] | None = None, is_supervised: bool = False, **env: object,
    ) -> None:  # fmt: skip
        self.seed = seed
        self.kills = 0
        self.ended: list[str] = []
        self._is_supervised = is_supervised
        self.progress_s: list[tuple[str, float]] = []
        self._bootstrap, self.topics, self._bundle, self._env = bootstrap, topics, bundle, env
        self._published: list[Published] = []
        self._letters: list[Letter] = []
        self._per_s = per_s
        self.line = uneven_line(seed) if line is None else line
        self._workers: dict[int, WorkerProcess] = {}
        self._every: list[tuple[int, WorkerProcess]] = []
        self._published_s: dict[tuple[str, int | None], float] = {}
        self._is_published = threading.Event()
        self._flows = threading.Event()
        self._flows.set()
        self._over = threading.Event()
        self._offsets = OffsetWatch(bootstrap, topics)
        self._watch_failed: list[str] = []
        self.reader = CommittedReader(
            bootstrap, topics, lambda strand_id, seq: self._published_s.get((strand_id, seq), 0.0), self._over
        )
        own = [threading.Thread(target=one, daemon=True) for one in (self._publish, self._watch)]
        self._threads = [*own, self.reader.thread]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_published.set()
        self._flows.set()
        self._over.set()
        for worker in self._workers.values():
            if worker.process.poll() is None:
                worker.kill()
            assert worker.process.stderr is not None
            worker.process.stderr.close()
        for thread in self._threads:
            thread.join(10)

    def start(self, slot: int = 0, **env: str) -> WorkerProcess:
        """A worker in a slot; `env` as in the environment (`MUTANT`, `FAILPOINT`)."""
        settings = environment(self._bootstrap, self.topics, self._bundle, kafka__slot=slot, **self._env)
        before = self._workers.get(slot)
        if before is not None and before.process.stderr is not None:
            before.process.stderr.close()
        support = str(Path(__file__).parents[1])
        worker = WorkerProcess({**settings, **env, "PYTHONPATH": support}, program=FAULTY)
        self._workers[slot] = worker
        self._every.append((slot, worker))
        return worker

    def kill(self, slot: int = 0) -> None:
        """SIGKILL, whatever it is doing."""
        self._workers[slot].kill()
        self.kills += 1

    def restart(self, slot: int = 0, **env: str) -> None:
        """Kill the worker of a slot, start another, and wait until it has gone on; the first is only started."""
        struck_s, is_first = time.monotonic(), slot not in self._workers
        if not is_first:
            self.kill(slot)
        self.start(slot, **env)
        if is_first:
            came = self.reader.wait_for_any(struck_s, WITHIN_S)
            assert came, f"seed {self.seed}: no output within {WITHIN_S:g} s\n{self.logs()}"
        else:
            self.wait_for_progress(struck_s, "killed and started again")

    def wait_for_progress(self, since_s: float, after: str, within_s: float = WITHIN_S) -> None:
        """Wait for the reader's `progress`, which is kept in `progress_s` by what was done."""
        seconds = self.reader.progress(since_s, within_s)
        assert seconds is not None, f"seed {self.seed}: {after}: no progress within {within_s:g} s\n{self.logs()}"
        self.progress_s.append((after, seconds))

    def pause_line(self) -> None:
        """Publish nothing until `go_on_with_line`."""
        self._flows.clear()

    def go_on_with_line(self) -> None:
        """Publish on."""
        self._flows.set()

    def stop(self, slot: int = 0) -> None:
        """SIGTERM; it must leave of itself, and as one that has done its work."""
        code, _ = self._workers[slot].terminate()
        assert code == 0, self.logs()

    def stop_all(self) -> None:
        """SIGTERM to all at once; each must leave of itself."""
        for worker in self._workers.values():
            worker.process.send_signal(signal.SIGTERM)
        codes = [worker.wait_ended() for worker in self._workers.values()]
        assert codes == [0] * len(codes), self.logs()

    def worker(self, slot: int = 0) -> WorkerProcess:
        """That of a slot, as last started."""
        return self._workers[slot]

    def has_ended(self) -> list[str]:
        """Workers last started in their slots that are gone, and what they said last."""
        return [
            f"slot {slot} ended with {code}: {next((line for line in reversed(worker.log) if line), 'nothing')}"
            for slot, worker in self._workers.items()
            if (code := worker.process.poll()) is not None
        ]

    def wait_for(self, text: str, slot: int = 0) -> None:
        """Wait until a worker has said so."""
        self._workers[slot].wait_for(text)

    def wait_for_open_alerts(self, count: int, model: str) -> None:
        """Wait until as many alerts of a model are open."""
        came = self.reader.wait_until(lambda: len(self.reader.open_alerts(model)) >= count, WITHIN_S)
        assert came, f"{self.reader.open_alerts(model)} open\n{self.logs()}"

    def wait_for_partitions(self, count: int, slot: int, within_s: float) -> None:
        """Wait until a worker has so many, by its own metrics."""
        worker, deadline = self._workers[slot], time.monotonic() + within_s
        while worker.get("/metrics")[1].count("\nstrandwatch_consumer_lag_records{") != count:
            assert time.monotonic() < deadline, self.logs()
            self._over.wait(0.05)

    def wait_for_end(self, slot: int = 0) -> None:
        """Wait until a worker that was struck has ended."""
        self._workers[slot].wait_ended()
        self.kills += 1

    def wait_s(self, seconds: float) -> None:
        """Let the line run on: the moment of a fault is drawn, not waited for."""
        self._over.wait(seconds)

    def wait_for_committed(self, records: int, within_s: float = 30.0) -> None:
        """Wait until the group has committed so many records of all partitions together."""
        deadline = time.monotonic() + within_s
        while sum(self._offsets.highest.values()) < records:
            assert time.monotonic() < deadline, f"committed {self._offsets.highest}, not {records}\n{self.logs()}"
            self._over.wait(0.02)

    def differences(self, within_s: float = 60.0) -> list[str]:
        """End the line, wait until it is read whole, or nothing more comes; then all that is wrong."""
        self._is_published.set()
        self._flows.set()
        self._threads[0].join(within_s)
        oracle = self._oracle
        ends = end_offsets(self._bootstrap, self.topics.sensors)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            committed = committed_offsets(
                self._bootstrap, self.topics.group_id, self.topics.sensors, self.topics.partitions
            )
            if all(committed[partition] >= end or end == 0 for partition, end in ends.items()):
                break
            time.sleep(0.1)  # asked of the broker, which tells nobody of itself
        while True:
            self.reader.wait_until_quiet()
            found = self.reader.found.once() if self._env.get("delivery") == "at_least_once" else self.reader.found
            wrong = [*oracle.differences(self._published, self._letters, found), *self._offsets.complaints]
            wrong += self._watch_failed
            # What a killed worker left open hides what came after it, until the broker ends it.
            if not all("lost" in text for text in wrong) or not wrong or time.monotonic() > deadline:
                return wrong

    def aborted(self, since: str = "") -> list[str]:
        """Transactions that workers told came to nothing, each from where it first said `since`."""
        return [
            f"slot {slot}: {line}"
            for slot, worker in self._every
            for line in dropwhile(lambda line: since not in line, list(worker.log))
            if any(event in line for event in ABORTED)
        ]

    def aborted_records(self) -> list[str]:
        """After `differences`: outputs that no reader of committed records is given."""
        return aborted_records(self._bootstrap, self.topics.names[1:])

    def made_up(self) -> list[str]:
        """After `differences`: what is lost or twice, and values that are not those of whole windows."""
        return self._oracle.made_up(self._published, self.reader.found)

    @property
    def _oracle(self) -> Oracle:
        return Oracle(bundles.read(str(self._bundle)).manifest, expected)

    def finish(self, within_s: float = 60.0) -> None:
        """Nothing may be lost, twice, out of order or wrong."""
        wrong = self.differences(within_s)
        assert not wrong, f"seed {self.seed}:\n" + "\n".join(wrong[:20]) + "\n" + self.logs()

    def logs(self) -> str:
        """What the workers said last."""
        ends: dict[int, int] = {}
        with suppress(KafkaException, KeyError):
            ends = end_offsets(self._bootstrap, self.topics.sensors)
        counts = (
            f"log ends {ends}, read again {self.reader.read_again[:5]}, published {len(self._published)}, "
            f"predictions read {len(self.reader.found.predictions)}"
        )
        lines = [f"slot {slot}: {line}" for slot, one in self._workers.items() for line in one.log[-60:]]
        return "\n".join([f"{counts}, committed {self._offsets.highest}", *lines])

    def _publish(self) -> None:
        producer = Producer(
            {"bootstrap.servers": self._bootstrap, "enable.idempotence": True, "partitioner": "murmur2_random",
             "linger.ms": 2, "message.timeout.ms": 300_000}
        )  # fmt: skip
        began_s = time.monotonic()
        for record in self.line:
            if self._is_published.wait(max(0.0, began_s + len(self._published) / self._per_s - time.monotonic())):
                break
            self._flows.wait()
            producer.produce(
                self.topics.sensors,
                record.value,
                record.key,
                on_delivery=None if record.scan else self._note_rubbish,
            )
            self._published_s.setdefault((record.key, record.scan.seq if record.scan else None), time.monotonic())
            self._published.append(record)
            producer.poll(0)
        producer.flush(120)

    def _note_rubbish(self, error: KafkaError | None, message: Message) -> None:
        value = message.value() or b""
        if error is None:
            self._letters.append((value, RUBBISH[value], str(message.partition()), str(message.offset())))

    def _supervise(self) -> None:
        for slot, worker in list(self._workers.items()) if self._is_supervised else ():
            if worker.process.poll():
                worker.wait_ended()
                self.ended.append(next((line for line in reversed(worker.log) if line), "nothing"))
                self.start(slot)

    def _watch(self) -> None:
        try:
            while not self._over.wait(0.1):
                self._supervise()
                self._offsets.look()
        except Exception as error:
            self._watch_failed.append(f"committed offsets were not watched to the end: {error!r}")
            raise
        finally:
            self._offsets.close()
