"""The local server's interface for tests and demos."""

import contextlib
import datetime
import json
import logging
import socket
import threading
import time

import pytest
from raw_app import (
    RawApp,
    answer,
    ask,
    function,
    hashed,
    in_order,
    op,
    ops,
    recording,
    run_of,
    served,
    signature,
)

from inngest_wsgi.testing import LocalServer, SyncError, SystemClock, VirtualClock, _server
from inngest_wsgi.testing._model.functions import Function
from inngest_wsgi.testing._model.state import Event, RunState
from inngest_wsgi.testing._ops import handlers as _ops
from inngest_wsgi.testing._run.items import RunItem
from inngest_wsgi.testing._run.queue import Queue

KEY = "0123456789abcdef" * 4
OTHER_KEY = "cdcd" * 16
WEEK = 7 * 86400


def done(call):
    return answer(200, "done")


def kinds(run):
    return [entry.kind for entry in run.history]


@contextlib.contextmanager
def held():
    """Return a reply that waits until it is released, and the events to control it."""
    arrived, let_go = threading.Semaphore(0), threading.Event()

    def reply(call):
        arrived.release()
        let_go.wait(60)
        return answer(200, "late")

    try:
        yield reply, arrived, let_go
    finally:
        let_go.set()


# -- runs ----------------------------------------------------------------------


def test_a_run_from_event_to_end():
    error = {"name": "ValueError", "message": "not yet"}
    reply = in_order(
        ops(op("StepError", "load", error=error)),
        ops(op("StepRun", "load", data={"n": 1.0, "big": 2**60})),
        ops(op("Sleep", "rest", name="1w")),
        answer(200, {"ok": True}),
    )

    def register(url):
        return [function(url, retries=1)]

    with served(reply, register) as (app, server):
        (event_id,) = server.send([{"name": "raw/go", "data": {"a": 1}}])
        run = server.wait_for_run(event_id)
        assert server.runs(event_id) == server.runs() == [run]
    assert (run.status, run.output, run.ended) == ("Completed", {"ok": True}, True)
    assert (run.function_id, run.event["data"]) == ("raw-fn", {"a": 1})
    assert run.steps == {
        hashed("load"): {"data": {"n": 1, "big": 1152921504606847000}},
        hashed("rest"): None,
    }
    assert [(e.at, e.kind, e.step, e.attempt, e.op) for e in run.history] == [
        (0, "started", None, None, None),
        (0, "step error", "load", 0, "StepError"),
        (0, "retry scheduled", "load", 1, None),
        (2000, "step ran", "load", 1, "StepRun"),
        (2000, "sleeping", "rest", None, "Sleep"),
        (2000 + WEEK * 1000, "woke", "rest", None, None),
        (2000 + WEEK * 1000, "completed", None, None, None),
    ]
    failed, retry, sleeping = run.history[1], run.history[2], run.history[4]
    assert failed.detail == "ValueError: not yet"
    assert retry.retry_in == 2
    assert sleeping.until - retry.until == datetime.timedelta(seconds=WEEK)


def test_a_failed_run():
    boom = {"name": "ValueError", "message": "boom"}
    with served(lambda call: answer(500, boom)) as (app, server):
        run = run_of(server)
    assert (run.status, run.output) == ("Failed", boom)
    assert kinds(run) == ["started", "function error", "failed"]
    assert run.history[-1].detail == "ValueError: boom"


def test_without_an_interval_the_retries_follow_the_schedule_of_a_server():
    def register(url):
        return [function(url, retries=2)]

    with served(lambda call: answer(500, "no"), register, retry_interval=None) as (_, server):
        run = run_of(server)
    first, second = [e.retry_in for e in run.history if e.kind == "retry scheduled"]
    assert 15 <= first <= 45 and 30 <= second <= 60


def test_every_function_with_the_trigger_runs():
    def register(url):
        return [function(url, "one"), function(url, "two"), function(url, "else", event="x/y")]

    with served(done, register) as (app, server):
        (event_id,) = server.send({"name": "raw/go"})
        first = server.wait_for_run(event_id)
        assert [run.function_id for run in server.runs(event_id)] == ["raw-one", "raw-two"]
        assert first.function_id == "raw-one"


