"""Streamed answers, by the application object alone."""

import contextlib
import contextvars
import json
import logging
import re
import sys
import threading
import time
import types
from wsgiref.validate import validator

import gevent
import pytest
from apps import KEY, OTHER_KEY, Endpoint, call_body, sign, step_hash
from hypothesis import given, strategies as st
from streams import BODY, FN, Opened, comparable, inner_of, wait_until

import inngest_wsgi as inngest
from inngest_wsgi._codec import encode
from inngest_wsgi._endpoint import streaming as _streaming
from inngest_wsgi._messages import Call, Response
from inngest_wsgi.experimental import step
from inngest_wsgi.testing._http import caller as _calls
from inngest_wsgi.testing._wire import answers as _answers, outcomes as _outcomes


def forced(handler, **options):
    return Endpoint(handler, **dict({"streaming": "force"}, **options))


def streams_of(endpoint):
    return endpoint.application._router._streams


def free_slots(endpoint):
    return streams_of(endpoint)._slots._value


def lost(caplog):
    """The log's lines about connections that were lost."""
    return [r.getMessage() for r in caplog.records if "lost its connection" in r.msg]


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("inngest_wsgi run")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    wait_until(lambda: not threads())


# -- where a call is streamed --------------------------------------------------

UWSGI = {"uwsgi.version": b"2.0.26", "wsgi.multithread": False}

#: environ, options of uWSGI (None: it is not there), whether it is streamed
SERVERS = [
    ({"SERVER_SOFTWARE": "gunicorn/23.0.0"}, None, True),
    # waitress has the name that its ident says, or none
    ({"SERVER_SOFTWARE": "shop", "waitress.client_disconnected": lambda: False}, None, True),
    ({"SERVER_SOFTWARE": "Werkzeug/2.0.0"}, None, True),
    ({"SERVER_SOFTWARE": "WSGIServer/0.2 CPython/3.11.4"}, None, True),
    ({"SERVER_SOFTWARE": "Cheroot/11.1.2 Server"}, None, True),
    ({"SERVER_SOFTWARE": "gevent/26.9 Python/3.11"}, None, True),
    ({"SERVER_SOFTWARE": "Apache/2.4.62", "mod_wsgi.version": (4, 9, 4)}, None, True),
    (UWSGI, {b"enable-threads": True}, True),
    (UWSGI, {b"threads": b"4"}, True),
    (UWSGI, {"threads": "4"}, True),
    (UWSGI, {b"processes": b"4"}, False),
    (UWSGI, {b"enable-threads": b"false"}, False),
    (UWSGI, {}, False),
    (UWSGI, None, False),
    (dict(UWSGI, SERVER_SOFTWARE="gunicorn/23.0.0"), {}, False),
    ({"SERVER_SOFTWARE": "Apache/2.4.62", "wsgi.run_once": True}, None, False),
    ({"SERVER_SOFTWARE": "gunicorn/23.0.0", "wsgi.run_once": True}, None, False),
    ({"mod_wsgi.version": (4, 9, 4), "wsgi.run_once": True}, None, False),
    ({"SERVER_SOFTWARE": "bjoern/3.2.2"}, None, False),
    ({"SERVER_SOFTWARE": "my gunicorn/23.0.0"}, None, False),
    ({"SERVER_SOFTWARE": ""}, None, False),
    ({"SERVER_SOFTWARE": None}, None, False),
    ({}, None, False),
]


