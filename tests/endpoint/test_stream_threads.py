"""The threads of streamed calls: how they end, how many there are, and what they inherit."""

import contextlib
import contextvars
import gc
import json
import logging
import os
import subprocess
import sys
import threading
import time
import weakref

import gevent
import pytest
from apps import call_body
from streams import (
    Opened,
    around,
    forced,
    free_slots,
    in_step,
    inner_answer,
    inner_of,
    raising,
    streams_of,
    threads,
    wait_until,
)

from inngest_wsgi._codec import encode
from inngest_wsgi._endpoint import streaming as _streaming, threads as _threads
from inngest_wsgi._messages import Call

# -- what ends a thread ------------------------------------------------------


@pytest.mark.parametrize("exc", [SystemExit, KeyboardInterrupt, gevent.GreenletExit])
@pytest.mark.parametrize("place", [raising, lambda exc: in_step(raising(exc), 1)])
def test_a_process_exit_ends_only_the_thread(exc, place, caplog):
    endpoint = forced(place(exc))
    status, headers, body = inner_of(Opened(endpoint.application).read())
    problem = json.loads(body)
    assert (status, problem["code"]) == (500, "internal_error")
    assert exc.__name__ in problem["message"] and "shop-f" in problem["message"]
    assert "X-Inngest-No-Retry" not in headers, "it is tried again"
    assert "Function shop-f ended its thread" in caplog.text
    assert free_slots(endpoint) == 64


def test_an_answer_that_cannot_be_encoded(monkeypatch, caplog):
    def streamed(response):
        raise MemoryError

    monkeypatch.setattr(encode, "streamed", streamed)
    endpoint = forced(lambda ctx: "done")
    status, headers, body = inner_of(Opened(endpoint.application).read())
    assert (status, json.loads(body)["code"]) == (500, "internal_error")
    assert "01RUN" in caplog.text and "MemoryError" in caplog.text
    assert free_slots(endpoint) == 64


def test_a_thread_that_ended_without_an_answer():
    stream = _streaming.Stream(Call("f", None, "01RUN", 0, 1, False, {}, [], {}), 0.01)
    stream.is_running = lambda: False
    text = b"".join(stream)
    assert inner_of(text)[0] == 500


# -- how many ----------------------------------------------------------------


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
    # a call whose client has disconnected still occupies its slot
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


def test_the_slot_is_free_when_the_client_has_read_the_answer():
    endpoint = forced(lambda ctx: "done", max_streams=1)

    class Slow(dict):
        def pop(self, *args):
            time.sleep(0.05)
            return super().pop(*args)

    streams_of(endpoint)._running = Slow()
    for _ in range(3):
        answer = Opened(endpoint.application)
        assert answer.status == 201
        assert [next(answer.chunks), next(answer.chunks)[:1]] == [b" ", b"{"]


def test_if_no_thread_can_start_the_answer_is_in_one_piece(monkeypatch, caplog):
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


# -- the thread --------------------------------------------------------------


request_id = contextvars.ContextVar("request_id", default="none")


def test_the_thread_has_the_context_variables_of_the_call():
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


def test_the_thread_has_the_runs_name_and_is_a_daemon():
    def handler(ctx):
        thread = threading.current_thread()
        return [thread.name, thread.daemon]

    assert json.loads(inner_answer(handler)[2]) == ["inngest_wsgi run 01RUN", True]


# -- threads are used again --------------------------------------------------


def idle():
    return [t for t in threading.enumerate() if t.name == "inngest_wsgi idle"]


@pytest.fixture(name="long_idle")
def _long_idle(monkeypatch):
    """Let idle threads wait until the end of the test, and end then."""
    gc.collect()
    wait_until(lambda: not idle() and not threads())
    monkeypatch.setattr(_threads, "IDLE_S", 600.0)
    kept = []

    def make(handler, **options):
        kept.append(forced(handler, **options))
        return kept[-1]

    yield make
    for endpoint in kept:
        streams_of(endpoint)._threads._idle.end()
    wait_until(lambda: not idle())


