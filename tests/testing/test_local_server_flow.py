"""From events to runs: triggers, batches, cancellation, and flow control."""

import threading

import pytest
from raw_app import (
    answer,
    function,
    hashed,
    op,
    ops,
    run_of,
    served,
)

from inngest_wsgi.testing import LocalServer, SystemClock, VirtualClock

DONE = answer(200, "done")
NAP = ops(op("Sleep", "nap", name="1h"))


def napping(call):
    return DONE if call.steps else NAP


def with_settings(**settings):
    return lambda url: [function(url, **settings)]


def event(name="raw/go", **data):
    return {"name": name, "data": data}


def started(server):
    """Return the event data of all runs, oldest run first."""
    return [[e["data"] for e in run.events] for run in server.runs()]


def finish(server):
    return [server.wait_for_run(run.run_id) for run in server.runs()]


# -- triggers ----------------------------------------------------------------------


def test_a_trigger_with_an_expression():
    triggers = [
        {"event": "raw/go", "expression": "event.data.n > 2"},
        {"event": "raw/go", "expression": "event.data.always == true"},
        {"event": "raw/other", "expression": "event.data.n == 0"},
    ]
    with served(lambda call: DONE, with_settings(triggers=triggers)) as (app, server):
        ids = server.send(
            [
                event(n=1),
                event(n=3),
                event(always=True, n=4),
                event("raw/other", n=0),
                event("raw/other"),
            ]
        )
        assert started(server) == [[{"n": 3}], [{"always": True, "n": 4}], [{"n": 0}]]
        with pytest.raises(LookupError, match="triggered no run"):
            server.wait_for_run(ids[0])
        finish(server)


def test_a_failure_handler_runs_for_its_function_alone():
    def register(url):
        trigger = {
            "event": "inngest/function.failed",
            "expression": "event.data.function_id == 'raw-fn'",
        }
        return [
            function(url),
            function(url, "other", event="raw/other"),
            function(url, "fn-failure", triggers=[trigger]),
        ]

    def reply(call):
        return DONE if "fn-failure" in call.query else answer(500, {"message": "no"})

    with served(reply, register) as (app, server):
        other = run_of(server, "raw/other")
        failed = run_of(server)
        (handler,) = [run for run in server.runs() if run.function_id == "raw-fn-failure"]
        assert server.wait_for_run(handler.run_id).output == "done"
    assert handler.event["data"]["run_id"] == failed.run_id != other.run_id


# -- batches -----------------------------------------------------------------------


def test_batches_by_key_and_by_time():
    batch = {"maxSize": 2, "timeout": "10s", "key": "event.data.k"}
    with served(lambda call: DONE, with_settings(batchEvents=batch)) as (app, server):
        with server.hold():
            ids = server.send([event(k=1, n=1), event(k=2, n=2), event(k=1, n=3), event(k=1, n=4)])
            assert started(server) == [[{"k": 1, "n": 1}, {"k": 1, "n": 3}]]
            with pytest.raises(TimeoutError):
                server.wait_for_run(ids[1], timeout=0)
        late = server.wait_for_run(ids[1])
        last = server.wait_for_run(ids[3])
        full = server.wait_for_run(ids[0])
        assert server.wait_for_run(ids[2]) == full
    assert [e["data"]["n"] for e in late.events] == [2]
    assert [e["data"]["n"] for e in last.events] == [4]
    assert full.history[0].detail == "a batch of 2 events"
    assert {len(call.body["events"]) for call in app.calls} == {1, 2}


def test_events_that_do_not_join_the_batch():
    batch = {"maxSize": 9, "timeout": "10s", "if": "event.data.many == true"}
    with served(lambda call: DONE, with_settings(batchEvents=batch)) as (app, server):
        with server.hold():
            server.send([event(many=True), event(many=False)])
            assert started(server) == [[{"many": False}]]
        server.wait_until(server.runs()[0].run_id, lambda run: run.ended)


# -- cancellation ------------------------------------------------------------------


