"""The committed schemas are those of the types, real messages fit them, and the AsyncAPI document holds together."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from support import bundles

from models.errors import DeadLetterReason, MessageError
from models.messages import (
    DEAD_LETTER_REASONS,
    Alert,
    PositionRange,
    Prediction,
    SensorContribution,
    SensorScan,
    decode_scan,
    encode,
)
from models.schemas import FOLDER, MESSAGES, documents, write
from worker.records import DeadLetter, Origin, RawRecord
from worker.settings import TopicSettings
from worker.stages.encode import Encoder

ASYNCAPI = FOLDER / "asyncapi.yaml"

SCAN = SensorScan(
    strand_id="p1.c2.s3",
    seq=1041,
    event_time_ms=1764000000500,
    heat_id="H20417",
    strand_position_m=412.35,
    values={"mould_level_mm": 0.4, "casting_speed_m_min": None},
    quality={"mould_level_mm": "bad"},
)
PREDICTION = Prediction(
    strand_id="p1.c2.s3",
    seq=None,
    event_time_ms=1764000000500,
    probability=None,
    probabilities={},
    model="slab@1.0.0",
    model_sha256="0f1e2d3c4b5a",
    window_start_ms=1764000000500,
    quality="warming",
    missing_fraction=0.9,
    strand_position_m=None,
)
ALERT = Alert(
    alert_id="5d41402abc4b2a76b9719d911017c592",
    strand_id="p1.c2.s3",
    target="sticker",
    state="closed",
    severity="critical",
    probability=0.1,
    peak_probability=0.95,
    opened_at_ms=1764000002500,
    event_time_ms=1764000052500,
    closed_at_ms=1764000052500,
    strand_position_range_m=PositionRange(412.35, 413.4),
    heat_id=None,
    top_sensors=[SensorContribution("mould_tc_upper_left_c", 0.4, None)],
    model="slab@1.0.0",
    model_sha256="0f1e2d3c4b5a",
    message="sticker over on p1.c2.s3",
)


def validator(name: str) -> Draft7Validator:
    schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def test_the_committed_files_are_the_generated_ones() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert committed == documents(), "run `python -m models.schemas`"


def test_writing_is_deterministic(tmp_path: Path) -> None:
    write(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert set(first) == set(MESSAGES)


@pytest.mark.parametrize(
    ("name", "message"), [("sensor_scan.json", SCAN), ("prediction.json", PREDICTION), ("alert.json", ALERT)]
)
def test_an_encoded_message_fits_its_schema(name: str, message: SensorScan | Prediction | Alert) -> None:
    validator(name).validate(json.loads(encode(message)))


@pytest.mark.parametrize(
    ("name", "message", "field", "value"),
    [
        ("sensor_scan.json", SCAN, "strand_id", "p1.c2"),
        ("sensor_scan.json", SCAN, "event_time_ms", "now"),
        ("sensor_scan.json", SCAN, "event_time_ms", -1),
        ("sensor_scan.json", SCAN, "values", {"mould_level_mm": "high"}),
        ("sensor_scan.json", SCAN, "quality", {"mould_level_mm": "poor"}),
        ("prediction.json", PREDICTION, "quality", "fine"),
        ("prediction.json", PREDICTION, "probabilities", {"sticker": None}),
        ("alert.json", ALERT, "state", "acknowledged"),
        ("alert.json", ALERT, "top_sensors", [{"sensor": "mould_level_mm"}]),
        ("alert.json", ALERT, "strand_position_range_m", {"from": 1.0}),
    ],
)
def test_a_wrong_value_does_not_fit(
    name: str, message: SensorScan | Prediction | Alert, field: str, value: object
) -> None:
    plain = json.loads(encode(message))
    with pytest.raises(ValidationError):
        validator(name).validate({**plain, field: value})


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_without_a_required_field_does_not_fit(name: str) -> None:
    schema = validator(name)
    example = example_of(name)
    for field in schema.schema["required"]:
        assert not schema.is_valid({key: value for key, value in example.items() if key != field}), field


scans = st.fixed_dictionaries(
    {
        "strand_id": st.sampled_from(["p1.c2.s3", "p1.c2", "", "a b.c.d", 3]),
        "event_time_ms": st.sampled_from([0, 1764000000500, -1, 2**60, 1.5, None, "0"]),
        "values": st.sampled_from([{}, {"mould_level_mm": 0.4}, {"mould_level_mm": None}, {"a": "b"}, [], None]),
    },
    optional={
        "seq": st.sampled_from([0, None, -1, 1.5]),
        "heat_id": st.sampled_from(["H1", None, 1]),
        "strand_position_m": st.sampled_from([0, 1.5, None, "1"]),
        "quality": st.sampled_from([{}, {"a": "bad"}, {"a": "poor"}, None]),
        "from_a_newer_writer": st.just([1]),
    },
)


@given(scans)
def test_schema_and_decoder_agree_on_scans(scan: dict[str, Any]) -> None:
    try:
        decode_scan(json.dumps(scan).encode())
    except MessageError:
        decodes = False
    else:
        decodes = True
    assert validator("sensor_scan.json").is_valid(scan) == decodes


@pytest.mark.parametrize("reason", DEAD_LETTER_REASONS)
def test_headers_of_a_real_dead_letter_fit_their_schema(reason: DeadLetterReason) -> None:
    letter = DeadLetter(RawRecord(Origin(("casting.sensors", 3), 1041), b"p1.c2.s3", b"{"), reason, "what was wrong")
    encoder = Encoder(bundles.manifest(files={"model.onnx": "0" * 64}), "0.1.0")
    headers = dict(encoder.dead_letter(letter).headers)
    schema = validator("dead_letter_headers.json")
    schema.validate(headers)
    schema.validate({**headers, "truncated_from": "2000000"})
    assert set(schema.schema["properties"]) == {*headers, "truncated_from"}
    assert not schema.is_valid({**headers, "reason": "dull"})
    assert not schema.is_valid({**headers, "offset": "here"})


def asyncapi() -> dict[str, Any]:
    document = yaml.safe_load(ASYNCAPI.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from references(child)


def resolve(reference: str, inside: dict[str, Any]) -> Any:
    file, _, pointer = reference.partition("#")
    target: Any = json.loads((FOLDER / file).read_text(encoding="utf-8")) if file else inside
    for part in filter(None, pointer.split("/")):
        target = target[part]
    return target


def resolved(node: dict[str, Any], inside: dict[str, Any]) -> dict[str, Any]:
    return resolve(node["$ref"], inside) if "$ref" in node else node


def example_of(name: str) -> dict[str, Any]:
    messages = asyncapi()["components"]["messages"].values()
    for message in messages:
        for part in ("payload", "headers"):
            if message.get(part, {}).get("schema", {}).get("$ref") == f"./{name}":
                example = message["examples"][0][part]
                assert isinstance(example, dict)
                return example
    raise AssertionError(f"no message of asyncapi.yaml refers to {name}")


def test_every_reference_of_the_asyncapi_document_resolves() -> None:
    document = asyncapi()
    found = list(references(document))
    assert {f"./{name}" for name in MESSAGES} <= set(found)
    for reference in found:
        assert resolve(reference, document), reference
    for text in documents().values():
        schema = json.loads(text)
        for reference in references(schema):
            assert resolve(reference, schema), reference


def test_the_examples_of_the_asyncapi_document_fit_their_schemas() -> None:
    checked = 0
    for message in asyncapi()["components"]["messages"].values():
        for example in message.get("examples", []):  # a frame is bytes
            for part in {"payload", "headers"} & set(example):
                validator(message[part]["schema"]["$ref"]).validate(example[part])
                checked += 1
    assert checked >= len(MESSAGES)


def test_the_asyncapi_document_names_the_default_topics() -> None:
    document = asyncapi()
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == set(TopicSettings().model_dump().values())
    for operation in document["operations"].values():
        assert resolved(operation["channel"], document)["messages"]