@pytest.mark.parametrize("environ, uwsgi, streamed", SERVERS)
@pytest.mark.parametrize("streaming", ["allow", "force", False, None])
def test_which_servers_are_given_a_stream(environ, uwsgi, streamed, streaming, monkeypatch):
    monkeypatch.delitem(sys.modules, "uwsgi", raising=False)
    if uwsgi is not None:
        module = types.ModuleType("uwsgi")
        module.opt = uwsgi
        monkeypatch.setitem(sys.modules, "uwsgi", module)
    answer = Opened(Endpoint(lambda ctx: "done", streaming=streaming).application, **environ)
    text = answer.read()
    if streaming == "force" or (streamed and streaming == "allow"):
        assert (answer.status, inner_of(text)[2]) == (201, b'"done"')
    else:
        assert (answer.status, text) == (200, b'"done"')


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize(
    "status, environ, body",
    [
        (200, {"QUERY_STRING": "probe=trust"}, b""),
        (200, {"QUERY_STRING": "probe=trust&" + FN}, BODY),
        (200, {"REQUEST_METHOD": "GET", "QUERY_STRING": ""}, b""),
        (200, {"REQUEST_METHOD": "HEAD", "QUERY_STRING": ""}, b""),
        (500, {"REQUEST_METHOD": "HEAD"}, b""),
        (500, {"REQUEST_METHOD": "GET"}, b""),
        (200, {"REQUEST_METHOD": "OPTIONS"}, b""),
        (405, {"REQUEST_METHOD": "DELETE"}, BODY),
        (500, {"REQUEST_METHOD": "PUT"}, b""),
        (500, {"QUERY_STRING": "fnId=shop-other&stepId=step"}, BODY),
        (400, {"QUERY_STRING": "stepId=step"}, BODY),
        (400, {}, b""),
        (400, {}, b"{"),
        (400, {}, b"{}"),
        (400, {"CONTENT_LENGTH": "ten"}, BODY),
        (411, {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}, BODY),
        (413, {"CONTENT_LENGTH": str(9 * 1024 * 1024)}, BODY),
    ],
)
def test_what_is_never_streamed(cloud, status, environ, body):
    endpoint = forced(lambda ctx: "done", cloud=cloud, http=NoApi())
    environ = dict(environ)
    if cloud:
        environ.setdefault("HTTP_X_INNGEST_SIGNATURE", sign(body))
    answer = Opened(endpoint.application, body, **environ)
    assert answer.status == status
    assert "X-Accel-Buffering" not in answer.headers
    if status != 200:
        assert b" " != answer.read()[:1]
    assert "Content-Length" in answer.headers and free_slots(endpoint) == 64


@pytest.mark.parametrize("signature", ["", "t=1&s=" + "0" * 64, OTHER_KEY])
def test_who_is_refused_is_told_so_in_one_piece(signature):
    if signature == OTHER_KEY:
        signature = sign(BODY, OTHER_KEY)
    endpoint = forced(lambda ctx: "done", cloud=True)
    answer = Opened(endpoint.application, HTTP_X_INNGEST_SIGNATURE=signature)
    assert answer.status == 401 and json.loads(answer.read())["code"].startswith("signature_")
    assert "X-Accel-Buffering" not in answer.headers and free_slots(endpoint) == 64


class NoApi:
    def request(self, method, url, **kwargs):
        raise inngest.ApiError("no server here")


# -- what a stream is -----------------------------------------------------------


def test_the_head_of_a_stream():
    endpoint = forced(lambda ctx: "done", client={"env": "staging"})
    answer = Opened(endpoint.application)
    names = [name for name, _ in answer.header_list]
    assert answer.status == 201 and len(names) == len(set(names))
    sdk = answer.headers.pop("X-Inngest-Sdk")
    assert sdk.startswith("inngest-wsgi:v") and answer.headers.pop("User-Agent") == sdk
    assert answer.headers == {
        "Content-Type": "application/json",
        "X-Accel-Buffering": "no",
        "X-Inngest-Framework": "wsgi",
        "X-Inngest-Req-Version": "2",
        "X-Inngest-Sdk-Handled": "true",
        "X-Inngest-Env": "staging",
    }
    status, headers, body = inner_of(answer.read())
    assert (status, body) == (200, b'"done"')
    assert headers["X-Inngest-Sdk"] == sdk
    assert re.fullmatch("call;dur=[0-9.]+", headers["Server-Timing"])


def is_signed_within(headers, body, key):
    stamp = headers["X-Inngest-Signature"].partition("t=")[2].partition("&")[0]
    return headers["X-Inngest-Signature"] == sign(body, key, int(stamp))


