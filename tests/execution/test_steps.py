"""Each kind of step: what it sends, returns and refuses."""

import datetime
import functools
import json
import threading
import time

import pytest
from apps import Endpoint, step_hash
from stub_server import Scripted, serving

import inngest_wsgi as inngest
from inngest_wsgi._server_api import client
from inngest_wsgi.experimental import get_step_context, step
from inngest_wsgi.experimental.ai import anthropic, deepseek, gemini, grok, openai

UTC = datetime.timezone.utc
SOON = datetime.datetime.now(UTC).replace(microsecond=0) + datetime.timedelta(days=1)
SOON_TEXT = SOON.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.mark.parametrize(
    "timeout, text",
    [
        (2000, "2s"),
        ("1h30m", "1h30m"),
        (datetime.timedelta(days=2), "2d"),
        (SOON, SOON_TEXT),
        (SOON.astimezone().replace(tzinfo=None), SOON_TEXT),
        ("366d", "366d"),
    ],
    ids=["int", "text", "timedelta", "datetime", "naive datetime", "longest"],
)
def test_forms_of_a_time(timeout, text):
    op = Endpoint(lambda ctx: ctx.step.wait_for_event("w", event="e", timeout=timeout)).op()
    assert op["opts"] == {"event": "e", "timeout": text}


