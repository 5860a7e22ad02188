"""Faults: what an app and its runs go through with each, and what a test is told."""

import contextlib
import json
import sqlite3

import pytest
import recordings
import toolkit_shop

import inngest_wsgi as inngest
from inngest_wsgi.testing import Killed, TestServer, UnusedFaultError

REACHED = "Unable to reach SDK URL"

#: The faults of a function with the steps a and b, without checkpointing: how each is
#: declared; the runs of the steps' code; the calls that reached the app; the seconds, at
#: most and at least, that the run took; and the words of the failed attempt, if any.
CALLS = [
    (lambda f: f.drop("call", nth=2), "ab", 3, (15, 45), REACHED),
    (lambda f: f.drop("answer", nth=2), "abb", 4, (15, 45), REACHED),
    (lambda f: f.drop("answer", step="b"), "abb", 4, (15, 45), REACHED),
    (lambda f: f.drop("answer", nth=1, times=3), "aaaab", 6, (105, 195), REACHED),
    (lambda f: f.duplicate("call", nth=2), "abb", 4, (0, 0), None),
    (lambda f: f.duplicate("answer", step="b"), "ab", 3, (0, 0), None),
    (lambda f: f.delay("call", "5m", nth=2), "ab", 3, (300, 300), None),
    (lambda f: f.delay("answer", by="5m", nth=2), "ab", 3, (300, 300), None),
    (lambda f: f.delay("answer", by="3h", nth=2), "abb", 4, (7215, 7245), "longer than two hours"),
    (lambda f: f.truncate("call", nth=2), "ab", 4, (15, 45), "The body ended after"),
    (lambda f: f.truncate("answer", nth=2), "abb", 4, (15, 45), "Unexpected ending response"),
    (lambda f: f.lose_worker(nth=2), "abb", 4, (30, 30), None),
    (lambda f: f.lose_worker("before", nth=2), "ab", 3, (30, 30), None),
    (lambda f: f.kill("b", "before"), "ab", 4, (15, 45), REACHED),
    (lambda f: f.kill("b", "after"), "abb", 4, (15, 45), REACHED),
    (lambda f: f.kill(nth=2, when="after"), "abb", 4, (15, 45), REACHED),
]

#: The same with checkpointing: the calls that the app answered are in place of the time.
CHECKPOINTS = [
    (lambda f: f.drop("checkpoint"), "ab", 1),
    (lambda f: f.drop("checkpoint", times=3), "ab", 2),
    (lambda f: f.drop("checkpoint", step="b", times=3), "ab", 2),
    (lambda f: f.drop("checkpoint answer", times=3), "ab", 2),
    (lambda f: f.duplicate("checkpoint"), "ab", 1),
    (lambda f: f.delay("checkpoint", by="5m", times=3), "ab", 2),
    (lambda f: f.truncate("checkpoint"), "ab", 2),
    (lambda f: f.fail_api(503), "ab", 1),
    (lambda f: f.fail_api(None, times=3, path="/v1/checkpoint"), "ab", 2),
    (lambda f: f.fail_api(500, times=3, done=True), "ab", 2),
]


def two_steps(ran):
    def handler(ctx):
        for name in "ab":
            ctx.step.run(name, lambda name=name: ran.append(name))
        return "done"

    return handler


@pytest.mark.parametrize("declare, steps, calls, took, failed", CALLS)
def test_a_call_with_a_fault(declare, steps, calls, took, failed):
    ran = []
    with TestServer(start="2030-01-01") as server:
        server.serve(toolkit_shop.app_of(two_steps(ran), checkpointing=False))
        fault = declare(server.faults)
        run = server.send("go").run()
        server.run_until_idle()
        assert run.output == "done", run
        assert "".join(ran) == steps
        answered = [call for call in server.calls if call.status is not None]
        killed = fault.verb == "kill"
        assert len(answered) == calls - killed
        assert run.ended is not None
        assert took[0] <= (run.ended - run.began).total_seconds() <= took[1]
        details = [entry.detail or "" for entry in run.timeline if entry.kind == "function error"]
        assert all(failed in detail for detail in details) if failed else not details
        assert bool(details) == bool(failed)
        assert any(entry.kind == "fault" for entry in run.timeline)
        assert "  fault: the " in str(run)