QUOTES = ['"' * 3_000_000]


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
@pytest.mark.parametrize("output", ["dön\u2028e \U0001f600", QUOTES], ids=["text", "value"])
def test_a_stream_is_signed_within_with_the_key_that_the_call_was(cloud, key, output):
    endpoint = forced(
        lambda ctx: output, cloud=cloud, signing_key=OTHER_KEY, signing_key_fallback=KEY
    )
    answer = Opened(endpoint.application, HTTP_X_INNGEST_SIGNATURE=sign(BODY, key))
    assert answer.status == 201 and "X-Inngest-Signature" not in answer.headers
    status, headers, body = inner_of(answer.read())
    assert (status, json.loads(body)) == (200, output)
    assert is_signed_within(headers, body, key)


def test_a_stream_that_nobody_signed_for_has_no_signature():
    answer = Opened(forced(lambda ctx: None, signing_key=KEY).application)
    assert "X-Inngest-Signature" not in inner_of(answer.read())[1]


def test_a_space_comes_at_once_and_further_ones_while_the_function_runs():
    go = threading.Event()
    endpoint = forced(lambda ctx: go.wait(60), keepalive_interval=250)
    answer = Opened(endpoint.application)
    assert next(answer.chunks) == b" "
    times = [time.monotonic()]
    for _ in range(3):
        assert next(answer.chunks) == b" "
        times.append(time.monotonic())
    assert len(threads()) == 1 and free_slots(endpoint) == 63
    assert all(after - before >= 0.249 for before, after in zip(times, times[1:]))
    go.set()
    assert inner_of(b" " + answer.read())[2] == b"true"


def test_neither_the_first_space_nor_the_answer_waits_for_a_next_space():
    go = threading.Event()
    started = time.monotonic()
    answer = Opened(forced(lambda ctx: go.wait(60), keepalive_interval="5m").application)
    assert next(answer.chunks) == b" "
    go.set()
    assert inner_of(b" " + next(answer.chunks))[2] == b"true"
    assert time.monotonic() - started < 300
    with pytest.raises(StopIteration):
        next(answer.chunks)


@pytest.mark.parametrize("handler", [lambda ctx: "done", lambda ctx: ctx.step.sleep("a", "1h")])
@pytest.mark.parametrize("taken", [0, 1, 2])
def test_pep_3333_is_kept(handler, taken):
    chunks = iter(validated(handler))
    for _ in range(taken):
        next(chunks)
    chunks.close()


def validated(handler):
    return Opened(validator(forced(handler).application)).chunks


def test_pep_3333_is_kept_to_the_end():
    chunks = validated(lambda ctx: "done")
    assert inner_of(b"".join(chunks))[2] == b'"done"'
    chunks.close()


# -- the same answer as in one piece ---------------------------------------------


def raising(kind, *args):
    """Raises a new one each time: the traceback of one would grow."""

    def handler(ctx):
        raise kind(*args)

    return handler


def in_step(work, *args):
    return lambda ctx: ctx.step.run("a", work, *args)


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


DONE = {step_hash("a"): {"data": "A"}}
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
    """What a call is answered in one piece, and what it is inside of a
    stream."""
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
def test_a_stream_ends_in_what_one_piece_is(name):
    in_one_piece, inner = both(*SAME[name], http=NoApi())
    assert inner == in_one_piece


@pytest.mark.parametrize("target", [step_hash("a"), step_hash("gone")])
@pytest.mark.parametrize("name", ["step", "step-remembered", "group", "value", "error"])
def test_so_do_targeted_calls(name, target):
    in_one_piece, inner = both(*SAME[name], http=NoApi(), target=target)
    assert inner == in_one_piece


HOOKS = ("__init__", "transform_input", "before_execution", "after_execution")
HOOKS += ("transform_output", "before_response", "close")


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", ["value", "step", "step-remembered", "error", "sleep"])
@pytest.mark.parametrize("exc", [(KeyError, "hook"), (inngest.RetryAfterError, "hook", 7000)])
def test_so_do_calls_whose_middleware_fails(hook, name, exc):
    def fail(self, *args):
        raise exc[0](*exc[1:])

    failing_one = type("Failing", (inngest.Middleware,), {hook: fail})
    in_one_piece, inner = both(*SAME[name], client={"middleware": [failing_one]})
    assert inner == in_one_piece


