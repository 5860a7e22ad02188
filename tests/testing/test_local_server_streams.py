"""How the local server reads a streamed answer (PROTOCOL section 7, W31).

The experiments of recording 112 are in test_local_server_reactions.py.
"""

import json
import socket

import pytest
from raw_app import (
    answer,
    calls_of,
    function,
    in_order,
    recording,
    run_of,
    served,
    signature,
)

from inngest_wsgi.testing._wire import answers as _answers
from inngest_wsgi.testing._wire.answers import Answer
from inngest_wsgi.testing._wire.outcomes import Failure, Reported, Returned
from inngest_wsgi.testing._wire.signing import SigningKey

KEY = "0123456789abcdef" * 4
OUTER = {"x-inngest-sdk": "raw:v1", "x-inngest-req-version": "2", "content-type": "text/plain"}
STEP = [{"op": "StepRun", "id": "a", "data": 1}]


def understood(body, headers=OUTER, key=None):
    body = body.encode() if isinstance(body, str) else body
    return _answers.understand(Answer(201, dict(headers), body), key, 1_700_000_000)


def stream(status=200, headers=None, body='"done"', **more):
    return json.dumps(dict({"status": status, "headers": headers or {}, "body": body}, **more))


# -- as it was recorded ------------------------------------------------------------


@pytest.mark.parametrize(
    "number, kind, facts",
    [
        (0, Reported, {"no_retry": False, "retry_after": None, "version": 2}),
        (1, Reported, {"no_retry": False, "retry_after": None, "version": 2}),
        (2, Returned, {"output": 1}),
        (3, Failure, {"retriable": False, "retry_after": None}),
        (4, Reported, {"no_retry": False, "retry_after": 3.0, "version": 2}),
        (5, Reported, {"no_retry": False, "retry_after": None, "version": 2}),
        (6, Reported, {"no_retry": False, "retry_after": None, "version": 2}),
    ],
)
def test_the_streams_of_the_official_javascript_sdk(number, kind, facts):
    exchanges = [e for e in calls_of(recording(105)) if e["response"]["status"] == 201]
    assert len(exchanges) == 7
    response = exchanges[number]["response"]
    headers = {name.lower(): value for name, value in response["headers"].items()}
    found = understood("   " + response["body"], headers)
    inner = json.loads(response["body"])
    headers.update((name.lower(), value) for name, value in inner["headers"].items())
    plain = Answer(inner["status"], headers, inner["body"].encode())
    assert found == _answers.understand(plain, None, 1_700_000_000)
    assert type(found) is kind
    assert {name: getattr(found, name) for name in facts} == facts


# -- beyond the recordings -----------------------------------------------------------

#: Understood; where no recording has it, it is said.
GOOD = {
    "body as text": (stream(), Returned("done")),
    "body as an object": (stream(body={"a": [1]}), Returned({"a": [1]})),
    "body as null, not recorded": (stream(body=None), Returned(None)),
    "body as a number, not recorded": (stream(body=1.0), Returned(1)),
    "text that is not JSON, as in W20": (stream(body="plain words"), Returned("plain words")),
    "text in text": (stream(body=json.dumps("[1]")), Returned("[1]")),
    "no body, not recorded": ('{"status": 200, "headers": {}}', Returned(None)),
    "no headers, not recorded": ('{"status": 200, "body": "1"}', Returned(1)),
    "headers null, not recorded": ('{"status": 200, "headers": null, "body": "1"}', Returned(1)),
    "unknown keys": (stream(version=2, other={"body": 3}), Returned("done")),
    "a body further down": (stream(other={"body": "2"}, body=[[]]), Returned([[]])),
    "spaces before": (" " * 1000 + stream(), Returned("done")),
    "all white space, not recorded": ("\r\n\t" + stream() + " \r\n", Returned("done")),
    "status 201 within, not recorded": (stream(201), Returned("done")),
    "status 202 within": (stream(202), Returned("done")),
}


@pytest.mark.parametrize("name", list(GOOD))
def test_streams_that_are_understood(name):
    body, expected = GOOD[name]
    assert understood(body) == expected


