"""A streamed answer equals the answer in one piece."""

import json
import re

import pytest
from apps import Endpoint, call_body, step_hash
from streams import (
    DONE,
    QUOTES,
    NoApi,
    Opened,
    as_value,
    comparable,
    in_step,
    inner_answer,
    inner_of,
    raising,
)

import inngest_wsgi as inngest
from inngest_wsgi._codec import encode
from inngest_wsgi._messages import Response
from inngest_wsgi.experimental import step
from inngest_wsgi.testing._http import caller as _calls


def failing(text="no"):
    raise ValueError(text)


def swallowing(ctx):
    for name in "ab":
        try:
            ctx.step.run(name, name.upper)
        except BaseException:
            pass
    return "done"


def finally_returns(ctx):
    try:
        ctx.step.run("a", str)
    finally:
        return "done"


def chained(ctx):
    try:
        failing("first")
    except ValueError as exc:
        raise inngest.RetryAfterError("later", 90_000) from exc


def grouped(ctx):
    return ctx.group.parallel(
        (lambda: ctx.step.run("a", str), lambda: ctx.step.sleep("z", 5)),
    )


def nested_step(ctx):
    ctx.step.run("outer", lambda: ctx.step.run("inner", str))


@step("decorated")
def decorated(value):
    return [value, inngest_step_is_known()]


def inngest_step_is_known():
    from inngest_wsgi.experimental import get_step_context

    return get_step_context() is not None


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


FAILED = {step_hash("a"): {"error": {"name": "KeyError", "message": "of old"}}}


#: a function, the memos of the call, and what else is in ``ctx``
SAME = {
    "value": (lambda ctx: {"a": [1, None, 'é\u2028\x00"\\']}, {}, {}),
    "none": (lambda ctx: None, {}, {}),
    "surrogate": (lambda ctx: "\ud800", {}, {}),
    "error": (raising(ValueError, "no"), {}, {}),
    "error-unreadable": (raising(type("E", (Exception,), {"__str__": failing})), {}, {}),
    "error-surrogate": (raising(ValueError, "\ud800"), {}, {}),
    "non-retriable": (raising(inngest.NonRetriableError, "never"), {}, {}),
    "retry-after": (raising(inngest.RetryAfterError, "later", 90_000), {}, {}),
    "retry-after-chained": (chained, {}, {}),
    "stop-iteration": (raising(StopIteration, "no"), {}, {}),
    "step": (in_step(str, 5), {}, {}),
    "step-remembered": (in_step(str, 5), DONE, {}),
    "step-failed-before": (in_step(str), FAILED, {}),
    "step-error": (in_step(failing), {}, {}),
    "step-error-last": (in_step(failing), {}, {"attempt": 3}),
    "step-non-retriable": (in_step(lambda: raising(inngest.NonRetriableError, "x")(0)), {}, {}),
    "step-retry-after": (in_step(lambda: raising(inngest.RetryAfterError, "x", 5000)(0)), {}, {}),
    "step-planned": (in_step(str), {}, {"disable_immediate_execution": True}),
    "step-nested": (nested_step, {}, {}),
    "step-unserializable": (in_step(object), {}, {}),
    "step-quotes": (in_step(lambda: '"' * 2_000_000), {}, {}),
    "step-too-large": (in_step(lambda: "x" * 5_000_000), {}, {}),
    "step-bad-id": (lambda ctx: ctx.step.run("", str), {}, {}),
    "sleep": (lambda ctx: ctx.step.sleep("z", "1h30m"), {}, {}),
    "wait": (lambda ctx: ctx.step.wait_for_event("w", event="e", timeout="1d"), {}, {}),
    "invoke": (lambda ctx: ctx.step.invoke_by_id("i", function_id="g"), {}, {}),
    "fetch": (lambda ctx: ctx.step.fetch("f", "http://example.com"), {}, {}),
    "send-fails": (lambda ctx: ctx.step.send_event("s", inngest.Event(name="a")), {}, {}),
    "group": (grouped, {}, {}),
    "group-half": (grouped, DONE, {}),
    "decorator": (lambda ctx: decorated("x"), {}, {}),
    "swallowed": (swallowing, {}, {}),
    "finally": (finally_returns, {}, {}),
    "unserializable": (lambda ctx: object(), {}, {}),
    "nan": (lambda ctx: float("nan"), {}, {}),
    "too-deep": (lambda ctx: deep(), {}, {}),
    "quotes": (lambda ctx: QUOTES, {}, {}),
    "backslashes": (lambda ctx: {"a": "\\" * 3_000_000}, {}, {}),
    "over-large": (lambda ctx: "x" * 9_000_000, {}, {}),
    "fetch-state-fails": (lambda ctx: "done", {}, {"use_api": True}),
    "bad-event": (lambda ctx: "done", {}, {"use_api": True, "run_id": "../1"}),
}


