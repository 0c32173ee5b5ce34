"""Structured logs: one event a line, text on a terminal and JSON elsewhere; librdkafka's lines among them."""

import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Literal

import structlog

KAFKA_LOGGER = "librdkafka"


class SparingFilter(logging.Filter):
    """Lets what librdkafka says pass once in a while, not with every attempt to connect (dozens a second).

    What is the same but for its numbers counts as said; when it may pass again, it tells how often it was held back.
    """

    def __init__(self, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may pass; everybody else's always may."""
        if record.name != KAFKA_LOGGER:
            return True
        text = record.getMessage()
        if "CONFWARN" in text and "will be ignored" in text:
            return False  # `kafka.extra` goes to every client; that one has no use for a key is no news
        kind = re.sub(r"\d+", "#", text)
        now = self._clock()
        until, held_back = self._said.get(kind, (now, 0))
        if now < until:
            self._said[kind] = (until, held_back + 1)
            return False
        self._said[kind] = (now + self._every_s, 0)
        if held_back:
            record.msg, record.args = f"{text} (and {held_back} times before)", None
        return True


def configure(level: str, style: Literal["auto", "json", "text"]) -> None:
    """Send structlog's and the standard library's lines to stderr in one form."""
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(pad_event_to=0) if as_text else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    handler.addFilter(SparingFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for one module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