def test_a_state_that_cannot_be_fetched_is_an_answer_in_the_stream():
    (status, headers, body), _ = both(*SAME["fetch-state-fails"], http=NoApi())
    assert (status, json.loads(body)["code"]) == (500, "api_failed")
    assert "X-Inngest-No-Retry" not in headers


def inner_answer(handler, **options):
    return inner_of(Opened(forced(handler, **options).application).read())


def test_what_one_piece_can_bring_and_a_stream_cannot():
    """Text in text has its quotes escaped twice, and no other form; and there
    must be room for the spaces."""
    for output, size in (('"' * 3_000_000, 12), ("x" * (8 * 1024 * 1024 - 10), 8)):
        assert Endpoint(lambda ctx: output).call().status_code == 200
        status, headers, body = inner_answer(lambda ctx: output)
        assert (status, headers["X-Inngest-No-Retry"]) == (400, "true")
        assert json.loads(body)["code"] == "output_invalid"
        assert re.search(r"has {}\d{{6}} bytes when it is streamed".format(size), body.decode())


def test_no_stream_is_larger_than_the_server_reads():
    """With all the spaces of two hours."""
    frame = len(as_value(encode.streamed(Response(200, [], b"[]")), b"[]"))
    most = _calls.RESPONSE_LIMIT - 2 * 3600 * 4 - frame - 2
    body = b'["%b"]' % (b"x" * most)
    assert len(encode.streamed(Response(200, [], body))) == frame - 2 + len(body)
    with pytest.raises(inngest.OutputError):
        encode.streamed(Response(200, [], b'["x%b"]' % (b"x" * most)))


# -- what ends a thread -----------------------------------------------------------


@pytest.mark.parametrize("exc", [SystemExit, KeyboardInterrupt, gevent.GreenletExit])
@pytest.mark.parametrize("place", [raising, lambda exc: in_step(raising(exc), 1)])
def test_what_would_end_the_process_ends_the_thread_alone(exc, place, caplog):
    endpoint = forced(place(exc))
    status, headers, body = inner_of(Opened(endpoint.application).read())
    problem = json.loads(body)
    assert (status, problem["code"]) == (500, "internal_error")
    assert exc.__name__ in problem["message"] and "shop-f" in problem["message"]
    assert "X-Inngest-No-Retry" not in headers, "it is tried again"
    assert "Function shop-f ended its thread" in caplog.text
    assert free_slots(endpoint) == 64


def test_an_answer_that_cannot_even_be_written(monkeypatch, caplog):
    def streamed(response):
        raise MemoryError

    monkeypatch.setattr(encode, "streamed", streamed)
    endpoint = forced(lambda ctx: "done")
    status, headers, body = inner_of(Opened(endpoint.application).read())
    assert (status, json.loads(body)["code"]) == (500, "internal_error")
    assert "01RUN" in caplog.text and "MemoryError" in caplog.text
    assert free_slots(endpoint) == 64


def test_a_thread_that_died_without_a_word():
    stream = _streaming.Stream(Call("f", None, "01RUN", 0, 1, False, {}, [], {}), 0.01)
    stream.is_running = lambda: False
    text = b"".join(stream)
    assert inner_of(text)[0] == 500


# -- a client that goes away -------------------------------------------------------

LINE = (
    r"Run 01RUN of function shop-f has lost its connection, as was noticed after "
    r"[0-9]+\.[0-9] s\. The outcome of the call is dropped; the Inngest server tries it again\."
)