@pytest.mark.parametrize("declare, steps, calls", CHECKPOINTS)
def test_a_checkpoint_with_a_fault(declare, steps, calls):
    ran = []
    with TestServer() as server:
        server.serve(toolkit_shop.app_of(two_steps(ran), checkpointing=True))
        declare(server.faults)
        run = server.send("go").run()
        server.run_until_idle()
        assert run.output == "done", run
        assert "".join(ran) == steps
        assert len(run.calls) == calls
        assert "  fault: " in str(run)


@pytest.mark.parametrize("declare", ["drop", "kill"])
def test_an_app_that_never_answers_ends_as_recorded(inngest_server, declare):
    """As the recorded run whose app closed each connection without an answer (W32)."""
    text = (recordings.HERE / "112-server-reactions-errors-streams-transport.json").read_text()
    (hung,) = [e for e in json.loads(text)["experiments"] if e["id"] == "hang-up-always"]
    seen = hung["observed"]
    app = toolkit_shop.app_of(two_steps([]), checkpointing=False, retries=hung["retries"])
    inngest_server.serve(app)
    if declare == "drop":
        inngest_server.faults.drop("answer", times=2)
    else:
        inngest_server.faults.kill("a", "before", times=2)
    run = inngest_server.send("go").run()
    inngest_server.run_until_idle()
    assert (run.status, run.output) == (seen["run_status_at_end"], seen["run_output"])
    for name, data in seen["finished_events"].items():
        (event,) = inngest_server.events(name)
        assert {key: event.data[key] for key in data if key != "_inngest"} == {
            key: value for key, value in data.items() if key != "_inngest"
        }
    calls = [(c.request["ctx"]["attempt"], c.request["version"]) for c in run.calls]
    assert calls == [(call["attempt"], call["version"]) for call in seen["calls"]]


@pytest.fixture
def database():
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        yield connection


def test_what_a_killed_step_has_done_is_rolled_back(inngest_server, database):
    database.execute("CREATE TABLE charges (amount INTEGER)")

    def charge():
        with database:
            database.execute("INSERT INTO charges VALUES (5)")
            seen.append(database.in_transaction)
            return 5

    seen = []
    inngest_server.serve(toolkit_shop.app_of(lambda ctx: ctx.step.run("charge", charge)))
    # line 3 of the step: within the transaction
    inngest_server.faults.kill("charge", line=3)
    run = inngest_server.send("go").run()
    assert run.status == "Running"
    assert database.execute("SELECT count(*) FROM charges").fetchone() == (0,)
    inngest_server.run_until_idle()
    assert run.output == 5, run
    assert database.execute("SELECT count(*) FROM charges").fetchone() == (1,)
    assert run.step("charge").attempts == 1
    assert "process is killed at step 'charge' inside its code" in str(run)


@pytest.mark.parametrize("line, begun", [(1, ""), (2, "x"), (3, "xy"), (9, "xyz")])
def test_a_step_is_killed_before_a_line_of_its_own(inngest_server, line, begun):
    begun_lines = []

    def helper(letter):
        text = letter
        begun_lines.append(text)

    def work():
        helper("x")
        helper("y")
        helper("z")

    inngest_server.serve(toolkit_shop.app_of(lambda ctx: ctx.step.run("work", work), retries=0))
    inngest_server.faults.kill("work", line=line)
    run = inngest_server.send("go").run()
    assert "".join(begun_lines) == begun
    assert run.status == "Failed"
    assert run.error.message == "Unable to reach SDK URL"


def test_a_function_that_catches_a_kill_is_killed_all_the_same(inngest_server):
    caught = []

    def handler(ctx):
        try:
            return ctx.step.run("work", lambda: 1)
        except Killed as killed:
            caught.append(killed)
        return "survived"

    inngest_server.serve(toolkit_shop.app_of(handler))
    inngest_server.faults.kill("work")
    run = inngest_server.send("go").run()
    inngest_server.run_until_idle()
    assert (len(caught), run.output) == (1, 1), run


def test_other_runs_go_on_while_an_answer_is_late(inngest_server):
    order = []
    shop = toolkit_shop.Shop()
    shop.functions.clear()
    for name in ("slow", "quick"):

        @shop.function(name, "go")
        def function(ctx, name=name):
            ctx.step.run("work", order.append, name)
            ctx.step.run("end", order.append, f"{name} ends")

    inngest_server.serve(shop.serve(checkpointing=False), path="/")
    inngest_server.faults.delay("answer", "1h", function="slow")
    inngest_server.send("go")
    inngest_server.advance("59m")
    assert [run.status for run in inngest_server.runs()] == ["Running", "Completed"]
    inngest_server.advance("1m")
    assert inngest_server.run("slow").status == "Completed"
    assert order == ["slow", "quick", "quick ends", "slow ends"]


