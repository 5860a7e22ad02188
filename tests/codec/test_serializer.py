"""Serializers: values that are not JSON, with an ``output_type``."""

import dataclasses
import datetime
import decimal
import json
import subprocess
import sys
import typing as t
import uuid

import pydantic
import pytest
from apps import Endpoint, step_hash

import inngest_wsgi as inngest


class Model(pydantic.BaseModel):
    n: int
    when: datetime.datetime


@dataclasses.dataclass
class Point:
    x: int
    y: t.Optional[int] = None


WHEN = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
UUID = uuid.UUID(int=7)

VALUES = [
    (Model(n=1, when=WHEN), Model, {"n": 1, "when": "2026-01-02T03:04:05Z"}),
    (Point(1), Point, {"x": 1, "y": None}),
    ([Point(1, 2)], t.List[Point], [{"x": 1, "y": 2}]),
    (WHEN, datetime.datetime, "2026-01-02T03:04:05Z"),
    (decimal.Decimal("1.10"), decimal.Decimal, "1.10"),
    (UUID, uuid.UUID, "00000000-0000-0000-0000-000000000007"),
    (b"text", bytes, "text"),
    ({3}, t.Set[int], [3]),
    (None, t.Optional[Model], None),
    # not walked by the encoder of json, because of its keys
    ({WHEN.date(): [1.5, [2.5]]}, t.Dict[datetime.date, t.Any], {"2026-01-02": [1.5, [2.5]]}),
]


@pytest.mark.parametrize("value, typ, wire", VALUES)
def test_types_that_pydantic_serializes(value, typ, wire):
    seen = []

    def handler(ctx):
        seen.append(ctx.step.run("a", lambda: value, output_type=typ))

    endpoint = Endpoint(handler, client={"serializer": inngest.PydanticSerializer()})
    assert endpoint.op()["data"] == wire
    endpoint.call({step_hash("a"): {"data": wire}})
    assert seen == [value]


class Own:
    """A serializer without pydantic."""

    def serialize(self, obj, typ):
        return dataclasses.asdict(obj)

    def deserialize(self, obj, typ):
        return typ(**obj)


@pytest.mark.parametrize("serializer", [Own(), inngest.PydanticSerializer()])
def test_output_types_of_functions_and_invoked_functions(serializer):
    client = inngest.Inngest("shop", is_production=False, serializer=serializer)

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent("a"), output_type=Point)
    def function(ctx):
        return Point(1, 2)

    found = []

    @client.create_function(fn_id="g", trigger=inngest.TriggerEvent("b"))
    def other(ctx):
        found.append(ctx.step.invoke("call", function=function))

    endpoint = Endpoint(print)
    endpoint.application = inngest.serve(client, [function, other])
    from werkzeug.test import Client

    endpoint.http = Client(endpoint.application)
    assert endpoint.call().get_json() == {"x": 1, "y": 2}
    body = {
        "ctx": {"run_id": "r"},
        "event": {"name": "b"},
        "steps": {step_hash("call"): {"data": {"x": 3, "y": 4}}},
    }
    endpoint.request(query="fnId=shop-g", body=json.dumps(body).encode())
    assert found == [Point(3, 4)]


@pytest.mark.parametrize("work", ["step", "function"])
def test_an_unserializable_value_fails_without_a_retry(work):
    client = inngest.Inngest("shop", is_production=False, serializer=Own())

    def handler(ctx):
        if work == "step":
            return ctx.step.run("a", lambda: 3, output_type=Point)
        return 3

    endpoint = Endpoint(print)
    function = client.create_function(
        fn_id="f", trigger=inngest.TriggerEvent("a"), output_type=Point
    )(handler)
    from werkzeug.test import Client

    endpoint.http = Client(inngest.serve(client, [function]))
    response = endpoint.call()
    assert response.headers["X-Inngest-No-Retry"] == "true"
    what = "step 'a' of function shop-f" if work == "step" else "function shop-f"
    said = "The output of {} cannot be sent: the serializer cannot convert this int to JSON"
    assert said.format(what).encode() in response.data
    assert b"asdict" in response.data, "and why"