@pytest.mark.parametrize("ends, taken", [(False, 0), (False, 1), (False, 3), (True, 1), (True, 2)])
def test_a_client_that_has_gone_is_logged_once(ends, taken, caplog):
    contexts, go = [], threading.Event()

    def handler(ctx):
        contexts.append(ctx)
        return ends or (ctx.disconnected.wait(60) and go.wait(60))

    endpoint = forced(handler, keepalive_interval=250)
    chunks = Opened(endpoint.application).chunks
    for _ in range(taken):
        next(chunks)
    if ends:
        wait_until(lambda: not threads())
    else:
        wait_until(lambda: contexts)
        assert not contexts[0].disconnected.is_set()
    for _ in range(3):
        chunks.close()
        assert list(chunks) == []
    assert contexts[0].disconnected.is_set()
    assert len(lost(caplog)) == 1 and re.fullmatch(LINE, lost(caplog)[0])
    assert [r.levelname for r in caplog.records if "lost" in r.msg] == ["WARNING"]
    assert chunks._answer is None, "what was posted is let go"
    if not ends:
        assert free_slots(endpoint) == 63, "until the function has ended"
        go.set()
    wait_until(lambda: free_slots(endpoint) == 64)
    assert chunks._answer is None, "so is what came later"


def test_a_stream_that_has_ended_is_closed_without_a_word(caplog):
    contexts = []
    answer = Opened(forced(contexts.append).application)
    assert inner_of(b"".join(answer.chunks))[0] == 200
    for _ in range(3):
        answer.chunks.close()
        assert list(answer.chunks) == []
    assert lost(caplog) == [] and not contexts[0].disconnected.is_set()


def test_the_log_says_how_long_it_was(caplog):
    answer = Opened(forced(lambda ctx: ctx.disconnected.wait(60)).application)
    answer.chunks._since -= 3723
    answer.chunks.close()
    assert "after 3723." in lost(caplog)[0]


@pytest.mark.parametrize(
    "begin",
    [
        lambda ctx, work: ctx.step.run("b", work),
        lambda ctx, work: ctx.group.parallel((lambda: ctx.step.run("b", work),)),
        lambda ctx, work: ctx.step.ai.wrap("b", work),
        lambda ctx, work: ctx.step.send_event("b", inngest.Event(name="a")),
        lambda ctx, work: ctx.step.send_signal("b", signal="s"),
    ],
)
@pytest.mark.parametrize("target", ["step", step_hash("b")])
def test_no_step_is_begun_for_nobody(begin, target):
    done, ends = [], []

    class Api:
        def request(self, method, url, **kwargs):
            done.append(url)
            raise inngest.ApiError("no server here")

    def handler(ctx):
        assert ctx.step.run("a", str) == "A"
        assert ctx.disconnected.wait(60)
        try:
            begin(ctx, lambda: done.append("run"))
        except BaseException as exc:
            ends.append(type(exc).__name__)
            raise

    body = json.dumps(call_body(DONE)).encode()
    query = "fnId=shop-f&stepId=" + target
    answer = Opened(forced(handler, http=Api()).application, body, QUERY_STRING=query)
    answer.chunks.close()
    wait_until(lambda: ends)
    assert (done, ends) == ([], ["Interrupt"])


def test_a_step_that_runs_is_not_broken_off():
    done, running = [], threading.Event()

    def work(ctx):
        running.set()
        assert ctx.disconnected.wait(60)
        done.append("whole")

    answer = Opened(forced(lambda ctx: ctx.step.run("a", work, ctx)).application)
    assert running.wait(60)
    answer.chunks.close()
    wait_until(lambda: done == ["whole"])


def test_a_call_in_one_piece_is_never_disconnected():
    response = Endpoint(lambda ctx: ctx.disconnected.is_set()).call()
    assert response.get_json() is False


def test_a_server_that_says_itself_that_the_client_has_gone(caplog):
    gone, contexts = [], []

    def handler(ctx):
        contexts.append(ctx)
        ctx.disconnected.wait(60)

    environ = {"waitress.client_disconnected": lambda: bool(gone)}
    endpoint = forced(handler, keepalive_interval=250)
    chunks = Opened(endpoint.application, **environ).chunks
    assert [next(chunks), next(chunks)] == [b" ", b" "]
    gone.append(True)
    assert list(chunks) == []
    assert contexts[0].disconnected.is_set()
    chunks.close()
    assert len(lost(caplog)) == 1