def test_a_run_that_is_cancelled_does_not_wait_for_a_late_answer(inngest_server):
    inngest_server.serve(
        toolkit_shop.app_of(
            two_steps([]), checkpointing=False, concurrency=[inngest.Concurrency(limit=1)]
        )
    )
    inngest_server.faults.delay("answer", "1h")
    run = inngest_server.send("go").run()
    other = inngest_server.send("go").run()
    assert inngest_server.cancel(run)
    # the call is under way, and counts against the limit until it is answered
    assert not other.calls
    inngest_server.advance("1h")
    assert other.status == "Completed"
    assert run.status == "Cancelled"


def test_events_are_sent_once_although_the_api_fails(inngest_server):
    def handler(ctx):
        ctx.step.send_event("tell", inngest.Event("told"))

    inngest_server.serve(toolkit_shop.app_of(handler))
    inngest_server.faults.fail_api(503, path="/e/", done=True, times=2)
    run = inngest_server.send("go").run()
    assert run.status == "Completed", run
    assert len({event.id for event in inngest_server.events("told")}) == 1


def test_an_api_that_does_not_answer_fails_the_step(inngest_server):
    def handler(ctx):
        ctx.step.send_event("tell", inngest.Event("told"))

    inngest_server.serve(toolkit_shop.app_of(handler))
    inngest_server.faults.fail_api(None, path="/e/", times=5)
    run = inngest_server.send("go").run()
    inngest_server.run_until_idle()
    assert run.step("tell").attempts == 2
    assert run.status == "Completed", run


@pytest.mark.parametrize(
    "declare, words",
    [
        (lambda f: f.drop("answer", nth=9), "faults.drop('answer', nth=9) did not happen"),
        (lambda f: f.kill("charg"), "faults.kill('charg', when='inside', line=2) did not"),
        (lambda f: f.delay("call", "90s", function="other"), "by='1m30s'"),
        (lambda f: f.fail_api(503, path="/e/"), "faults.fail_api(503, path='/e/')"),
        (lambda f: f.lose_worker(nth=5), "faults.lose_worker(nth=5, when='after')"),
    ],
)
def test_a_fault_that_does_not_happen_fails_the_test(declare, words):
    server = TestServer()
    server.serve(toolkit_shop.app_of(two_steps([]), checkpointing=False))
    declare(server.faults)
    server.send("go")
    with pytest.raises(UnusedFaultError) as caught:
        server.close()
    assert words in str(caught.value)
    assert "optional=True" in str(caught.value)


def test_an_optional_fault_need_not_happen():
    with TestServer() as server:
        server.faults.drop("call", optional=True)


@pytest.mark.parametrize(
    "declare, words",
    [
        (lambda f: f.drop("anser"), "'call', 'answer', 'checkpoint', 'checkpoint answer'"),
        (lambda f: f.drop("answer", nth=0), "nth must be a number from 1 on"),
        (lambda f: f.drop("answer", times=True), "times must be a number from 1 on"),
        (lambda f: f.drop("call", step="a"), "nobody knows which step it comes to"),
        (lambda f: f.kill("a", when="later"), "'before', 'inside', 'after'"),
        (lambda f: f.lose_worker("inside"), "'before', 'after'"),
        (lambda f: f.delay("answer", by="soon"), "'soon' is not a duration"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(inngest_server, declare, words):
    with pytest.raises(ValueError) as caught:
        declare(inngest_server.faults)
    assert words in str(caught.value)


def test_a_fault_takes_no_unknown_option(inngest_server):
    with pytest.raises(TypeError, match="drop.. has no argument 'n'"):
        inngest_server.faults.drop("answer", n=2)


def test_faults_are_forgotten_by_reset(inngest_server):
    inngest_server.faults.drop("call", nth=2, optional=True)
    inngest_server.reset()
    inngest_server.serve(toolkit_shop.app_of(two_steps([]), checkpointing=False))
    run = inngest_server.send("go").run()
    assert run.status == "Completed", run
