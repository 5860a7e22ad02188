"""What a test sees of runs, steps, events and calls."""

import datetime

import pytest
from toolkit_shop import Shop, app_of

import inngest_wsgi as inngest
from inngest_wsgi.testing import RunFailed, TestServer

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def server():
    with TestServer(start="2030-01-01", retry_interval=60) as server:
        yield server


@pytest.fixture(params=[True, False], ids=["checkpointing", "no checkpointing"])
def checkpointing(request):
    return request.param


def test_a_run_is_a_live_view(server, checkpointing):
    tries = []

    def flaky(a, b):
        tries.append(1)
        if len(tries) < 3:
            raise ValueError(f"try {len(tries)}")
        return {"sum": a + b}

    def f(ctx):
        total = ctx.step.run("add", flaky, 1, 2)
        paid = ctx.step.wait_for_event("paid", event="paid", timeout="1d")
        return [total, paid.data]

    server.serve(app_of(f, checkpointing=checkpointing))
    run = server.send("go", {"n": 1}, user={"id": 7}).run("shop-f")
    step = run.step("add")
    assert (run.status, run.output, run.error, run.is_over, run.ended) == (
        "Running",
        None,
        None,
        False,
        None,
    )
    assert (step.status, step.attempts, step.output, step.ended) == ("Running", 1, None, None)
    assert step.error.name == "ValueError"
    assert step.error.message == "try 1"
    assert [s.id for s in run.steps] == ["add"]
    server.advance("10m")
    assert (step.status, step.attempts, step.output, step.error) == (
        "Completed",
        3,
        {"sum": 3},
        None,
    )
    assert (step.kind, step.input, step.index) == ("run", [1, 2], 0)
    assert step.times == tuple(run.began + n * MINUTE for n in range(3))
    assert (step.began, step.ended) == (run.began, run.began + 2 * MINUTE)
    waiting = run.step("paid")
    assert (waiting.kind, waiting.status, waiting.output) == ("wait_for_event", "Running", None)
    assert waiting.input == {"event": "paid", "timeout": "1d"}
    server.send("paid", {"by": "card"})
    assert waiting.output["data"] == {"by": "card"}
    assert (run.status, run.output) == ("Completed", [{"sum": 3}, {"by": "card"}])
    assert run.result() == run.output
    assert run.ended - run.began == 10 * MINUTE
    assert (run.event.name, run.event.data) == ("go", {"n": 1})
    assert [event.user for event in run.events] == [{"id": 7}]
    assert [s.id for s in run.steps] == ["add", "paid"]
    assert repr(run) == f"<run {run.id} of shop-f: Completed>"
    assert repr(step) == "<step 'add': Completed, 3 attempts>"
    kinds = [entry.kind for entry in run.timeline]
    assert (kinds[0], kinds[-1]) == ("started", "completed")


def test_uses_of_one_id(server, checkpointing):
    def f(ctx):
        return [ctx.step.run("s", lambda n=n: n) for n in range(3)]

    server.serve(app_of(f, checkpointing=checkpointing))
    run = server.send("go").run()
    assert [(s.id, s.index, s.output) for s in run.steps] == [("s", n, n) for n in range(3)]
    assert run.step("s", 2).output == 2
    assert repr(run.step("s", 1)) == "<step 's' (use 1): Completed, 1 attempts>"
    with pytest.raises(LookupError, match="has no step 's' a use 3 so far; its steps are: 's'"):
        run.step("s", 3)
    with pytest.raises(LookupError, match="of shop-f has no step 'x'"):
        run.step("x")


def test_kinds_of_steps(server):
    def f(ctx):
        ctx.step.sleep("a", "1m")
        ctx.step.send_event("b", inngest.Event("x"))
        ctx.step.send_signal("c", signal="x")
        ctx.step.ai.wrap("d", int)
        ctx.step.invoke_by_id("e", function_id="g")
        ctx.group.parallel(
            (lambda: ctx.step.run("f", int), lambda: ctx.step.fetch("g", "https://x.test"))
        )

    server.serve(app_of(f))
    server.stub("e", 1)
    server.stub("g", 200)
    run = server.send("go").run()
    server.run_until_idle()
    assert run.status == "Completed", run
    assert {s.id: s.kind for s in run.steps} == {
        "a": "sleep",
        "b": "step.sendEvent",
        "c": "step.sendSignal",
        "d": "step.ai.wrap",
        "e": "invoke",
        "f": "run",
        "g": "fetch",
    }
    assert {s.status for s in run.steps} == {"Completed"}
    assert {s.attempts for s in run.steps} == {1}
    assert run.step("a").ended - run.step("a").began == MINUTE


