"""JSON Schemas of the messages, generated from `models.messages`; `python -m models.schemas` writes them here.

Draft 7, the one that AsyncAPI 3.0 asks every tool to read: `asyncapi.yaml` beside them refers to them. That one
is written by hand.
"""

import inspect
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from models.errors import DeadLetterReason
from models.messages import Alert, Prediction, SensorScan

FOLDER = Path(__file__).parent
DRAFT = "http://json-schema.org/draft-07/schema#"

Digits = Annotated[str, Meta(pattern="^[0-9]+$")]


class DeadLetterHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """Headers of a dead letter, each as UTF-8 text; its value is the original bytes, its key the original key."""

    reason: DeadLetterReason
    detail: Annotated[str, Meta(description="one line for a reader")]
    topic: Annotated[str, Meta(description="where the original record stands")]
    partition: Digits
    offset: Digits
    worker_version: str
    truncated_from: Annotated[
        Digits | UnsetType, Meta(description="bytes of the original, if its topic took only the beginning of it")
    ] = UNSET


MESSAGES: dict[str, type[msgspec.Struct]] = {
    "sensor_scan.json": SensorScan,
    "prediction.json": Prediction,
    "alert.json": Alert,
    "dead_letter_headers.json": DeadLetterHeaders,
}
"""File name to the type it describes."""


def documents() -> dict[str, str]:
    """Every schema as the text of its file, by file name; the same text at every call."""
    return {
        name: json.dumps(_document(message), indent=2, ensure_ascii=False) + "\n" for name, message in MESSAGES.items()
    }


def write(folder: Path = FOLDER) -> None:
    """Write every schema into a folder."""
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


def _document(message: type[msgspec.Struct]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components([message], ref_template="#/definitions/{name}")
    for component in components.values():
        component["description"] = " ".join(inspect.cleandoc(component["description"]).split())
    root = components.pop(message.__name__)
    return {"$schema": DRAFT, **root, **({"definitions": components} if components else {})}
