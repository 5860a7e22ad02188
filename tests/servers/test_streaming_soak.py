"""Thousands of clients that disconnect leave no thread, no descriptor, no slot
and no memory behind."""

import concurrent.futures
import json
import socket
import struct
import urllib.request
from importlib.metadata import version

import pytest
from apps import call_body
from server_process import process
from streams import wait_until

from inngest_wsgi._endpoint.threads import MAX_IDLE

THREADS = 24
GUNICORN = ["gunicorn", "--bind=127.0.0.1:0", "--workers=1", "-k", "gthread", "--keep-alive=0"]
SERVERS = {
    "gunicorn-gthread": GUNICORN + [f"--threads={THREADS}", "soaked:application"],
    "waitress": ["waitress", "--listen=127.0.0.1:0", f"--threads={THREADS}"]
    + ["--connection-limit=1000", "--backlog=1024", "soaked:application"],
}
LISTENING = r"(?:Listening at:|Serving on) http://(\S+)"

#: How many clients go away in one of the two halves; of seven in ten a call
#: is begun, at the least.
HALF = 1500
CLIENTS = 40

MAX_STREAMS = 512
KEPT_BYTES = 20_000

#: The most that a half may leave behind: a fourth of what its calls had, in
#: bytes, and less than one object for each call.
GROWTH = HALF * KEPT_BYTES // 4
OBJECTS = HALF // 2

RESET = struct.pack("ii", 1, 0)


def request_of(ends):
    body = call_body()
    body["events"][0]["data"] = {"ends": ends}
    body = json.dumps(body).encode()
    head = "POST /api/inngest?fnId=soaked-f&stepId=step HTTP/1.1\r\nHost: a\r\nContent-Length: {}"
    return head.format(len(body)).encode() + b"\r\n\r\n" + body


REQUEST, ENDING = request_of(False), request_of(True)


def nothing(sock):
    pass


def first_byte(sock):
    assert sock.recv(1) == b"H"


def a_space(sock):
    text = b""
    while b" " not in text.partition(b"\r\n\r\n")[2]:
        text += sock.recv(1000)


def more_spaces(sock):
    text = b""
    while text.partition(b"\r\n\r\n")[2].count(b" ") < 3:
        text += sock.recv(1000)


def all_of_it(sock):
    text = b""
    while True:
        chunk = sock.recv(1000)
        if not chunk:
            break
        text += chunk
    assert b'"body":"2"}' in text


#: What a client sends, and what it waits for before it goes away.
MOMENTS = [
    (b"", nothing),
    (REQUEST[:60], nothing),
    (REQUEST[:-10], nothing),
    (REQUEST, nothing),
    (REQUEST, first_byte),
    (REQUEST, a_space),
    (REQUEST, more_spaces),
    (ENDING, nothing),
    (ENDING, first_byte),
    (ENDING.replace(b"Host: a", b"Connection: close"), all_of_it),
]


#: Of the servers; waitress 3.0.0 keeps the socket of a client that has gone
#: before it looked.
MOMENTS_OF = dict.fromkeys(SERVERS, MOMENTS)
if version("waitress") == "3.0.0":
    MOMENTS_OF["waitress"] = [moment for moment in MOMENTS if moment[1] is not nothing]


def go_away(place, moments, number):
    request, wait = moments[number % len(moments)]
    host, port = place.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as sock:
        sock.sendall(request)
        wait(sock)
        if number // len(moments) % 2:
            # the kernel sends RST instead of FIN
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def state_of(place):
    with urllib.request.urlopen(f"http://{place}/", timeout=60) as answer:
        return json.loads(answer.read())


def soak(place, moments, number):
    """Let this many clients disconnect; return the state of the server afterwards."""
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda n: go_away(place, moments, n), range(number)))
    found = {}

    def is_quiet():
        found.update(state_of(place))
        # the slots are read before the rest, and may be those of a moment before
        is_free = found["slots"] == MAX_STREAMS
        is_over = found["begun"] == found["ended"] and found["ours"] == found["streams"] == 0
        return is_over and is_free

    wait_until(is_quiet, 120)
    return found


@pytest.mark.parametrize("server", list(SERVERS))
def test_disconnected_clients_leave_nothing_behind(server):
    moments = MOMENTS_OF[server]
    environ = {"MAX_STREAMS": str(MAX_STREAMS), "KEPT_BYTES": str(KEPT_BYTES)}
    with process(SERVERS[server], LISTENING, **environ) as place:
        before = soak(place, moments, 200)
        half = soak(place, moments, HALF)
        after = soak(place, moments, HALF)
        # the server itself may close a socket late
        wait_until(lambda: state_of(place)["descriptors"] <= before["descriptors"], 120)
    assert after["slots"] == half["slots"] == MAX_STREAMS
    # with the threads of the server, which it makes as it needs them
    assert after["threads"] <= THREADS + 3 + MAX_IDLE
    whole = sum(wait is not nothing for request, wait in moments) * HALF // len(moments)
    assert after["begun"] - half["begun"] >= whole, "that many were certainly begun"
    lost = after["lost"] - half["lost"]
    assert HALF * 3 // 10 <= lost <= after["begun"] - half["begun"] - HALF // 10
    assert after["objects"] - half["objects"] < OBJECTS
    assert after["memory"] - half["memory"] < GROWTH