def test_a_server_that_cannot_say_it_is_asked_no_more(caplog):
    asked, go = [], threading.Event()

    def broken():
        asked.append(1)
        raise OSError("boom")

    endpoint = forced(lambda ctx: go.wait(60), keepalive_interval=250)
    chunks = Opened(endpoint.application, **{"waitress.client_disconnected": broken}).chunks
    assert [next(chunks) for _ in range(4)] == [b" "] * 4
    go.set()
    assert json.loads(b"".join(chunks))["status"] == 200
    assert len(asked) == 1 and "OSError: boom" in caplog.text


def test_a_log_that_raises_is_not_in_the_way(monkeypatch):
    def broken(record):
        raise ValueError("of a filter")

    gone, endpoint = (
        threading.Event(),
        forced(lambda ctx: ctx.disconnected.wait(60) and gone.set()),
    )
    chunks = Opened(endpoint.application).chunks
    logger = logging.getLogger("inngest_wsgi")
    logger.addFilter(broken)
    try:
        chunks.close()
    finally:
        logger.removeFilter(broken)
    assert gone.wait(60)


def test_the_last_attempt_is_not_said_to_be_tried_again(caplog):
    endpoint = forced(lambda ctx: ctx.disconnected.wait(60))
    body = json.dumps(call_body(attempt=3, max_attempts=4)).encode()
    Opened(endpoint.application, body).chunks.close()
    assert [line.endswith("is dropped; it was the last attempt.") for line in lost(caplog)] == [
        True
    ]


def test_an_answer_that_cannot_begin_has_no_client(caplog):
    gone = threading.Event()
    endpoint = forced(lambda ctx: ctx.disconnected.wait(60) and gone.set())

    class Broken(Opened):
        def _start_response(self, status, headers, exc_info=None):
            raise OSError("the server's own")

    with pytest.raises(OSError):
        Broken(endpoint.application)
    assert gone.wait(60) and len(lost(caplog)) == 1


def test_a_place_is_given_back_once(monkeypatch):
    """Also where the server's thread is interrupted as the other starts."""
    go, start = threading.Event(), threading.Thread.start

    def interrupted(thread):
        start(thread)
        raise KeyboardInterrupt

    endpoint = forced(lambda ctx: go.wait(60), max_streams=2)
    innocent = Opened(endpoint.application)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "start", interrupted)
        Opened(endpoint.application)
    go.set()
    assert inner_of(innocent.read())[2] == b"true"
    wait_until(lambda: not threads())
    assert free_slots(endpoint) == 2


def test_the_request_is_kept_when_the_server_uses_its_environ_again():
    """As uWSGI does: the next request of the thread is in the same one."""
    seen, cleared = [], threading.Event()

    class Look(inngest.Middleware):
        def before_response(self):
            seen.append(self.raw_request["HTTP_X_WHO"])

    @contextlib.contextmanager
    def around_it(environ):
        yield
        seen.append(environ["HTTP_X_WHO"])

    endpoint = forced(
        lambda ctx: cleared.wait(60), client={"middleware": [Look]}, call_context=[around_it]
    )
    opened = Opened(endpoint.application, HTTP_X_WHO="alice")
    opened.environ.clear()
    opened.environ["HTTP_X_WHO"] = "mallory"
    cleared.set()
    inner_of(opened.read())
    assert seen == ["alice", "alice"]


# -- how many ------------------------------------------------------------------------


