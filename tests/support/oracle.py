"""What must come out for what went in, without Kafka and without the worker's stages; and what is wrong with what did.

wrong = Oracle(manifest, answer).differences(published, found)
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from support.uneven_line import Published

from models.alerting import AlertMachine, Transition
from models.manifest import Manifest
from models.messages import Alert, Prediction, SensorScan, scan_row
from models.windows import Float32Array, Outcome, StrandTimeline

Answer = Callable[[Float32Array], Float32Array]
"""The model: windows [n, time, sensor] to probabilities [n, target]."""

TOLERANCE = 1e-6

Foreseen = tuple[int, int | None, tuple[float, ...] | None]
"""Of a prediction: event time, seq, probabilities (None while warming)."""

Change = tuple[str, str, int, int, int | None]
"""Of an alert's message: target, state, opened at, event time, closed at."""


@dataclass(slots=True)
class Found:
    """What a reader of committed records has seen, in the order of each partition.

    Attributes:
        predictions: all.
        alerts: all.
        dead_letters: value, topic, partition and offset as the headers name them.
    """

    predictions: list[Prediction] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    dead_letters: list[tuple[bytes, str, str, str]] = field(default_factory=list)

    def once(self) -> Self:
        """As seen by a reader who drops what comes again."""
        return type(self)(
            list({(one.strand_id, one.event_time_ms, one.seq): one for one in self.predictions}.values()),
            list({(one.alert_id, one.state): one for one in self.alerts}.values()),
            list({letter[1:]: letter for letter in self.dead_letters}.values()),
        )


class Oracle:
    """For one model.

    Args:
        manifest: its rules and policies.
        answer: the model itself.
    """

    def __init__(self, manifest: Manifest, answer: Answer) -> None:
        self._manifest = manifest
        self._answer = answer

    def differences(self, published: Sequence[Published], found: Found) -> list[str]:
        """Everything that is lost, twice, out of order or wrong; empty if all is well."""
        said: dict[str, list[Prediction]] = defaultdict(list)
        for prediction in found.predictions:
            said[prediction.strand_id].append(prediction)
        told: dict[str, list[Change]] = defaultdict(list)
        for alert in found.alerts:
            change = (alert.target, alert.state, alert.opened_at_ms, alert.event_time_ms, alert.closed_at_ms)
            told[alert.strand_id].append(change)
        wrong: list[str] = []
        scans = _by_strand(published)
        for strand_id in sorted({*scans, *said, *told}):
            predictions, alerts = self.foresee(strand_id, scans.get(strand_id, []))
            wrong += [f"{strand_id}: {text}" for text in _compare(predictions, said[strand_id])]
            heard = told[strand_id]
            if heard != alerts[: len(heard)]:
                wrong.append(f"{strand_id}: alerts {_first_difference(alerts, heard)}")
            elif len(heard) < len(alerts):
                wrong.append(f"{strand_id}: {len(alerts) - len(heard)} changes of alerts lost")
        return wrong + list(_compare_letters(published, found))

    def foresee(self, strand_id: str, scans: Sequence[SensorScan]) -> tuple[list[Foreseen], list[Change]]:
        """All predictions and changes of alerts of one strand, in order."""
        rules, sensors = self._manifest.window, self._manifest.sensor_names
        timeline = StrandTimeline(rules, strand_id)
        alerts = _Alerts(self._manifest)
        rows: list[list[float]] = []
        predictions: list[Foreseen] = []
        for scan in scans:
            verdict = timeline.observe(scan.event_time_ms)
            if verdict.outcome is not Outcome.USED:
                continue
            if verdict.restarted:
                rows.clear()
                alerts.give_up(scan.event_time_ms)
            rows = [*rows, list(scan_row(scan, sensors))][-rules.length :]
            if verdict.due and len(rows) < rules.length:
                predictions.append((scan.event_time_ms, scan.seq, None))
            elif verdict.due:
                probabilities = tuple(float(p) for p in self._answer(np.array([rows], np.float32))[0])
                predictions.append((scan.event_time_ms, scan.seq, probabilities))
                alerts.observe(scan.event_time_ms, probabilities)
        return predictions, alerts.changes


class _Alerts:
    """The machines of one strand, and what a reader is told of them."""

    def __init__(self, manifest: Manifest) -> None:
        self._machines = {target: AlertMachine(manifest.alert[target]) for target in manifest.targets}
        self.changes: list[Change] = []

    def give_up(self, now_ms: int) -> None:
        for target, machine in self._machines.items():
            opened = machine.opened_at_ms
            if machine.give_up() is not None and opened is not None:
                self.changes.append((target, "closed", opened, now_ms, machine.closed_at_ms))

    def observe(self, now_ms: int, probabilities: Sequence[float]) -> None:
        for (target, machine), probability in zip(self._machines.items(), probabilities, strict=True):
            opened = machine.opened_at_ms
            moved = machine.observe(now_ms, probability)
            if moved is Transition.OPENED:
                self.changes.append((target, "open", now_ms, now_ms, None))
            elif moved is Transition.CLOSED and opened is not None:
                self.changes.append((target, "closed", opened, now_ms, machine.closed_at_ms))


def _by_strand(published: Iterable[Published]) -> dict[str, list[SensorScan]]:
    scans: dict[str, list[SensorScan]] = defaultdict(list)
    for record in published:
        if record.scan is not None:
            scans[record.scan.strand_id].append(record.scan)
    return scans


def _compare(expected: Sequence[Foreseen], said: Sequence[Prediction]) -> Iterator[str]:
    wanted = [(event_time_ms, seq) for event_time_ms, seq, _ in expected]
    got = [(prediction.event_time_ms, prediction.seq) for prediction in said]
    lost, more = Counter(wanted) - Counter(got), Counter(got) - Counter(wanted)
    if lost:
        yield f"{lost.total()} predictions lost, the first at {min(lost)}"
    if more:
        yield f"{more.total()} predictions twice or for no due scan, the first at {min(more)}"
    if lost or more:
        return
    if wanted != got:
        yield f"predictions out of order {_first_difference(wanted, got)}"
        return
    for (event_time_ms, _, probabilities), prediction in zip(expected, said, strict=True):
        values = None if prediction.probability is None else tuple(prediction.probabilities.values())
        if not _same(probabilities, values):
            yield f"probability {values} instead of {probabilities} at {event_time_ms}"


def _same(expected: tuple[float, ...] | None, got: tuple[float, ...] | None) -> bool:
    if expected is None or got is None:
        return expected is got
    return max(abs(a - b) for a, b in zip(expected, got, strict=True)) <= TOLERANCE


def _compare_letters(published: Iterable[Published], found: Found) -> Iterator[str]:
    wanted = Counter(record.value for record in published if record.scan is None)
    got = Counter(value for value, *_ in found.dead_letters)
    if wanted != got:
        yield f"dead letters: {(wanted - got).total()} lost, {(got - wanted).total()} too many"
    places = Counter(place for _, *rest in found.dead_letters for place in [tuple(rest)])
    twice = [place for place, count in places.items() if count > 1]
    if twice:
        yield f"dead letters twice, of {twice[:3]}"


def _first_difference(expected: Sequence[object], got: Sequence[object]) -> str:
    for number, (wanted, found) in enumerate(zip(expected, got, strict=False)):
        if wanted != found:
            return f"differ at number {number}: expected {wanted}, got {found}"
    return f"expected {len(expected)}, got {len(got)}"
