"""The registry of Avro schemas, by Confluent's client: schemas by their numbers, and the numbers of ours."""

import json
import time
from typing import Any

import fastavro
import msgspec
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from models import avro
from models.errors import UsageError, mismatch
from worker.errors import DeliveryError

_NOT_FOUND = 404
_ANSWER_S = 4.0
_MOST_UNKNOWN, _UNKNOWN_FOR_S = 1000, 10.0
"""A producer of another registry names one unknown schema with every record: it is not asked for each time."""


class Registry:
    """One registry.

    Args:
        url: where it is, as `http://127.0.0.1:8081`.
        login: name and password, where it wants them.
        answer_s: after which a question counts as not answered; it is asked twice.

    Raises:
        UsageError: that is no address.
    """

    def __init__(self, url: str, login: tuple[str, str] | None = None, answer_s: float = _ANSWER_S) -> None:
        self._url = url
        who = {} if login is None else {"basic.auth.user.info": ":".join(login)}
        try:
            # Unless told, the client waits for ever, and with it the line.
            self._client = SchemaRegistryClient({"url": url, "timeout": answer_s, "max.retries": 1, **who})
        except ValueError as error:
            raise UsageError(mismatch("a registry's address", str(error), "encoding.schema_registry_url")) from None
        self._known: dict[int, avro.Schema] = {}
        self._unknown_until_s: dict[int, float] = {}

    def subjects(self) -> int:
        """How many subjects it has: whether it answers, and lets us in.

        Raises:
            DeliveryError: it does not.
        """
        try:
            return len(self._client.get_subjects())
        except Exception as error:  # of its HTTP client, which is its own affair, or of the registry
            raise self._error("tell its subjects", error) from None

    def schema(self, number: int) -> avro.Schema | None:
        """A schema by its number, parsed; None if the registry has none such.

        Raises:
            DeliveryError: the registry does not tell, or it is no schema of Avro.
        """
        if number in self._known:
            return self._known[number]
        if time.monotonic() < self._unknown_until_s.get(number, 0.0):
            return None
        found = self._asked(number)
        if found is not None:
            self._known[number] = found
        else:
            if len(self._unknown_until_s) >= _MOST_UNKNOWN:
                self._unknown_until_s.clear()
            self._unknown_until_s[number] = time.monotonic() + _UNKNOWN_FOR_S
        return found

    def number(self, topic: str, message: type[msgspec.Struct]) -> int:
        """The number of a message's schema, registered for a topic's values where it is not yet.

        Raises:
            DeliveryError: the registry does not take it.
        """
        text = json.dumps(avro.schema_of(message))
        try:
            return int(self._client.register_schema(f"{topic}-value", Schema(text, "AVRO")))
        except Exception as error:
            raise self._error(f"take the schema of {topic}", error) from None

    def _asked(self, number: int) -> avro.Schema | None:
        try:
            text = self._client.get_schema(number).schema_str
            found: Any = fastavro.parse_schema(json.loads(text or ""))
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                return None
            raise self._error(f"tell schema {number}", error) from None
        except Exception as error:
            raise self._error(f"tell schema {number}", error) from None
        return dict(found)

    def _error(self, wanted: str, error: Exception) -> DeliveryError:
        why = " ".join(str(error).split()) or type(error).__name__
        return DeliveryError(f"expected the registry at {self._url} to {wanted}, got {why}")