@pytest.fixture
def in_new_york(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


NOON = datetime.datetime(2027, 1, 15, 12)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be set")
@pytest.mark.parametrize(
    "call, read",
    [
        (lambda ctx: ctx.step.sleep_until("s", NOON), lambda op: op["opts"]["duration"]),
        (lambda ctx: ctx.step.sleep_until("s", NOON), lambda op: op["name"]),
        (lambda ctx: wait(ctx, timeout=NOON), lambda op: op["opts"]["timeout"]),
        (lambda ctx: signal(ctx, timeout=NOON), lambda op: op["opts"]["timeout"]),
        (lambda ctx: invoke(ctx, timeout=NOON), lambda op: op["opts"]["timeout"]),
    ],
)
def test_a_time_without_a_zone_is_local(call, read, in_new_york):
    assert read(Endpoint(call).op()) == "2027-01-15T17:00:00.000Z"


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be set")
def test_a_sleep_of_an_hour_until_a_local_time_is_one(in_new_york):
    until = datetime.datetime.now() + datetime.timedelta(hours=1)
    op = Endpoint(lambda ctx: ctx.step.sleep_until("s", until)).op()
    sent = datetime.datetime.strptime(op["name"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    ahead = sent - datetime.datetime.now(UTC)
    assert datetime.timedelta(minutes=55) < ahead <= datetime.timedelta(hours=1)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be set")
def test_the_other_places_that_take_a_time(in_new_york):
    def handler(ctx):
        raise inngest.RetryAfterError("m", NOON)

    assert Endpoint(handler).call().headers["Retry-After"] == "2027-01-15T17:00:00.000Z"
    error = inngest.RetryAfterError("m", NOON)
    assert error.retry_after == NOON.replace(hour=17, tzinfo=UTC)
    event = inngest.Event(name="e", ts=NOON)  # type: ignore[arg-type]
    assert event.to_wire()["ts"] == NOON.replace(hour=17, tzinfo=UTC).timestamp() * 1000


def wait(ctx, **options):
    return ctx.step.wait_for_event("w", **dict({"event": "e", "timeout": "1s"}, **options))


def signal(ctx, **options):
    return ctx.step.wait_for_signal("w", **dict({"signal": "s", "timeout": "1s"}, **options))


def invoke(ctx, **options):
    return ctx.step.invoke_by_id("w", **dict({"function_id": "f"}, **options))


def fetch(ctx, **options):
    return ctx.step.fetch("w", **dict({"url": "http://example.com"}, **options))


def parallel(ctx, **options):
    return ctx.group.parallel(**dict({"callables": ()}, **options))


@pytest.mark.parametrize(
    "call, options, said",
    [
        (wait, {"timeout": -1}, "negative"),
        (wait, {"timeout": "soon"}, "time string"),
        (wait, {"timeout": float("nan")}, "float"),
        (wait, {"timeout": "367d"}, "366 days"),
        (wait, {"timeout": None}, "NoneType"),
        (wait, {"event": ""}, "event must be text"),
        (wait, {"event": None}, "event must be text"),
        (wait, {"if_exp": ""}, "if_exp must be text"),
        (
            wait,
            {"if_exp": "async.data.id == 'it's'"},
            "if_exp must be a CEL expression that can be read",
        ),
        (wait, {"if_exp": "(async.data.id"}, "if_exp must be a CEL expression that can be read"),
        (signal, {"signal": ""}, "signal must be text"),
        (signal, {"timeout": "1y"}, "time string"),
        (signal, {"on_conflict": "queue"}, "on_conflict"),
        (invoke, {"function_id": ""}, "function_id must be text"),
        (invoke, {"timeout": "400d"}, "366 days"),
        (invoke, {"data": [1]}, "data must be a dict"),
        (invoke, {"data": {"a": object()}}, "$.a"),
        (fetch, {"url": "example.com"}, "http"),
        (fetch, {"headers": {"a": b"bytes"}}, "must be text"),
        (fetch, {"body": {"a": 1}}, "must be text"),
        (fetch, {"method": None}, "method must be text"),
        (lambda ctx: ctx.step.ai.infer("w", adapter=None, body={}), {}, "adapter"),
        (lambda ctx: ctx.step.invoke("w", function="f"), {}, "invoke_by_id"),
        (lambda ctx: ctx.step.sleep("w", SOON), {}, "sleep_until"),
        (lambda ctx: ctx.step.send_signal("w", signal=""), {}, "signal must be text"),
        (parallel, {"callables": 3}, "functions"),
        (parallel, {"callables": (1,)}, "functions"),
        (parallel, {"parallel_mode": "race"}, "ParallelMode"),
    ],
)
def test_options_that_cannot_be_sent_are_refused_by_name(call, options, said):
    response = Endpoint(lambda ctx: call(ctx, **options)).call()
    problem = response.get_json()
    assert (response.status_code, problem["code"]) == (400, "step_config_invalid")
    assert response.headers["X-Inngest-No-Retry"] == "true"
    assert problem["message"].startswith(("step 'w': ", "step 'parallel': "))
    assert said in problem["message"]


def test_an_awaited_event_is_an_event_object():
    wire = {"name": "e", "data": {"a": 1}, "id": "i", "ts": 5, "user": {}}
    found = []
    Endpoint(lambda ctx: found.append(wait(ctx))).call({step_hash("w"): wire})
    assert found == [inngest.Event(name="e", data={"a": 1}, id="i", ts=5)]


def test_invoke_names_the_function_of_the_served_app():
    child = inngest.Inngest("other", is_production=False).create_function(
        fn_id="child", trigger=inngest.TriggerEvent("a")
    )(print)
    endpoint = Endpoint(
        lambda ctx: ctx.step.invoke("w", function=child, data={"n": 1}, timeout="1h", v="2"),
        app_id="market",
    )
    body = {"ctx": {"run_id": "r"}, "event": {"name": "a"}}
    response = endpoint.request(query="fnId=market-f", body=json.dumps(body).encode())
    (op,) = response.get_json()
    assert op["opts"] == {
        "function_id": "market-child",
        "payload": {"data": {"n": 1}, "v": "2"},
        "timeout": "1h",
    }


def test_invoke_always_has_a_payload():
    op = Endpoint(lambda ctx: invoke(ctx, app_id="other")).op()
    assert op["opts"] == {"function_id": "other-f", "payload": {"data": {}}}


def test_invoking_a_cancelled_function_raises():
    import recordings

    exchange = recordings.calls(recordings.load("42"))[2]
    memos = json.loads(exchange.body)["steps"]

    def handler(ctx):
        with pytest.raises(inngest.StepError) as caught:
            ctx.step.invoke_by_id("call", function_id="cancellable")
        return [caught.value.name, caught.value.message]

    answer = Endpoint(handler).call(memos).get_json()
    assert answer == ["FunctionCancelled", "the invoked function was cancelled"]


def test_a_result_that_looks_like_an_event_is_returned_as_it_is():
    # a result is wrapped, an event is not
    memo = {"data": {"name": "inngest/function.finished"}}
    assert Endpoint(invoke).call({step_hash("w"): memo}).get_json() == memo["data"]


@pytest.mark.parametrize(
    "answer, result",
    [
        ((200, {"data": {"run_id": "01R"}}), "01R"),
        ((404, {"error": "No signal found", "data": None, "status": 404}), None),
    ],
)
def test_sending_a_signal(answer, result):
    server = Scripted(answer)
    with serving(server) as origin:
        endpoint = Endpoint(
            lambda ctx: ctx.step.send_signal("w", signal="s", data=[1]), base_url=origin
        )
        op = endpoint.op()
    assert (op["op"], op["data"], op["opts"]["type"]) == ("StepRun", result, "step.sendSignal")
    (request,) = server.requests
    assert (request.path, request.get_json()) == ("/v1/signals", {"signal": "s", "data": [1]})


def test_a_signal_that_is_refused_fails_its_step():
    server = Scripted((400, {"error": "bad signal"}))
    with serving(server) as origin:
        endpoint = Endpoint(lambda ctx: ctx.step.send_signal("w", signal="s"), base_url=origin)
        op = endpoint.op()
    assert (op["op"], op["error"]["name"]) == ("StepError", "ApiError")
    assert "bad signal" in op["error"]["message"]


def test_sending_events_passes_on_the_trace_of_the_call():
    server = Scripted((200, {"ids": ["01A"], "status": 200}))
    with serving(server) as origin:
        endpoint = Endpoint(
            lambda ctx: ctx.step.send_event("w", inngest.Event(name="a")), base_url=origin
        )
        body = json.dumps({"ctx": {"run_id": "r"}, "event": {"name": "a"}}).encode()
        headers = {"Traceparent": "00-trace", "Tracestate": "inngest@x=1"}
        (op,) = endpoint.request(body=body, headers=headers).get_json()
    assert (op["data"], op["opts"]["type"]) == (["01A"], "step.sendEvent")
    sent = server.requests[0].headers
    assert (sent["Traceparent"], sent["Tracestate"]) == ("00-trace", "inngest@x=1")


def test_events_that_are_not_accepted_fail_their_step():
    server = Scripted((400, {"ids": [""], "status": 400, "error": "event name is reserved"}))
    with serving(server) as origin:
        endpoint = Endpoint(
            lambda ctx: ctx.step.send_event("w", inngest.Event(name="inngest/x")),
            base_url=origin,
        )
        op = endpoint.op()
    assert op["op"] == "StepFailed" and "reserved" in op["error"]["message"]


def test_a_second_attempt_to_send_asks_for_the_same_ids(monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    first, busy = (200, {"ids": ["01A"] * 5000}), [(503, "")] * 5
    server = Scripted(first, *busy, first, (200, {"ids": ["01B"]}))
    with serving(server) as origin:
        endpoint = Endpoint(
            lambda ctx: ctx.step.send_event("w", [inngest.Event(name="a")] * 5001),
            base_url=origin,
        )
        assert endpoint.op()["op"] == "StepError"
        assert len(endpoint.op(attempt=1)["data"]) == 5001
    seeds = [request.headers["X-Inngest-Event-Id-Seed"] for request in server.requests]
    assert len(set(seeds)) == 2 and seeds[0] == seeds[-2] != seeds[-1]


def test_two_sending_steps_ask_for_different_ids():
    server = Scripted((200, {"ids": ["01A"]}))
    with serving(server) as origin:
        for name in ("w", "v"):
            Endpoint(
                lambda ctx, name=name: ctx.step.send_event(name, inngest.Event(name="a")),
                base_url=origin,
            ).op()
    first, second = [request.headers["X-Inngest-Event-Id-Seed"] for request in server.requests]
    assert first != second


def test_an_event_that_is_not_json_is_named():
    event = inngest.Event(name="a", data={"x": [object()]})
    op = Endpoint(lambda ctx: ctx.step.send_event("w", event)).op()
    assert op["error"]["message"].startswith("Event 'a' cannot be sent: $.data.x[0]")


def test_ai_wrap_runs_in_the_application():
    op = Endpoint(lambda ctx: ctx.step.ai.wrap("w", lambda x: x + 1, 1)).op()
    assert (op["op"], op["data"]) == ("StepRun", 2)
    assert op["opts"] == {"type": "step.ai.wrap", "input": [1]}


@pytest.mark.parametrize(
    "provider, url, form, headers",
    [
        (openai, "https://api.openai.com/v1/chat/completions", "openai-chat", {}),
        (grok, "https://api.x.ai/v1/chat/completions", "openai-chat", {}),
        (deepseek, "https://api.deepseek.com/v1/chat/completions", "openai-chat", {}),
        (
            anthropic,
            "https://api.anthropic.com/v1/messages",
            "anthropic",
            {"anthropic-version": "2023-06-01"},
        ),
        (
            gemini,
            "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent?key=k",
            "gemini",
            {},
        ),
    ],
)
def test_ai_infer_builds_each_providers_request(provider, url, form, headers):
    adapter = provider.Adapter(auth_key="k", model="m")
    body = {"messages": []}
    endpoint = Endpoint(lambda ctx: ctx.step.ai.infer("w", adapter=adapter, body=body))
    op = endpoint.op()
    assert op["opts"] == {
        "type": "step.ai.infer",
        "url": url,
        "headers": headers,
        "auth_key": "k",
        "format": form,
        "body": {"messages": [], "model": "m"},
    }
    assert body == {"messages": []}, "the caller's own is left as it was"


class Trap(dict):
    def items(self):
        raise RuntimeError("it must not be looked at")


@pytest.mark.parametrize(
    "call, opcode",
    [
        (wait, "WaitForEvent"),
        (invoke, "InvokeFunction"),
        (fetch, "Gateway"),
        (lambda ctx: ctx.step.sleep("w", 1), "Sleep"),
    ],
)
def test_an_edited_input_is_not_taken_for_a_result(call, opcode):
    op = Endpoint(call).op({step_hash("w"): {"input": [{"a": 1}]}}, step=step_hash("w"))
    assert op["op"] == opcode


def test_an_edited_input_replaces_the_body_for_the_model():
    adapter = openai.Adapter(auth_key="k", model="m")
    endpoint = Endpoint(lambda ctx: ctx.step.ai.infer("w", adapter=adapter, body={"n": 1}))
    memos = {step_hash("w"): {"input": [{"n": 2}]}}
    assert endpoint.op(memos)["opts"]["body"] == {"n": 2, "model": "m"}
    memos[step_hash("w")] = {"input": ["text", 3]}  # type: ignore[list-item]
    assert "edited input" in endpoint.call(memos).get_json()["message"]


@pytest.mark.parametrize(
    "args, shown",
    [
        ((), None),
        ((1, {"a": (2,)}), [1, {"a": [2]}]),
        ((object(),), None),
        ((Trap(a=1),), None),
        (("x" * 100_000,), None),
    ],
)
def test_arguments_are_reported_if_they_are_json(args, shown):
    op = Endpoint(lambda ctx: ctx.step.run("w", lambda *args: 1, *args)).op()
    assert op.get("opts") == (None if shown is None else {"input": shown})


def test_arguments_are_reported_as_they_were_given():
    op = Endpoint(lambda ctx: ctx.step.run("w", lambda found: found.clear(), [1])).op()
    assert op["opts"]["input"] == [[1]]


async def coroutine():
    pass


@pytest.mark.parametrize("handler", [coroutine, functools.partial(coroutine)])
def test_a_coroutine_in_a_step_is_refused(handler):
    op = Endpoint(lambda ctx: ctx.step.run("w", handler)).op()
    assert op["op"] == "StepFailed" and "async def" in op["error"]["message"]


def test_a_generator_in_a_step_is_refused():
    def generator():
        yield 1

    op = Endpoint(lambda ctx: ctx.step.run("w", generator)).op()
    assert op["op"] == "StepFailed" and "generator has no form" in op["error"]["message"]


# -- the decorator -----------------------------------------------------------


@step("double")
def double(x, *, plus=0):
    """Twice as much."""
    return x * 2 + plus


def test_a_decorated_function_is_a_step_only_within_a_call():
    endpoint = Endpoint(lambda ctx: double(2, plus=1))
    op = endpoint.op()
    assert (op["op"], op["displayName"], op["data"]) == ("StepRun", "double", 5)
    assert endpoint.call({step_hash("double"): {"data": 9}}).get_json() == 9
    assert (double(3), double.__doc__) == (6, "Twice as much.")


@step("odd names")
def odd_names(handler, *, step_id, output_type):
    return [handler, step_id, output_type]


def test_a_decorated_function_may_have_any_names():
    op = Endpoint(lambda ctx: odd_names(1, step_id=2, output_type=3)).op()
    assert op["data"] == [1, 2, 3]


def test_the_step_context_belongs_to_the_call():
    def handler(ctx):
        return get_step_context() is ctx.step

    assert Endpoint(handler).call().get_json() is True
    with pytest.raises(LookupError):
        get_step_context()


def test_each_thread_has_its_own_step_context():
    barrier = threading.Barrier(2, timeout=60)
    found = []

    def handler(ctx):
        barrier.wait()
        found.append(get_step_context() is ctx.step)
        barrier.wait()

    endpoint = Endpoint(handler)
    threads = [threading.Thread(target=endpoint.call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True, True]


@pytest.mark.parametrize("plan", [False, True])
@pytest.mark.parametrize(
    "args, raced, opts",
    [
        ((), False, None),
        ((1,), False, {"input": [1]}),
        ((), True, {"parallelMode": "race"}),
        ((1,), True, {"input": [1], "parallelMode": "race"}),
    ],
)
def test_a_plain_step_has_no_opts(args, raced, opts, plan):
    def handler(ctx):
        if raced:
            ctx.group.parallel((), parallel_mode=inngest.ParallelMode.RACE)
        ctx.step.run("a", lambda *args: 1, *args)

    step = "step" if plan else step_hash("a")
    op = Endpoint(handler).op(step=step, disable_immediate_execution=True)
    assert op["op"] == ("StepPlanned" if plan else "StepRun")
    assert op.get("opts") == opts and ("opts" in op) is (opts is not None)


@pytest.mark.parametrize("most", [None, 1, 4])
def test_the_number_of_attempts(most):
    endpoint = Endpoint(lambda ctx: [ctx.attempt, ctx.max_attempts])
    assert endpoint.call(max_attempts=most, attempt=2).get_json() == [2, most]


@pytest.mark.parametrize(
    "call",
    [
        lambda step: step.run("load", "a result"),
        lambda step: step.run("load", "a result", key=1),
        lambda step: step.run("load", None),
        lambda step: step.ai.wrap("load", {"a": "result"}),
    ],
)
def test_a_step_that_is_given_a_result(call):
    said = Endpoint(lambda ctx: call(ctx.step)).call()
    assert said.status_code == 400 and said.headers["X-Inngest-No-Retry"] == "true"
    message = said.get_json()["message"]
    assert message.startswith("step 'load': it was given a value of type ")
    assert "where the function to run belongs" in message


@pytest.mark.parametrize("given", ["order/received", {"name": "a"}])
def test_a_step_that_sends_no_event(given):
    op = Endpoint(lambda ctx: ctx.step.send_event("w", given)).op()
    assert op["error"]["message"].startswith("only an Event or a list of them can be sent, not ")
    assert repr(given) in op["error"]["message"]
