"""A stretch of the sensors topic and a table of events, as a dataset for the model a bundle holds.

Sensors, period and windows are the bundle's. The line is `import/kafka`. Sequences are dealt to the splits by target
and seed; the same records and events give the same dataset, fingerprint and all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.encodings import Encoding
from models.errors import ContractError
from models.manifest import Manifest
from models.windows import WindowRules
from trainer.datasets.importers.cells import refuse_empty_sensors
from trainer.datasets.importers.recorded import ImportReport, event_between, refuse_without_positives
from trainer.datasets.importers.strand_scans import CastingSequences, EventTimeRange
from trainer.datasets.importers.table_events import ListedEvent, event_rows
from trainer.datasets.importers.table_mapping import EventTable
from trainer.datasets.records import FROM_TOPIC, SPLITS, Event, SequenceData
from trainer.datasets.splits import check_no_leak
from trainer.datasets.writer import DatasetWriter, refuse_occupied

PERIOD_TOLERANCE = 0.2
"""How far the median step may lie from the bundle's period, as a share of it."""

Record = tuple[int, bytes | None]
"""Partition and value; the records of one partition follow each other, in log order."""


@dataclass(slots=True)
class EventBook:
    """The events of a table, by strand.

    Attributes:
        by_strand: strand → its events, in the order of the table.
        placed: which of them have scans, as (strand, place in the list).
    """

    by_strand: dict[str, list[ListedEvent]] = field(default_factory=dict)
    placed: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path, within: EventTimeRange) -> "EventBook":
        """Read a table of events; its `run` is the strand, and what lies outside the range is left out.

        Raises:
            UsageError: no such file.
            ContractError: the table is broken, or has no event within the range.
        """
        book = cls()
        for row in event_rows(path, EventTable(path.name)):
            event = row.event
            if event.end_ms > within.from_ms and (within.to_ms is None or event.start_ms < within.to_ms):
                book.by_strand.setdefault(row.run, []).append(event)
        if not book.by_strand:
            raise ContractError(f"expected an event between --from and --to, got none at {path}: widen the range")
        return book

    @property
    def targets(self) -> set[str]:
        """All that happened."""
        return {event.target for events in self.by_strand.values() for event in events}

    def of(self, sequence: SequenceData) -> list[Event]:
        """The events with scans in a sequence."""
        found: list[Event] = []
        for place, event in enumerate(self.by_strand.get(sequence.strand_id, ())):
            first, after = sequence.event_time_ms.searchsorted([event.start_ms, event.end_ms]).tolist()
            if first == after:
                continue
            self.placed.add((sequence.strand_id, place))
            name = sequence.sequence_id
            found.append(
                event_between(
                    f"{name}-{len(found):02d}",
                    name,
                    sequence.strand_id,
                    event.target,
                    event.target,
                    event.start_ms,
                    event.start_ms,
                    event.end_ms,
                )
            )
        return found

    @property
    def without_scans(self) -> int:
        """Events of which nothing was recorded."""
        return sum(map(len, self.by_strand.values())) - len(self.placed)


