"""Stubs, for every kind of step."""

import dataclasses

import pytest
from toolkit_shop import Shop, app_of

import inngest_wsgi as inngest
from inngest_wsgi.experimental import ai
from inngest_wsgi.testing import TIMEOUT, RunFailed, StubbedFailure, TestServer, UnusedStubError

adapter = ai.openai.Adapter(auth_key="a-key", model="gpt-4o")


def no():
    raise AssertionError("the step ran for real")


#: A way to call a step for each kind; what it returns is the function's output.
STEPS = {
    "run": lambda ctx: ctx.step.run("s", no),
    "ai.wrap": lambda ctx: ctx.step.ai.wrap("s", no),
    "send_event": lambda ctx: ctx.step.send_event("s", inngest.Event("x")),
    "send_signal": lambda ctx: ctx.step.send_signal("s", signal="x"),
    "wait_for_event": lambda ctx: ctx.step.wait_for_event("s", event="x", timeout="1h").data,
    "wait_for_signal": lambda ctx: ctx.step.wait_for_signal("s", signal="x", timeout="1h"),
    "invoke": lambda ctx: ctx.step.invoke_by_id("s", function_id="x"),
    "ai.infer": lambda ctx: ctx.step.ai.infer("s", adapter=adapter, body={"messages": []}),
    "fetch": lambda ctx: ctx.step.fetch("s", "https://x.test/").json(),
    "sleep": lambda ctx: ctx.step.sleep("s", "1h"),
}
#: What a stub gives for each, and what the step returns then.
VALUES = {
    **{kind: ({"a": 1}, {"a": 1}) for kind in STEPS},
    "send_event": (["an-id"], ["an-id"]),
    "send_signal": ("a-run", "a-run"),
    "wait_for_signal": ({"a": 1}, {"signal": "x", "data": {"a": 1}}),
    "sleep": (None, None),
}
#: Those that a server, or the app, tries again.
RETRIED = ("run", "ai.wrap", "send_event", "send_signal", "ai.infer", "fetch")


@pytest.mark.parametrize("checkpointing", [True, False])
@pytest.mark.parametrize("kind", STEPS)
def test_a_value(inngest_server, kind, checkpointing):
    given, returned = VALUES[kind]
    inngest_server.serve(app_of(STEPS[kind], checkpointing=checkpointing))
    stub = inngest_server.stub("s", given)
    before = inngest_server.now()
    run = inngest_server.send("go").run()
    assert run.result() == returned
    assert inngest_server.now() == before
    assert (stub.uses, run.step("s").attempts) == (1, 1)
    assert inngest_server.events("x") == []


@pytest.mark.parametrize("kind", STEPS)
def test_a_value_in_a_parallel_group(inngest_server, kind):
    given, returned = VALUES[kind]

    def f(ctx):
        return ctx.group.parallel((lambda: STEPS[kind](ctx), lambda: ctx.step.run("t", str)))

    inngest_server.serve(app_of(f))
    inngest_server.stub("s", given)
    assert inngest_server.send("go").run().result() == [returned, ""]


@pytest.mark.parametrize("kind", RETRIED)
def test_failures_and_then_a_value(inngest_server, kind):
    inngest_server.serve(app_of(STEPS[kind]))
    stub = inngest_server.stub("s", VALUES[kind][0], fail=2)
    run = inngest_server.send("go").run()
    assert run.step("s").error.message == "stubbed failure 1 of 2"
    assert (run.step("s").attempts, run.status) == (1, "Running")
    inngest_server.run_until_idle()
    assert run.result() == VALUES[kind][1]
    assert (run.step("s").attempts, stub.uses) == (3, 3)
    assert len(set(run.step("s").times)) == 3


@pytest.mark.parametrize("error", [OSError("down"), StubbedFailure, "down"])
@pytest.mark.parametrize("kind", [*RETRIED, "invoke"])
def test_an_error(inngest_server, kind, error):
    inngest_server.serve(app_of(STEPS[kind], retries=1))
    inngest_server.stub("s", error=error)
    run = inngest_server.send("go").run()
    inngest_server.run_until_idle()
    step = run.step("s")
    assert step.status == "Failed"
    assert step.attempts == (1 if kind == "invoke" else 2)
    name = "OSError" if isinstance(error, OSError) else "StubbedFailure"
    assert step.error.name == name
    with pytest.raises(RunFailed, match="down|stubbed failure"):
        run.result()