@pytest.mark.parametrize("late", [lambda ctx: "late", lambda ctx: ctx.step.sleep("z", "1h")])
def test_a_call_beyond_the_limit_is_answered_in_one_piece(late, caplog):
    caplog.set_level(logging.INFO, "inngest_wsgi")
    go = threading.Event()
    endpoint = forced(
        lambda ctx: late(ctx) if ctx.attempt else go.wait(60),
        max_streams=2,
        keepalive_interval=250,
    )
    slow = [Opened(endpoint.application) for _ in range(2)]
    # one whose client has gone holds its place as well
    slow[0].chunks.close()
    body = json.dumps(call_body(attempt=1)).encode()
    answer = Opened(endpoint.application, body)
    assert answer.status in (200, 206) and "Content-Length" in answer.headers
    assert json.loads(answer.read())
    (record,) = [r for r in caplog.records if "in one piece" in r.msg]
    assert record.levelname == "WARNING"
    assert "01RUN" in record.getMessage() and "max_streams=2" in record.getMessage()
    go.set()
    inner_of(slow[1].read())
    wait_until(lambda: free_slots(endpoint) == 2)
    assert Opened(endpoint.application, body).status == 201


def test_who_has_read_an_answer_finds_its_place_free():
    endpoint = forced(lambda ctx: "done", max_streams=1)
    slots = streams_of(endpoint)._slots
    release = slots.release
    slots.release = lambda: time.sleep(0.05) or release()
    for _ in range(3):
        answer = Opened(endpoint.application)
        assert answer.status == 201
        assert [next(answer.chunks), next(answer.chunks)[:1]] == [b" ", b"{"]


def test_where_no_thread_can_be_had_the_answer_is_in_one_piece(monkeypatch, caplog):
    def start(self):
        raise RuntimeError("can't start new thread")

    log, here = [], threading.current_thread().name
    endpoint = forced(lambda ctx: "done", call_context=[around(log, "a")])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        answer = Opened(endpoint.application)
        assert (answer.status, answer.read()) == (200, b'"done"')
    assert "01RUN" in caplog.text and "can't start new thread" in caplog.text
    assert free_slots(endpoint) == 64
    assert log == [("a", "made", here), ("a", "entered", here), ("a", "left", here)]
    assert Opened(endpoint.application).status == 201


# -- the thread ------------------------------------------------------------------------

request_id = contextvars.ContextVar("request_id", default="none")


def test_context_variables_are_those_of_the_call():
    changed = threading.Event()

    def handler(ctx):
        assert changed.wait(60)
        before = request_id.get()
        request_id.set("of the function")
        return [before, request_id.get()]

    def serve():
        request_id.set("of the request")
        answer = Opened(forced(handler).application)
        request_id.set("of the next request")
        changed.set()
        text = answer.read()
        assert request_id.get() == "of the next request"
        return inner_of(text)[2]

    body = contextvars.Context().run(serve)
    assert json.loads(body) == ["of the request", "of the function"]
    assert request_id.get() == "none"


def test_the_thread_says_whose_it_is_and_holds_up_no_exit():
    def handler(ctx):
        thread = threading.current_thread()
        return [thread.name, thread.daemon]

    assert json.loads(inner_answer(handler)[2]) == ["inngest_wsgi run 01RUN", True]


def around(log, name, fail=None):
    """What writes down what becomes of it, and where."""

    class Manager:
        def __enter__(self):
            log.append((name, "entered", threading.current_thread().name))
            if fail == "entered":
                raise KeyError(name)

        def __exit__(self, *exc_info):
            log.append((name, "left", threading.current_thread().name))
            if fail == "left":
                raise KeyError(name)

    def made(environ):
        log.append((name, "made", threading.current_thread().name))
        assert environ["REQUEST_METHOD"] == "POST"
        if fail == "made":
            raise KeyError(name)
        return Manager()

    return made


OURS = "inngest_wsgi run 01RUN"


@pytest.mark.parametrize("raised", [None, ValueError, SystemExit])
def test_what_is_carried_from_thread_to_thread(raised):
    log, here = [], threading.current_thread().name

    def handler(ctx):
        log.append(("function", threading.current_thread().name))
        if raised:
            raise raised

    inner_answer(handler, call_context=[around(log, "a"), around(log, "b")])
    assert log == [
        ("a", "made", here),
        ("b", "made", here),
        ("a", "entered", OURS),
        ("b", "entered", OURS),
        ("function", OURS),
        ("b", "left", OURS),
        ("a", "left", OURS),
    ]


