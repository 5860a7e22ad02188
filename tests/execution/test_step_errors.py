"""The error of a step, as the function catches it in a later call, and as it
answers for the function that does not."""

import copy
import datetime
import json
import pathlib
import pickle

import pytest
from apps import Endpoint, step_hash
from stub_server import serving

import inngest_wsgi as inngest
from inngest_wsgi.testing import LocalServer

UTC = datetime.timezone.utc


class Declined(inngest.NonRetriableError):
    def __init__(self, message):
        super().__init__(message)
        self.code, self.data = "card_declined", {"amount": 3, "tags": ("a", None)}


class Busy(inngest.RetryAfterError):
    pass


class WithCode(Exception):
    code = 42
    data = ["x"]


class NotJSON(Exception):
    code = object()
    data = float("nan")


class Large(Exception):
    data = "x" * 100_000


class Raising(Exception):
    @property
    def data(self):
        raise KeyError("no")


class Method(Exception):
    def data(self):
        return 1


AT = datetime.datetime(2027, 1, 15, 12, tzinfo=UTC)
ERRORS = [
    # raised, also of this class, code, data
    (inngest.NonRetriableError("m"), inngest.NonRetriableError, "non_retriable_error", None),
    (
        Declined("m"),
        inngest.NonRetriableError,
        "card_declined",
        {"amount": 3, "tags": ["a", None]},
    ),
    (inngest.RetryAfterError("m", AT), inngest.RetryAfterError, "retry_after_error", None),
    (Busy("m", "1h"), inngest.RetryAfterError, "retry_after_error", None),
    (ValueError("m"), None, "step_errored", None),
    (WithCode("m"), None, 42, ["x"]),
    (NotJSON("m"), None, "step_errored", None),
    (Large("m"), None, "step_errored", None),
    (Raising("m"), None, "step_errored", None),
    (Method("m"), None, "step_errored", None),
    (inngest.OutputError("m"), None, "output_invalid", None),
]


def raising(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("error, also, code, data", ERRORS)
def test_a_caught_error_is_that_of_the_step(error, also, code, data, parallel):
    found = []

    def f(ctx):
        def charge():
            return ctx.step.run("charge", raising(error))

        try:
            if parallel:
                ctx.group.parallel((charge, lambda: ctx.step.run("other", lambda: 1)))
            else:
                charge()
        except inngest.StepError as caught:
            found.append(caught)
        return ctx.step.run("afterwards", lambda: "went on")

    with LocalServer() as server:
        client = inngest.Inngest(
            app_id="shop",
            is_production=False,
            api_base_url=server.url,
            event_api_base_url=server.url,
        )
        declare = client.create_function(
            fn_id="f", trigger=inngest.TriggerEvent(event="test/event"), retries=0
        )
        with serving(inngest.serve(client, [declare(f)])) as app:
            server.sync(app + "/api/inngest")
            (event_id,) = server.send({"name": "test/event", "data": {}})
            run = server.wait_for_run(event_id)
        assert (run.status, run.output) == ("Completed", "went on")
    caught = found[-1]
    assert (caught.step_id, caught.name, caught.message) == ("charge", type(error).__name__, "m")
    assert (caught.code, caught.data, caught.is_retriable) == (code, data, False)
    classes = (inngest.NonRetriableError, inngest.RetryAfterError)
    assert [isinstance(caught, cls) for cls in classes] == [also is cls for cls in classes]
    if isinstance(caught, inngest.RetryAfterError):
        assert abs(caught.retry_after - error.retry_after) < datetime.timedelta(seconds=1)


class OwnTime(inngest.RetryAfterError):
    def __init__(self, value):
        super().__init__("busy", 5000)
        self.retry_after = value


class NoTime(inngest.RetryAfterError):
    def __init__(self):
        Exception.__init__(self, "busy")
        self.message = "busy"


class RaisingTime(NoTime):
    @property
    def retry_after(self):  # type: ignore[override]
        raise KeyError("no")


@pytest.mark.parametrize("max_attempts", [1, None])
@pytest.mark.parametrize(
    "error",
    [OwnTime(5), OwnTime("5s"), OwnTime(None), OwnTime(datetime.datetime.max), NoTime()]
    + [RaisingTime()],
)
def test_a_subclass_may_have_a_retry_after_of_its_own(error, max_attempts):
    def handler(ctx):
        try:
            ctx.step.run("charge", raising(error))
        except inngest.RetryAfterError as caught:
            return [caught.name, str(caught)]

    endpoint = Endpoint(handler)
    op = endpoint.op(max_attempts=max_attempts)
    assert op["op"] == ("StepFailed" if max_attempts else "StepError")
    assert (op["error"]["name"], op["error"]["message"]) == (type(error).__name__, "busy")
    answer = endpoint.call({op["id"]: {"error": op["error"]}}).get_json()
    assert answer == [type(error).__name__, "busy"]


@pytest.mark.parametrize(
    "stored",
    [
        None,
        5,
        ["x"],
        "",
        "soon",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59.999999+00:00",
        "2027-01-15T12:00:00.000Z",
    ],
)
def test_a_stored_time_that_cannot_be_read_raises_nothing(stored):
    found = []

    def handler(ctx):
        try:
            ctx.step.run("s", int)
        except inngest.StepError as caught:
            found.append(caught)

    data = {"kind": "retry_after_error", "retry_after": stored}
    memo = {"error": {"name": "RetryAfterError", "message": "m", "data": data}}
    assert Endpoint(handler).call({step_hash("s"): memo}).status_code == 200
    (caught,) = found
    assert isinstance(caught, inngest.RetryAfterError)
    assert caught.retry_after.utcoffset() == datetime.timedelta(0)
    assert (caught.header or "").endswith("Z")


def pickled(protocol):
    return lambda error: pickle.loads(pickle.dumps(error, protocol))


COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy}
COPIES.update((f"pickle {n}", pickled(n)) for n in range(pickle.HIGHEST_PROTOCOL + 1))