def test_an_event_cancels_only_matching_runs():
    def register(url):
        cancel = [
            {"event": "raw/stop", "if": "event.data.k == async.data.k"},
            {"event": "raw/stop-early", "timeout": "30m"},
        ]
        return [
            function(url, cancel=cancel),
            function(url, "ended", event="inngest/function.cancelled"),
            function(url, "finished", event="inngest/function.finished"),
        ]

    def reply(call):
        return napping(call) if "raw-fn&" in call.query else DONE

    with served(reply, register) as (app, server):
        with server.hold():
            ids = server.send([event(k=1), event(k=2)])
            for event_id in ids:
                server.wait_for(event_id, "sleeping")
            server.send(event("raw/stop", k=3))
            server.send(event("raw/stop", k=1))
            first = server.wait_for_run(ids[0], timeout=0)
        assert server.wait_for_run(ids[1]).status == "Completed"
        server.send(event("raw/stop", k=2))
        ended = finish(server)
    assert (first.status, first.output, first.history[-1].kind) == (
        "Cancelled",
        None,
        "cancelled",
    )
    assert "raw/stop" in first.history[-1].detail
    by_function = {}
    for run in ended:
        by_function.setdefault(run.function_id, []).append(run)
    (cancelled,) = by_function["raw-ended"]
    assert cancelled.event["id"] == cancelled.event["data"]["run_id"] == first.run_id
    assert cancelled.event["data"]["_inngest"] == {"status": "Cancelled"}
    statuses = [r.event["data"]["_inngest"]["status"] for r in by_function["raw-finished"]]
    assert sorted(statuses) == ["Cancelled", "Completed"]


@pytest.mark.parametrize("minutes, status", [(29, "Cancelled"), (31, "Completed")])
def test_a_cancel_event_that_comes_too_late(minutes, status):
    cancel = [{"event": "raw/stop", "timeout": "30m"}]
    with served(napping, with_settings(cancel=cancel)) as (app, server):
        with server.hold():
            (event_id,) = server.send(event())
            server.advance(minutes * 60)
            server.send(event("raw/stop"))
        assert server.wait_for_run(event_id).status == status


def test_an_event_does_not_cancel_the_run_that_it_starts():
    cancel = [{"event": "raw/go"}]
    with served(napping, with_settings(cancel=cancel)) as (app, server):
        with server.hold():
            (first,) = server.send(event())
            server.wait_for(first, "sleeping")
            (second,) = server.send(event())
        assert server.wait_for_run(first).status == "Cancelled"
        assert server.wait_for_run(second).status == "Completed"


@pytest.mark.parametrize(
    "timeouts, status, at",
    [
        ({"finish": "30m"}, "Cancelled", 30 * 60 * 1000),
        ({"finish": "2h"}, "Completed", 3600 * 1000),
        ({"start": "1s"}, "Completed", 3600 * 1000),
    ],
)
def test_timeouts(timeouts, status, at):
    with served(napping, with_settings(timeouts=timeouts)) as (app, server):
        run = run_of(server)
    assert (run.status, run.history[-1].at) == (status, at)


def test_a_run_that_does_not_start_in_time():
    settings = {"timeouts": {"start": "10s"}, "throttle": {"limit": 1, "period": "1m", "burst": 0}}
    with served(lambda call: DONE, with_settings(**settings)) as (app, server):
        with server.hold():
            ids = server.send([event(), event()])
        first, second = map(server.wait_for_run, ids)
    assert (first.status, second.status, len(app.calls)) == ("Completed", "Cancelled", 1)
    assert second.history[-1].at == 10000


@pytest.mark.parametrize(
    "ts, why",
    [
        (1000, "timestamp is before Jan 1, 1980"),
        (315532799999, "timestamp is before Jan 1, 1980"),
        (315532800000, None),
        (4102444800001, "timestamp is after Jan 1, 2100"),
    ],
)
def test_the_times_that_events_may_have(ts, why):
    with served(lambda call: DONE) as (app, server):
        if why is None:
            (sent,) = server.send(dict(event(), ts=ts))
            assert server.wait_for_run(sent).status == "Completed"
        else:
            with pytest.raises(ValueError, match=why):
                server.send(dict(event(), ts=ts))


# -- who may start -------------------------------------------------------------------


def test_idempotency():
    settings = with_settings(idempotency="event.data.k")
    with served(lambda call: DONE, settings) as (app, server):
        first, again, other = server.send([event(k=1), event(k=1), event(k=2)])
        finish(server)
        assert started(server) == [[{"k": 1}], [{"k": 2}]]
        with pytest.raises(LookupError, match="raw-fn: its idempotency key 1 was used"):
            server.wait_for_run(again)