#: Failed attempts, and what is said of them; those of ``status`` and
#: ``headers`` that are of the wrong type are not recorded.
BAD = {
    "nothing": ("", "not JSON"),
    "spaces": ("   ", "not JSON"),
    "words": ("oops", "not JSON"),
    "half": (stream()[:-1], "not JSON"),
    "something behind": (stream() + "x", "not JSON"),
    "a second object": (stream() + stream(), "not JSON"),
    "a byte order mark": ("\ufeff" + stream(), "not JSON"),
    "NaN": ('{"status": 200, "headers": {}, "body": NaN}', "not JSON"),
    "bad UTF-8": (b'{"status": 200, "headers": {}, "body": "\xff"}', "not JSON"),
    "nested without end": ("[" * 100_000, "not JSON"),
    "a list": (f"[{stream()}]", "real status"),
    "text": (json.dumps(stream()), "real status"),
    "null": ("null", "real status"),
    "no status": ('{"body": "{}"}', "real status"),
    "status as text": (stream("200"), "real status"),
    "status with a fraction": (stream(200.5), "real status"),
    "status true": (stream(True), "real status"),
    "status null": (stream(None), "real status"),
    "status 0": (stream(0), "real status"),
    "headers as a list": (stream(headers=[["a", "b"]]), "headers"),
    "headers as text": (stream(headers="a: b"), "headers"),
    "a header that is a number": (stream(headers={"retry-after": 4}), "headers"),
    "a header that is a list": (stream(headers={"retry-after": ["4"]}), "headers"),
    "a header that is null": (stream(headers={"retry-after": None}), "headers"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_streams_that_are_failed_attempts(name):
    body, said = BAD[name]
    found = understood(body)
    assert type(found) is Failure and found.retriable and "a 201 " in found.text
    assert said in found.text


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
def test_inner_headers_override_outer_ones(name):
    outer = dict(OUTER, **{"retry-after": "5", "x-inngest-no-retry": "true"})
    error = '{"name": "E", "message": "m"}'
    found = understood(stream(500, {name: "9"}, error), outer)
    assert (found.retry_after, found.retriable) == (9.0, False)
    within = {name: "9", "X-Inngest-No-Retry": "false"}
    assert understood(stream(500, within, error), outer).retriable
    assert understood(stream(500, {}, error), OUTER).retry_after is None


def test_the_sdk_header_may_be_inside_or_outside():
    bare = {"content-type": "text/plain"}
    assert "SDK" in understood(stream(), bare).text
    within = {"X-Inngest-Sdk": "a:v1"}
    assert understood(stream(headers=within), bare) == Returned("done")
    assert "SDK" in understood(stream(headers={"X-Inngest-Sdk": ""}), OUTER).text


def test_the_version_of_the_inner_headers_counts():
    found = understood(stream(206, {"X-Inngest-Req-Version": "1"}, json.dumps(STEP)))
    assert type(found) is Reported and found.version == 1


@pytest.mark.parametrize(
    "written", ['{"b":1.50,"a":"\\u00e9/\\/" , "z":[ ]}', "[1e2]", '[{"body":"x"}]', '{"a":{}}']
)
def test_the_signature_covers_the_exact_bytes_of_a_value(written):
    key = SigningKey(KEY)
    for text, good in ((written, True), (json.dumps(json.loads(written)) + " ", False)):
        headers = json.dumps({"X-Inngest-Signature": key.sign(text.encode())})
        body = f'{{"headers": {headers}, "body" :\t{written}, "status":200 }}'
        found = understood(body, key=key)
        assert (found == Returned(json.loads(written))) is good


# -- over HTTP -------------------------------------------------------------------------


def test_a_stream_whose_spaces_come_first():
    reply = in_order({"status": 201, "headers": OUTER, "body": " " * 5000 + stream()})
    with served(reply) as (app, server):
        assert run_of(server).output == "done"


@pytest.mark.parametrize("sent", [0, 1, 20, len(stream()) - 1])
def test_a_stream_that_breaks_off_is_tried_again(sent):
    """Without a Content-Length or chunks, only the JSON shows that the stream is
    incomplete."""

    def reply(call):
        if call.number:
            return answer(200, "again")
        sock = call.environ["raw.socket"]
        head = "HTTP/1.0 201 Created\r\nX-Inngest-Sdk: a\r\n\r\n"
        sock.sendall(head.encode() + b" " + stream().encode()[:sent])
        sock.shutdown(socket.SHUT_RDWR)
        return answer(200, None)

    with served(reply, lambda url: [function(url, retries=1)]) as (app, server):
        run = run_of(server)
    assert (run.output, len(app.calls)) == ("again", 2)
    (error,) = [entry for entry in run.history if entry.kind == "function error"]
    assert "a 201 whose body is not JSON" in error.detail


def test_a_stream_is_accepted_only_with_a_valid_inner_signature():
    def reply(call):
        signed = signature(KEY, b"1" if call.number else b"2")
        return answer(201, {"status": 200, "headers": {"X-Inngest-Signature": signed}, "body": 1})

    with served(reply, lambda url: [function(url, retries=1)], key=KEY) as (app, server):
        run = run_of(server)
    assert (run.output, len(app.calls)) == (1, 2)
