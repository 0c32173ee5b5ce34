"""Probabilities to alerts, by the policies of `models.alerting`: event time only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.alerting import AlertMachine, AlertPolicy, Transition
from models.manifest import Manifest
from worker.records import AlertChange, AlertState, DueScan, GivenUp, Partition, Scored


@dataclass(slots=True)
class _Alert:
    """A machine, and what the messages of its alert must tell besides."""

    machine: AlertMachine
    heat_id: str | None = None
    position_from_m: float | None = None
    position_to_m: float | None = None
    opened_at_ms: int = 0
    probability: float = 0.0


class Alerts:
    """The alerts of all strands of this worker."""

    def __init__(self, manifest: Manifest) -> None:
        """`manifest`: of the model; its targets are in the order of its output."""
        self._targets = tuple(manifest.targets)
        self._policies: Mapping[str, AlertPolicy] = manifest.alert
        self._model, self._sha256 = manifest.model, manifest.model_sha256
        self._partitions: dict[Partition, dict[str, list[_Alert]]] = {}

    def advance(self, entry: Scored | GivenUp) -> Sequence[AlertChange]:
        """Take the next entry in log order; the alerts that opened or closed by it."""
        if isinstance(entry, GivenUp):
            return list(self._give_up(entry))
        return () if entry.probabilities is None else self._observe(entry.scan, entry.probabilities)

    def drop(self, partition: Partition) -> None:
        """Forget a partition's alerts without a word: it belongs to another worker now."""
        self._partitions.pop(partition, None)

    def states(self, partition: Partition) -> list[AlertState]:
        """Every alert of a partition that is not idle; those that are will do what new ones would."""
        return [
            self._state(strand_id, target, alert)
            for strand_id, alerts in self._partitions.get(partition, {}).items()
            for target, alert in zip(self._targets, alerts, strict=True)
            if not alert.machine.is_idle
        ]

    def restore(self, partition: Partition, states: Sequence[AlertState]) -> None:
        """Take a partition's alerts as they stood; forget what was."""
        self.drop(partition)
        for state in states:
            self._of(partition, state.strand_id)[self._targets.index(state.target)] = _alert(
                state, self._policies[state.target]
            )

    def closings(self, former: Sequence[AlertState]) -> Iterator[AlertChange]:
        """Close what another model left open: it will not say any more, and what it saw is not known to last."""
        for state in former:
            if state.opened_at_ms is not None:
                yield AlertChange(
                    transition=Transition.CLOSED,
                    strand_id=state.strand_id,
                    target=state.target,
                    severity=state.severity,
                    probability=state.probability,
                    peak=state.peak,
                    opened_at_ms=state.opened_at_ms,
                    event_time_ms=state.last_ms or state.opened_at_ms,
                    closed_at_ms=state.last_ms or state.opened_at_ms,
                    heat_id=state.heat_id,
                    position_from_m=state.position_from_m,
                    position_to_m=state.position_to_m,
                    model=state.model,
                    model_sha256=state.model_sha256,
                    why=f"{state.model} no longer watches it, {self._model} does",
                )

    def _of(self, partition: Partition, strand_id: str) -> list[_Alert]:
        strands = self._partitions.setdefault(partition, {})
        alerts = strands.get(strand_id)
        if alerts is None:
            alerts = [_Alert(AlertMachine(self._policies[target])) for target in self._targets]
            strands[strand_id] = alerts
        return alerts

    def _observe(self, scan: DueScan, probabilities: tuple[float, ...]) -> list[AlertChange]:
        alerts = self._of(scan.origin.partition, scan.strand_id)
        changes: list[AlertChange] = []
        now, position = scan.event_time_ms, scan.strand_position_m
        for target, alert, probability in zip(self._targets, alerts, probabilities, strict=True):
            machine = alert.machine
            if machine.opened_at_ms is None and machine.above_since_ms is None:
                alert.position_from_m = position
            alert.position_to_m, alert.probability = position, probability
            transition = machine.observe(now, probability)
            if transition is None:
                continue
            if transition is Transition.OPENED:
                alert.opened_at_ms, alert.heat_id = now, scan.heat_id
            changes.append(self._change(alert, transition, scan.strand_id, target, now, _why(alert, transition)))
        return changes

    def _give_up(self, given_up: GivenUp) -> Iterator[AlertChange]:
        strands = self._partitions.get(given_up.origin.partition, {})
        # A restarted strand keeps its machines, for the cooldown outlives the window.
        alerts = strands.pop(given_up.strand_id, []) if given_up.is_evicted else strands.get(given_up.strand_id, [])
        for target, alert in zip(self._targets, alerts, strict=False):
            transition = alert.machine.give_up()
            if transition is not None:
                yield self._change(alert, transition, given_up.strand_id, target, given_up.event_time_ms, given_up.why)

    def _state(self, strand_id: str, target: str, alert: _Alert) -> AlertState:
        machine = alert.machine
        return AlertState(
            strand_id=strand_id,
            target=target,
            above_since_ms=machine.above_since_ms,
            below_since_ms=machine.below_since_ms,
            opened_at_ms=machine.opened_at_ms,
            closed_at_ms=machine.closed_at_ms,
            last_ms=machine.last_ms,
            peak=machine.peak,
            heat_id=alert.heat_id,
            position_from_m=alert.position_from_m,
            position_to_m=alert.position_to_m,
            probability=alert.probability,
            severity=machine.policy.severity,
            model=self._model,
            model_sha256=self._sha256,
        )

    def _change(
        self, alert: _Alert, transition: Transition, strand_id: str, target: str, event_time_ms: int, why: str
    ) -> AlertChange:
        return AlertChange(
            transition=transition,
            strand_id=strand_id,
            target=target,
            severity=alert.machine.policy.severity,
            probability=alert.probability,
            peak=alert.machine.peak,
            opened_at_ms=alert.opened_at_ms,
            event_time_ms=event_time_ms,
            closed_at_ms=alert.machine.closed_at_ms if transition is Transition.CLOSED else None,
            heat_id=alert.heat_id,
            position_from_m=alert.position_from_m,
            position_to_m=alert.position_to_m,
            model=self._model,
            model_sha256=self._sha256,
            why=why,
        )


def _alert(state: AlertState, policy: AlertPolicy) -> _Alert:
    machine = AlertMachine(
        policy,
        above_since_ms=state.above_since_ms,
        below_since_ms=state.below_since_ms,
        opened_at_ms=state.opened_at_ms,
        closed_at_ms=state.closed_at_ms,
        last_ms=state.last_ms,
        peak=state.peak,
    )
    return _Alert(
        machine,
        heat_id=state.heat_id,
        position_from_m=state.position_from_m,
        position_to_m=state.position_to_m,
        opened_at_ms=state.opened_at_ms or 0,
        probability=state.probability,
    )


def _why(alert: _Alert, transition: Transition) -> str:
    policy = alert.machine.policy
    if transition is Transition.OPENED:
        return f"probability at or above {policy.open:.2f} for {policy.on_delay_ms / 1000:g} s"
    return f"probability below {policy.close:.2f} for {policy.off_delay_ms / 1000:g} s"
