"""Cron schedules: they fire when a server fires them, and move no clock."""

import sys
import time

import pytest
from raw_app import answer, function, op, ops, served

from inngest_wsgi.testing import Clock, LocalServer, VirtualClock

MIDNIGHT = 1714521600.0  # 2024-05-01T00:00:00Z
NIGHTLY = [{"cron": "0 3 * * *"}]


def registering(**settings):
    return lambda url: [{**function(url, event=None), **settings}]


def cron_times(server):
    return [
        run.event["data"]["scheduledAt"]
        for run in server.runs()
        if run.event["name"] == "inngest/scheduled.timer"
    ]


def done(call):
    return answer(200, None)


def test_a_schedule_fires_while_time_is_moved():
    with served(done, registering(triggers=NIGHTLY), clock=VirtualClock(MIDNIGHT)) as (
        app,
        server,
    ):
        with server.hold():
            server.advance(3 * 3600 - 1)
            assert cron_times(server) == []
            server.advance(1)
            server.advance(2 * 86400)
        assert cron_times(server) == [f"2024-05-0{day}T03:00:00Z" for day in (1, 2, 3)]
        event = app.calls[0].body["event"]
        assert event == {
            "name": "inngest/scheduled.timer",
            "data": {
                "cron": "0 3 * * *",
                "fireAt": "2024-05-01T03:00:00Z",
                "scheduledAt": "2024-05-01T03:00:00Z",
            },
            "id": "2024-05-01T03:00:00Z",
            "ts": int(MIDNIGHT + 3 * 3600) * 1000,
            "user": {},
        }


def test_schedules_go_on_after_a_reset():
    clock = VirtualClock(MIDNIGHT)
    with served(done, registering(triggers=NIGHTLY), clock=clock) as (_, server):
        for day in (1, 2):
            with server.hold():
                server.advance(86400)
            assert cron_times(server) == [f"2024-05-0{day}T03:00:00Z"]
            server.reset()


def test_each_trigger_has_its_own_schedule():
    triggers = [{"cron": "0 3 * * *"}, {"cron": "TZ=Europe/Berlin 30 4 * * *"}]
    with served(done, registering(triggers=triggers), clock=VirtualClock(MIDNIGHT)) as (_, server):
        with server.hold():
            server.advance(86400)
        assert cron_times(server) == ["2024-05-01T02:30:00Z", "2024-05-01T03:00:00Z"]


def test_virtual_time_that_jumps_by_itself_passes_over_schedules():
    """Or a function that sleeps longer than its schedule would run for ever."""

    def register(url):
        return [function(url, event="raw/go"), function(url, "nightly", event=None)]

    def reply(call):
        if call.steps:
            return answer(200, None)
        return ops(op("Sleep", "s", name="10d"))

    with served(reply, register, clock=VirtualClock(MIDNIGHT)) as (app, server):
        (event_id,) = server.send({"name": "raw/go"})
        assert server.wait_for_run(event_id).status == "Completed"
        assert cron_times(server) == []
        with server.hold():
            server.advance(86400)
        assert cron_times(server) == ["2024-05-11T03:00:00Z"]


def test_a_schedule_that_is_gone_does_not_fire():
    with served(done, registering(triggers=NIGHTLY), clock=VirtualClock(MIDNIGHT)) as (
        app,
        server,
    ):
        with server.hold():
            server.advance(4 * 3600)
            server.sync(app.url)
            server.advance(4 * 3600)
            app.register = registering(triggers=[{"event": "raw/other"}])
            server.sync(app.url)
            server.advance(86400)
        assert cron_times(server) == ["2024-05-01T03:00:00Z"]


def test_what_forbids_a_run_keeps_a_schedule_from_firing():
    settings = {"triggers": [{"cron": "0 * * * *"}], "singleton": {"mode": "skip"}}

    def reply(call):
        return answer(200, None) if call.steps else ops(op("Sleep", "s", name="90m"))

    with served(reply, registering(**settings), clock=VirtualClock(MIDNIGHT)) as (_, server):
        with server.hold():
            server.advance(4 * 3600)
        assert cron_times(server) == ["2024-05-01T01:00:00Z", "2024-05-01T03:00:00Z"]


class _ShortMinute(Clock):
    """Real time, by which a minute is over soon."""

    def __init__(self):
        self._offset = MIDNIGHT + 59.7 - time.monotonic()

    def now(self):
        return self._offset + time.monotonic()

    def wait(self, due, idle):
        return max(due - self.now(), 0.0)


@pytest.mark.parametrize("again", ["sync", "reset", "away"])
def test_by_real_time_a_schedule_fires_by_itself(again):
    register = registering(triggers=[{"cron": "* * * * *"}])
    with served(done, register, clock=_ShortMinute()) as (app, server):
        if again == "reset":
            server.reset()
        if again == "away":
            app.register = registering(triggers=[{"event": "raw/other"}])
            server.sync(app.url)
            app.register = register
        server.sync(app.url)
        deadline = time.monotonic() + 30
        while not app.calls and time.monotonic() < deadline:
            time.sleep(0.02)
        assert cron_times(server) == ["2024-05-01T00:01:00Z"]


def test_without_cronsim_the_function_alone_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "cronsim", None)

    def register(url):
        return [function(url, "good"), function(url, "nightly", event=None)]

    with served(done, register) as (_, server):
        (event_id,) = server.send({"name": "raw/go"})
        assert server.wait_for_run(event_id).status == "Completed"
        with pytest.raises(
            LookupError, match=r"cronsim is not installed.*inngest-wsgi\[testing\]"
        ):
            server.fire_cron("raw-nightly")


def test_a_virtual_clock_is_needed_to_move_time():
    with LocalServer() as server, pytest.raises(RuntimeError, match="VirtualClock"):
        server.advance(1)
