"""Neither strangers that announce a body and do not send it, nor an Inngest
server that sends its answers byte by byte, hold the thread of a real WSGI
server."""

import json
import re
import socket
import time
from urllib.parse import urlsplit

import pytest
from apps import KEY, OTHER_KEY, call_body, sign
from mad_server import answering, dripping, head
from server_process import process

TARGET = "held_app:application"
GUNICORN = ["gunicorn", "--bind=127.0.0.1:0", "--workers=1", "--timeout=300", TARGET]
LISTENING = r"(?:Listening at:|Serving on) (http://\S+)"
#: Each can work on one request at a time.
SERVERS = {
    "gunicorn-sync": GUNICORN,
    "gunicorn-gthread": GUNICORN + ["-k", "gthread", "--threads=1"],
    "waitress": ["waitress", "--listen=127.0.0.1:0", "--threads=1", TARGET],
}
CALL = json.dumps(call_body()).encode()
POST = "POST /api/inngest?fnId=held-f&stepId=step HTTP/1.1"
#: In seconds: longer than any server takes here, shorter than "for ever".
PATIENCE = 30


DRIPS = {
    "headers": dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "body": dripping(head("Content-Length: 1000000"), b" "),
}


@pytest.fixture(scope="module")
def mad():
    """The Inngest server: its origin, and the next answer, as the key of
    :data:`DRIPS`."""
    chosen = []
    with answering(lambda *connection: DRIPS[chosen[-1]](*connection)) as origin:
        yield origin, chosen


@pytest.fixture(scope="module", params=list(SERVERS))
def server(request, mad):
    with process(SERVERS[request.param], LISTENING, INNGEST_BASE_URL=mad[0]) as origin:
        parts = urlsplit(origin)
        yield request.param, (parts.hostname, parts.port)


def opened(address, line, *headers, body=b""):
    """Send a request, and leave its connection open."""
    connection = socket.create_connection(address, timeout=PATIENCE)
    head = "\r\n".join([line, "Host: localhost", *headers]) + "\r\n\r\n"
    connection.sendall(head.encode("latin-1") + body)
    return connection


def answer_of(connection):
    """Return the status and the JSON body of the answer."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        length = 0
        for line in iter(stream.readline, b"\r\n"):
            found = re.match(b"content-length: *([0-9]+)", line, re.IGNORECASE)
            length = int(found.group(1)) if found else length
        return status, stream.read(length)


def page(address):
    connection = opened(address, "GET / HTTP/1.1", "Connection: close")
    with connection:
        return answer_of(connection)


def stale(seconds):
    return "X-Inngest-Signature: " + sign(CALL, at=time.time() + seconds)


REFUSED = {
    "no signature": [],
    "malformed": ["X-Inngest-Signature: t=1"],
    "expired": [stale(-1000)],
    "early": [stale(1000)],
}
UNSENT = {
    "stated": "Content-Length: 500",
    "chunked": "Transfer-Encoding: chunked",
}


@pytest.mark.parametrize(
    "method, length, reason",
    [
        ("POST", "stated", "no signature"),
        ("POST", "chunked", "no signature"),
        ("PUT", "stated", "no signature"),
        ("GET", "chunked", "no signature"),
        ("POST", "stated", "malformed"),
        ("PUT", "chunked", "expired"),
        ("GET", "stated", "early"),
    ],
)
def test_a_stranger_with_an_unsent_body_holds_nothing(server, method, length, reason):
    name, address = server
    line = POST.replace("POST", method)
    with opened(address, line, UNSENT[length], *REFUSED[reason]) as held:
        if name != "waitress":
            # waitress calls no application before the body is there
            status, body = answer_of(held)
            assert status in (401, 403) and b"signature" in body.lower()
        assert page(address) == (200, b"a page")


@pytest.mark.parametrize("headers", [[], ["X-Inngest-Signature: " + sign(CALL)]])
def test_a_length_over_the_limit_is_refused_unread(server, headers):
    name, address = server
    with opened(address, POST, "Content-Length: 1000001", *headers) as held:
        if name != "waitress":
            status, body = answer_of(held)
            assert (status, json.loads(body)["code"]) == (413, "body_too_large")
        assert page(address) == (200, b"a page")


def test_a_chunked_body_over_the_limit_is_refused_as_it_is_read(server):
    _, address = server
    signature = "X-Inngest-Signature: " + sign(CALL)
    part = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    # on waitress the end must come, too
    chunks = part * 16 + b"0\r\n\r\n"
    with opened(address, POST, "Transfer-Encoding: chunked", signature, body=chunks) as held:
        status, body = answer_of(held)
    assert (status, json.loads(body)["code"]) == (413, "body_too_large")
    assert page(address) == (200, b"a page")


def test_a_body_that_ends_early_is_an_error(server):
    name, address = server
    signature = "X-Inngest-Signature: " + sign(CALL)
    stated = f"Content-Length: {len(CALL)}"
    with opened(address, POST, stated, signature, body=CALL[:-1]) as cut:
        cut.shutdown(socket.SHUT_WR)
        if name != "waitress":
            status, body = answer_of(cut)
            assert (status, json.loads(body)["code"]) == (400, "body_unreadable")
    assert page(address) == (200, b"a page")


def test_the_next_request_of_the_connection_is_not_taken_from_the_unread_body(server):
    _, address = server
    hidden = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    stated = f"Content-Length: {len(hidden)}"
    with opened(address, POST, stated, body=hidden) as connection:
        status, _ = answer_of(connection)
        assert status == 401
        connection.settimeout(3)
        try:
            rest = connection.recv(1000)
        except (socket.timeout, ConnectionError):
            rest = b""
        assert b"a page" not in rest


@pytest.mark.parametrize("key, status", [(KEY, 200), (OTHER_KEY, 401)])
def test_signed_calls_are_read_whole(server, key, status):
    _, address = server
    signature = "X-Inngest-Signature: " + sign(CALL, key)
    for length, body in [
        (f"Content-Length: {len(CALL)}", CALL),
        ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(CALL), CALL)),
    ]:
        with opened(address, POST, length, signature, body=body) as connection:
            found, body = answer_of(connection)
        assert found == status, body


@pytest.mark.parametrize("drip", list(DRIPS))
def test_a_dripping_inngest_server_ends_at_sync_timeout(server, mad, drip):
    _, address = server
    mad[1].append(drip)
    signature = "X-Inngest-Signature: " + sign(b"")
    line = "PUT /api/inngest HTTP/1.1"
    with opened(address, line, "Content-Length: 0", signature) as syncing:
        status, body = answer_of(syncing)
    assert status == 500 and "no answer in time" in json.loads(body)["message"]
    assert page(address) == (200, b"a page")


@pytest.mark.parametrize("drip", list(DRIPS))
def test_a_dripping_inngest_server_ends_the_fetching_of_a_run(server, mad, drip):
    _, address = server
    mad[1].append(drip)
    call = json.dumps(call_body(use_api=True)).encode()
    signature = "X-Inngest-Signature: " + sign(call)
    with opened(address, POST, f"Content-Length: {len(call)}", signature, body=call) as calling:
        status, body = answer_of(calling)
    assert status == 500 and "no answer in time" in json.loads(body)["message"]
    assert page(address) == (200, b"a page")
