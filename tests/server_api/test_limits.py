"""The answers of a server gone mad end: in time, and within a size."""

import gzip
import json
import logging
import pathlib
import re
import subprocess
import sys
import time
import tracemalloc
import zlib

import pytest
import urllib3
from apps import Endpoint
from mad_server import answering, dripping, head, sending
from stub_server import Scripted, serving

import inngest_wsgi as inngest
from inngest_wsgi._server_api import body as _body
from inngest_wsgi._server_api.client import Http
from inngest_wsgi._server_api.log_filter import LOGGERS
from inngest_wsgi._server_api.retry import Retry
from inngest_wsgi._settings import resolve

JSON = "Content-Type: application/json"
#: In seconds: no request here may take as long, and without a limit each would
#: take for ever.
FOR_EVER = 30

DRIPS = {
    "status line": dripping(b"HTTP/1.1 200", b" "),
    "headers": dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "many headers": dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", 0.4),
    "interim answers": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": dripping(head(JSON, "Content-Length: 1000000"), b" "),
    "body without a length": dripping(head(JSON), b" "),
    "chunks": dripping(head("Transfer-Encoding: chunked"), b"1\r\n \r\n"),
    "size of a chunk": dripping(head("Transfer-Encoding: chunked"), b"0"),
    "nothing": dripping(b"", b""),
}

POOLS = {
    "ours": lambda: None,
    "PoolManager": urllib3.PoolManager,
    "a blocking PoolManager": lambda: urllib3.PoolManager(maxsize=1, block=True),
}


def send(origin, **options):
    client = inngest.Inngest(
        app_id="shop", event_api_base_url=origin, is_production=False, **options
    )
    return client.send(inngest.Event(name="a"))


@pytest.fixture(autouse=True)
def it_ends():
    started = time.monotonic()
    yield
    assert time.monotonic() - started < FOR_EVER


@pytest.mark.parametrize("drip", list(DRIPS.values()), ids=list(DRIPS))
@pytest.mark.parametrize("pool", list(POOLS.values()), ids=list(POOLS))
def test_a_dripping_server_ends_at_sync_timeout(drip, pool):
    with answering(drip) as origin:
        endpoint = Endpoint(print, base_url=origin, sync_timeout=1000, http=pool())
        response = endpoint.request("PUT")
    assert response.status_code == 500
    assert "cannot be reached: no answer in time" in response.get_json()["message"]


@pytest.mark.parametrize("drip", list(DRIPS.values()), ids=list(DRIPS))
def test_a_dripping_server_ends_every_attempt_at_request_timeout(drip, monkeypatch):
    monkeypatch.setattr("inngest_wsgi._server_api.client.time.sleep", lambda seconds: None)
    with answering(drip) as origin:
        with pytest.raises(inngest.SendEventsError, match="no answer in time"):
            send(origin, request_timeout=200)


@pytest.mark.parametrize("drip", list(DRIPS.values()), ids=list(DRIPS))
def test_fetching_the_state_of_a_run_ends_at_request_timeout(drip):
    with answering(drip) as origin:
        endpoint = Endpoint(print, base_url=origin, client={"request_timeout": 700})
        response = endpoint.call(use_api=True)
    assert response.status_code == 500
    assert "no answer in time" in response.get_json()["message"]


def test_a_signal_to_a_dripping_server_ends():
    def handler(ctx):
        return ctx.step.send_signal("signal", signal="s")

    with answering(DRIPS["headers"]) as origin:
        endpoint = Endpoint(handler, base_url=origin, client={"request_timeout": 300})
        response = endpoint.call()
    assert "no answer in time" in response.get_data(as_text=True)


def test_a_pool_serves_on_after_answers_that_are_cut_off():
    """The one connection of a blocking pool comes back."""
    with answering(DRIPS["body"]) as origin, serving(Scripted((200, {"ok": True}))) as good:
        pool = urllib3.PoolManager(maxsize=1, block=True)
        for _ in range(3):
            endpoint = Endpoint(print, base_url=origin, sync_timeout=300, http=pool)
            assert endpoint.request("PUT").status_code == 500
        for _ in range(3):
            endpoint = Endpoint(print, base_url=good, http=pool)
            assert endpoint.request("PUT").status_code == 200


def test_the_users_own_requests_by_the_pool_are_not_limited():
    pool = urllib3.PoolManager()
    answer = dripping(head("Content-Length: 20"), b"x", 0.1)
    with answering(answer) as origin:
        endpoint = Endpoint(print, base_url=origin, sync_timeout=300, http=pool)
        assert endpoint.request("PUT").status_code == 500
        response = pool.request("GET", origin, timeout=1)
    assert response.data == b"x" * 20


@pytest.mark.parametrize("plain", [True, False])
def test_connections_are_kept_open(plain):
    server = Scripted((200, {"ok": True}))
    with serving(server, plain=plain) as origin, urllib3.PoolManager() as pool:
        endpoint = Endpoint(print, base_url=origin, http=pool)
        for _ in range(5):
            assert endpoint.request("PUT").status_code == 200
    ports = {request.environ["REMOTE_PORT"] for request in server.requests}
    assert len(ports) == (1 if plain else 5)