@pytest.mark.parametrize(
    "value, typ",
    [
        ({"a": float("nan")}, dict),
        ([{"a": (float("inf"),)}], t.List[t.Any]),
        ({WHEN.date(): [1.5, float("nan")]}, t.Dict[datetime.date, t.Any]),
        (Point(1, 2), Model),
        (b"\xff", bytes),
    ],
)
def test_a_value_that_pydantic_would_change_fails_without_a_retry(value, typ):
    endpoint = Endpoint(
        lambda ctx: ctx.step.run("a", lambda: value, output_type=typ),
        client={"serializer": inngest.PydanticSerializer()},
    )
    op = endpoint.op()
    assert op["op"] == "StepFailed" and "step 'a' of function shop-f" in op["error"]["message"]


def test_a_value_that_cannot_be_read_back_fails_without_a_retry():
    endpoint = Endpoint(
        lambda ctx: ctx.step.run("a", lambda: None, output_type=Model),
        client={"serializer": inngest.PydanticSerializer()},
    )
    response = endpoint.call({step_hash("a"): {"data": {}}})
    assert response.headers["X-Inngest-No-Retry"] == "true"
    assert "The stored output of step 'a'" in response.get_json()["message"]


def test_without_an_output_type_the_serializer_is_not_asked():
    class Never:
        serialize = deserialize = None

        def __getattribute__(self, name):
            return lambda *args: pytest.fail("it was asked")

    endpoint = Endpoint(lambda ctx: ctx.step.run("a", lambda: 1), client={"serializer": Never()})
    assert endpoint.op()["data"] == 1


def test_an_output_type_without_a_serializer_is_refused():
    client = inngest.Inngest("shop", is_production=False)
    with pytest.raises(inngest.FunctionConfigError, match="serializer"):
        client.create_function(fn_id="f", trigger=inngest.TriggerEvent("a"), output_type=Point)
    endpoint = Endpoint(lambda ctx: ctx.step.run("a", lambda: 1, output_type=Point))
    assert "needs a serializer" in endpoint.call().get_json()["message"]


def test_an_invalid_serializer_is_refused():
    with pytest.raises(inngest.SettingsError, match="serializer: .*deserialize"):
        inngest.Inngest("shop", serializer=object())  # type: ignore[arg-type]


def test_a_type_that_cannot_be_hashed():
    serializer = inngest.PydanticSerializer()
    # (Annotated is in typing from Python 3.9 on)
    annotated = pytest.importorskip("typing_extensions").Annotated[int, {"a": []}]
    assert serializer.deserialize("3", annotated) == 3


def test_the_package_does_not_need_pydantic():
    code = "import sys; sys.modules['pydantic'] = None; import inngest_wsgi"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "value, wire",
    [
        (2**53 + 1, 2**53 + 1),
        (
            {1: "a", None: "b", False: "c", 1.5: "d"},
            {"1": "a", "null": "b", "false": "c", "1.5": "d"},
        ),
        ((1, (2,)), [1, [2]]),
    ],
)
def test_values_as_json_represents_them(value, wire):
    assert Endpoint(lambda ctx: ctx.step.run("a", lambda: value)).op()["data"] == wire


@pytest.mark.parametrize(
    "value, said",
    [
        (float("nan"), "$ is not JSON: nan"),
        ({"items": [0, 0, 0, {"price": decimal.Decimal(1)}]}, "$.items[3].price"),
        ({float("inf"): 1}, "a key of it is inf"),
        ({b"a": 1}, "a key of it is bytes"),
        ({"when": WHEN}, "$.when is not JSON: datetime"),
    ],
)
def test_values_without_a_json_form_are_refused(value, said):
    op = Endpoint(lambda ctx: ctx.step.run("a", lambda: value)).op()
    assert op["op"] == "StepFailed" and said in op["error"]["message"]
    assert "step 'a' of function shop-f" in op["error"]["message"]