def test_runs_are_called_at_the_same_time():
    meeting = threading.Barrier(2, timeout=60)

    def reply(call):
        meeting.wait()
        return answer(200, "met")

    with served(reply) as (app, server):
        ids = server.send([{"name": "raw/go"}, {"name": "raw/go"}])
        assert [server.wait_for_run(i).output for i in ids] == ["met", "met"]


def test_step_not_found_is_no_op_of_a_server():
    def register(url):
        return [function(url, retries=1)]

    with served(lambda call: ops(op("StepNotFound", "gone")), register) as (app, server):
        run = run_of(server)
    assert (run.status, len(app.calls)) == ("Failed", 2)
    (recorded,) = recording(123)["runs"]
    assert (run.status, run.output) == (recorded["status"], recorded["output"])


def test_too_long_a_sleep_fails_the_run():
    with served(lambda call: ops(op("Sleep", "s", opts={"duration": "8784h1s"}))) as (_, server):
        run = run_of(server)
    assert run.output["error"]["name"] == "InngestErrTimeoutTooLong"


def test_retry_after_on_a_success_counts_as_an_attempt():
    with served(lambda call: answer(200, 1, Retry_After="5")) as (app, server):
        run = run_of(server)
    assert (run.status, len(app.calls)) == ("Failed", 1)
    assert "W28" in run.history[-1].detail


# -- waiting and following -------------------------------------------------------


def test_a_timeout_while_waiting_says_how_far_the_run_got():
    with held() as (reply, arrived, let_go):
        with served(reply) as (app, server):
            (event_id,) = server.send({"name": "raw/go"})
            assert arrived.acquire(timeout=60)
            with pytest.raises(TimeoutError) as caught:
                server.wait_for_run(event_id, timeout=0)
            (run,) = server.runs(event_id)
            for expected in (run.run_id, "raw-fn", "Running", "started"):
                assert expected in str(caught.value)
            with pytest.raises(TimeoutError, match=run.run_id):
                list(server.follow(run.run_id, timeout=0))
            let_go.set()


def test_waiting_for_a_run_that_never_starts():
    with served(done) as (app, server):
        (event_id,) = server.send({"name": "raw/nobody"})
        with pytest.raises(LookupError, match="triggered no run"):
            server.wait_for_run(event_id)
        with pytest.raises(TimeoutError, match="no such event"):
            server.wait_for_run("my-id", timeout=0)
        with pytest.raises(LookupError):
            next(server.follow("01ARZ3NDEKTSV4RRFFQ69G5FAV"))


def test_following_sees_entries_before_the_run_has_ended():
    with held() as (reply, _, let_go):
        with served(reply) as (app, server):
            (event_id,) = server.send({"name": "raw/go"})
            entries = server.follow(server.runs(event_id)[0].run_id)
            assert next(entries).kind == "started"
            let_go.set()
            assert [entry.kind for entry in entries] == ["completed"]


def test_events_that_the_api_would_refuse():
    with LocalServer() as server:
        with pytest.raises(ValueError, match="event name is empty"):
            server.send({"name": ""})
        with pytest.raises(ValueError, match="reserved"):
            server.send({"name": "inngest/function.failed"})
        with pytest.raises(ValueError):
            server.send({"name": "x/y", "data": {"n": float("nan")}})
        assert server.send([]) == []


# -- cron --------------------------------------------------------------------------


def test_cron():
    def register(url):
        return [function(url, "nightly", event=None), function(url)]

    with served(done, register, clock=VirtualClock(start=1795337340.5)) as (app, server):
        run = server.wait_for_run(server.fire_cron("raw-nightly"))
        (call,) = app.calls
        with pytest.raises(LookupError, match="no cron trigger"):
            server.fire_cron("raw-fn")
        with pytest.raises(LookupError, match="registered"):
            server.fire_cron("raw-other")
    assert run.status == "Completed"
    recorded = json.loads(recording(29)["exchanges"][0]["request"]["body"])["event"]
    recorded["data"]["cron"] = "0 3 * * *"
    assert call.body["event"] == recorded


# -- lifecycle events ----------------------------------------------------------------


def strip_ids(event):
    """Return an event without the parts that differ from run to run."""
    event = json.loads(json.dumps(event))
    assert isinstance(event.pop("ts"), int) and event.pop("id")
    data = event["data"]
    assert data.pop("run_id")
    for nested in [data["event"]] + data["events"]:
        assert nested.pop("id") and nested.pop("ts")
    return event