def ident(ctx):
    return threading.get_ident()


def read(endpoint, body=None):
    return json.loads(inner_of(Opened(endpoint.application, *([body] if body else [])).read())[2])


@pytest.mark.parametrize("handler", [ident, lambda ctx: ctx.step.run("a", ident, ctx)])
def test_one_thread_serves_calls_one_after_another(handler, long_idle):
    endpoint = long_idle(handler)
    before = threading.active_count()
    found = [read(endpoint) for _ in range(1000)]
    assert threading.active_count() == before + 1 and len(idle()) == 1
    if handler is ident:
        assert len(set(found)) == 1


def test_the_number_of_idle_threads_is_bounded(long_idle):
    go = threading.Event()
    endpoint = long_idle(lambda ctx: go.wait(60), max_streams=200, keepalive_interval=250)
    before = threading.active_count()
    opened = [Opened(endpoint.application) for _ in range(60)]
    wait_until(lambda: len(threads()) == 60)
    go.set()
    assert {inner_of(answer.read())[2] for answer in opened} == {b"true"}
    wait_until(lambda: threading.active_count() <= before + _threads.MAX_IDLE)
    assert 0 < len(idle()) <= _threads.MAX_IDLE
    assert free_slots(endpoint) == 200


def test_an_idle_thread_ends_after_a_time(monkeypatch):
    gc.collect()
    wait_until(lambda: not idle())
    monkeypatch.setattr(_threads, "IDLE_S", 0.01)
    endpoint = forced(ident)
    read(endpoint)
    wait_until(lambda: not idle())
    read(endpoint)
    wait_until(lambda: not idle())
    assert streams_of(endpoint)._threads._idle.workers == []


def test_a_thread_that_is_given_a_call_as_its_time_ends_carries_it_out(monkeypatch):
    """No call gets lost, whichever comes first."""
    monkeypatch.setattr(_threads, "IDLE_S", 0.0005)
    endpoint = forced(lambda ctx: "done")
    for _ in range(500):
        answer = Opened(endpoint.application)
        assert (answer.status, inner_of(answer.read())[2]) == (201, b'"done"')
        time.sleep(0.0005)
    assert free_slots(endpoint) == 64


def test_idle_threads_end_with_their_endpoint(long_idle):
    endpoint = forced(ident)
    read(endpoint)
    assert len(idle()) == 1
    del endpoint
    gc.collect()
    wait_until(lambda: not idle())


def test_a_blocked_function_keeps_only_its_own_thread(long_idle):
    go = threading.Event()
    endpoint = long_idle(lambda ctx: ident(ctx) if ctx.attempt else go.wait(60))
    quick = json.dumps(call_body(attempt=1)).encode()
    first = read(endpoint, quick)
    blocked = Opened(endpoint.application)
    others = [read(endpoint, quick) for _ in range(20)]
    assert len(set(others)) == 1 and others[0] != first, "the blocked one took the idle thread"
    blocked.chunks.close()
    assert read(endpoint, quick) == others[0]
    assert len(threads()) == 1
    go.set()
    wait_until(lambda: len(idle()) == 2)
    assert free_slots(endpoint) == 64


@pytest.mark.parametrize("raised", [None, ValueError, SystemExit, KeyboardInterrupt])
def test_a_thread_serves_further_calls_whatever_the_last_one_raised(raised, long_idle):
    def handler(ctx):
        if ctx.attempt:
            return ident(ctx)
        if raised is not None:
            raise raised

    endpoint = long_idle(handler)
    again = json.dumps(call_body(attempt=1)).encode()
    before = read(endpoint, again)
    inner_of(Opened(endpoint.application).read())
    assert read(endpoint, again) == before


