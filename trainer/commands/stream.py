"""`trainer stream`: publish a dataset or a recording to Kafka, as a line would."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from models.encodings import Encoding
from trainer.commands.console import Advance, progress, tell

if TYPE_CHECKING:
    from trainer.commands.dirt import Books
    from trainer.dirt.stream import Arrival
    from trainer.kafka import ScanPublisher
    from trainer.packing import Packing


def command(
    dataset: Annotated[Path, typer.Argument(help="A dataset's folder, or a recording (.npz).")],
    bootstrap: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where Kafka is; several by commas.")],
    topic: Annotated[str, typer.Option(help="An existing topic.")] = "casting.sensors",
    speed: Annotated[
        float, typer.Option(min=0, help="Line seconds a second; 0 is as fast as can be. Long pauses are skipped.")
    ] = 1.0,
    split: Annotated[
        str | None, typer.Option(help="Only the sequences of this split: train, validation, test.")
    ] = None,
    strand: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this strand; may be repeated.")] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this casting sequence; may be repeated.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Shift event times so that the line begins now.")] = False,
    loop: Annotated[
        bool, typer.Option("--loop", help="Begin again at the end, after a standstill; Ctrl-C ends.")
    ] = False,
    encoding: Annotated[
        Encoding,
        typer.Option(help="json: a record a scan; packed: frames of many, for a model of this line's sensors."),
    ] = "json",
    frame_scans: Annotated[int, typer.Option(min=1, max=1024, help="Scans of a packed frame at most.")] = 20,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for the broker to answer and acknowledge.")] = 30.0,
    properties: Annotated[
        list[str] | None,
        typer.Option("--property", metavar="KEY=VALUE", help="A librdkafka property; a secret as KEY=@FILE."),
    ] = None,
    dirt: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND[=RATE]", help="Soil the line: all, or a kind above; may be repeated."),
    ] = None,
    dirt_seed: Annotated[int | None, typer.Option(min=0, help="Seed of the dirt; 1 if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Publish a simulated or recorded line to Kafka, keyed by strand.

    Scans go out in the order of event time, with --dirt in that of arrival.
    Ctrl-C stops, waits for what was sent, and says how many scans that was.

    Kinds of dirt and what RATE is of each (left out: as in a plant; 0: off):
      per strand-hour  drift stuck missing_sensor gap clock_skew backfill
      share of values  drop_out quality
      share of scans   late duplicate rubbish

    Examples:
      trainer stream data/line --bootstrap 127.0.0.1:9092 --speed 20 --now
      trainer stream data/line --bootstrap 127.0.0.1:9092 --dirt all
      trainer stream data/line --bootstrap 127.0.0.1:9092 --encoding packed
    """
    from trainer.commands.dirt import Books
    from trainer.datasets.scans import ScanSource, open_scans
    from trainer.kafka import ScanPublisher, looped, parse_properties, shifted
    from trainer.packing import Frames, Single

    books = Books(dirt, dirt_seed)

    def turn() -> ScanSource:
        return open_scans(dataset, split=split, strands=strand or (), sequences=sequence or (), soil=books.soil)

    scans = turn()
    total = None if loop else scans.total
    given = parse_properties(properties or [])
    began_s = time.perf_counter()
    with (
        _stop_on_signals() as stopped,
        ScanPublisher(bootstrap, topic, properties=given, timeout_s=timeout) as publisher,
        progress("publishing", total, "scans") as advance,
    ):
        line = looped(turn) if loop else scans
        line = shifted(line, time.time_ns() // 1_000_000) if now else line
        packing = Frames(scans.sensors, frame_scans) if encoding == "packed" else Single()
        _publish(line, packing, publisher, books, speed=speed, stopped=stopped, advance=advance)
        interrupted = stopped()
    seconds = time.perf_counter() - began_s
    result = {
        "topic": topic,
        "sent": books.sent,
        "acknowledged": publisher.acknowledged,
        "total": total,
        "interrupted": interrupted,
        "seconds": round(seconds, 3),
        **books.result(),
    }
    ending = f", stopped before {total - books.of_line:,} more" if total is not None and books.of_line < total else ""
    what = "scans" if books.soil is None else "records"
    sentence = f"{topic}: {publisher.acknowledged:,} {what} acknowledged in {seconds:.1f} s{ending}"
    tell(result, [sentence, *books.sentences()], as_json=as_json)


def _publish(
    line: "Iterable[Arrival]",
    packing: "Packing",
    publisher: "ScanPublisher",
    books: "Books",
    *,
    speed: float,
    stopped: Callable[[], bool],
    advance: Advance,
) -> None:
    """Publish until the line ends or is stopped, and wait until everything sent is acknowledged."""
    from trainer.kafka import paced

    for arrival in paced(line, speed=speed, clock=time.monotonic, wait=publisher.wait, stopped=stopped):
        for packed in packing.take(arrival):
            publisher.publish(packed)
        books.note(arrival)
        advance(arrival.of_line)
    for packed in packing.rest():
        publisher.publish(packed)
    publisher.flush()


@contextmanager
def _stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a question to ask; only the main thread may do so."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop.is_set
        return

    def on_signal(_: int, __: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