def test_idempotency_ends_after_a_day():
    settings = with_settings(idempotency="event.data.k")
    with served(lambda call: DONE, settings) as (app, server), server.hold():
        for hours in (23, 2, 0):
            server.send(event(k=1))
            server.advance(hours * 3600)
        assert len(app.calls) == 2
        server.send([event(k=1), event(k=2)])
        assert [[e["k"] for e in events] for events in started(server)] == [[1], [1], [2]]
        finish(server)


def test_a_singleton_that_skips():
    settings = with_settings(singleton={"mode": "skip", "key": "event.data.k"})
    with served(napping, settings) as (app, server):
        with server.hold():
            first, skipped, other = server.send([event(k=1), event(k=1), event(k=2)])
            with pytest.raises(LookupError, match="singleton"):
                server.wait_for_run(skipped)
        finish(server)
        server.send(event(k=1))
        assert started(server) == [[{"k": 1}], [{"k": 2}], [{"k": 1}]]
        assert {run.status for run in finish(server)} == {"Completed"}


def test_a_singleton_that_cancels():
    with served(napping, with_settings(singleton={"mode": "cancel"})) as (app, server):
        with server.hold():
            first, second = server.send([event(), event()])
        assert server.wait_for_run(first).status == "Cancelled"
        assert server.wait_for_run(second).status == "Completed"


def test_a_singleton_that_is_invoked_while_it_runs():
    def register(url):
        return [
            function(url, "parent", event="raw/parent"),
            function(url, "child", event="raw/child", singleton={"mode": "skip"}),
        ]

    def reply(call):
        if "raw-child" in call.query:
            return napping(call)
        if call.steps:
            return answer(200, call.steps[hashed("i")])
        opts = {"function_id": "raw-child", "payload": {}}
        return ops(op("InvokeFunction", "i", opts=opts))

    with served(reply, register) as (app, server):
        with server.hold():
            (child,) = server.send(event("raw/child"))
            server.wait_for(child, "sleeping")
            run = run_of(server, "raw/parent")
        server.wait_for_run(child)
    assert "singleton" in run.output["error"]["message"]


def test_a_cron_singleton_that_is_running():
    settings = with_settings(event=None, singleton={"mode": "skip"})
    with served(napping, settings) as (app, server):
        with server.hold():
            run_id = server.fire_cron("raw-fn")
            with pytest.raises(LookupError, match="singleton"):
                server.fire_cron("raw-fn")
        assert server.wait_for_run(run_id).status == "Completed"


def test_a_rate_limit():
    settings = with_settings(rateLimit={"limit": 1, "period": "1h", "key": "event.data.k"})
    with served(lambda call: DONE, settings) as (app, server):
        ids = server.send([event(k=1), event(k=1), event(k=2)])
        assert started(server) == [[{"k": 1}], [{"k": 2}]]
        with pytest.raises(LookupError, match="rate limit"):
            server.wait_for_run(ids[1])
        with server.hold():
            server.advance(3600)
            server.send([event(k=1), event(k=1), event(k=1)])
        assert len(server.runs()) == 3
        finish(server)


@pytest.mark.parametrize(
    "limit, period, at_once, seconds", [(4, "8s", 1, 2), (20, "60s", 3, 3), (100, "100m", 11, 60)]
)
def test_a_rate_limit_is_spread_over_its_period(limit, period, at_once, seconds):
    """The first two rows were seen at a server."""
    settings = with_settings(rateLimit={"limit": limit, "period": period})
    with served(lambda call: DONE, settings) as (app, server):
        with server.hold():
            server.send([event()] * (at_once + 2))
            assert len(server.runs()) == at_once
            server.advance(seconds - 0.5)
            server.send(event())
            assert len(server.runs()) == at_once
            server.advance(0.5)
            server.send([event(), event()])
            assert len(server.runs()) == at_once + 1
        finish(server)


@pytest.mark.parametrize(
    "settings",
    [
        {"rateLimit": {"limit": 1, "period": "1h", "key": "event.data.gone"}},
        {"idempotency": "event.data.gone"},
        {"singleton": {"mode": "skip", "key": "event.data.gone"}},
        {"rateLimit": {"limit": 1, "period": "1h", "key": "event.data.no"}},
    ],
    ids=str,
)
def test_a_limit_whose_key_has_no_value_does_not_apply(settings):
    """As was seen at a server."""
    with served(napping, with_settings(**settings)) as (app, server):
        with server.hold():
            server.send([event(no=False)] * 3)
            assert len(server.runs()) == 3
        finish(server)