@pytest.mark.parametrize("kind", STEPS)
def test_a_callable(inngest_server, kind):
    calls = []

    def call(*args):
        calls.append(args)
        return VALUES[kind][0]

    inngest_server.serve(app_of(STEPS[kind]))
    inngest_server.stub("s", call=call)
    assert inngest_server.send("go").run().result() == VALUES[kind][1]
    if kind in ("run", "ai.wrap", "send_event", "send_signal"):
        assert calls == [()]
        return
    ((options,),) = calls
    expected = {
        "fetch": {"url": "https://x.test/", "method": "GET", "headers": {}},
        "wait_for_event": {"event": "x", "timeout": "1h"},
        "sleep": {"duration": "1h"},
    }
    assert options == expected.get(kind, options)


@pytest.mark.parametrize(
    "kind, returned",
    [
        ("wait_for_event", None),
        ("wait_for_signal", None),
        ("invoke", "Timed out waiting for invoked function to complete"),
    ],
)
def test_a_timeout(inngest_server, kind, returned):
    steps = {
        **STEPS,
        "wait_for_event": lambda ctx: ctx.step.wait_for_event("s", event="x", timeout="1h"),
    }

    def f(ctx):
        try:
            return steps[kind](ctx)
        except inngest.StepError as error:
            return error.message

    inngest_server.serve(app_of(f))
    inngest_server.stub("s", TIMEOUT)
    assert inngest_server.send("go").run().result() == returned


