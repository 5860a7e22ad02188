"""The threads of streamed calls: how they end, how many there are, and what they inherit."""

import contextvars
import json
import logging
import threading
import time

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
    wait_until,
)

from inngest_wsgi._codec import encode
from inngest_wsgi._endpoint import streaming as _streaming
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