def import_topic(
    records: Callable[[], Iterable[Record]],
    manifest: Manifest,
    events_file: Path,
    out: Path,
    *,
    topic: str,
    within: EventTimeRange,
    encoding: Encoding = "json",
    rules: WindowRules | None = None,
    seed: int = 1,
) -> ImportReport:
    """Write records of a sensors topic as a dataset, a sequence at a time.

    Args:
        records: called once the rest is known to be in order.
        manifest: of the bundle whose sensors, targets and period are wanted.
        events_file: the table of events: run (the strand's id), target, start, end (not within).
        out: a new or empty folder.
        topic: its name, for the record and for errors.
        within: the event times wanted.
        encoding: of the records.
        rules: of the windows to be cut; None for the bundle's.
        seed: of the splits.

    Raises:
        UsageError: no such table, or an occupied out folder.
        ContractError: the table is broken; no sequence as long as a window; a sensor or target of which there is
            nothing; scans of another period. Records that are no scans are no error: they are counted.
    """
    refuse_occupied(out)
    book = EventBook.read(events_file, within)
    targets = [*manifest.targets, *sorted(book.targets - set(manifest.targets))]
    cutter = CastingSequences(manifest.sensor_names, rules or manifest.window, within, encoding)
    writer = DatasetWriter(
        out,
        line=FROM_TOPIC,
        seed=seed,
        period_ms=manifest.window.period_ms,
        sensors=manifest.sensors,
        targets=targets,
        configuration={
            "topic": topic,
            "from_ms": within.from_ms,
            "to_ms": within.to_ms,
            "events": events_file.name,
            "bundle": manifest.model,
        },
        deal_by_target=True,
    )
    events: Counter[str] = Counter(dict.fromkeys(targets, 0))
    missing, steps = 0, []
    with writer:
        for sequence in _sequences(records(), cutter):
            happened = book.of(sequence)
            writer.add(sequence, happened)
            events.update(event.type for event in happened)
            missing += int(np.count_nonzero(np.isnan(sequence.values)))
            steps.append((float(np.median(np.diff(sequence.event_time_ms))), sequence.rows))
        _check(writer, cutter, manifest, topic, steps)
        refuse_without_positives(
            {target: events[target] for target in manifest.targets},
            dict.fromkeys(manifest.targets, f"{events_file}, during the scans of {topic}"),
        )
    infos = writer.sequences
    return ImportReport(
        importer=writer.info.line,
        sequences=len(infos),
        rows=sum(info.rows for info in infos),
        counts={"strands": cutter.strands, **_counts(cutter), "events_without_scans": book.without_scans},
        events=dict(events),
        missing_values=missing,
        repairs=_repairs(cutter, book),
        splits={split: sum(info.split == split for info in infos) for split in SPLITS},
        fingerprint=writer.info.fingerprint,
    )


def _sequences(records: Iterable[Record], cutter: CastingSequences) -> Iterator[SequenceData]:
    partition: int | None = None
    for number, value in records:
        if partition is not None and number != partition:
            yield from cutter.end_partition()
        partition = number
        yield from cutter.take(value)
    yield from cutter.end_partition()


def _check(
    writer: DatasetWriter,
    cutter: CastingSequences,
    manifest: Manifest,
    topic: str,
    steps: Sequence[tuple[float, int]],
) -> None:
    """Refuse what cannot be trained on."""
    if not steps:
        told = ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in _counts(cutter).items() if number)
        raise ContractError(
            f"expected scans for a window of {manifest.window.length} between --from and --to, got {told or 'none'} "
            f"at topic {topic}: widen the range, or --margin where records were published long after they were measured"
        )
    check_no_leak(writer.sequences, window_ms=cutter.pause_ms)
    period_ms, found_ms = manifest.window.period_ms, _weighted_median(steps)
    if abs(found_ms - period_ms) > PERIOD_TOLERANCE * period_ms:
        raise ContractError(
            f"expected a scan period of {period_ms} ms, got a median step of {found_ms:g} ms at topic {topic}: this "
            "line needs a model of its own period"
        )
    seen = np.where(cutter.observed > 0, 1.0, np.nan)[None]
    refuse_empty_sensors(seen, manifest.sensor_names, f"topic {topic}")


def _weighted_median(steps: Sequence[tuple[float, int]]) -> float:
    """The median of values, each with a weight."""
    ordered = sorted(steps)
    half, told = sum(weight for _, weight in ordered) / 2, 0
    for value, weight in ordered:
        told += weight
        if told >= half:
            return value
    raise ValueError("expected at least one value")


_COUNTED = ("records", "used", "invalid", "duplicate", "late", "outside", "set_back", "short", "overlapping")


def _counts(cutter: CastingSequences) -> dict[str, int]:
    return {f"{what}_scans" if what != "records" else what: cutter.counts[what] for what in _COUNTED} | {
        "unknown_values": cutter.counts["unknown_values"]
    }


def _repairs(cutter: CastingSequences, book: EventBook) -> list[str]:
    """One sentence for each kind of thing that was left out."""
    counts, rubbish = (
        cutter.counts,
        ", ".join(f"{count:,} {reason}" for reason, count in sorted(cutter.invalid.items())),
    )
    told = {
        "invalid": f"records that are no scan ({rubbish})",
        "duplicate": "scans that came twice",
        "late": "scans that came after a later one",
        "set_back": "scans ahead of a clock that was then set back",
        "short": "scans in sequences shorter than a window",
        "overlapping": "scans too near to a finished sequence (sent late after an outage, or in two partitions)",
    }
    lines = [f"left out {counts[what]:,} {kind}" for what, kind in told.items() if counts[what]]
    if book.without_scans:
        lines.append(f"left out {book.without_scans:,} events without a scan")
    return lines