@pytest.mark.parametrize("burst, at_once", [({}, 5), ({"burst": 3}, 7)])
def test_throttling_delays_runs(burst, at_once):
    # As was seen on a real server (W75).
    settings = with_settings(throttle=dict(burst, limit=4, period="8s"))
    with served(lambda call: DONE, settings) as (app, server):
        with server.hold():
            server.send([event()] * 10)
            server.advance(3600)
            server.send([event()] * 10)
        runs = finish(server)
    later = [2000 * n for n in range(1, 11 - at_once)]
    assert [run.history[-1].at for run in runs] == 2 * ([0] * at_once + later)


def test_debouncing_keeps_the_last_of_a_burst():
    settings = with_settings(debounce={"period": "10s", "key": "event.data.k"})
    with served(lambda call: DONE, settings) as (app, server):
        with server.hold():
            ids = server.send([event(k=1, n=1), event(k=2, n=2), event(k=1, n=3)])
            assert server.runs() == []
            with pytest.raises(LookupError, match="debounced"):
                server.wait_for_run(ids[0])
        last = server.wait_for_run(ids[2])
        server.wait_for_run(ids[1])
    assert last.event["data"]["n"] == 3
    assert len(app.calls) == 2


def test_debouncing_for_no_longer_than_its_timeout():
    settings = with_settings(debounce={"period": "10s", "timeout": "25s"})
    with served(lambda call: DONE, settings) as (app, server):
        with server.hold():
            for n in range(6):
                (event_id,) = server.send(event(n=n))
                server.advance(8)
            assert started(server) == [[{"n": 3}]]
        server.wait_for_run(event_id)
        assert started(server) == [[{"n": 3}], [{"n": 5}]]


# -- concurrency -----------------------------------------------------------------------


class Crowd:
    """Counts concurrent calls: each waits until the expected number is in
    progress, and there must never be more."""

    def __init__(self, expected):
        self.barrier = threading.Barrier(expected, timeout=60)
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __call__(self, call):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.barrier.wait()
        with self.lock:
            self.now -= 1
        return DONE


@pytest.mark.parametrize(
    "limits, events, expected",
    [
        ([{"limit": 2}], [{}] * 6, 2),
        ([{"limit": 1, "key": "event.data.k"}], [{"k": 1}] * 3 + [{"k": 2}] * 3, 2),
        ([{"limit": 1}, {"limit": 5, "key": "event.data.k"}], [{"k": 1}] * 3, 1),
        ([{"limit": 1, "scope": "env", "key": "'all'"}], [{}] * 3, 1),
        ([{"limit": 0}], [{}] * 3, 3),
        (4, [{}] * 8, 4),
    ],
)
def test_concurrency(limits, events, expected):
    crowd = Crowd(expected)
    settings = with_settings(concurrency=limits)
    with served(crowd, settings) as (app, server):
        with server.hold():
            server.send([event(**data) for data in events])
        assert {run.status for run in finish(server)} == {"Completed"}
    assert crowd.most == expected
    assert len(app.calls) == len(events)


def test_a_sleeping_run_does_not_count_for_concurrency():
    with served(napping, with_settings(concurrency=[{"limit": 1}])) as (app, server):
        with server.hold():
            ids = server.send([event(), event()])
            for event_id in ids:
                server.wait_for(event_id, "sleeping")
        assert {run.history[-1].at for run in finish(server)} == {3600 * 1000}


def test_a_limit_that_functions_share():
    def register(url):
        limit = [{"limit": 1, "scope": "account", "key": "'shared'"}]
        return [function(url, name, concurrency=limit) for name in ("one", "two", "three")]

    crowd = Crowd(1)
    with served(crowd, register) as (app, server):
        server.send(event())
        finish(server)
    assert (crowd.most, len(app.calls)) == (1, 3)


def test_cancelling_a_run_that_waits_for_its_turn():
    arrived, let_go = threading.Event(), threading.Event()

    def reply(call):
        arrived.set()
        assert let_go.wait(60)
        return DONE

    with served(reply, with_settings(concurrency=[{"limit": 1}])) as (app, server):
        ids = server.send([event(), event(), event()])
        assert arrived.wait(60)
        server.cancel(server.runs(ids[1])[0].run_id)
        let_go.set()
        assert [run.status for run in finish(server)] == ["Completed", "Cancelled", "Completed"]
    assert len(app.calls) == 2


