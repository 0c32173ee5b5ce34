"""What is asked of the schema registry, and what becomes of a worker where it does not tell."""

import json
import socket

import pytest
from support.schema_registry import SchemaRegistry

from models.avro import schema_of
from models.errors import UsageError
from models.messages import Prediction, SensorScan
from worker.errors import DeliveryError
from worker.kafka.registry import Registry


def test_schemas_are_told_by_their_number_and_registered_once() -> None:
    with SchemaRegistry() as served:
        registry = Registry(served.url)
        number = registry.number("casting.predictions", Prediction)
        assert served.subjects == {"casting.predictions-value": [number]}
        assert json.loads(served.schemas[number]) == schema_of(Prediction)
        found = registry.schema(number)
        assert found is not None
        assert found["name"] == "strandwatch.Prediction"


def test_one_that_wants_a_password_is_told_it_and_nobody_else_is() -> None:
    with SchemaRegistry(login=("caster", "s3cret")) as served:
        assert Registry(served.url, ("caster", "s3cret")).subjects() == 0
        for login in (None, ("caster", "wrong")):
            with pytest.raises(DeliveryError, match=r"to tell its subjects, got .*401") as error:
                Registry(served.url, login).subjects()
            assert "wrong" not in str(error.value)


def test_an_unknown_number_is_asked_for_once_in_a_while() -> None:
    with SchemaRegistry() as served:
        registry = Registry(served.url)
        assert [registry.schema(7) for _ in range(20)] == [None] * 20
        assert served.asked == 1
        assert registry.schema(served.add("s-value", schema_of(SensorScan))) is not None


def test_a_registry_that_takes_a_question_and_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = Registry(f"http://127.0.0.1:{silent.getsockname()[1]}", answer_s=0.1)
        with pytest.raises(DeliveryError, match="to tell schema 3, got "):
            registry.schema(3)


def test_a_registry_that_is_not_there_ends_the_worker_and_one_that_cannot_be_is_a_mistake() -> None:
    with SchemaRegistry() as served:
        gone = served.url
    with pytest.raises(DeliveryError, match=r"expected the registry at http://127\.0\.0\.1:.* to tell schema 3, got "):
        Registry(gone).schema(3)
    with pytest.raises(UsageError, match=r"encoding\.schema_registry_url"):
        Registry("nowhere")