def test_function_failed_and_finished_events():
    recorded = recording(31)["exchanges"]
    failing = recorded[0]
    error = json.loads(failing["response"]["body"])

    def register(url):
        return [
            function(url, event="wire/with-on-failure", id="wire-app-with-on-failure"),
            function(url, "on-failed", event="inngest/function.failed"),
            function(url, "on-finished", event="inngest/function.finished"),
        ]

    def reply(call):
        if "wire-app-with-on-failure" in call.query:
            return answer(500, error)
        return answer(200, "handled")

    with served(reply, register) as (app, server):
        run = server.wait_for_run(
            server.send({"name": "wire/with-on-failure", "data": {"name": "wire"}})[0]
        )
        server.wait_for_run(run.run_id)
        by_function = {r.function_id: r for r in server.runs()}
        failed = by_function["raw-on-failed"]
        finished = by_function["raw-on-finished"]
        for handler in (failed, finished):
            assert server.wait_for_run(handler.run_id).status == "Completed"
        # The end of a failure handler has started no other.
        assert len(server.runs()) == 3
    assert failed.event["id"] == run.run_id
    assert finished.event["id"] not in (run.run_id, failed.event["id"])
    real = json.loads(recorded[-1]["request"]["body"])["event"]
    assert strip_ids(failed.event) == strip_ids(real)
    assert strip_ids(finished.event) == dict(strip_ids(real), name="inngest/function.finished")


def test_function_finished_event_of_a_success():
    recorded = recording(33)["exchanges"]

    def register(url):
        return [
            function(url, event="wire/no-steps", id="wire-app-no-steps"),
            function(url, "on-finished", event="inngest/function.finished"),
        ]

    result = json.loads(recorded[0]["response"]["body"])
    with served(lambda call: answer(200, result), register) as (app, server):
        (event_id,) = server.send({"name": "wire/no-steps", "data": {"name": "fin"}})
        server.wait_for_run(event_id)
        (handler,) = [r for r in server.runs() if r.function_id == "raw-on-finished"]
        server.wait_for_run(handler.run_id)
    real = json.loads(recorded[1]["request"]["body"])["event"]
    assert strip_ids(handler.event) == strip_ids(real)


# -- use_api ----------------------------------------------------------------------------


def test_a_big_state_is_left_out_and_served_by_the_api():
    reply = in_order(ops(op("StepRun", "big", data="x" * 2000)), answer(200, "done"))
    with served(reply, body_limit=2000) as (app, server):
        run_of(server)
    first, second = app.calls
    assert first.body["use_api"] is first.ctx["use_api"] is False
    assert second.body["use_api"] is second.ctx["use_api"] is True
    assert second.steps == {}
    assert second.body["events"] == [second.body["event"]]
    assert second.ctx["stack"]["stack"] == [hashed("big")]


def test_a_big_event_leaves_the_events_out_too():
    with served(done, body_limit=4000) as (app, server):
        (event_id,) = server.send({"name": "raw/go", "data": {"filler": "x" * 2200}})
        server.wait_for_run(event_id)
    (call,) = app.calls
    real = json.loads(recording(39)["exchanges"][0]["request"]["body"])
    assert call.body["use_api"] is real["use_api"] is True
    assert call.body["events"] == real["events"] == []
    assert call.body["steps"] == real["steps"] == {}
    assert call.body["event"]["data"] == {"filler": "x" * 2200}


# -- keys ---------------------------------------------------------------------------------


def test_the_sync_of_a_servers_page_is_not_signed():
    with served(done, key=KEY) as (app, server):
        server.sync(app.url, signed=False)
    started, page = app.syncs
    assert "X-Inngest-Signature" in started.headers
    assert "X-Inngest-Signature" not in page.headers
    assert page.headers["X-Inngest-Server-Kind"] == "cloud"