def test_the_error_of_a_run(server):
    class CardError(Exception):
        pass

    def declined():
        raise CardError("declined")

    server.serve(app_of(lambda ctx: ctx.step.run("charge", declined), retries=0))
    run = server.send("go").run()
    assert run.status == "Failed"
    with pytest.raises(RunFailed, match="^CardError: declined$") as caught:
        run.result()
    assert (caught.value.name, caught.value.message) == ("CardError", "declined")
    assert "in declined" in caught.value.stack
    assert str(run.error) == "CardError: declined"
    assert repr(run) == f"<run {run.id} of shop-f: Failed by CardError: declined>"
    step = run.step("charge")
    assert (step.status, step.output, step.error.name) == ("Failed", None, "CardError")


def test_a_run_without_a_result(server):
    server.serve(app_of(lambda ctx: ctx.step.sleep("s", "1h")))
    run = server.send("go").run()
    advice = "advance.. and run_until_idle.. let time pass"
    with pytest.raises(
        RunFailed, match=f"Running: run .* has not ended; {advice}\n(.|\n)*s: sleeps"
    ) as caught:
        run.result()
    assert caught.value.name == "Running"
    assert server.cancel(run)
    assert not server.cancel(run.id)
    with pytest.raises(RunFailed, match="Cancelled: run .* was cancelled"):
        run.result()
    assert (run.error, run.output) == (None, None)


def test_the_timeline():
    shop = Shop()
    with TestServer(start="2030-01-01", retry_interval=41) as server:
        server.serve(shop.application)
        server.stub("charge", fail=1)
        run = server.send("shop/order.placed", {"id": 1}).run("fulfil-order")
        server.advance("3d")
        assert str(run).splitlines() == [
            f"shop-fulfil-order {run.id}: Cancelled after 2d",
            '  event   shop/order.placed {"id": 1}',
            "  2030-01-01 00:00:00  +0s           started",
            "  2030-01-01 00:00:00  +0s           charge: attempt 1 failed: "
            "StubbedFailure: stubbed failure 1 of 1",
            "  2030-01-01 00:00:00  +0s           charge: attempt 2 follows in 41s",
            "  2030-01-01 00:00:41  +41s          charge: attempt 2 succeeded",
            "  2030-01-01 00:00:41  +41s          paid: waits: shop/order.paid "
            "(until 2030-01-08 00:00:41 at the latest)",
            "  2030-01-03 00:00:00  +2d           cancelled: by the event shop/order.expired",
        ]
        assert server.describe().count("\n\n") == 1


def test_long_values_are_cut_in_a_timeline(server):
    server.serve(app_of(lambda ctx: "x" * 10_000))
    assert len(str(server.send("go").run())) < 1000


# -- the server's ------------------------------------------------------------------


def test_runs_by_function_and_status(server):
    server.serve(Shop().application)
    server.send("shop/order.placed", {"id": 1})
    server.send("shop/order.placed", {"id": 2})
    server.send("shop/order.paid", {"by": "card"})
    assert len(server.runs()) == 4
    assert len(server.runs("fulfil-order")) == len(server.runs("shop-fulfil-order")) == 2
    paid = server.runs(status="Completed")
    assert [run.function_id for run in paid] == ["shop-fulfil-order"] * 2
    assert server.runs("expire-order", status="Completed") == []
    with pytest.raises(LookupError, match="there are 2 runs of 'fulfil-order', not one"):
        server.run("fulfil-order")
    with pytest.raises(LookupError, match="no run of 'x', but .*functions are: shop-fulfil"):
        server.run("x")


def test_why_there_is_no_run(server):
    server.serve(Shop().application)
    with pytest.raises(LookupError, match="no run: no registered function has it as"):
        server.send("unknown").run()
    sent = server.send("shop/order.placed")
    with pytest.raises(
        LookupError, match="there is no run of 'welcome', but .*expire-order"
    ) as no:
        sent.run("welcome")
    # the event did start runs
    assert "trigger" not in str(no.value)
    with pytest.raises(LookupError, match="there are 2 runs, not one"):
        sent.run()


@pytest.mark.parametrize(
    "arguments",
    [
        ("shop/order.placed", {"id": 1}),
        ({"name": "shop/order.placed", "data": {"id": 1}},),
        (inngest.Event("shop/order.placed", {"id": 1}),),
        ([inngest.Event("shop/order.placed", {"id": 1})],),
    ],
)
def test_forms_of_an_event(server, arguments):
    server.serve(Shop().application)
    sent = server.send(*arguments)
    assert sent.run("fulfil-order").event.data == {"id": 1}
    assert len(sent.ids) == 1
    assert [(e.name, e.data, e.id) for e in server.events()] == [
        ("shop/order.placed", {"id": 1}, sent.ids[0])
    ]


def test_events_that_are_refused(server):
    with pytest.raises(ValueError, match="reserved"):
        server.send("inngest/x")
    with pytest.raises(TypeError, match="with the name of an event"):
        server.send({"name": "x"}, {"data": 1})
    with pytest.raises(ValueError, match="JSON"):
        server.send("x", {"n": float("nan")})


