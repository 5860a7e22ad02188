"""The connections to the server: how long one may take to open, and how many there are."""

import contextlib
import json
import socket
import threading
import time

import pytest
from stub_server import Scripted, serving

import inngest_wsgi as inngest
from inngest_wsgi._server_api.client import Http
from inngest_wsgi._server_api.retry import CHECKPOINT_RETRY
from inngest_wsgi._settings import resolve

NAME = "api.test"
#: The limit of a checkpoint, in seconds, and what a slow machine may add.
LIMIT_S = 2.0
ALLOWED_S = 5.0


@contextlib.contextmanager
def holes(hosts, port=0):
    """Occupy a port at addresses where no connection is accepted or refused;
    yields the port."""
    with contextlib.ExitStack() as stack:
        for host in hosts:
            listening = stack.enter_context(socket.socket())
            try:
                listening.bind((host, port))
            except OSError:
                pytest.skip(f"{host} cannot be used here")
            listening.listen(0)
            port = listening.getsockname()[1]
            # the backlog is full with these, and further ones wait
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex((host, port))
        with socket.socket() as asking:
            asking.settimeout(0.2)
            try:
                asking.connect((hosts[0], port))
            except OSError:
                pass
            else:
                pytest.skip("the backlog is not limited here")
        yield port


@pytest.fixture(name="resolving")
def _resolving(monkeypatch):
    """Give a name addresses."""
    real, asked = socket.getaddrinfo, []

    def install(hosts):
        def getaddrinfo(host, port, *args, **kwargs):
            if host != NAME:
                return real(host, port, *args, **kwargs)
            asked.append(host)
            kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(*kind, (address, port)) for address in hosts]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return install


def settings_of(origin, **others):
    return resolve({"app_id": "a", "is_production": False, "api_base_url": origin, **others})


def checkpoint(port, pool=None):
    """Make a request as a checkpoint does; return the answer's status, or the
    error, and the seconds that it took."""
    settings = settings_of(f"http://{NAME}:{port}")
    started = time.monotonic()
    found: object
    try:
        answer = Http(settings, pool).api(
            "POST", "/v1/x", body=b"{}", retry=CHECKPOINT_RETRY, deadline_s=LIMIT_S
        )
        found = answer.status
    except inngest.ApiError as error:
        found = error
    return found, time.monotonic() - started


def test_addresses_that_do_not_answer_share_the_time_of_a_request(resolving):
    hosts = [f"127.0.0.{n}" for n in range(2, 8)]
    resolving(hosts)
    with holes(hosts) as port:
        found, seconds = checkpoint(port)
    assert isinstance(found, inngest.ApiError) and "no answer in time" in str(found)
    assert seconds < ALLOWED_S


@pytest.mark.parametrize("before", [1, 3])
def test_an_address_that_answers_is_reached_in_time(before, resolving):
    dead = [f"127.0.0.{n}" for n in range(2, 2 + before)]
    asked = resolving([*dead, "127.0.0.1"])
    with serving(Scripted((200, {}))) as origin:
        port = int(origin.rpartition(":")[2])
        with holes(dead, port):
            found, seconds = checkpoint(port)
    assert found == 200 and seconds < ALLOWED_S
    assert len(asked) == 1


def test_an_address_that_refuses_costs_no_time(resolving):
    resolving(["127.0.0.2", "127.0.0.1"])
    with serving(Scripted((200, {}))) as origin:
        assert checkpoint(int(origin.rpartition(":")[2]))[0] == 200


def test_a_name_without_addresses(monkeypatch):
    def getaddrinfo(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    found, seconds = checkpoint(80)
    assert "cannot be reached: Name or service not known" in str(found)
    assert seconds < ALLOWED_S


def test_a_name_that_is_too_long_to_be_looked_up():
    http = Http(settings_of(f"http://{'a' * 64}.example"))
    with pytest.raises(inngest.ApiError, match="cannot be reached"):
        http.api("POST", "/v1/x", body=b"{}", retry=CHECKPOINT_RETRY, deadline_s=LIMIT_S)


def test_a_server_that_does_not_read_a_large_request(monkeypatch):
    """What is kept open has the longer limit of another request."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        done = threading.Event()

        def serve():
            peer, _ = listening.accept()
            with peer:
                peer.recv(100_000)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                done.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        http = Http(settings_of(f"http://127.0.0.1:{port}", request_timeout=30_000))
        assert http.api("POST", "/v1/x", body=b"{}", retry=CHECKPOINT_RETRY).status == 200
        started = time.monotonic()
        with pytest.raises(inngest.ApiError):
            http.api(
                "POST", "/x", body=b"x" * 30_000_000, retry=CHECKPOINT_RETRY, deadline_s=LIMIT_S
            )
        assert time.monotonic() - started < ALLOWED_S + 2
        done.set()
        thread.join()


def test_many_threads_keep_their_connections(caplog):
    """urllib3 warns of each connection that it has no place for."""
    count = 40
    together = threading.Barrier(count)

    def application(environ, start_response):
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        together.wait(60)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"ids": ["1"], "status": 200}).encode()]

    with serving(application, plain=True) as origin:
        client = inngest.Inngest("shop", event_api_base_url=origin, is_production=False)
        for _ in range(2):
            threads = [
                threading.Thread(target=client.send, args=(inngest.Event(name="a"),))
                for _ in range(count)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert "pool is full" not in caplog.text