def test_a_server_with_a_key_signs():
    with served(done, key=KEY) as (app, server):
        assert run_of(server).status == "Completed"
    (sync,), (call,) = app.syncs, app.calls
    for request in (sync, call):
        header = request.headers["X-Inngest-Signature"]
        assert header == signature(KEY, request.raw, at=int(header[2:].split("&")[0]))
    assert sync.headers["X-Inngest-Server-Kind"] == "cloud"
    assert sync.raw == json.dumps({"url": app.url}, separators=(",", ":")).encode()
    assert "X-Inngest-Server-Kind" not in call.headers
    recorded = [e for e in recording(51)["exchanges"] if e["direction"] == "server->sdk"][0]
    assert [name for name, _ in call.header_list] == list(recorded["request"]["headers"])


def test_a_server_without_a_key_does_not():
    with served(done) as (app, server):
        run_of(server)
    assert app.syncs[0].headers["X-Inngest-Server-Kind"] == "dev"
    for request in app.syncs + app.calls:
        assert "X-Inngest-Signature" not in request.headers


@pytest.mark.parametrize(
    "wrong, problem",
    [
        (lambda: "", "not signed"),
        (lambda: "t=1&s=0", "malformed"),
        (lambda: signature(KEY, b'"done"', at=1000), "five minutes"),
        (lambda: signature(OTHER_KEY, b'"done"'), "does not match"),
        (lambda: signature(KEY, b'"else"'), "does not match"),
    ],
    ids=["none", "malformed", "old", "other key", "other body"],
)
def test_answers_to_signed_calls_must_be_signed(wrong, problem):
    def reply(call):
        headers = {"X_Inngest_Signature": wrong()} if call.number == 0 else {}
        return answer(200, "done", **headers)

    def register(url):
        return [function(url, retries=1)]

    with served(reply, register, key=KEY) as (app, server):
        run = run_of(server)
    assert (run.status, len(app.calls)) == ("Completed", 2)
    (error,) = [entry for entry in run.history if entry.kind == "function error"]
    assert problem in error.detail


def test_a_stream_is_signed_inside():
    inner = json.dumps("streamed")

    def reply(call):
        headers = {"X-Inngest-Signature": signature(KEY, inner.encode())}
        return answer(201, {"status": 200, "headers": headers, "body": inner})

    with served(reply, key=KEY) as (app, server):
        assert run_of(server).output == "streamed"


def test_an_app_with_another_key_does_not_register():
    with RawApp(done, key=OTHER_KEY) as app, LocalServer(signing_key=KEY) as server:
        app.server_url = server.url
        with pytest.raises(SyncError) as caught:
            server.sync(app.url)
        assert caught.value.status == 500
        assert caught.value.message == "Authentication failed\n"


def test_the_key_can_be_rotated():
    with served(done, key=KEY) as (app, server):
        assert run_of(server).status == "Completed"
        server.signing_key = "signkey-prod-" + OTHER_KEY
        with pytest.raises(SyncError):
            server.sync(app.url)
        assert "does not match" in run_of(server).history[-1].detail
        app.key = OTHER_KEY
        assert server.sync(app.url).kind == "out_of_band"
        assert run_of(server).status == "Completed"
        with pytest.raises(ValueError):
            server.signing_key = "no key"
        assert server.signing_key == "signkey-prod-" + OTHER_KEY


def test_keys_are_neither_logged_nor_shown(caplog):
    caplog.set_level(logging.DEBUG)
    with served(lambda call: answer(500, "no"), key=KEY, event_keys=["event-key"]) as (a, s):
        ask("POST", s.url + "/e/event-key", b'{"name": "raw/go"}')
        run = s.wait_for_run(s.runs()[0].run_id)
        a.key = OTHER_KEY
        with pytest.raises(SyncError) as caught:
            s.sync(a.url)
        shown = caplog.text + str(run) + str(caught.value) + repr(s) + repr(vars(s._store))
    assert "run " + run.run_id in caplog.text
    for secret in (KEY, "Bearer", "/e/event-key"):
        assert secret not in shown


# -- sync ------------------------------------------------------------------------------------


def test_sync_says_what_the_app_said():
    with RawApp(done) as app, LocalServer() as server:
        app.server_url = server.url
        got = server.sync(app.url)
        assert (got.status, got.kind) == (200, "out_of_band")
        assert got.body == {"message": "ok", "modified": True}
        assert server.sync(app.url).body["modified"] is False
        app.register = lambda url: [function(url, cancel=[{}])]
        with pytest.raises(SyncError) as caught:
            server.sync(app.url)
        assert caught.value.status == 500
        assert "At least one function is invalid" in caught.value.message


