"""An unpaired surrogate is sent as U+FFFD everywhere, because the server fails a
run whose step output has one (W70)."""

import json

import pytest
import recordings
from apps import Endpoint, step_hash
from streams import inner_of
from stub_server import Scripted, serving

import inngest_wsgi as inngest
from inngest_wsgi._codec import json as _json


@pytest.mark.parametrize(
    "text, sent",
    [
        ("caf\udce9", "caf\ufffd"),
        ("\ud83d", "\ufffd"),
        ("\ud83dx", "\ufffdx"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        ("\ud83d\ude00", "\U0001f600"),
        ("é\ud800\U0001f600", "é\ufffd\U0001f600"),
    ],
)
def test_surrogates_are_replaced_in_json(text, sent):
    assert _json.dumps({text: [text]}) == json.dumps(
        {sent: [sent]}, ensure_ascii=False, separators=(",", ":")
    ).encode("utf-8")


BAD = "bad \udce9."
GOOD = "bad \ufffd."


def fail(*args):
    raise ValueError(BAD)


def event_of(ctx):
    return ctx.step.send_event("a", inngest.Event(name="e", data={"x": BAD}, user={"x": BAD}))


def several(ctx):
    return ctx.group.parallel(
        (lambda: ctx.step.run("a", len, BAD), lambda: ctx.step.run("b", len, BAD))
    )


#: the function, and where the text is in the answer
ANSWERS = {
    "a function's output": (lambda ctx: [BAD], lambda body: body[0]),
    "a key": (lambda ctx: {BAD: 1}, lambda body: list(body)[0]),
    "a function's error": (fail, lambda body: body["message"]),
    "a step's output": (
        lambda ctx: ctx.step.run("a", lambda: {"x": BAD}),
        lambda body: body[0]["data"]["x"],
    ),
    "a step's error": (
        lambda ctx: ctx.step.run("a", fail),
        lambda body: body[0]["error"]["message"],
    ),
    "a step's id": (lambda ctx: ctx.step.run(BAD, lambda: 1), lambda body: body[0]["displayName"]),
    "a step's input": (
        lambda ctx: ctx.step.run("a", len, BAD),
        lambda body: body[0]["opts"]["input"][0],
    ),
    "a planned step's input": (several, lambda body: body[1]["opts"]["input"][0]),
    "an invoked function's data": (
        lambda ctx: ctx.step.invoke_by_id("a", function_id="f", data={"x": BAD}),
        lambda body: body[0]["opts"]["payload"]["data"]["x"],
    ),
    "a body to fetch": (
        lambda ctx: ctx.step.fetch("a", "http://a.example", body=BAD),
        lambda body: body[0]["opts"]["body"],
    ),
    "an event waited for": (
        lambda ctx: ctx.step.wait_for_event("a", event=BAD, timeout="1s"),
        lambda body: body[0]["opts"]["event"],
    ),
}


@pytest.mark.parametrize("streaming", [False, "force"])
@pytest.mark.parametrize("case", ANSWERS)
def test_surrogates_in_an_answer(case, streaming):
    handler, found_in = ANSWERS[case]
    data = Endpoint(handler, streaming=streaming).call().data
    body = inner_of(data)[2] if streaming else data
    assert b"\\ud" not in body and b"\\ud" not in data
    assert found_in(json.loads(body)) == GOOD


@pytest.mark.parametrize(
    "handler, path",
    [
        (event_of, "/e/NO_EVENT_KEY_SET"),
        (lambda ctx: ctx.step.send_signal("a", signal="s", data={"x": BAD}), "/v1/signals"),
    ],
)
def test_surrogates_in_requests_to_the_server(handler, path):
    server = Scripted((200, {"ids": ["01A"], "data": {"run_id": "01B"}}))
    with serving(server) as origin:
        client = {"event_api_base_url": origin, "api_base_url": origin}
        assert Endpoint(handler, client=client).op()["op"] == "StepRun"
    (request,) = server.requests
    assert request.path == path
    assert GOOD.encode("utf-8") in request.get_data()


def test_the_recorded_output_that_made_a_run_fail():
    recording = recordings.load("122")
    exchange, *_ = recordings.calls(recording)
    assert b'"caf\\udce9"' in exchange.answer.body
    client = inngest.Inngest(app_id="wire-app", is_production=False)
    declare = client.create_function(
        fn_id="surrogate-output", trigger=inngest.TriggerEvent(event="wire/surrogate-output")
    )
    function = declare(lambda ctx: ctx.step.run("text", lambda: "caf\udce9"))
    (op,) = recordings.replay(inngest.serve(client, [function]), exchange).get_json()
    assert (op["id"], op["data"]) == (step_hash("text"), "caf\ufffd")