def in_turn(priority, events, reply=None, **options):
    """Send events while the only call that a function may make is under way;
    return the data of the calls in the order in which they were made."""
    arrived, let_go = threading.Event(), threading.Event()

    def waiting(call):
        arrived.set()
        assert let_go.wait(60)
        return DONE if reply is None else reply(call)

    settings = {"concurrency": [{"limit": 1}], "priority": priority}
    clock = VirtualClock()
    with served(waiting, with_settings(**settings), clock=clock, **options) as (app, server):
        with server.hold():
            server.send(event(n=0, p=0))
            # an event is stored before its run is queued
            advancing = threading.Thread(target=server.advance, args=(1, 60))
            advancing.start()
            assert arrived.wait(60)
            for data in events:
                server.send(event(**data))
            let_go.set()
            advancing.join(60)
        finish(server)
    return [call.body["event"]["data"]["n"] for call in app.calls]


@pytest.mark.parametrize("queue_delay", [0.0, 0.15])
@pytest.mark.parametrize(
    "expression, order",
    [
        ("int(event.data.p)", [0, 3, 2, 1, 4]),
        ("event.data.p > 5 ? 100 : 0", [0, 3, 1, 2, 4]),
        ("event.data.p", [0, 1, 2, 3, 4]),  # a number of an event is no whole number
        ("event.data.gone ? 9 : 0", [0, 1, 2, 3, 4]),
    ],
)
def test_a_run_of_a_higher_priority_overtakes(expression, order, queue_delay):
    events = [{"n": 1, "p": 0}, {"n": 2, "p": 5}, {"n": 3, "p": 50}, {"n": 4, "p": 0}]
    assert in_turn({"run": expression}, events, queue_delay=queue_delay) == order


def test_a_run_that_began_earlier_comes_first_with_its_later_steps_too():
    def reply(call):
        return DONE if call.steps else ops(op("StepRun", "s", data=1))

    arrived, let_go = threading.Event(), threading.Event()

    def waiting(call):
        arrived.set()
        assert let_go.wait(60)
        return reply(call)

    limit = with_settings(concurrency=[{"limit": 1}])
    with served(waiting, limit, clock=SystemClock()) as (app, server):
        server.send(event(n=0))
        assert arrived.wait(60)
        server.send(event(n=1))
        let_go.set()
        finish(server)
    assert [call.body["event"]["data"]["n"] for call in app.calls] == [0, 0, 1, 1]


@pytest.mark.parametrize("priority, seconds", [("-90", 90), ("-999999", 43200), ("90", 0)])
def test_a_negative_priority_puts_a_run_off(priority, seconds):
    with served(lambda call: DONE, with_settings(priority={"run": priority})) as (_, server):
        run = run_of(server)
    assert run.history[-1].at == seconds * 1000


def test_a_registration_with_everything():
    settings = {
        "cancel": [
            {"event": "sync/cancel", "if": "async.data.id == event.data.id", "timeout": "1h"}
        ],
        "concurrency": [{"limit": 5}, {"key": "event.data.user", "limit": 2, "scope": "fn"}],
        "debounce": {"key": "event.data.id", "period": "5s", "timeout": "5m"},
        "idempotency": "event.data.id",
        "priority": {"run": "event.data.vip ? 100 : 0"},
        "throttle": {"key": "event.data.user", "limit": 10, "period": "1m", "burst": 3},
        "timeouts": {"start": "10m", "finish": "2h"},
        "singleton": {"key": "event.data.id", "mode": "skip"},
        "triggers": [
            {"event": "raw/go", "expression": "event.data.ok == true"},
            {"cron": "TZ=Europe/Berlin 0 9 * * 1-5"},
        ],
    }
    with served(napping, with_settings(**settings)) as (app, server):
        (event_id,) = server.send(event(ok=True, id="i", user="u"))
        run = server.wait_for_run(event_id)
        assert server.wait_for_run(server.fire_cron("raw-fn")).status == "Completed"
    assert run.status == "Completed"


@pytest.mark.parametrize("seconds", [-5, float("nan")])
def test_time_does_not_run_backwards(seconds):
    with LocalServer(clock=VirtualClock()) as server, server.hold():
        with pytest.raises(ValueError, match="0 or more"):
            server.advance(seconds)