def test_sync_with_an_app_that_registers_elsewhere():
    with RawApp(done) as app, LocalServer() as server, LocalServer() as elsewhere:
        app.server_url = elsewhere.url
        with pytest.raises(SyncError, match="did not register with this server"):
            server.sync(app.url)


def test_sync_with_an_app_that_cannot_be_reached():
    with socket.socket() as taken, LocalServer() as server:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(SyncError) as caught:
            server.sync(f"http://127.0.0.1:{taken.getsockname()[1]}/")
        assert caught.value.status is None


# -- clocks -------------------------------------------------------------------------------------


def test_real_time():
    reply = in_order(
        ops(op("StepError", "s", error={"message": "m"})),
        ops(op("StepRun", "s")),
        ops(op("Sleep", "n", name="20ms")),
        answer(200, "done"),
    )

    def register(url):
        return [function(url, retries=1)]

    with served(reply, register, clock=SystemClock(), retry_interval=0.01) as (app, server):
        run = run_of(server)
    assert run.status == "Completed"
    assert run.history[-1].at >= 30


def some_item(due):
    run = RunState(
        Function("a-f", "a", "f", "http://x/", 0),
        [Event("i", "n", {}, "i", 1)],
        0.0,
    )
    return RunItem(run, due)


class Condition(threading.Condition):
    """A condition variable that records when and how long it is waited for."""

    def __init__(self):
        super().__init__(threading.RLock())
        self.waits = []
        self.somebody_waits = threading.Event()

    def wait(self, timeout=None):
        self.waits.append(timeout)
        self.somebody_waits.set()
        return super().wait(timeout)


def test_a_virtual_clock_stands_still_while_something_is_in_flight():
    clock, changed = VirtualClock(start=100), Condition()
    queue = Queue(clock, changed)
    now, later = some_item(100), some_item(100 + WEEK)
    queue.put(later)
    queue.put(now)
    taken_now = queue.take()
    assert taken_now is not None and taken_now is now
    taken = []
    taker = threading.Thread(target=lambda: taken.append(queue.take()))
    taker.start()
    assert changed.somebody_waits.wait(60)
    assert (taken, clock.now()) == ([], 100)
    queue.done(taken_now)
    taker.join(60)
    assert taken == [later]
    assert clock.now() == 100 + WEEK


def test_leftovers_of_an_ended_run_do_not_move_the_clock():
    clock = VirtualClock(start=100)
    queue = Queue(clock, threading.Condition(threading.RLock()))
    left, useful = some_item(100 + WEEK), some_item(100 + 2 * WEEK)
    queue.put(left)
    queue.put(useful)
    left.run.status = "Failed"
    assert queue.take() is useful
    assert left.run.open_items == 0


def test_an_idle_server_in_virtual_time_does_not_spin():
    changed = Condition()
    queue = Queue(VirtualClock(), changed)
    taken = []
    worker = threading.Thread(target=lambda: taken.append(queue.take()))
    worker.start()
    assert changed.somebody_waits.wait(60)
    item = some_item(0)
    queue.put(item)
    worker.join(60)
    assert taken == [item]
    assert changed.waits == [None]


def test_a_queue_delay_comes_before_each_call():
    begun = 1795337340.5
    replies = in_order(
        ops(op("StepRun", "a", data=1)),
        ops(op("Sleep", "b", name="1s")),
        answer(500, {"name": "Error", "message": "not yet"}),
        answer(200, "done"),
    )

    def register(url):
        return [function(url, retries=1)]

    def moments(**settings):
        clock = VirtualClock(start=begun)
        with served(replies, register, clock=clock, retry_interval=2, **settings) as (_, server):
            run = run_of(server)
        return [(entry.kind, entry.at) for entry in run.history if entry.kind in shown]

    shown = ("started", "step ran", "woke", "function error", "completed")

    def kinds_at(*ats):
        return list(zip(shown, ats))

    # the sleep begins at 300; the retry is due two seconds after the failure
    assert moments(queue_delay=0.15) == kinds_at(0, 150, 1300, 1450, 3600)
    assert moments() == kinds_at(0, 0, 1000, 1000, 3000)