@pytest.mark.parametrize(
    "fail, steps",
    [
        ("made", ["a made", "b made"]),
        ("entered", ["a made", "b made", "c made", "a entered", "b entered", "a left"]),
        (
            "left",
            ["a made", "b made", "c made", "a entered", "b entered", "c entered", "function"]
            + ["c left", "b left", "a left"],
        ),
    ],
)
def test_what_fails_around_a_call(fail, steps, caplog):
    log = []
    contexts = [around(log, "a"), around(log, "b", fail), around(log, "c")]
    endpoint = forced(lambda ctx: log.append(("function", "")) or 1, call_context=contexts)
    answer = Opened(endpoint.application)
    found = answer.status, answer.headers, answer.read()
    if fail != "made":
        assert answer.status == 201
        found = inner_of(found[2])
    assert [" ".join(entry[:2]).strip() for entry in log] == steps
    status, headers, body = found
    if fail == "left":
        assert (status, body) == (200, b"1")
        assert "call_context raised as it was left" in caplog.text and "KeyError" in caplog.text
    else:
        assert (status, json.loads(body)["code"]) == (500, "call_context_failed")
        assert "KeyError: 'b'" in json.loads(body)["message"]
        assert "X-Inngest-No-Retry" not in headers
    assert free_slots(endpoint) == 64


@pytest.mark.parametrize("streaming", ["allow", False])
def test_a_call_in_one_piece_has_it_around_it_too(streaming):
    log, here = [], threading.current_thread().name
    endpoint = Endpoint(lambda ctx: 1, streaming=streaming, call_context=[around(log, "a")])
    assert endpoint.call().get_json() == 1
    assert log == [("a", "made", here), ("a", "entered", here), ("a", "left", here)]


def test_what_is_around_it_cannot_hide_that_the_rest_is_missing():
    @contextlib.contextmanager
    def forgiving(environ):
        with contextlib.suppress(Exception):
            yield

    ran = []
    contexts = [forgiving, around([], "b", "entered")]
    status, _, body = inner_answer(ran.append, call_context=contexts)
    assert (status, json.loads(body)["code"], ran) == (500, "call_context_failed", [])


@pytest.mark.parametrize("contexts", ["abc", 1, [None], {"a": 1}, contextlib.suppress])
def test_what_cannot_be_around_a_call_is_refused_at_once(contexts):
    for streaming in (False, "force"):
        with pytest.raises(inngest.SettingsError, match="call_context"):
            Endpoint(lambda ctx: 1, streaming=streaming, call_context=contexts)


# -- a part of an answer is none ---------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(value=values, status=st.sampled_from([200, 206, 400, 500]), spaces=st.integers(1, 3))
def test_no_part_of_a_stream_is_an_answer(value, status, spaces):
    body = json.dumps(value).encode()
    headers = [("X-Inngest-Sdk", "a:v1")]
    text = encode.streamed(Response(status, headers, body))
    for written in [text] if isinstance(value, str) else [text, as_value(text, body)]:
        whole = b" " * spaces + written
        assert inner_of(whole) == (status, dict(headers), body)
        for cut in range(len(whole)):
            assert not parses(whole[:cut])
        assert parses(whole)


def as_value(text, body):
    """A stream in the form that it has when it is very large."""
    status, headers, _ = inner_of(b" " + text)
    limit = encode.MAX_STREAM_BYTES
    try:
        encode.MAX_STREAM_BYTES = len(text) - 1
        found = encode.streamed(Response(status, list(headers.items()), body))
    finally:
        encode.MAX_STREAM_BYTES = limit
    assert found.endswith(b',"body":' + body + b"}")
    return found


def parses(text):
    """Whether anybody could take it for a whole answer."""
    outcome = _answers.understand(_calls.Answer(201, {"x-inngest-sdk": "a"}, text), None, 0)
    refused = isinstance(outcome, _outcomes.Failure) and "a 201 " in outcome.text
    try:
        json.loads(text)
    except ValueError:
        assert refused
        return False
    return True
