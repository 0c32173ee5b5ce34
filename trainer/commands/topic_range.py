"""A stretch of the sensors topic: the options of the commands that read one, and the reading."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.encodings import Encoding
from models.errors import UsageError
from trainer.commands.console import progress

if TYPE_CHECKING:
    from models.manifest import Manifest
    from models.windows import WindowRules
    from trainer.datasets.importers.recorded import ImportReport

LATEST_MS = 253_402_300_799_999
"""The end of the year 9999."""

Topic = Annotated[str, typer.Option(help="An existing topic of scans.")]
Encoded = Annotated[Encoding, typer.Option("--encoding", help="Of its records: json, or packed frames of many scans.")]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Event time of the first scans: ISO 8601, UTC; or ms since 1970."),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="TIME", help="Event time up to which, without it; all there is if not given."),
]
Margin = Annotated[
    float,
    typer.Option(
        min=0, max=100_000, metavar="HOURS", help="How long before or after its event time a scan may be published."
    ),
]
Events = Annotated[
    Path | None, typer.Option(help="What happened: .csv or .parquet with run, target, start, end.", show_default=False)
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for the broker to answer.")]
Properties = Annotated[
    list[str] | None,
    typer.Option("--property", metavar="KEY=VALUE", help="A librdkafka property; a secret as KEY=@FILE."),
]


def moment_ms(text: str, option: str) -> int:
    """A time as the user writes it, in milliseconds since 1970.

    Args:
        text: ISO 8601, UTC where it names no zone, or whole milliseconds since 1970.
        option: which one it is, for the error.

    Raises:
        UsageError: neither of them, or outside the years 1970 to 9999.
    """
    try:
        if text.isascii() and text.isdecimal():
            found = int(text)
        else:
            stamp = datetime.fromisoformat(text)
            found = round((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise UsageError(
            f"expected a time as 2026-11-25T06:00:00Z or in milliseconds since 1970, got `{text}` at {option}"
        ) from None
    if not 0 <= found <= LATEST_MS:
        raise UsageError(f"expected a time between the years 1970 and 9999, got `{text}` at {option}")
    return found


def read_topic_range(
    manifest: "Manifest",
    out: Path,
    *,
    bootstrap: str,
    topic: str,
    encoding: Encoding,
    begin: str | None,
    end: str | None,
    margin_h: float,
    events: Path | None,
    seed: int,
    timeout_s: float,
    properties: list[str] | None,
    rules: "WindowRules | None" = None,
) -> "ImportReport":
    """Read a stretch of a topic into a dataset, with progress on stderr; the arguments are the options'.

    Raises:
        UsageError: an option that is missing or cannot be meant.
        ContractError: events or scans that no dataset can be made of.
        StreamError: Kafka.
    """
    from trainer.datasets.importers.strand_scans import EventTimeRange
    from trainer.datasets.importers.topic import Record, import_topic
    from trainer.kafka import parse_properties
    from trainer.kafka_range import OURS, TopicRange

    if begin is None or events is None:
        missing = "--from TIME" if begin is None else "--events FILE"
        raise UsageError(f"expected {missing} with --bootstrap, got none: say from when, and what happened")
    within = EventTimeRange(moment_ms(begin, "--from"), None if end is None else moment_ms(end, "--to"))
    if within.to_ms is not None and within.to_ms <= within.from_ms:
        raise UsageError(f"expected --to after --from, got {begin} and {end}")
    given = parse_properties(properties or [], OURS)

    def records() -> Iterator["Record"]:
        with (
            TopicRange(
                bootstrap,
                topic,
                from_ms=within.from_ms,
                to_ms=within.to_ms,
                margin_ms=round(margin_h * 3_600_000),
                properties=given,
                timeout_s=timeout_s,
            ) as found,
            progress("reading", found.total, "records") as advance,
        ):
            for record in found:
                advance(1)
                yield record

    return import_topic(
        records, manifest, events, out, topic=topic, within=within, encoding=encoding, rules=rules, seed=seed
    )