@pytest.mark.parametrize("delay", [-0.1, float("nan"), float("inf")])
def test_a_queue_delay_must_be_a_time(delay):
    with pytest.raises(ValueError, match="queue_delay must be"):
        LocalServer(queue_delay=delay)


def test_dates_of_the_app_are_relative_to_its_own_clock():
    def reply(call):
        if call.number == 0:
            return ops(op("Sleep", "long", name="4w"))
        if call.number == 1:
            moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
            return ops(op("Sleep", "short", name=moment.isoformat()))
        return answer(200, "done")

    with served(reply) as (app, server):
        run = run_of(server)
    first, second = [entry.at for entry in run.history if entry.kind == "woke"]
    assert first == 4 * WEEK * 1000
    assert 3500 * 1000 < second - first <= 3600 * 1000


# -- the end --------------------------------------------------------------------------------------


def local_threads():
    return [t for t in threading.enumerate() if t.name.startswith("inngest-local")]


def test_stopping_leaves_nothing_behind():
    before = set(threading.enumerate())
    server = LocalServer()
    server.start()
    assert local_threads()
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1]))) as client:
        client.sendall(b"POST /e/k HTTP/1.1\r\n")
        assert ask("GET", server.url + "/nothing").status == 404
        server.stop()
        assert client.recv(1) == b""
    server.stop()
    assert set(threading.enumerate()) <= before
    with pytest.raises(OSError):
        ask("GET", server.url + "/nothing")


def test_stopping_aborts_calls_in_progress(monkeypatch):
    monkeypatch.setattr(_server, "_GRACE", 0.1)
    with held() as (reply, arrived, let_go):
        with RawApp(reply) as app, LocalServer() as server:
            app.server_url = server.url
            server.sync(app.url)
            (event_id,) = server.send({"name": "raw/go"})
            assert arrived.acquire(timeout=60)
            raised = []

            def wait():
                try:
                    server.wait_for_run(event_id)
                except RuntimeError as error:
                    raised.append(error)

            waiter = threading.Thread(target=wait)
            waiter.start()
            server.stop()
            assert local_threads() == []
            waiter.join(60)
            assert len(raised) == 1
            assert [run.status for run in server.runs()] == ["Running"]
            let_go.set()


def test_stopping_lets_a_nearly_finished_call_end(monkeypatch):
    monkeypatch.setattr(_server, "_GRACE", 60)
    with held() as (reply, arrived, let_go):
        with RawApp(reply) as app, LocalServer() as server:
            app.server_url = server.url
            server.sync(app.url)
            server.send({"name": "raw/go"})
            assert arrived.acquire(timeout=60)
            stopper = threading.Thread(target=server.stop)
            stopper.start()
            let_go.set()
            stopper.join(60)
            (run,) = server.runs()
            assert (run.status, run.output) == ("Completed", "late")


def test_a_server_that_never_started_can_be_stopped():
    server = LocalServer()
    server.stop()
    again = LocalServer(port=int(server.url.rsplit(":", 1)[1]))
    again.stop()


def test_a_taken_port_is_an_error():
    with LocalServer() as server, pytest.raises(OSError):
        LocalServer(port=int(server.url.rsplit(":", 1)[1]))


def test_no_sync_unless_running():
    server = LocalServer()
    with pytest.raises(RuntimeError, match="not running"):
        server.sync("http://127.0.0.1:1/")
    server.stop()


def test_a_server_starts_once():
    with LocalServer() as server, pytest.raises(RuntimeError):
        server.start()


def test_an_internal_error_of_the_server_fails_the_run_and_names_it(monkeypatch, caplog):
    def broken(*args):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(_ops, "apply", broken)
    with served(lambda call: ops(op("StepRun", "s"))) as (app, server):
        run = run_of(server)
    assert run.status == "Failed"
    assert "internal error of the local server" in run.output["error"]["message"]


def test_virtual_time_does_not_reach_signatures():
    reply = in_order(ops(op("Sleep", "s", name="52w")), answer(200, "done"))
    with served(reply, key=KEY) as (app, server):
        assert run_of(server).status == "Completed"
    stamps = [int(c.headers["X-Inngest-Signature"][2:].split("&")[0]) for c in app.calls]
    assert len(stamps) == 2
    assert all(abs(stamp - time.time()) < 60 for stamp in stamps)