# -- size ----------------------------------------------------------------------

MIB = 1024 * 1024
BOMB = """
import resource, sys
import inngest_wsgi as inngest
client = inngest.Inngest(app_id="shop", is_production=False)
function = client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="e"))(print)
application = inngest.serve(client, [function], base_url=sys.argv[1])
environ = {"REQUEST_METHOD": "PUT", "HTTP_HOST": "localhost", "wsgi.url_scheme": "http"}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
print(b"".join(application(environ, lambda *said: None)).decode())
print((peak() - before) // 1024)
"""


def bomb(size):
    """Return zeros, compressed in pieces."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b"\0" * MIB
    packed = [packer.compress(piece) for _ in range(size // MIB)]
    return b"".join(packed) + packer.flush()


@pytest.fixture(scope="module")
def packed_zeros():
    return bomb(256 * MIB)


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_a_bomb_costs_little_memory(packed_zeros, encoding):
    content = gzip.compress(packed_zeros) if "," in encoding else packed_zeros
    answer = head(JSON, f"Content-Encoding: {encoding}", f"Content-Length: {len(content)}")
    with answering(sending(answer + content)) as origin:
        found = subprocess.run(
            [sys.executable, "-c", BOMB, origin], stdout=subprocess.PIPE, check=True, timeout=300
        )
    message, _, mib = found.stdout.decode().rpartition("}\n")
    assert ("larger than 16 MiB" if encoding == "gzip" else "Content-Encoding") in message
    assert int(mib) < 50


@pytest.mark.parametrize("framing", ["length", "chunked", "until the end"])
def test_an_answer_may_have_16_mib(framing):
    for size, works in [(_body.MAX_ANSWER_BYTES, True), (_body.MAX_ANSWER_BYTES + 1, False)]:
        text = b'{"ok":true}'.ljust(size)
        if framing == "length":
            answer = head(f"Content-Length: {size}") + text
        elif framing == "chunked":
            answer = head("Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (size, text)
        else:
            answer = head() + text
        with answering(sending(answer)) as origin:
            response = Endpoint(print, base_url=origin).request("PUT")
        assert (response.status_code == 200) is works
        if not works:
            assert "sent an answer that is larger than 16 MiB" in response.get_json()["message"]


def test_an_endless_answer_is_cut_off():
    tracemalloc.start()
    try:
        with answering(dripping(head(JSON), b" " * 1_000_000, 0)) as origin:
            response = Endpoint(print, base_url=origin).request("PUT")
        assert "larger than 16 MiB" in response.get_json()["message"]
        assert tracemalloc.get_traced_memory()[1] < 50 * MIB
    finally:
        tracemalloc.stop()


def test_the_state_of_a_run_may_be_larger():
    """A server stores 32 MiB for a run."""
    state = {"a" * 40: {"data": "x" * (33 * MIB)}}
    event = {"name": "test/event", "data": {}}

    def server(environ, start_response):
        found = [event] if environ["PATH_INFO"].endswith("/batch") else state
        text = json.dumps(found).encode()
        start_response("200 OK", [("Content-Length", str(len(text)))])
        return [text]

    with serving(server) as origin:
        response = Endpoint(lambda ctx: "done", base_url=origin).call(use_api=True)
    assert response.get_data() == b'"done"'


def test_the_state_of_a_run_is_bounded_too(monkeypatch):
    monkeypatch.setattr("inngest_wsgi._execution.call.MAX_STATE_BYTES", 1 * MIB)
    with answering(dripping(head(JSON), b" " * 1_000_000, 0)) as origin:
        response = Endpoint(lambda ctx: "done", base_url=origin).call(use_api=True)
    assert "larger than 1 MiB" in response.get_json()["message"]


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP", "identity"])
def test_a_compressed_answer_is_read(encoding):
    text = b'{"ok":true}'
    if "gzip" in encoding.lower():
        text = gzip.compress(text)
    elif encoding == "deflate":
        text = zlib.compress(text)
    length = f"Content-Length: {len(text)}"
    with answering(sending(head(length, f"Content-Encoding: {encoding}") + text)) as origin:
        assert Endpoint(print, base_url=origin).request("PUT").status_code == 200


@pytest.mark.parametrize(
    "answer, said",
    [
        (head("Content-Encoding: br", "Content-Length: 2") + b"{}", "Content-Encoding 'br'"),
        (head("Content-Encoding: gzip", "Content-Length: 2") + b"{}", "not compressed as it"),
        (head("Content-Length: 9999999999999999999999") + b"{}", "not complete"),
        (head("Content-Length: 50") + b"{}", "not complete"),
        (head("Transfer-Encoding: chunked") + b"-5\r\n{}", "cannot be reached|failed"),
        (head("Transfer-Encoding: chunked") + b"fffffffffffffffffff\r\n{}", "not complete"),
        (head("Transfer-Encoding: chunked") + b"zz\r\n{}", "not complete"),
        (b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "not HTTP"),
        (b"\0" * 100000, "not HTTP"),
    ],
)
def test_a_malformed_answer_is_an_api_error(answer, said, monkeypatch):
    monkeypatch.setattr("inngest_wsgi._server_api.client.time.sleep", lambda seconds: None)
    with answering(sending(answer)) as origin:
        response = Endpoint(print, base_url=origin, sync_retries=0).request("PUT")
        message = response.get_json()["message"]
        assert response.status_code == 500
        assert re.search(said, message), message
        with pytest.raises(inngest.SendEventsError):
            send(origin)


class Raising:
    def __init__(self, error):
        self.error = error

    def request(self, method, url, **kwargs):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [OverflowError("evkey"), ValueError("evkey"), UnicodeError("evkey"), KeyError("evkey")],
)
def test_other_exceptions_of_urllib3_are_api_errors(error, monkeypatch):
    response = Endpoint(print, http=Raising(error)).request("PUT")
    assert response.get_json()["message"].endswith(f"failed: {type(error).__name__}")
    monkeypatch.setattr(urllib3.PoolManager, "request", Raising(error).request)
    with pytest.raises(inngest.SendEventsError, match=f"failed: {type(error).__name__}") as caught:
        send("http://127.0.0.1:9")
    assert "evkey" not in str(caught.value)


# -- logs ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        b"no colon\r\n",
        b"no colon with evkey-SECRET 1\r\n",
        b"X: y\r\n/e/evkey-SECRET%201\r\nZ: z\r\n",
    ],
)
def test_the_event_key_is_in_no_log_of_a_malformed_header(headers, caplog):
    caplog.set_level(logging.DEBUG)
    answer = (
        b"HTTP/1.1 200 OK\r\n"
        + headers
        + b'Connection: close\r\nContent-Length: 13\r\n\r\n{"ids":["1"]}'
    )
    with answering(sending(answer)) as origin:
        try:
            send(origin, event_key="evkey-SECRET 1", request_timeout=1000)
        except inngest.SendEventsError as error:
            assert "SECRET" not in str(error)
    assert "/e/..." in caplog.text and "Failed to parse headers" in caplog.text
    assert "SECRET" not in caplog.text


class Raises(logging.Handler):
    """A filter and a handler."""

    def filter(self, record):
        raise RuntimeError("no log")

    def handle(self, record):
        raise RuntimeError("no log")


@pytest.fixture(params=["filter", "handler", "handler above"])
def raising_log(request, caplog):
    name = "urllib3" if request.param == "handler above" else "urllib3.connectionpool"
    logger = logging.getLogger(name)
    caplog.set_level(logging.DEBUG, "urllib3.connectionpool")
    raises = Raises()
    if request.param == "filter":
        logger.addFilter(raises)
    else:
        logger.addHandler(raises)
    yield
    logger.removeFilter(raises)
    logger.removeHandler(raises)


def test_what_the_server_accepted_does_not_fail_by_a_log(raising_log, capsys):
    answer = head(JSON, "Content-Length: 13", "Connection: close") + b'{"ids":["1"]}'
    with answering(sending(answer)) as origin:
        assert send(origin) == ["1"]
        assert "RuntimeError: no log" in capsys.readouterr().err
        # as it was without us
        with pytest.raises(RuntimeError, match="no log"):
            urllib3.PoolManager().request("GET", origin, retries=False)


def test_no_request_to_the_api_fails_by_a_log(raising_log, capsys):
    for name in LOGGERS:
        # as in a process that has sent no event
        vars(logging.getLogger(name)).pop("handle", None)
    answer = head(JSON, "Content-Length: 2", "Connection: close") + b"{}"
    with answering(sending(answer)) as origin:
        settings = resolve({"app_id": "a", "is_production": False, "api_base_url": origin})
        found = Http(settings).api("GET", "/v1/runs/x", retry=Retry(attempts=1))
    assert found.status == 200
    assert "RuntimeError: no log" in capsys.readouterr().err


def test_every_logger_of_urllib3_is_covered():
    root = pathlib.Path(urllib3.__file__).parent
    for path in root.rglob("*.py"):
        if "getLogger(__name__)" in path.read_text(encoding="utf-8"):
            name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
            assert name.replace(".__init__", "") in LOGGERS


PATCHED_TOO_LATE = """
import socket, ssl, urllib3, warnings
import inngest_wsgi as inngest
listening = socket.create_server(("127.0.0.1", 0))
origin = f"https://127.0.0.1:{listening.getsockname()[1]}"
client = inngest.Inngest(app_id="a", is_production=False, event_api_base_url=origin)
warnings.simplefilter("ignore")
from gevent import monkey
monkey.patch_all()
try:
    client.send(inngest.Event("e"))
except inngest.SendEventsError as error:
    print(error)
"""


def test_gevent_that_has_patched_too_late():
    pytest.importorskip("gevent")
    told = subprocess.run(
        [sys.executable, "-c", PATCHED_TOO_LATE],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    ).stdout.decode()
    assert "RecursionError. If gevent is in use, it has patched ssl after" in told
    assert "gunicorn's --preload in its configuration file" in told
