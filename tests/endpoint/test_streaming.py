"""Which calls are streamed, and the form of a stream."""

import json
import logging
import re
import sys
import threading
import time
import types
import typing as t
from wsgiref.validate import validator

import pytest
from apps import KEY, OTHER_KEY, Endpoint, sign
from hypothesis import given, strategies as st
from streams import (
    BODY,
    FN,
    QUOTES,
    NoApi,
    Opened,
    as_value,
    forced,
    free_slots,
    inner_of,
    threads,
)

from inngest_wsgi._codec import encode
from inngest_wsgi._messages import Response
from inngest_wsgi.testing._http import caller as _calls
from inngest_wsgi.testing._wire import answers as _answers, outcomes as _outcomes

# -- where a call is streamed ------------------------------------------------


UWSGI = {"uwsgi.version": b"2.0.26", "wsgi.multithread": False}


#: environ, options of uWSGI (None: it is not there), whether it is streamed
SERVERS = [
    ({"SERVER_SOFTWARE": "gunicorn/23.0.0"}, None, True),
    # waitress's name is that of its setting ident, or empty
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
def test_servers_that_get_a_stream(environ, uwsgi, streamed, streaming, monkeypatch):
    monkeypatch.delitem(sys.modules, "uwsgi", raising=False)
    if uwsgi is not None:
        module: t.Any = types.ModuleType("uwsgi")
        module.opt = uwsgi
        monkeypatch.setitem(sys.modules, "uwsgi", module)
    answer = Opened(Endpoint(lambda ctx: "done", streaming=streaming).application, **environ)
    text = answer.read()
    if streaming == "force" or (streamed and streaming == "allow"):
        assert (answer.status, inner_of(text)[2]) == (201, b'"done"')
    else:
        assert (answer.status, text) == (200, b'"done"')


@pytest.mark.parametrize(
    "environ, name",
    [({"SERVER_SOFTWARE": "bjoern/3.2.2"}, "bjoern/3.2.2"), ({}, "it gives no name")],
)
def test_an_unknown_server_is_logged_once(environ, name, caplog):
    caplog.set_level(logging.INFO, "inngest_wsgi")
    endpoint = Endpoint(lambda ctx: "done", streaming="allow")
    for _ in range(2):
        assert Opened(endpoint.application, **environ).read() == b'"done"'
    (record,) = [r for r in caplog.records if "in one piece" in r.msg]
    assert record.levelname == "INFO"
    said = record.getMessage()
    assert f"this WSGI server ({name})" in said and 'streaming="force"' in said


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize(
    "status, environ, body",
    [
        (200, {"QUERY_STRING": "probe=trust"}, b""),
        (400, {"QUERY_STRING": "probe=trust&" + FN}, BODY),
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
def test_requests_that_are_never_streamed(cloud, status, environ, body):
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
def test_a_refusal_is_answered_in_one_piece(signature):
    if signature == OTHER_KEY:
        signature = sign(BODY, OTHER_KEY)
    endpoint = forced(lambda ctx: "done", cloud=True)
    answer = Opened(endpoint.application, HTTP_X_INNGEST_SIGNATURE=signature)
    assert answer.status == 401 and json.loads(answer.read())["code"].startswith("signature_")
    assert "X-Accel-Buffering" not in answer.headers and free_slots(endpoint) == 64


# -- what a stream is --------------------------------------------------------


def test_the_head_of_a_stream():
    endpoint = forced(lambda ctx: "done", client={"env": "staging"})
    answer = Opened(endpoint.application)
    names = [name for name, _ in answer.header_list]
    assert answer.status == 201 and len(names) == len(set(names))
    sdk = answer.headers.pop("X-Inngest-Sdk")
    assert sdk.startswith("inngest-wsgi:v") and answer.headers.pop("User-Agent") == sdk
    assert answer.headers == {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
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


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
@pytest.mark.parametrize("output", ["dön\u2028e \U0001f600", QUOTES], ids=["text", "value"])
def test_a_stream_is_signed_inside_with_the_key_of_the_call(cloud, key, output):
    endpoint = forced(
        lambda ctx: output, cloud=cloud, signing_key=OTHER_KEY, signing_key_fallback=KEY
    )
    answer = Opened(endpoint.application, HTTP_X_INNGEST_SIGNATURE=sign(BODY, key))
    assert answer.status == 201 and "X-Inngest-Signature" not in answer.headers
    status, headers, body = inner_of(answer.read())
    assert (status, json.loads(body)) == (200, output)
    assert is_signed_within(headers, body, key)


def test_a_stream_for_an_unsigned_call_has_no_signature():
    answer = Opened(forced(lambda ctx: None, signing_key=KEY).application)
    assert "X-Inngest-Signature" not in inner_of(answer.read())[1]


def test_a_space_is_sent_at_once_and_more_while_the_function_runs():
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
def test_the_application_conforms_to_pep_3333(handler, taken):
    chunks = iter(validated(handler))
    for _ in range(taken):
        next(chunks)
    chunks.close()


def validated(handler):
    return Opened(validator(forced(handler).application)).chunks


def test_the_application_conforms_to_pep_3333_until_close():
    chunks = validated(lambda ctx: "done")
    assert inner_of(b"".join(chunks))[2] == b'"done"'
    chunks.close()


# -- a part of an answer is none ---------------------------------------------


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(value=values, status=st.sampled_from([200, 206, 400, 500]), spaces=st.integers(1, 3))
def test_no_part_of_a_stream_is_a_valid_answer(value, status, spaces):
    body = json.dumps(value).encode()
    headers = [("X-Inngest-Sdk", "a:v1")]
    text = encode.streamed(Response(status, headers, body))
    for written in [text] if isinstance(value, str) else [text, as_value(text, body)]:
        whole = b" " * spaces + written
        assert inner_of(whole) == (status, dict(headers), body)
        for cut in range(len(whole)):
            assert not parses(whole[:cut])
        assert parses(whole)


def parses(text):
    """Return True if the text is valid JSON."""
    outcome = _answers.understand(_calls.Answer(201, {"x-inngest-sdk": "a"}, text), None, 0)
    refused = isinstance(outcome, _outcomes.Failure) and "a 201 " in outcome.text
    try:
        json.loads(text)
    except ValueError:
        assert refused
        return False
    return True
