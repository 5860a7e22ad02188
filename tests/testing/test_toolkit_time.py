"""Virtual time: it moves when the test says so, and dates are in it."""

import datetime
import subprocess
import sys
import time
import warnings

import pytest
from toolkit_shop import Shop, app_of

import inngest_wsgi as inngest
from inngest_wsgi.testing import TestServer

UTC = datetime.timezone.utc
DAY = datetime.timedelta(days=1)
STARTS = (None, "2024-02-28", datetime.datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture(params=STARTS, ids=str)
def server(request):
    with TestServer(start=request.param) as server:
        yield server


def slept(server, handler):
    """Return how long a run took, in virtual time."""
    server.serve(app_of(handler))
    run = server.send("go").run()
    server.run_until_idle()
    assert run.status == "Completed", run
    return run.ended - run.began


@pytest.mark.parametrize(
    "duration, seconds",
    [("3d", 259200), ("1h30m", 5400), ("500ms", 0.5), (DAY, 86400), (90, 90), (0.25, 0.25)],
)
def test_advance(inngest_server, duration, seconds):
    before = inngest_server.now()
    assert before.tzinfo is UTC
    inngest_server.advance(duration)
    assert inngest_server.now() - before == datetime.timedelta(seconds=seconds)


@pytest.mark.parametrize("duration", ["3 days", "", "-1s", -1, -DAY, True, None, float("nan")])
def test_what_is_no_duration(inngest_server, duration):
    with pytest.raises(ValueError):
        inngest_server.advance(duration)


def test_nothing_moves_unless_told(inngest_server):
    inngest_server.serve(app_of(lambda ctx: ctx.step.sleep("a", "1h")))
    before = inngest_server.now()
    run = inngest_server.send("go").run()
    assert (run.status, inngest_server.now()) == ("Running", before)
    inngest_server.advance("59m")
    assert inngest_server.runs(status="Running")
    inngest_server.advance("2m")
    assert run.status == "Completed"
    assert run.ended - run.began == datetime.timedelta(hours=1)
    assert inngest_server.now() - before == datetime.timedelta(hours=1, minutes=1)


def test_an_event_of_the_future_starts_its_run_then(inngest_server):
    """As was seen on a real server: the run waits, a wait for the event does not."""
    shop = Shop()

    @shop.function("waits", "go")
    def waits(ctx):
        return ctx.step.wait_for_event("later", event="later", timeout="1d").name

    @shop.function("begins", "later")
    def begins(ctx):
        return "began"

    inngest_server.serve(shop.serve(), path="/")
    waiting = inngest_server.send("go").run("waits")
    now = round(inngest_server.now().timestamp() * 1000)
    late = inngest_server.send("later", ts=now + 6000).run("begins")
    early = inngest_server.send("later", ts=now - 6000).run("begins")
    assert [run.status for run in (waiting, late, early)] == ["Completed", "Running", "Completed"]
    inngest_server.advance("5s")
    assert not late.calls
    inngest_server.advance("1s")
    assert late.result() == "began"


def test_the_start(server):
    with TestServer(start="2031-05-06T07:08:09+02:00") as other:
        assert other.now() == datetime.datetime(2031, 5, 6, 5, 8, 9, tzinfo=UTC)
    if server.now().year not in (2024, 2030):
        assert abs(server.now().timestamp() - time.time()) < 600
    with pytest.raises(ValueError, match="not a moment"):
        TestServer(start="tomorrow")


def test_a_date_that_is_worked_out_from_an_event(server):
    def until_three_days_later(ctx):
        placed = datetime.datetime.fromtimestamp(ctx.event.ts / 1000, UTC)
        ctx.step.sleep_until("wait", placed + 3 * DAY)

    # by an event that the test sends, and by one that the app sends
    assert slept(server, until_three_days_later) == 3 * DAY


def test_events_of_the_app_have_virtual_times(server):
    shop = Shop()
    server.serve(shop.application)
    server.advance("8d")
    shop.client.send(inngest.Event("shop/order.paid"))
    server.advance("5d")
    shop.client.send([inngest.Event("shop/order.paid"), inngest.Event("x", ts=10**12)])
    times = [event.ts for event in server.events()]
    now = int(server.now().timestamp() * 1000)
    assert times == [now - 5 * 86400_000, now, 10**12]


def test_a_date_after_a_wait_of_ours(server):
    def twice(ctx):
        ctx.step.sleep("first", "8d")
        sent = ctx.step.wait_for_event("never", event="never", timeout="1d")
        assert sent is None
        placed = datetime.datetime.fromtimestamp(ctx.event.ts / 1000, UTC)
        ctx.step.wait_for_event("later", event="never", timeout=placed + 10 * DAY)

    assert slept(server, twice) == 10 * DAY


def test_a_retry_after_with_a_date(server):
    def f(ctx):
        if ctx.attempt == 0:
            placed = datetime.datetime.fromtimestamp(ctx.event.ts / 1000, UTC)
            raise inngest.RetryAfterError("later", placed + DAY / 2)

    server.serve(app_of(f))
    server.advance("1h")
    run = server.send("go").run()
    server.run_until_idle()
    assert run.ended - run.began == DAY / 2


def test_a_date_by_the_clock_of_the_app_is_warned_of():
    def by_the_wrong_clock(ctx):
        ctx.step.sleep_until("wait", datetime.datetime.now(UTC) + DAY / 24)

    with TestServer(start="2030-01-01") as server:
        server.serve(app_of(by_the_wrong_clock))
        with pytest.warns(UserWarning, match="'wait' of shop-f .*freeze_app_time"):
            server.send("go")


def test_retries_take_the_time_of_a_real_server(inngest_server):
    def broken(ctx):
        raise ValueError("oh no")

    inngest_server.serve(app_of(broken, retries=4))
    run = inngest_server.send("go").run()
    inngest_server.run_until_idle()
    delays = [e.retry_in for e in run.timeline if e.kind == "retry scheduled"]
    # W30
    assert [low <= d <= low + 30 for d, low in zip(delays, (15, 30, 60, 120))] == [True] * 4
    assert (run.ended - run.began).total_seconds() == pytest.approx(sum(delays))


def test_a_retry_interval():
    def broken(ctx):
        raise ValueError("oh no")

    with TestServer(retry_interval=2) as server:
        server.serve(app_of(broken, retries=3))
        run = server.send("go").run()
        server.run_until_idle()
        assert run.ended is not None
        assert (run.ended - run.began).total_seconds() == 6


def test_run_until_idle_waits_for_batches_and_debounces(inngest_server):
    shop = Shop()
    shop.function("batch", "a", batch_events=inngest.Batch(10, "1m"))(lambda ctx: len(ctx.events))
    shop.function("late", "b", debounce=inngest.Debounce("2m"))(lambda ctx: ctx.event.data)
    inngest_server.serve(shop.application)
    sent = inngest_server.send([{"name": "a"}, {"name": "a"}])
    last = inngest_server.send([{"name": "b", "data": {"n": n}} for n in range(3)])
    assert inngest_server.runs() == []
    inngest_server.run_until_idle()
    assert sent.run("batch").output == 2
    assert last.run("late").output == {"n": 2}


def test_each_thing_is_done_at_its_time(inngest_server):
    shop = Shop()
    seen = []
    for hours in (3, 1, 2):

        @shop.function(f"f{hours}", "go")
        def f(ctx, hours=hours):
            ctx.step.sleep("s", f"{hours}h")
            ctx.step.run("note", lambda: seen.append((hours, inngest_server.now())))

    inngest_server.serve(shop.application)
    began = inngest_server.now()
    inngest_server.send("go")
    inngest_server.advance("1d")
    assert seen == [(hours, began + hours * DAY / 24) for hours in (1, 2, 3)]
    assert inngest_server.now() == began + DAY


def test_a_step_takes_time(inngest_server):
    inngest_server.serve(app_of(lambda ctx: ctx.step.run("slow", inngest_server.advance, "5m")))
    began = inngest_server.now()
    run = inngest_server.send("go").run()
    assert run.step("slow").ended - began == datetime.timedelta(minutes=5)


def test_functions_that_start_each_other_without_end(inngest_server, monkeypatch):
    from inngest_wsgi.testing._toolkit import core

    monkeypatch.setattr(core, "MOST_AT_ONCE", 100)
    inngest_server.serve(app_of(lambda ctx: ctx.step.send_event("again", inngest.Event("go"))))
    with pytest.raises(RuntimeError, match="without end\\?(.|\n)*shop-f"):
        inngest_server.send("go")


# -- the clock of the app ---------------------------------------------------------


def test_the_clock_of_the_app_follows_by_time_machine():
    pytest.importorskip("time_machine")
    before = time.time()
    with TestServer(start="2030-01-01", freeze_app_time=True) as server:
        assert datetime.datetime.now(UTC).year == 2030

        def by_its_own_clock(ctx):
            ctx.step.sleep("a", "20d")
            return ctx.step.run("now", lambda: datetime.datetime.now(UTC).isoformat())

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert slept(server, by_its_own_clock) == 20 * DAY
        assert server.run().output == "2030-01-21T00:00:00+00:00"
        assert time.time() == server.now().timestamp()
        server.reset()
        assert datetime.datetime.now(UTC) == datetime.datetime(2030, 1, 1, tzinfo=UTC)
    assert abs(time.time() - before) < 600


@pytest.mark.inngest(start="2024-01-01")
def test_the_marker_has_options(inngest_server):
    assert inngest_server.now() == datetime.datetime(2024, 1, 1, tzinfo=UTC)


def test_the_clock_of_the_app_follows_by_freezegun(inngest_server):
    freezegun = pytest.importorskip("freezegun")
    with freezegun.freeze_time() as frozen, TestServer(start="2028-01-01") as server:
        server.on_time(frozen.move_to)

        def until_tomorrow(ctx):
            ctx.step.sleep("a", "20d")
            wanted = ctx.step.run("at", lambda: (datetime.datetime.now() + DAY).isoformat())
            ctx.step.sleep_until("b", datetime.datetime.fromisoformat(wanted))

        assert slept(server, until_tomorrow) == 21 * DAY
        assert datetime.datetime.now() == datetime.datetime(2028, 1, 22)


def test_time_that_freezegun_has_stopped():
    freezegun = pytest.importorskip("freezegun")
    with freezegun.freeze_time("2012-01-14"), TestServer() as server:
        assert server.now() == datetime.datetime(2012, 1, 14, tzinfo=UTC)
        shop = Shop()
        server.serve(shop.application)
        run = server.send("shop/order.placed", {"id": 1}).run("fulfil-order")
        server.advance("3d")
        assert run.status == "Cancelled", run
        assert datetime.datetime.now() == datetime.datetime(2012, 1, 14)


def test_no_time_machine():
    # in a process of its own: once time-machine is in one, it must stay there
    program = """if True:
        import sys
        from inngest_wsgi.testing import TestServer

        sys.modules["time_machine"] = None
        TestServer(freeze_app_time=True)
        """
    done = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, timeout=300)
    said = done.stderr.decode().splitlines()[-1]
    assert "pip install time-machine" in said
    assert "server.on_time(frozen.move_to)" in said


# -- the same again ----------------------------------------------------------------


def history(seed, start="2030-01-01"):
    """Run all kinds of things, and return all that there is to see."""
    shop = Shop()

    @shop.function("flaky", retries=3)
    def flaky(ctx):
        ctx.group.parallel(tuple(lambda n=n: ctx.step.run(f"p{n}", int) for n in range(3)))
        ctx.step.invoke("child", function=child)
        raise ValueError("oh no")

    @shop.function("child", "never")
    def child(ctx):
        ctx.step.send_event("more", [inngest.Event("x"), inngest.Event("y")])
        shop.client.send(inngest.Event("z"))

    with TestServer(seed=seed, start=start) as server:
        server.serve(shop.application)
        for order in range(3):
            shop.client.send(inngest.Event("shop/order.placed", {"id": order}))
            server.send("shop/order.paid", {"by": "card"})
        server.run_until_idle()
        calls = [(c.at, c.url, c.request_headers, c.request_body) for c in server.calls]
        events = server.events(internal=True)
        return server.describe(), events, calls


def test_the_same_seed_has_the_same_history():
    one = history(1)
    assert history(1) == one
    assert history(2)[0] != one[0]
