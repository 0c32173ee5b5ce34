"""Strands, probabilities and alerts in a terminal of 80 columns; plain lines where there is none."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from models.messages import Alert, Prediction

_BAR = 20
_ALERTS_SHOWN = 8
_REFRESH_HZ = 8


@dataclass(slots=True)
class _Strand:
    prediction: Prediction
    open_since_ms: dict[str, int] = field(default_factory=dict)


class Screen:
    """Keeps the newest state of every strand and draws it."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console()
        self._strands: dict[str, _Strand] = {}
        self._alerts: deque[tuple[Alert, str]] = deque(maxlen=_ALERTS_SHOWN)
        self.footer: Callable[[], str] = str

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw again and again on a terminal; elsewhere only alerts are printed, a line each."""
        if not self._console.is_terminal:
            yield
            return
        with Live(self, console=self._console, refresh_per_second=_REFRESH_HZ, transient=False):
            yield

    def take_prediction(self, prediction: Prediction) -> None:
        """A prediction has come."""
        strand = self._strands.get(prediction.strand_id)
        if strand is None:
            self._strands[prediction.strand_id] = _Strand(prediction)
        else:
            strand.prediction = prediction

    def take_alert(self, alert: Alert, remark: str = "") -> None:
        """An alert has opened or closed; `remark`: what is known of it besides."""
        strand = self._strands.get(alert.strand_id)
        if strand is not None:
            if alert.state == "open":
                strand.open_since_ms[alert.target] = alert.opened_at_ms
            else:
                strand.open_since_ms.pop(alert.target, None)
        self._alerts.append((alert, remark))
        if not self._console.is_terminal:
            self._console.print(_alert_line(alert, remark), soft_wrap=True)

    def announce(self, text: str) -> None:
        """Where nothing is drawn, say in a line what is going on."""
        if not self._console.is_terminal:
            self._console.print(text, soft_wrap=True, highlight=False)

    def __rich__(self) -> Group:
        strands = Table(box=None, pad_edge=False, expand=False, title=self._title, title_justify="left")
        strands.add_column("strand", no_wrap=True)
        strands.add_column("time", no_wrap=True)
        strands.add_column("probability", no_wrap=True, width=_BAR + 5)
        strands.add_column("state", no_wrap=True)
        for strand_id, strand in sorted(self._strands.items()):
            prediction = strand.prediction
            strands.add_row(strand_id, _clock(prediction.event_time_ms), _bar(prediction.probability), _state(strand))
        lines = [_alert_line(alert, remark) for alert, remark in self._alerts]
        return Group(strands, Text("\nalerts", style="bold"), *lines, Text(f"\n{self.footer()}", style="dim"))


def _state(strand: _Strand) -> Text:
    if strand.open_since_ms:
        target, since = next(iter(strand.open_since_ms.items()))
        lasting = (strand.prediction.event_time_ms - since) / 1000
        return Text(f"{target.upper()} for {lasting:.0f} s", style="bold white on red")
    quality = strand.prediction.quality
    return Text(quality, style={"good": "green", "degraded": "yellow", "warming": "dim"}[quality])


def _bar(probability: float | None) -> Text:
    if probability is None:
        return Text("·" * _BAR + "    -", style="dim")
    filled = round(probability * _BAR)
    style = "red" if probability >= 0.5 else "yellow" if probability >= 0.2 else "green"
    return Text("█" * filled, style=style) + Text("·" * (_BAR - filled), style="dim") + Text(f" {probability:.2f}")


def _alert_line(alert: Alert, remark: str) -> Text:
    style = "bold red" if alert.state == "open" else "green"
    text = (
        f"{_clock(alert.event_time_ms)} {alert.state:<6} {alert.strand_id} {alert.target} {alert.peak_probability:.2f}"
    )
    return Text(text, style=style) + Text(f"  {remark}" if remark else "", style="dim")


def _clock(event_time_ms: int) -> str:
    return datetime.fromtimestamp(event_time_ms / 1000, UTC).strftime("%H:%M:%S")