def test_context_variables_of_a_call_are_not_those_of_the_next(long_idle):
    def handler(ctx):
        before = request_id.get()
        request_id.set("of a function")
        return [before, ident(ctx)]

    endpoint = long_idle(handler)
    first, second = read(endpoint), read(endpoint)
    assert first == second and first[0] == "none"


def test_call_context_is_entered_for_each_call_in_a_thread(long_idle):
    """The state of a thread outlives its calls, so this is where it belongs."""
    local, seen = threading.local(), []

    @contextlib.contextmanager
    def connection(environ):
        local.connection = object()
        try:
            yield
        finally:
            del local.connection

    def handler(ctx):
        seen.append((id(local.connection), ident(ctx)))

    endpoint = long_idle(handler, call_context=[connection])
    for _ in range(3):
        inner_of(Opened(endpoint.application).read())
    assert len({thread for _, thread in seen}) == 1 and len(seen) == 3


def test_an_idle_thread_keeps_nothing_of_its_last_call(long_idle):
    class Large:
        pass

    kept = []

    def handler(ctx):
        ctx.large = Large()
        kept.append(weakref.ref(ctx.large))

    endpoint = long_idle(handler)
    inner_of(Opened(endpoint.application).read())
    wait_until(idle)
    gc.collect()
    assert kept[0]() is None and len(idle()) == 1


FORKED = """
import json, os, sys, threading
from streams import Opened, forced, inner_of, free_slots, wait_until

go = threading.Event()
endpoint = forced(lambda ctx: threading.get_native_id() if not ctx.attempt else go.wait(60))

def read():
    return json.loads(inner_of(Opened(endpoint.application).read())[2])

from apps import call_body
parents = read()
held = Opened(endpoint.application, json.dumps(call_body(attempt=1)).encode())
read()
pid = os.fork()
if pid == 0:
    # what ran and waited in the parent is not here
    assert threading.active_count() == 1, threading.enumerate()
    first = read()
    assert first == read() != parents
    assert free_slots(endpoint) == 64 and threading.active_count() == 2
    print("child", flush=True)
    # with what a process does at its end
    sys.exit(0)
_, status = os.waitpid(pid, 0)
assert status == 0, status
assert free_slots(endpoint) == 63
assert read()
go.set()
inner_of(held.read())
wait_until(lambda: free_slots(endpoint) == 64)
print("parent", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is not available")
def test_a_forked_process_has_threads_of_its_own():
    assert run_program(FORKED) == ["child", "parent"]


ENDS = """
import threading
from streams import Opened, forced, inner_of
endpoint = forced(lambda ctx: "done")
opened = [Opened(endpoint.application) for _ in range(4)]
for answer in opened:
    inner_of(answer.read())
print(sum(t.name == "inngest_wsgi idle" for t in threading.enumerate()) > 0, flush=True)
"""


def test_a_process_ends_at_once_while_threads_are_idle():
    started = time.monotonic()
    assert run_program("from inngest_wsgi._endpoint import threads\nthreads.IDLE_S = 600\n" + ENDS)
    assert time.monotonic() - started < 300


PATCHED = """
from gevent import monkey
monkey.patch_all()
import json
import gevent
from streams import Opened, forced, inner_of, wait_until

def handler(ctx):
    # what a call leaves behind must not end the next one
    gevent.Timeout.start_new(0.05)
    return id(gevent.getcurrent())

endpoint = forced(handler)
for _ in range(3):
    assert inner_of(Opened(endpoint.application).read())[0] == 200
    gevent.sleep(0.1)
import threading
assert not [t for t in threading.enumerate() if t.name.startswith("inngest_wsgi")]
print("done")
"""


def test_greenlets_are_not_used_again():
    assert run_program(PATCHED) == ["done"]


def run_program(text):
    """Run a program in a process of its own, and return the lines that it wrote."""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text],
        check=True,
        stdout=subprocess.PIPE,
        timeout=300,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
    )
    return found.stdout.decode().splitlines()
