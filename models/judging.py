"""Alerts against the truth of a recorded or simulated line: true, late or false. The only implementation.

An alert is *true* if it opens while an event of its target is under way on its strand: from the event's onset
to its end (the impact; or, if it heals, the end of its pattern). It is *late*, neither true nor false, if it
opens after the end while the event's traces may still be in the window. Any other is *false*. An event is
caught by a true alert, missed without one.
"""

from collections.abc import Iterable
from typing import Literal, Protocol, TypeVar

AlertVerdict = Literal["true", "late", "false"]


class TrueEvent(Protocol):
    """What really happened on one strand, for one target; times in milliseconds since 1970."""

    @property
    def onset_ms(self) -> int:
        """First trace of it in any sensor."""

    @property
    def end_ms(self) -> int:
        """The impact, or the end of the pattern where there is none."""

    @property
    def ignore_until_ms(self) -> int:
        """Until when its traces may be in a window."""


E = TypeVar("E", bound=TrueEvent)


def event_caught(opened_at_ms: int, events: Iterable[E]) -> E | None:
    """The event under way when an alert opened, of those of its strand and target; None if there was none."""
    return next((event for event in events if event.onset_ms <= opened_at_ms < event.end_ms), None)


def verdict(opened_at_ms: int, events: Iterable[TrueEvent]) -> AlertVerdict:
    """What an alert that opened then was worth, given all events of its strand and target."""
    events = tuple(events)
    if event_caught(opened_at_ms, events) is not None:
        return "true"
    if any(event.end_ms <= opened_at_ms < event.ignore_until_ms for event in events):
        return "late"
    return "false"
