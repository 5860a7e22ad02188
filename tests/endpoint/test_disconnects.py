"""Clients that disconnect during a stream."""

import contextlib
import json
import logging
import re
import threading

import pytest
from apps import Endpoint, call_body, step_hash
from streams import (
    DONE,
    Opened,
    forced,
    free_slots,
    inner_of,
    lost,
    threads,
    wait_until,
)

import inngest_wsgi as inngest

LINE = (
    r"Run 01RUN of function shop-f has lost its connection, as was noticed after "
    r"[0-9]+\.[0-9] s\. The outcome of the call is dropped; the Inngest server tries it again\."
)


@pytest.mark.parametrize("ends, taken", [(False, 0), (False, 1), (False, 3), (True, 1), (True, 2)])
def test_a_disconnect_is_logged_once(ends, taken, caplog):
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


def test_closing_a_finished_stream_logs_nothing(caplog):
    contexts = []
    answer = Opened(forced(contexts.append).application)
    assert inner_of(b"".join(answer.chunks))[0] == 200
    for _ in range(3):
        answer.chunks.close()
        assert list(answer.chunks) == []
    assert lost(caplog) == [] and not contexts[0].disconnected.is_set()


def test_the_log_says_after_how_long_the_disconnect_was_noticed(caplog):
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
def test_no_step_begins_after_a_disconnect(begin, target):
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


def test_a_running_step_is_not_interrupted():
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


def test_a_server_that_reports_the_disconnect(caplog):
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


def test_a_server_whose_disconnect_check_fails_is_not_asked_again(caplog):
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


def test_a_log_handler_that_raises_does_no_harm(monkeypatch):
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


def test_the_log_does_not_announce_a_retry_on_the_last_attempt(caplog):
    endpoint = forced(lambda ctx: ctx.disconnected.wait(60))
    body = json.dumps(call_body(attempt=3, max_attempts=4)).encode()
    Opened(endpoint.application, body).chunks.close()
    assert [line.endswith("is dropped; it was the last attempt.") for line in lost(caplog)] == [
        True
    ]


def test_a_start_response_that_raises_counts_as_a_disconnect(caplog):
    gone = threading.Event()
    endpoint = forced(lambda ctx: ctx.disconnected.wait(60) and gone.set())

    class Broken(Opened):
        def _start_response(self, status, headers, exc_info=None):
            raise OSError("the server's own")

    with pytest.raises(OSError):
        Broken(endpoint.application)
    assert gone.wait(60) and len(lost(caplog)) == 1


def test_a_slot_is_released_once(monkeypatch):
    """Also if the server's thread is interrupted while the other one starts."""
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


def test_the_environ_is_copied_if_the_server_reuses_it():
    """uWSGI uses one environ for all requests of a thread."""
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
