"""The messages on Kafka, version 1: scans in; predictions, alerts and dead letters out.

JSON in UTF-8. Unknown fields are ignored and every new field gets a default, so that an older reader
survives a newer writer and the other way round. `python -m models.schemas` writes the JSON Schemas that
stand in `models/schemas/`; a test holds them to these types.
"""

import re
from typing import Annotated, Literal, Protocol, get_args

import msgspec
from msgspec import Meta

from models.alerting import Severity
from models.errors import DeadLetterReason, MessageError, mismatch

DEAD_LETTER_REASONS = get_args(DeadLetterReason)

MAX_SCAN_BYTES = 1 << 20
"""A scan of twenty sensors is about 800 bytes; whatever passes a mebibyte is no scan."""

# Not `$`: it lets a line feed pass at the end.
_STRAND_ID = re.compile(r"^[^.\s]+\.[^.\s]+\.[^.\s]+(?![\s\S])")
_STRAND_ID_CHARACTERS = 200
_MOST_KNOWN = 1 << 16
_known_ids: set[str] = set()
"""Strand ids of which the form was seen to be right."""


StrandId = Annotated[
    str,
    # For the schema alone: checked scan by scan, the pattern takes a fifth of the decoding, and strands are few.
    Meta(
        description="<plant>.<caster>.<strand>; also the record's key, in UTF-8",
        extra_json_schema={"pattern": _STRAND_ID.pattern, "maxLength": _STRAND_ID_CHARACTERS},
    ),
]
LAST_EVENT_TIME_MS = 253_402_300_799_999
EventTime = Annotated[int, Meta(ge=0, le=LAST_EVENT_TIME_MS, description="milliseconds since 1970-01-01 UTC")]
Sequence = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Quality = Literal["good", "uncertain", "bad"]
PredictionQuality = Literal["good", "degraded", "warming"]

DEGRADED_ABOVE = 0.2
"""A window with a larger share of missing values than this makes a `degraded` prediction."""


class SensorScan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All tags of one strand at one instant, identified by (`strand_id`, `event_time_ms`).

    A value may be null or absent: missing. A `bad` value is treated as missing, never as 0.
    """

    strand_id: StrandId
    event_time_ms: EventTime
    values: dict[str, float | None]
    seq: Sequence | None = None
    heat_id: str | None = None
    strand_position_m: float | None = None
    quality: dict[str, Quality] = {}


class ScanFacts(Protocol):
    """What is known of a scan beside its values."""

    @property
    def strand_id(self) -> str:
        """Whose it is."""

    @property
    def event_time_ms(self) -> int:
        """When it was taken."""

    @property
    def seq(self) -> int | None:
        """Its number in its strand."""

    @property
    def heat_id(self) -> str | None:
        """The heat that was cast."""

    @property
    def strand_position_m(self) -> float | None:
        """What had been cast of the strand."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What the model says at one due scan; `probability` is the largest over the targets, null while warming.

    `provider` is ONNX Runtime's; between two of them values may differ in their last digits.
    """

    strand_id: str
    seq: int | None
    event_time_ms: int
    probability: float | None
    probabilities: dict[str, float]
    model: str
    model_sha256: str
    window_start_ms: int
    quality: PredictionQuality
    missing_fraction: float
    strand_position_m: float | None
    provider: str = ""


class PositionRange(msgspec.Struct, frozen=True, rename={"from_m": "from", "to_m": "to"}):
    """A stretch of the strand, metres cast since the sequence began."""

    from_m: float
    to_m: float


class SensorContribution(msgspec.Struct, frozen=True):
    """How much one sensor moved the probability."""

    sensor: str
    contribution: float
    value: float | None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that opened or closed; the two messages of one alert share their `alert_id`."""

    alert_id: str
    strand_id: str
    target: str
    state: Literal["open", "closed"]
    severity: Severity
    probability: float
    peak_probability: float
    opened_at_ms: int
    event_time_ms: int
    closed_at_ms: int | None
    strand_position_range_m: PositionRange | None
    heat_id: str | None
    top_sensors: list[SensorContribution]
    model: str
    model_sha256: str
    message: str


_scan_decoder = msgspec.json.Decoder(SensorScan)
_prediction_decoder = msgspec.json.Decoder(Prediction)
_alert_decoder = msgspec.json.Decoder(Alert)
_encoder = msgspec.json.Encoder()


def encode(message: SensorScan | Prediction | Alert) -> bytes:
    """One message as JSON in UTF-8."""
    return _encoder.encode(message)


def decode_scan(value: bytes | None) -> SensorScan:
    """Read a scan.

    Raises:
        MessageError: with the dead letter's reason and a one-line detail.
    """
    if not value or len(value) > MAX_SCAN_BYTES:
        raise wrong_size(value, "a JSON object")
    try:
        scan = _scan_decoder.decode(value)
    except msgspec.ValidationError as error:
        raise MessageError("schema", str(error)) from None
    except msgspec.DecodeError as error:
        raise MessageError("malformed" if _is_text(value) else "encoding", str(error)) from None
    except UnicodeDecodeError as error:
        raise MessageError("encoding", str(error)) from None
    except RecursionError:
        raise MessageError("malformed", "expected a flat JSON object, got one nested without end") from None
    if not is_strand_id(scan.strand_id):
        raise no_strand_id(scan.strand_id)
    return scan


def wrong_size(value: bytes | None, expected: str) -> MessageError:
    """What to say of a record that is empty, or larger than `MAX_SCAN_BYTES`."""
    if not value:
        return MessageError("empty", f"expected {expected}, got " + ("null" if value is None else "no bytes"))
    return MessageError("too_large", f"expected at most {MAX_SCAN_BYTES} bytes, got {len(value)}")


def no_strand_id(text: str) -> MessageError:
    """What to say of a text that names no strand."""
    return MessageError("schema", mismatch("<plant>.<caster>.<strand>", repr(text[:80]), "strand_id"))


def is_strand_id(text: str) -> bool:
    """Whether it names a strand."""
    return len(text) <= _STRAND_ID_CHARACTERS and _has_the_form(text)


def _has_the_form(text: str) -> bool:
    if text in _known_ids:
        return True
    if _STRAND_ID.search(text) is None:
        return False
    if len(_known_ids) >= _MOST_KNOWN:
        _known_ids.clear()
    _known_ids.add(text)
    return True


def _is_text(value: bytes) -> bool:
    """Whether the bytes could be meant as JSON: UTF-8 without control characters at the front (Avro's is 0)."""
    try:
        value.decode()
    except UnicodeDecodeError as error:
        # A text cut in the middle of a character is truncated JSON, not another encoding.
        return error.reason == "unexpected end of data"
    return value[0] >= ord("\t")


def decode_prediction(value: bytes) -> Prediction:
    """Read a prediction; raises `msgspec.DecodeError` on anything else."""
    return _prediction_decoder.decode(value)


def decode_alert(value: bytes) -> Alert:
    """Read an alert; raises `msgspec.DecodeError` on anything else."""
    return _alert_decoder.decode(value)