@pytest.mark.parametrize("name", ["ValueError", "NonRetriableError", "RetryAfterError"])
@pytest.mark.parametrize("copied", list(COPIES.values()), ids=list(COPIES))
def test_a_caught_error_can_be_copied(copied, name):
    found = []

    def handler(ctx):
        try:
            ctx.step.run("s", int)
        except inngest.StepError as caught:
            found.append(caught)

    cause = {"name": "KeyError", "message": "k"}
    memo = {"name": name, "message": "m", "stack": "...", "cause": cause}
    memo["data"] = {"code": "c", "data": [1]}
    Endpoint(handler).call({step_hash("s"): {"error": memo}})
    (caught,) = found
    twin = copied(caught)
    assert type(twin) is type(caught) and twin is not caught
    assert (str(twin), twin.args, vars(twin)) == (str(caught), caught.args, vars(caught))
    assert (twin.step_id, twin.name, twin.code, twin.cause) == ("s", name, "c", cause)


def test_other_errors_can_be_copied():
    for error in (inngest.RetryAfterError("m", "1h"), inngest.SettingsError("env", "m")):
        twin = pickle.loads(pickle.dumps(error))
        assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


def test_an_except_clause_of_the_official_sdk():
    def handler(ctx):
        try:
            ctx.step.run("charge", raising(Declined("no funds")))
        except inngest.NonRetriableError as error:
            return str(error)

    endpoint = Endpoint(handler)
    op = endpoint.op()
    assert op["op"] == "StepFailed"
    # the server drops every other key of the error (W13)
    kept = {key: op["error"][key] for key in ("name", "message", "stack", "data")}
    assert endpoint.call({op["id"]: {"error": kept}}).get_json() == "no funds"


WIRE = pathlib.Path(__file__).resolve().parents[1] / "wire"


