"""What must come out for what went in, without Kafka and without the worker's stages; and what is wrong with what did.

wrong = Oracle(manifest, answer).differences(published, found)
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from support.uneven_line import Published

from models.alerting import AlertMachine, Transition, alert_id
from models.manifest import Manifest
from models.messages import Alert, Prediction, SensorScan
from models.scan_rows import scan_row
from models.windows import Float32Array, Outcome, StrandTimeline

Answer = Callable[[Float32Array], Float32Array]
"""The model: windows [n, time, sensor] to probabilities [n, target]."""

TOLERANCE = 1e-6

Letter = tuple[bytes, str, str, str]
"""Value, reason, partition and offset of a dead letter."""


class Foreseen(NamedTuple):
    """A prediction; probabilities are None while warming."""

    event_time_ms: int
    seq: int | None
    probabilities: tuple[float, ...] | None
    window_start_ms: int
    missing_fraction: float
    position_m: float | None

    @property
    def quality(self) -> str:
        if self.probabilities is None:
            return "warming"
        return "degraded" if self.missing_fraction > 0.2 else "good"


class Change(NamedTuple):
    """An alert's message."""

    alert_id: str
    target: str
    state: str
    opened_at_ms: int
    event_time_ms: int
    closed_at_ms: int | None
    heat_id: str | None
    positions_m: tuple[float, float] | None
    probability: float
    peak: float

    def is_as(self, other: Self) -> bool:
        """Whether all is equal, probabilities nearly."""
        return self[:-2] == other[:-2] and max(abs(a - b) for a, b in zip(self[-2:], other[-2:], strict=True)) < 1e-6