def test_events_of_the_server_itself(server):
    server.serve(Shop().application)
    server.send("shop/order.placed", id="an-id", ts=10**12, v="1")
    server.run_until_idle()
    assert [e.name for e in server.events()] == ["shop/order.placed", "shop/order.expired"]
    first = server.events("shop/order.placed")[0]
    assert (first.id, first.ts, first.v) == ("an-id", 10**12, "1")
    assert len(server.events("inngest/function.finished")) == 2
    assert len(server.events(internal=True)) == 5


def test_calls(server, checkpointing):
    def f(ctx):
        ctx.step.run("a", lambda: 1)
        return ctx.step.run("b", lambda: 2)

    server.serve(app_of(f, checkpointing=checkpointing))
    run = server.send("go").run()
    server.send("go")
    assert len(run.calls) == (1 if checkpointing else 3)
    assert len(server.calls) == 2 * len(run.calls)
    first, last = run.calls[0], run.calls[-1]
    assert first.request["event"]["name"] == "go"
    assert (first.at, first.run_id) == (run.began, run.id)
    assert (last.status, last.response) == (200, 2)
    assert last.headers["x-inngest-sdk"].startswith("inngest-wsgi")
    assert "fnId=shop-f" in last.url
    assert repr(last).endswith(": 200>")
    if not checkpointing:
        assert (first.status, first.response[0]["op"]) == (206, "StepRun")


def test_what_is_done_to_runs(server):
    shop = Shop()
    shop.functions.clear()
    shop.functions.append(
        shop.client.create_function(
            fn_id="nightly", trigger=inngest.TriggerCron(cron="0 0 * * *")
        )(lambda ctx: ctx.event.name)
    )

    @shop.function("waits", "go")
    def waits(ctx):
        name = ctx.step.run("name", lambda name: name, "first")
        found = ctx.step.wait_for_signal("s", signal="stop", timeout="1d")
        return [name, found["data"]]

    server.serve(shop.application)
    assert server.fire_cron("nightly").result() == "inngest/scheduled.timer"
    run = server.send("go").run("waits")
    assert server.signal("stop", {"why": "late"}).id == run.id
    assert run.result() == ["first", {"why": "late"}]
    with pytest.raises(LookupError):
        server.signal("stop")
    again = server.rerun(run, from_step="name", input=["second"])
    server.signal("stop", 2)
    assert again.result() == ["second", 2]
    batch = server.start_run("nightly", [inngest.Event("a"), {"name": "b"}])
    assert batch.output == "a"
    assert [e.name for e in batch.events] == ["a", "b"]
    with pytest.raises(LookupError, match="no function 'shop-x'"):
        server.start_run("shop-x", [inngest.Event("a")])


def test_paused_functions_and_many_runs_that_are_cancelled(server):
    server.serve(Shop().application)
    server.pause("fulfil-order")
    sent = server.send("shop/order.placed", {"id": 1})
    assert [run.function_id for run in sent.runs] == ["shop-expire-order"]
    server.unpause("fulfil-order")
    server.send("shop/order.placed", {"id": 2})
    run = server.run("fulfil-order")
    assert run.step("charge").status == "Completed"
    assert [each.id for each in server.cancel_many("fulfil-order")] == [run.id]
    assert run.status == "Cancelled"
    assert server.published() == []


def test_cron_schedules_fire_while_time_passes():
    pytest.importorskip("cronsim")
    shop = Shop()
    shop.functions.clear()
    every_night = inngest.TriggerCron(cron="0 3 * * *")
    declare = shop.client.create_function(fn_id="nightly", trigger=every_night)
    shop.functions.append(declare(lambda ctx: ctx.step.sleep("s", "1h")))
    with TestServer(start="2030-01-01") as server:
        server.serve(shop.application)
        server.advance("3d")
        assert [run.began.isoformat() for run in server.runs()] == [
            f"2030-01-0{day}T03:00:00+00:00" for day in (1, 2, 3)
        ]
        assert {run.status for run in server.runs()} == {"Completed"}
        server.run_until_idle()
        assert len(server.runs()) == 3


# -- reset ------------------------------------------------------------------------


def test_reset(server):
    shop = Shop()
    server.serve(shop.application)
    first = server.send("shop/order.placed", {"id": 1}).run("fulfil-order").id
    server.advance("1d")
    server.reset()
    assert (server.runs(), server.events(), server.calls) == ([], [], [])
    assert server.now().isoformat() == "2030-01-01T00:00:00+00:00"
    server.serve(shop.application)
    assert server.send("shop/order.placed", {"id": 1}).run("fulfil-order").id == first


def test_a_closed_server_does_nothing():
    with TestServer() as server:
        server.serve(app_of(lambda ctx: ctx.step.sleep("s", "1h")))
        run = server.send("go").run()
        assert server.is_open
    assert not server.is_open
    server.advance("2h")
    assert run.status == "Running"
