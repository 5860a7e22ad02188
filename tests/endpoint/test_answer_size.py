"""No answer is larger than the server's limit (W72), however many parallel steps
it reports."""

import json
import re

import pytest
import recordings
from apps import Endpoint, step_hash
from streams import inner_of
from stub_server import Scripted, serving

import inngest_wsgi as inngest

MIB = 1024 * 1024
KIB60 = "d" * 60_000
#: Fills a part of an answer that no input is left out of.
HALF = "h" * (4 * MIB)


def fan_out(sizes, beside=()):
    """A function of steps side by side, s0 and so on.

    :param sizes: of the argument of each, in characters; None: it has none
    :param beside: further branches, which are given ctx
    """

    def handler(ctx):
        steps = [
            lambda n=n, size=size: ctx.step.run(
                f"s{n}", len, *(() if size is None else ("x" * size,))
            )
            for n, size in enumerate(sizes)
        ]
        return ctx.group.parallel(steps + [lambda b=b: b(ctx) for b in beside])

    return handler


def invoking(size, name="call"):
    data = {"x": "x" * size}
    return lambda ctx: ctx.step.invoke_by_id(name, function_id="other", data=data)


def fetching(size):
    return lambda ctx: ctx.step.fetch("get", "http://a.example", method="POST", body="x" * size)


@pytest.fixture(params=[False, "force"], ids=["whole", "streamed"])
def answered(request):
    """Call a function; return the status, headers and body as the server reads
    them, after checking that the answer is within the server's limit."""

    def call(handler):
        response = Endpoint(handler, streaming=request.param).call()
        # 8 MiB in all; a stream begins with up to two hours of spaces
        assert len(response.data) + 2 * 3600 * 4 <= 8 * MIB
        if not request.param:
            return response.status_code, response.headers, response.data
        return inner_of(response.data)

    return call


@pytest.mark.parametrize(
    "sizes, beside, kept",
    [
        ([60_000] * 10, (), 10),
        ([60_000] * 150, (), 137),
        ([60_000] * 999, (), 134),
        ([60_000] * 60 + [1_000] * 60, [invoking(len(HALF))], 118),
        ([60_000, None] * 100, (), 100),
        ([30_000, 60_000, 20_000, 50_000], [invoking(8 * MIB - 200_000)], 2),
        ([None] * 3, [fetching(8 * MIB - 200_000)], 0),
    ],
)
def test_the_largest_inputs_are_left_out_first(sizes, beside, kept, answered):
    status, _, body = answered(fan_out(sizes, beside))
    ops = json.loads(body)
    assert (status, len(ops)) == (206, len(sizes) + len(beside))
    found = [len(op["opts"]["input"][0]) for op in ops if "input" in op.get("opts", ())]
    # the headers of a stream make a difference of a few
    assert abs(len(found) - kept) <= 2
    left_out = [
        size
        for size, op in zip(sizes, ops)
        if size is not None and "input" not in op.get("opts", ())
    ]
    assert min(left_out, default=0) >= max(found if left_out else [0])
    # nothing that the server needs is left out
    assert len({op["id"] for op in ops}) == len(ops)
    assert all(op["opts"]["body"] for op in ops if op["op"] == "Gateway")
    assert all(op["opts"]["payload"]["data"] for op in ops if op["op"] == "InvokeFunction")


def test_the_recorded_fan_out_that_was_too_large_now_fits():
    recording = recordings.load("124")
    (exchange,) = recordings.calls(recording)
    assert int(exchange.answer.headers["content-length"]) > 8 * MIB
    client = inngest.Inngest(app_id="wire-app", is_production=False)
    declare = client.create_function(
        fn_id="fan-out-too-large", trigger=inngest.TriggerEvent(event="wire/fan-out-too-large")
    )

    def fan_out_150(ctx):
        def branch(n):
            return lambda: ctx.step.run(f"s{n}", len, KIB60)

        return ctx.group.parallel([branch(n) for n in range(150)])

    function = declare(fan_out_150)
    response = recordings.replay(inngest.serve(client, [function]), exchange)
    assert (response.status_code, len(response.get_json())) == (206, 150)
    assert len(response.data) < 8 * MIB


@pytest.mark.parametrize(
    "handler, step, size",
    [
        (invoking(9 * MIB), "call", 9 * MIB),
        (fetching(9 * MIB), "get", 9 * MIB),
        (fan_out([10, 10], [invoking(9 * MIB)]), "call", 9 * MIB),
        (fan_out([10], [invoking(5 * MIB), invoking(4 * MIB, "second")]), "call", 5 * MIB),
    ],
)
def test_data_that_does_not_fit_is_a_final_error_with_step_and_size(handler, step, size, answered):
    status, headers, body = answered(handler)
    problem = json.loads(body)
    assert (status, problem["code"]) == (400, "output_invalid")
    assert headers["X-Inngest-No-Retry"] == "true"
    assert f"step {step!r}" in problem["message"] and "shop-f" in problem["message"]
    named = map(int, re.findall(r"\d+", problem["message"]))
    assert any(size < number < size + 1000 for number in named)


EVENT = inngest.Event(name="shop/large", data={"x": "x" * (3 * MIB)})
SMALL = inngest.Event(name="shop/small")


@pytest.mark.parametrize(
    "events, said",
    [
        (EVENT, "event 'shop/large' has 31"),
        ([SMALL, EVENT], "event 'shop/large' has 31"),
        ([SMALL] * 150_000, "it sends 150000 events"),
    ],
)
def test_events_that_do_not_fit_fail_their_step_before_any_is_sent(events, said):
    server = Scripted((200, {"ids": ["01A"], "status": 200}))
    with serving(server) as origin:
        client = {"event_api_base_url": origin}
        response = Endpoint(lambda ctx: ctx.step.send_event("tell", events), client=client).call()
    (op,) = response.get_json()
    assert (op["op"], op["id"]) == ("StepFailed", step_hash("tell"))
    assert response.headers["X-Inngest-No-Retry"] == "true"
    assert op["error"]["message"].startswith("step 'tell': ")
    assert said in op["error"]["message"]
    assert server.requests == []
