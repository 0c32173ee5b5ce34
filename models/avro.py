"""Messages in Avro, as Confluent's serialisers write them: a zero byte, the number of the schema, then the record.

    schema = schema_of(SensorScan)                    # as registered under `<topic>-value`
    value = AvroWriter(Prediction, number).write(prediction)
    scan = AvroReader(SensorScan, schemas).read(value)

Schemas are made of the messages' own types, and read by Avro's rules: fields that are not known are passed over, those
that are absent take their default. Numbers come from a registry; which, is nothing that this file knows.
"""

import io
import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import fastavro
import msgspec
from msgspec import inspect

from models.errors import MessageError, mismatch
from models.messages import MAX_SCAN_BYTES, Alert, Prediction, SensorScan, is_strand_id, no_strand_id, wrong_size

NAMESPACE = "strandwatch"
_HEADER_BYTES = 5
_MAGIC = b"\x00"

Schema = dict[str, Any]
Schemas = Callable[[int], Schema | None]
"""A schema by its number, parsed by `fastavro.parse_schema`; None where there is no such."""

Message = TypeVar("Message", SensorScan, Prediction, Alert)


def schema_of(message: type[msgspec.Struct]) -> dict[str, Any]:
    """The Avro schema of a message, as plain data; the same at every call."""
    return dict(_avro(inspect.type_info(message), set()))


class AvroReader(Generic[Message]):
    """Reads messages written with any schema that Avro can resolve.

    Args:
        message: what is read.
        schemas: by number; what it raises is raised.
    """

    def __init__(self, message: type[Message], schemas: Schemas) -> None:
        self._message: type[Message] = message
        self._schemas = schemas
        self._ours = fastavro.parse_schema(schema_of(message))

    def read(self, value: bytes | None) -> Message:
        """Read one.

        Raises:
            MessageError: with the dead letter's reason and a one-line detail.
        """
        if not value or len(value) > MAX_SCAN_BYTES:
            raise wrong_size(value, "an Avro record")
        if value[:1] != _MAGIC:
            raise MessageError(
                "encoding", mismatch("a zero byte and a schema's number", repr(value[:5]), "its first bytes")
            )
        number = int.from_bytes(value[1:_HEADER_BYTES])
        theirs = self._schemas(number) if len(value) >= _HEADER_BYTES else None
        if theirs is None:
            raise MessageError("schema", mismatch("the number of a schema in the registry", number, "its first bytes"))
        plain = self._resolved(value, theirs)
        try:
            message: Message = msgspec.convert(plain, self._message)
        except msgspec.ValidationError as error:
            raise MessageError("schema", str(error)) from None
        position = getattr(message, "strand_position_m", None)
        if position is not None and not math.isfinite(position):  # which JSON cannot say
            raise MessageError("schema", mismatch("a finite number", position, "strand_position_m"))
        if not is_strand_id(message.strand_id):
            raise no_strand_id(message.strand_id)
        return message

    def _resolved(self, value: bytes, theirs: Schema) -> Any:
        rest = io.BytesIO(value)
        rest.seek(_HEADER_BYTES)
        try:
            plain = fastavro.schemaless_reader(rest, theirs, self._ours)
        except fastavro.read.SchemaResolutionError as error:
            raise MessageError("schema", " ".join(str(error).split())) from None
        except Exception as error:  # whatever rubbish makes of it: an index, a text, a number, an end too soon
            raise MessageError("malformed", f"expected a record of its schema, got {error!r}"[:300]) from None
        if rest.read(1):
            raise MessageError("malformed", "expected the end of the record, got more bytes")
        return plain


class AvroWriter(Generic[Message]):
    """Writes messages.

    Args:
        message: what is written.
        number: under which the registry has `schema_of(message)`.
    """

    def __init__(self, message: type[Message], number: int) -> None:
        self._schema = fastavro.parse_schema(schema_of(message))
        self._header = _MAGIC + number.to_bytes(_HEADER_BYTES - 1)

    def write(self, message: Message) -> bytes:
        """Write one."""
        out = io.BytesIO()
        out.write(self._header)
        fastavro.schemaless_writer(out, self._schema, msgspec.to_builtins(message))
        return out.getvalue()


_PLAIN = {
    inspect.IntType: "long",
    inspect.FloatType: "double",
    inspect.NoneType: "null",
    inspect.StrType: "string",
    inspect.LiteralType: "string",  # to older readers a new symbol of an enum would be an error
}


def _avro(kind: inspect.Type, named: set[str]) -> Any:
    """One type; `named` records are spelt out the first time only."""
    found: Any = _PLAIN.get(type(kind))
    match kind:
        case inspect.StructType():
            found = _record(kind, named)
        case inspect.UnionType():  # null first: a default is of the first branch
            branches = sorted(kind.types, key=lambda one: not isinstance(one, inspect.NoneType))
            found = [_avro(one, named) for one in branches]
        case inspect.DictType():
            found = {"type": "map", "values": _avro(kind.value_type, named)}
        case inspect.ListType():
            found = {"type": "array", "items": _avro(kind.item_type, named)}
        case inspect.Metadata():
            found = _avro(kind.type, named)
    if found is None:
        raise TypeError(f"expected a type that Avro has, got {kind}")
    return found


def _record(kind: inspect.StructType, named: set[str]) -> Any:
    name = kind.cls.__name__
    if name in named:
        return f"{NAMESPACE}.{name}"
    named.add(name)
    fields = []
    for field in kind.fields:
        one: dict[str, Any] = {"name": field.encode_name, "type": _avro(field.type, named)}
        if not field.required:
            has_factory = field.default_factory is not msgspec.NODEFAULT
            one["default"] = field.default_factory() if has_factory else field.default
        fields.append(one)
    return {"type": "record", "name": name, "namespace": NAMESPACE, "fields": fields}