@pytest.mark.parametrize(
    "event, data",
    [
        (inngest.Event("x", {"a": 1}), {"a": 1}),
        ({"name": "x", "data": {"a": 1}}, {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ({"name": "ann"}, {"name": "ann"}),
        ({}, {}),
    ],
)
def test_an_event_that_is_waited_for(inngest_server, event, data):
    def f(ctx):
        found = ctx.step.wait_for_event("s", event="x", timeout="1h")
        return [found.name, found.data, bool(found.id), found.ts]

    inngest_server.serve(app_of(f))
    inngest_server.stub("s", event)
    now = int(inngest_server.now().timestamp() * 1000)
    assert inngest_server.send("go").run().result() == ["x", data, True, now]


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: str


@pytest.mark.parametrize(
    "given, status, body, kind",
    [
        ("text", 200, "text", None),
        (404, 404, "", None),
        ((500, "no"), 500, "no", None),
        ((201, {"a": [1]}), 201, '{"a": [1]}', "application/json"),
        ((200, "x", {"Content-Type": "text/x"}), 200, "x", "text/x"),
        ([1], 200, "[1]", "application/json"),
        (None, 200, "null", "application/json"),
        (Answer(418, {"Content-Type": "t/p"}, "tea"), 418, "tea", "t/p"),
    ],
)
def test_a_response_that_is_fetched(inngest_server, given, status, body, kind):
    def f(ctx):
        found = ctx.step.fetch("s", "https://x.test/")
        return [found.status, found.body, found.headers.get("Content-Type"), found.url]

    inngest_server.serve(app_of(f))
    inngest_server.stub("s", given)
    assert inngest_server.send("go").run().result() == [status, body, kind, "https://x.test/"]


def test_arguments_are_those_of_the_step(inngest_server):
    inngest_server.serve(app_of(lambda ctx: ctx.step.run("s", no, 1, 2, c=3)))
    inngest_server.stub("s", call=lambda a, b, c: [a, b, c])
    assert inngest_server.send("go").run().result() == [1, 2, 3]


def test_the_traceback_of_an_error_is_that_of_one_attempt(inngest_server, caplog):
    inngest_server.serve(app_of(STEPS["run"]))
    inngest_server.stub("s", error=OSError("down"))
    inngest_server.send("go")
    inngest_server.run_until_idle()
    assert inngest_server.run().step("s").attempts == 5
    lines = [len(record.exc_text.splitlines()) for record in caplog.records if record.exc_text]
    assert len(lines) == 5
    assert len(set(lines)) == 1


# -- which step --------------------------------------------------------------------


def test_a_use_of_an_id_and_a_function(inngest_server):
    shop = Shop()

    def twice(ctx):
        waited = ctx.step.wait_for_signal("w", signal="x", timeout="1h")
        ran = [ctx.step.run("s", lambda: "real") for _ in range(3)]
        again = ctx.step.wait_for_signal("w", signal="x", timeout="1h")
        return [*ran, waited["data"], again["data"]]

    shop.function("one", "go")(twice)
    shop.function("two", "go")(twice)
    inngest_server.serve(shop.application)
    inngest_server.stub("s", "any")
    inngest_server.stub("s", "second", index=1)
    inngest_server.stub("s", "second of two", index=1, function="two")
    inngest_server.stub("s", "third of two", index=2, function="shop-two")
    inngest_server.stub("w", "first", index=0)
    inngest_server.stub("w", "last", index=1)
    sent = inngest_server.send("go")
    assert sent.run("one").result() == ["any", "second", "any", "first", "last"]
    assert sent.run("two").result() == ["any", "second of two", "third of two", "first", "last"]


def test_each_run_fails_anew(inngest_server):
    inngest_server.serve(app_of(lambda ctx: ctx.step.run("s", lambda: "real")))
    inngest_server.stub("s", fail=1)
    runs = inngest_server.send([{"name": "go"}] * 3).runs
    inngest_server.run_until_idle()
    assert [(run.result(), run.step("s").attempts) for run in runs] == [("real", 2)] * 3


def test_an_error_that_is_not_tried_again(inngest_server):
    inngest_server.serve(app_of(STEPS["run"]))
    inngest_server.stub("s", error=inngest.NonRetriableError("no money"))
    run = inngest_server.send("go").run()
    assert (run.status, run.step("s").attempts) == ("Failed", 1)


def test_the_serializer_and_the_middleware_are_real(inngest_server):
    class Upper:
        def serialize(self, obj, typ):
            return obj.value

        def deserialize(self, obj, typ):
            return typ(obj)

    class Value:
        def __init__(self, value):
            self.value = value

    class Doubles(inngest.Middleware):
        def transform_output(self, result):
            if result.step is not None:
                result.output = result.output * 2

    shop = Shop(serializer=Upper(), middleware=[Doubles])
    shop.functions.clear()
    shop.function("f", "go")(lambda ctx: ctx.step.run("s", no, output_type=Value).value)
    inngest_server.serve(shop.application)
    inngest_server.stub("s", Value("x"))
    assert inngest_server.send("go").run().result() == "xx"


# -- what is wrong -----------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [{}, {"value": 1, "call": no}, {"error": OSError, "call": no}, {"fail": 0}, {"fail": True}],
)
def test_arguments_that_do_not_go_together(inngest_server, arguments):
    with pytest.raises(ValueError):
        inngest_server.stub("s", **arguments)


@pytest.mark.parametrize(
    "kind, arguments, said",
    [
        ("wait_for_event", {"error": OSError}, "cannot fail on any server"),
        ("sleep", {"fail": 1}, "cannot fail on any server"),
        ("wait_for_event", {"value": 7}, "7 is neither an event nor the data of one"),
        ("invoke", {"value": object()}, "has a stub whose value cannot be used"),
        ("fetch", {"value": object()}, "has a stub whose value cannot be used"),
        ("ai.infer", {"value": float("nan")}, "has a stub whose value cannot be used"),
    ],
)
def test_a_stub_that_a_step_cannot_use(inngest_server, kind, arguments, said):
    inngest_server.serve(app_of(STEPS[kind]))
    inngest_server.stub("s", **arguments)
    run = inngest_server.send("go").run()
    assert run.status == "Failed"
    assert said in run.error.message
    assert "'s' of shop-f" in run.error.message


@pytest.mark.parametrize("kind", ["fetch", "ai.infer"])
def test_no_request_goes_out_without_a_stub(inngest_server, kind):
    inngest_server.serve(app_of(STEPS[kind]))
    run = inngest_server.send("go").run()
    with pytest.raises(RunFailed, match="server.stub\\('s', ...\\), or .* allow_network=True"):
        run.result()


def test_a_request_that_is_allowed():
    from stub_server import serving
    from werkzeug.wrappers import Response

    def f(ctx):
        return ctx.step.fetch("s", ctx.event.data["url"]).body

    with serving(Response("hello")) as origin, TestServer(allow_network=True) as server:
        server.serve(app_of(f))
        assert server.send("go", {"url": origin}).run().result() == "hello"


def test_a_stub_that_was_not_used():
    server = TestServer()
    server.serve(app_of(lambda ctx: ctx.step.run("charge", int)))
    server.send("go")
    server.stub("chrage", 1)
    server.stub("another", 1, optional=True)
    with pytest.raises(UnusedStubError, match="step 'chrage'> was not used.*were: 'charge'"):
        server.close()
    # once is enough
    server.close()
    server.reset()
    server.stub("s", 1)
    with pytest.raises(UnusedStubError, match="were: none"):
        server.reset()
    server.close()


def test_an_error_of_the_test_is_not_hidden():
    with pytest.raises(ZeroDivisionError), TestServer() as server:
        server.stub("s", 1)
        raise ZeroDivisionError