def both(handler, steps, ctx, **options):
    """Return the answer to a call in one piece, and the answer inside of a stream."""
    body = call_body(steps, **ctx)
    if ctx.get("use_api"):
        body["events"] = None
    body = json.dumps(body).encode()
    target = options.pop("target", "step")
    query = "fnId=shop-f&stepId=" + target
    found = []
    for streaming in (False, "force"):
        endpoint = Endpoint(handler, streaming=streaming, **options)
        answer = Opened(endpoint.application, body, QUERY_STRING=query)
        text = answer.read()
        if streaming:
            assert answer.status == 201
            found.append(comparable(*inner_of(text)))
        else:
            found.append(comparable(answer.status, answer.headers, text))
    return found


@pytest.mark.parametrize("name", list(SAME))
def test_a_streamed_answer_equals_the_answer_in_one_piece(name):
    in_one_piece, inner = both(*SAME[name], http=NoApi())
    assert inner == in_one_piece


@pytest.mark.parametrize("target", [step_hash("a"), step_hash("gone")])
@pytest.mark.parametrize("name", ["step", "step-remembered", "group", "value", "error"])
def test_a_streamed_answer_to_a_targeted_call_is_equal(name, target):
    in_one_piece, inner = both(*SAME[name], http=NoApi(), target=target)
    assert inner == in_one_piece


HOOKS = (
    "__init__",
    "transform_input",
    "before_execution",
    "after_execution",
    "transform_output",
    "before_response",
    "close",
)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", ["value", "step", "step-remembered", "error", "sleep"])
@pytest.mark.parametrize("exc", [(KeyError, "hook"), (inngest.RetryAfterError, "hook", 7000)])
def test_a_streamed_answer_is_equal_if_middleware_fails(hook, name, exc):
    def fail(self, *args):
        raise exc[0](*exc[1:])

    failing_one = type("Failing", (inngest.Middleware,), {hook: fail})
    in_one_piece, inner = both(*SAME[name], client={"middleware": [failing_one]})
    assert inner == in_one_piece


def test_a_failed_fetch_of_the_state_is_reported_in_the_stream():
    (status, headers, body), _ = both(*SAME["fetch-state-fails"], http=NoApi())
    assert (status, json.loads(body)["code"]) == (500, "api_failed")
    assert "X-Inngest-No-Retry" not in headers


def test_an_output_that_fits_in_one_piece_but_not_in_a_stream():
    """Quotes in a text are escaped twice in a stream, and the spaces need room too."""
    for output, size in (('"' * 3_000_000, 12), ("x" * (8 * 1024 * 1024 - 10), 8)):
        assert Endpoint(lambda ctx: output).call().status_code == 200
        status, headers, body = inner_answer(lambda ctx: output)
        assert (status, headers["X-Inngest-No-Retry"]) == (400, "true")
        assert json.loads(body)["code"] == "output_invalid"
        assert re.search(rf"has {size}\d{{6}} bytes when it is streamed", body.decode())


def test_no_stream_is_larger_than_the_servers_limit():
    """Even with the spaces of two hours."""
    frame = len(as_value(encode.streamed(Response(200, [], b"[]")), b"[]"))
    most = _calls.RESPONSE_LIMIT - 2 * 3600 * 4 - frame - 2
    body = b'["%b"]' % (b"x" * most)
    assert len(encode.streamed(Response(200, [], body))) == frame - 2 + len(body)
    with pytest.raises(inngest.OutputError):
        encode.streamed(Response(200, [], b'["x%b"]' % (b"x" * most)))
