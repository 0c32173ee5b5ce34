"""When a probability becomes an alert, and when the alert is over. The only implementation.

One `AlertMachine` a strand and target. It moves on due predictions only and knows event time alone, so
that a replay of the log makes the same alerts. The delays are OPC UA's OnDelay, OffDelay and
ReAlarmTime (Part 9): a threshold must hold for a while before anything is said or unsaid.
"""

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Literal

Severity = Literal["advisory", "critical"]


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """How one target's probability turns into alerts (manifest.json, `alert`).

    Attributes:
        open: probability at or above which an alert may open.
        close: probability below which an open alert may close; at most `open`.
        on_delay_ms: how long it must have been ≥ `open`, milliseconds of event time.
        off_delay_ms: how long it must have been < `close`, milliseconds.
        cooldown_ms: no opening within this time of a closing, milliseconds.
        severity: what the operator is asked for: `critical` at once, `advisory` at leisure.
    """

    open: float
    close: float
    on_delay_ms: int
    off_delay_ms: int
    cooldown_ms: int
    severity: Severity = "critical"


class Transition(Enum):
    """What a prediction did to an alert."""

    OPENED = "open"
    CLOSED = "closed"


@dataclass(slots=True)
class AlertMachine:
    """The state of one strand's alert for one target.

    Attributes:
        above_since_ms: since when the probability has been ≥ `open`; None if it is not.
        below_since_ms: since when it has been < `close`; None if it is not.
        opened_at_ms: event time of the opening prediction; None while no alert is open.
        closed_at_ms: event time of the last closing, until its cooldown is over; None before the first.
        last_ms: event time of the last prediction seen.
        peak: highest probability since the alert began to rise.
    """

    policy: AlertPolicy
    above_since_ms: int | None = None
    below_since_ms: int | None = None
    opened_at_ms: int | None = None
    closed_at_ms: int | None = None
    last_ms: int | None = None
    peak: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether an alert is open."""
        return self.opened_at_ms is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is open, rising or cooling: it will do what a new one would."""
        return self.opened_at_ms is None and self.above_since_ms is None and self.closed_at_ms is None

    @property
    def is_rising(self) -> bool:
        """Whether the probability is at or above `open` without an open alert (on-delay or cooldown running)."""
        return self.opened_at_ms is None and self.above_since_ms is not None

    def observe(self, event_time_ms: int, probability: float) -> Transition | None:
        """Take the next due prediction of a full window."""
        self.last_ms = event_time_ms
        if self.closed_at_ms is not None and event_time_ms >= self.closed_at_ms + self.policy.cooldown_ms:
            self.closed_at_ms = None  # for good, even if the clock is set back: what is idle need not be remembered
        if self.opened_at_ms is not None:
            return self._while_open(event_time_ms, probability)
        return self._while_shut(event_time_ms, probability)

    def give_up(self) -> Transition | None:
        """The strand's window was restarted or the strand evicted: what was seen no longer counts.

        An open alert closes, at the last prediction seen: later times are not known to be connected with it.
        """
        was_open = self.is_open
        self.above_since_ms = self.below_since_ms = self.opened_at_ms = None
        if not was_open:
            return None
        self.closed_at_ms = self.last_ms
        return Transition.CLOSED

    def _while_shut(self, now: int, probability: float) -> Transition | None:
        if probability < self.policy.open:
            self.above_since_ms = None
            return None
        if self.above_since_ms is None:
            self.above_since_ms = now
            self.peak = probability
        self.peak = max(self.peak, probability)
        if now - self.above_since_ms < self.policy.on_delay_ms or self._is_cooling(now):
            return None
        self.opened_at_ms = now
        self.below_since_ms = None
        return Transition.OPENED

    def _is_cooling(self, now: int) -> bool:
        # A closing that lies in the future comes from a clock that ran ahead: it must not silence the strand.
        return self.closed_at_ms is not None and self.closed_at_ms <= now

    def _while_open(self, now: int, probability: float) -> Transition | None:
        self.peak = max(self.peak, probability)
        if probability >= self.policy.close:
            self.below_since_ms = None
            return None
        if self.below_since_ms is None:
            self.below_since_ms = now
        if now - self.below_since_ms < self.policy.off_delay_ms:
            return None
        self.closed_at_ms = now
        self.opened_at_ms = self.above_since_ms = self.below_since_ms = None
        return Transition.CLOSED


def alert_id(strand_id: str, target: str, model_sha256: str, opened_at_ms: int) -> str:
    """The alert's name: 32 hexadecimal digits, a pure function of strand, target, model and opening sample.

    A replay of the log makes the same name, so a reader recognises an alert told twice.
    """
    text = "\x1f".join((strand_id, target, model_sha256, str(opened_at_ms)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