@pytest.mark.parametrize(
    "recording", ["10-dev-step-exhausted-uncaught", "13-dev-non-retriable-error-in-step"]
)
def test_an_uncaught_error_answers_as_the_official_sdk(recording):
    """In recording 13 the official SDK answers in one call what we answer in
    two: the step's failure is stored first."""
    found = json.loads((WIRE / f"{recording}.json").read_text())
    recorded = [e["response"] for e in found["exchanges"] if e["direction"] == "server->sdk"][-1]
    body = json.loads(recorded["body"])
    raised = {"ValueError": ValueError, "NonRetriableError": inngest.NonRetriableError}
    error = raised[body["name"]](body["message"])
    endpoint = Endpoint(lambda ctx: ctx.step.run("a", raising(error)))
    op = endpoint.op(max_attempts=1)
    kept = {key: op["error"].get(key) for key in ("name", "message", "stack", "data")}
    response = endpoint.call({op["id"]: {"error": kept}})
    answer = response.get_json()
    assert set(answer) == set(body)
    assert dict(answer, stack=None) == dict(body, stack=None)
    assert response.headers["X-Inngest-No-Retry"] == recorded["headers"]["x-inngest-no-retry"]
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize(
    "error, code",
    [
        (Declined("m"), "non_retriable_error"),
        (Busy("m", "1h"), "retry_after_error"),
        (WithCode("m"), "step_errored"),
    ],
)
def test_an_uncaught_error_has_the_code_of_its_kind(error, code):
    endpoint = Endpoint(lambda ctx: ctx.step.run("a", raising(error)))
    op = endpoint.op(attempt=3)
    response = endpoint.call({op["id"]: {"error": op["error"]}})
    answer = response.get_json()
    assert (answer["name"], answer["code"]) == (type(error).__name__, code)
    assert response.headers["X-Inngest-No-Retry"] == "true"
    assert "Retry-After" not in response.headers


MEMOS = [
    # error of the memo, is a NonRetriableError, is a RetryAfterError, data
    ({"name": "NonRetriableError", "message": "m"}, True, False, None),
    ({"name": "RetryAfterError", "message": "m"}, False, True, None),
    ({"name": "E", "message": "m", "data": {"kind": "non_retriable_error"}}, True, False, None),
    (
        {"name": "E", "data": {"kind": "retry_after_error", "retry_after": "x"}},
        False,
        True,
        None,
    ),
    ({"name": "E", "data": {"kind": []}}, False, False, None),
    ({"name": "E", "data": {"another": "sdk's"}}, False, False, {"another": "sdk's"}),
    ({"name": "E", "data": [1]}, False, False, [1]),
    ({"name": "E", "data": {}}, False, False, None),
    ("text", False, False, None),
]


@pytest.mark.parametrize("error, non_retriable, retry_after, data", MEMOS)
def test_a_memo_of_any_form(error, non_retriable, retry_after, data):
    def handler(ctx):
        with pytest.raises(inngest.StepError) as caught:
            ctx.step.run("a", lambda: None)
        found = caught.value
        if isinstance(found, inngest.RetryAfterError):
            assert found.retry_after.utcoffset() is not None and found.header
        kinds = (inngest.NonRetriableError, inngest.RetryAfterError)
        return [isinstance(found, kind) for kind in kinds] + [found.data, found.step_id]

    answer = Endpoint(handler).call({step_hash("a"): {"error": error}}).get_json()
    assert answer == [non_retriable, retry_after, data, "a"]


def invoke(ctx):
    return ctx.step.invoke_by_id("s", function_id="other")


def infer(ctx):
    return ctx.step.fetch("s", "http://example.com")


@pytest.mark.parametrize("call", [invoke, infer])
def test_the_data_of_a_step_that_the_server_carried_out(call):
    """The server's own ``data`` is passed on as it is, whatever its keys."""
    data = {"kind": "non_retriable_error"}

    def handler(ctx):
        try:
            call(ctx)
        except inngest.StepError as error:
            non_retriable = isinstance(error, inngest.NonRetriableError)
            return [error.step_id, error.data, non_retriable]

    endpoint = Endpoint(handler)
    memo = {"error": {"name": "E", "message": "m", "data": data}}
    assert endpoint.call({step_hash("s"): memo}).get_json() == ["s", data, False]
    memo = {"error": {"name": "NonRetriableError", "message": "m"}}
    assert endpoint.call({step_hash("s"): memo}).get_json() == ["s", None, True]


def test_a_cancelled_invoke_names_its_step():
    def handler(ctx):
        try:
            invoke(ctx)
        except inngest.StepError as error:
            return [error.step_id, error.name]

    memo = {"name": "inngest/function.finished", "data": {"_inngest": {"status": "Cancelled"}}}
    assert Endpoint(handler).call({step_hash("s"): memo}).get_json() == ["s", "FunctionCancelled"]