@dataclass(slots=True)
class Found:
    """What a reader of committed records has seen, in the order of each partition.

    Attributes:
        predictions: all.
        alerts: all.
        dead_letters: value, and as the headers name them reason, partition and offset.
    """

    predictions: list[Prediction] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    dead_letters: list[Letter] = field(default_factory=list)

    def once(self) -> Self:
        """As seen by a reader who drops what comes again.

        A strand whose clock was set back may open an alert at a time at which it opened one before: the same name, at
        another place of the strand.
        """
        return type(self)(
            list({(one.strand_id, one.event_time_ms, one.seq): one for one in self.predictions}.values()),
            list({(one.alert_id, one.state, _place(one)): one for one in self.alerts}.values()),
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

    def differences(self, published: Sequence[Published], letters: Sequence[Letter], found: Found) -> list[str]:
        """Everything that is lost, twice, out of order or wrong; empty if all is well.

        Args:
            published: in order.
            letters: what must be in the topic of dead letters.
            found: by a reader.
        """
        said: dict[str, list[Prediction]] = defaultdict(list)
        for prediction in found.predictions:
            said[prediction.strand_id].append(prediction)
        told: dict[str, list[Change]] = defaultdict(list)
        for alert in found.alerts:
            told[alert.strand_id].append(_told(alert))
        wrong: list[str] = []
        scans = _by_strand(published)
        for strand_id in sorted({*scans, *said, *told}):
            predictions, alerts = self.foresee(strand_id, scans.get(strand_id, []))
            wrong += [f"{strand_id}: {text}" for text in _compare(predictions, said[strand_id])]
            heard = told[strand_id]
            if not all(map(Change.is_as, heard, alerts)) or len(heard) > len(alerts):
                wrong.append(f"{strand_id}: alerts {_first_difference(alerts, heard)}")
            elif len(heard) < len(alerts):
                wrong.append(f"{strand_id}: {len(alerts) - len(heard)} changes of alerts lost")
        return wrong + list(_compare_letters(letters, found.dead_letters))

    def made_up(self, published: Sequence[Published], found: Found) -> list[str]:
        """What is lost or twice, and values not of whole windows; a warming prediction may be of a scan not due."""
        wrong: list[str] = []
        for strand_id, scans in _by_strand(published).items():
            foreseen = {(one.event_time_ms, one.seq): one.probabilities for one in self.foresee(strand_id, scans)[0]}
            said = [prediction for prediction in found.predictions if prediction.strand_id == strand_id]
            times_said = Counter((one.event_time_ms, one.seq) for one in said)
            lost = foreseen.keys() - times_said.keys()
            wrong += [f"{strand_id}: nothing said of {lost}"] if lost else []
            wrong += [f"{strand_id}: {times} predictions of {one}" for one, times in times_said.items() if times > 1]
            wrong += [
                f"{strand_id}: {one.probability} at {one.event_time_ms}"
                for one in said
                if one.probability is not None
                and not _same(foreseen.get((one.event_time_ms, one.seq)), tuple(one.probabilities.values()))
            ]
        return wrong

    def foresee(self, strand_id: str, scans: Sequence[SensorScan]) -> tuple[list[Foreseen], list[Change]]:
        """All predictions and changes of alerts of one strand, in order."""
        rules, sensors = self._manifest.window, self._manifest.sensor_names
        timeline = StrandTimeline(rules, strand_id)
        alerts = _Alerts(strand_id, self._manifest)
        rows: list[list[float]] = []
        times: list[int] = []
        predictions: list[Foreseen] = []
        for scan in scans:
            verdict = timeline.observe(scan.event_time_ms)
            if verdict.outcome is not Outcome.USED:
                continue
            if verdict.restarted:
                rows.clear()
                times.clear()
                alerts.give_up(scan.event_time_ms)
            rows = [*rows, list(scan_row(scan, sensors))][-rules.length :]
            times = [*times, scan.event_time_ms][-rules.length :]
            if not verdict.due:
                continue
            probabilities = None
            if len(rows) == rules.length:
                probabilities = tuple(float(p) for p in self._answer(np.array([rows], np.float32))[0])
                alerts.observe(scan, probabilities)
            missing = float(np.isnan(np.array(rows)).mean())
            predictions.append(
                Foreseen(scan.event_time_ms, scan.seq, probabilities, times[0], missing, scan.strand_position_m)
            )
        return predictions, alerts.changes


class _Alert:
    """One machine, and what its messages tell besides."""

    def __init__(self, strand_id: str, target: str, manifest: Manifest) -> None:
        self.machine = AlertMachine(manifest.alert[target])
        self._named = (strand_id, target, manifest.model_sha256)
        self._heat_id: str | None = None
        self._opened_at_ms = 0
        self._from_m: float | None = None
        self._to_m: float | None = None
        self._probability = 0.0

    def observe(self, scan: SensorScan, probability: float) -> Change | None:
        was_quiet = self.machine.opened_at_ms is None and self.machine.above_since_ms is None
        moved = self.machine.observe(scan.event_time_ms, probability)
        if was_quiet:
            self._from_m = scan.strand_position_m
        self._to_m, self._probability = scan.strand_position_m, probability
        if moved is Transition.OPENED:
            self._heat_id, self._opened_at_ms = scan.heat_id, scan.event_time_ms
        return None if moved is None else self._change(moved, scan.event_time_ms)

    def give_up(self, now_ms: int) -> Change | None:
        moved = self.machine.give_up()
        return None if moved is None else self._change(moved, now_ms)

    def _change(self, moved: Transition, now_ms: int) -> Change:
        strand_id, target, model = self._named
        is_open = moved is Transition.OPENED
        return Change(
            alert_id(strand_id, target, model, self._opened_at_ms),
            target,
            "open" if is_open else "closed",
            self._opened_at_ms,
            now_ms,
            None if is_open else self.machine.closed_at_ms,
            self._heat_id,
            None if self._from_m is None or self._to_m is None else (self._from_m, self._to_m),
            self._probability,
            self.machine.peak,
        )


class _Alerts:
    """Those of one strand, and what a reader is told of them."""

    def __init__(self, strand_id: str, manifest: Manifest) -> None:
        self._alerts = [_Alert(strand_id, target, manifest) for target in manifest.targets]
        self.changes: list[Change] = []

    def give_up(self, now_ms: int) -> None:
        self.changes += [change for alert in self._alerts if (change := alert.give_up(now_ms)) is not None]

    def observe(self, scan: SensorScan, probabilities: Sequence[float]) -> None:
        for alert, probability in zip(self._alerts, probabilities, strict=True):
            change = alert.observe(scan, probability)
            if change is not None:
                self.changes.append(change)


def _place(alert: Alert) -> tuple[float, float] | None:
    span = alert.strand_position_range_m
    return None if span is None else (span.from_m, span.to_m)


def _told(alert: Alert) -> Change:
    span = alert.strand_position_range_m
    return Change(
        alert.alert_id,
        alert.target,
        alert.state,
        alert.opened_at_ms,
        alert.event_time_ms,
        alert.closed_at_ms,
        alert.heat_id,
        None if span is None else (span.from_m, span.to_m),
        alert.probability,
        alert.peak_probability,
    )


def _by_strand(published: Iterable[Published]) -> dict[str, list[SensorScan]]:
    scans: dict[str, list[SensorScan]] = defaultdict(list)
    for record in published:
        if record.scan is not None:
            scans[record.scan.strand_id].append(record.scan)
    return scans


def _compare(expected: Sequence[Foreseen], said: Sequence[Prediction]) -> Iterator[str]:
    wanted = [(one.event_time_ms, one.seq) for one in expected]
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
    for one, prediction in zip(expected, said, strict=True):
        values = None if prediction.probability is None else tuple(prediction.probabilities.values())
        if not _same(one.probabilities, values):
            yield f"probability {values} instead of {one.probabilities} at {one.event_time_ms}"
        about = (one.quality, one.window_start_ms, round(one.missing_fraction, 9), one.position_m)
        told = (prediction.quality, prediction.window_start_ms, round(prediction.missing_fraction, 9))
        if about != (*told, prediction.strand_position_m):
            yield f"{told} at {prediction.strand_position_m} instead of {about} at {one.event_time_ms}"


def _same(expected: tuple[float, ...] | None, got: tuple[float, ...] | None) -> bool:
    if expected is None or got is None:
        return expected is got
    return max(abs(a - b) for a, b in zip(expected, got, strict=True)) <= TOLERANCE


def _compare_letters(wanted: Sequence[Letter], got: Sequence[Letter]) -> Iterator[str]:
    lost, more = Counter(wanted) - Counter(got), Counter(got) - Counter(wanted)
    if lost:
        yield f"{lost.total()} dead letters lost, the first {min(lost)}"
    if more:
        yield f"{more.total()} dead letters twice or of nothing, the first {min(more)}"


def _first_difference(expected: Sequence[object], got: Sequence[object]) -> str:
    for number, (wanted, found) in enumerate(zip(expected, got, strict=False)):
        if wanted != found:
            return f"differ at number {number}: expected {wanted}, got {found}"
    return f"expected {len(expected)}, got {len(got)}"
