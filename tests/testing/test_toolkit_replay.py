"""Replays: a run from a step, and a recorded run against the code of today."""

import functools
import http.server
import json
import threading

import pytest
import recordings
import toolkit_shop

import inngest_wsgi as inngest
from inngest_wsgi.testing import TestServer, fetch_run


def steps(*names, ran=None, end="done"):
    """Return a function of plain steps; a tuple of names is a parallel group."""

    def handler(ctx):
        def run(name):
            if name == "sleep":
                return ctx.step.sleep(name, "1h")
            return ctx.step.run(name, lambda: None if ran is None else ran.append(name))

        for name in names:
            if isinstance(name, tuple):
                ctx.group.parallel(tuple(lambda each=each: run(each) for each in name))
            else:
                run(name)
        if isinstance(end, Exception):
            raise end
        return end

    return handler


def recorded(*names, stop=None, checkpointing=False, **options):
    """Return a run of such a function as JSON, after a way through text.

    :param stop: the step at which it has not ended yet
    """
    with TestServer(start="2030-01-01") as server:
        handler = steps(*names, **options)
        server.serve(toolkit_shop.app_of(handler, retries=0, checkpointing=checkpointing))
        if stop is not None:
            server.stub(stop, call=lambda: server.cancel(server.run()))
        run = server.send("go").run()
        server.run_until_idle()
        found = run.to_json()
    if stop is not None:
        found["status"] = "Running"
    return json.loads(json.dumps(found))


def replayed(record, *names, **options):
    ran = []
    with TestServer() as server:
        server.serve(toolkit_shop.app_of(steps(*names, ran=ran, **options), retries=0))
        report = server.replay(record)
        assert ran == []
        assert server.runs() == []
    return report


MISMATCHES = [
    # the recorded steps; those of today; the list of the report; and words of its text
    (("a", "b"), ("a",), {"gone": ["b"]}, "step 'b' is gone: after 1 steps the function returns"),
    (
        ("a", "b"),
        ("b",),
        {"gone": ["a"]},
        "after 0 steps the function comes to 'b'",
    ),
    (("a", "b"), ("b", "a"), {"moved": ["a"]}, "step 'a' is come to in another order"),
    (("a", "b"), ("a", "b", "c"), {"new": ["c"]}, "'c' is new"),
    (("a", "b"), ("a", "c", "b"), {"new": ["c"], "unreached": ["b"]}, "'c' is new, before 'b'"),
    (("a", "b"), (("a", "b"),), {"parallel": ["a", "b"]}, "'a', 'b' are come to side by side"),
    ((("a", "b"),), ("a", "b"), {"parallel": ["a", "b"]}, "one after the other, and were side"),
    (("a", "b", "b"), ("a", "b"), {"gone": ["b"]}, "is gone"),
]


@pytest.mark.parametrize("before, today, lists, words", MISMATCHES)
def test_a_run_that_no_longer_matches(before, today, lists, words):
    report = replayed(recorded(*before), *today)
    assert not report.matches
    assert {name: getattr(report, name) for name in lists} == lists
    assert words in str(report)
    others = {"gone", "moved", "new", "unreached", "changed", "parallel"} - set(lists)
    assert not any(getattr(report, name) for name in others), report


def test_an_open_run_whose_present_step_is_not_recorded():
    """Nobody can tell a new step from one that goes on, behind one that is gone."""
    record = recorded("a")
    record.update(status=None)
    text = str(replayed(record, "sleep"))
    assert "'sleep' is new, before 'a'; or 'a' is gone, if the run is at 'sleep' now" in text


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        (),
        ("a",),
        ("a", "sleep", "b"),
        ("a", ("b", "c", "sleep"), "d"),
        ("a", "a", "a"),
        (("a", "b"), ("c", "d")),
    ],
)
def test_a_run_of_the_same_code_matches(names, checkpointing):
    record = recorded(*names, checkpointing=checkpointing)
    report = replayed(record, *names)
    assert report.matches, report
    assert len(report.found) == len(record["steps"])
    assert "matches the recorded run" in str(report)


def test_branches_of_several_steps_match_whichever_is_quicker():
    def handler(ctx):
        def branch(name):
            return lambda: [ctx.step.run(f"{name}{n}", lambda: None) for n in range(3)]

        ctx.group.parallel((branch("a"), branch("b")))

    for seed in range(5):
        with TestServer(seed=seed) as server:
            server.serve(toolkit_shop.app_of(handler))
            server.faults.delay("answer", "1m", nth=2 + seed)
            run = server.send("go").run()
            server.run_until_idle()
            report = server.replay(run)
            assert report.matches, report


def test_another_output_and_another_error():
    record = recorded("a", end="then")
    report = replayed(record, "a", end="today")
    assert report.end == 'the function returns "today"; the recorded run returned "then"'
    report = replayed(record, "a", end=KeyError("price"))
    assert report.error == "KeyError: 'price'"
    assert not report.matches
    failed = recorded("a", end=KeyError("price"))
    assert replayed(failed, "a", end=KeyError("prices")).matches
    assert not replayed(failed, "a", end="fine").matches


def test_another_kind_of_step():
    record = recorded("a", "sleep")

    def handler(ctx):
        ctx.step.run("a", lambda: None)
        ctx.step.run("sleep", lambda: None)
        return "done"

    with TestServer() as server:
        server.serve(toolkit_shop.app_of(handler))
        report = server.replay(record)
    assert report.changed == ["sleep"]
    assert "is of another kind: a step of the app, and its recorded result is null" in str(report)


def test_a_call_as_a_server_sends_it(inngest_server):
    inngest_server.serve(toolkit_shop.app_of(steps("a", "b", "c"), checkpointing=False))
    inngest_server.send("go")
    call = inngest_server.calls[2]
    assert set(call.request) >= {"ctx", "event", "events", "steps"}
    report = inngest_server.replay(call)
    assert report.matches, report
    assert (report.found, report.next) == (["a", "b"], ["c"])
    assert "it goes on with 'c'" in str(report)
    assert inngest_server.replay(call.request).matches


def nothing():
    return None


def caught(ctx):
    try:
        ctx.step.run("always", nothing)
    except inngest.StepError:
        ctx.step.run("recovered", nothing)


def side_by_side(*branches):
    return lambda ctx: ctx.group.parallel(tuple(functools.partial(each, ctx) for each in branches))


def step(name):
    return lambda ctx: ctx.step.run(name, nothing)


def nap(name):
    return lambda ctx: ctx.step.sleep(name, 1000)


def in_turn(*steps):
    return lambda ctx: [each(ctx) for each in steps]


def wait(ctx):
    ctx.step.wait_for_event("wait", event="wire/wanted", timeout="30s")


def invoke(ctx):
    return ctx.step.invoke_by_id("call", app_id="wire-app", function_id="child-ok")


#: Recordings of a real server, a function that has the recorded steps, one that has not,
#: and how many steps there are.
RECORDED = [
    ("05", in_turn(step("first"), step("second")), step("second"), 2),
    ("07", in_turn(*3 * [step("same")]), in_turn(*2 * [step("same")]), 3),
    ("09", caught, step("always"), 2),
    ("15", in_turn(nap("nap"), step("after-nap")), in_turn(step("after-nap"), nap("nap")), 2),
    ("15", in_turn(nap("nap"), step("after-nap")), in_turn(step("nap"), step("after-nap")), 2),
    ("17", wait, step("wait"), 1),
    ("18", wait, step("wait"), 1),
    ("19", invoke, nap("call"), 1),
    ("24", side_by_side(step("a"), step("b"), nap("c")), side_by_side(step("a"), nap("c")), 3),
    (
        "25",
        side_by_side(step("a"), in_turn(step("b1"), step("b2"))),
        in_turn(step("b1"), step("b2"), step("a")),
        3,
    ),
    ("28", side_by_side(step("good"), step("bad")), side_by_side(step("good"), nap("bad")), 2),
]


@pytest.mark.parametrize("number, right, wrong, count", RECORDED)
def test_a_recorded_call_of_a_real_server(number, right, wrong, count):
    calls = recordings.calls(recordings.load(number))
    bodies = [json.loads(call.body) for call in calls]
    last = max(bodies, key=lambda body: len(body["steps"]))
    with TestServer() as server:
        server.serve(toolkit_shop.app_of(right))
        report = server.replay(last)
        assert report.matches, report
        assert (len(report.found), report.next) == (count, [])
    with TestServer() as server:
        server.serve(toolkit_shop.app_of(wrong))
        report = server.replay(last)
        assert not report.matches
        # the recording has no names, so of a step that is gone only the hashed id is known
        assert set(report.gone) <= set(last["steps"])


def test_the_recorded_state_of_a_real_run():
    """As the REST API has it: without an order."""
    exchanges = recordings.load("34").exchanges
    answers = {e.path.rpartition("/")[2]: e.answer.body for e in exchanges if "/v0/" in e.path}
    given = {name: json.loads(answers[part]) for name, part in PARTS.items()}
    with TestServer() as server:
        names = ("big-0", "big-1", "big-2", "small")
        server.serve(toolkit_shop.app_of(in_turn(*map(step, names))))
        report = server.replay(given)
        assert report.matches, report
        assert sorted(report.found) == sorted(names[: len(given["actions"])])
    with TestServer() as server:
        server.serve(toolkit_shop.app_of(in_turn(*map(step, names[1:]))))
        report = server.replay(given)
        assert len(report.gone) == 1


PARTS = {"events": "batch", "actions": "actions"}


def test_what_is_fetched_from_a_server(tmp_path):
    with TestServer() as server:
        server.serve(toolkit_shop.app_of(steps("a", "sleep", "b")))
        run = server.send("go").run()
        fetched = fetch_run(server.url, run.id)
        report = server.replay(fetched)
        assert report.matches, report
        assert (report.found, report.next) == (["a"], ["sleep"])
        path = tmp_path / "run.json"
        path.write_text(json.dumps(fetched))
        assert server.replay(path).matches
        assert server.replay(str(path), "f").matches
        server.run_until_idle()
        with pytest.raises(LookupError, match="only while the run goes on"):
            fetch_run(server.url, run.id)


def test_the_key_is_sent_as_a_server_wants_it():
    headers = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            headers.append(self.headers["Authorization"])
            self.send_response(401)
            self.end_headers()

        def log_message(self, *args):
            pass

    recording = recordings.load("102")
    sent = {e.headers.get("Authorization") for e in recording.exchanges} - {None}
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(LookupError, match="the signing key was refused"):
            fetch_run(url, "01HZ", recording.signing_key)
    assert set(headers) == sent


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, "this is no recorded run"),
        ([], "this is no recorded run"),
        (7, "this is no recorded run"),
        ({"ctx": {"use_api": True}, "event": {"name": "x"}, "steps": {}}, "use_api"),
        ({"events": [], "actions": {}}, "no events"),
    ],
)
def test_what_is_no_recorded_run(inngest_server, given, words):
    inngest_server.serve(toolkit_shop.app_of(steps("a")))
    with pytest.raises(ValueError) as caught:
        inngest_server.replay(given)
    assert words in str(caught.value)


def test_the_function_has_to_be_known(inngest_server):
    inngest_server.serve(toolkit_shop.Shop().application)
    given = {"events": [{"name": "shop/order.placed"}], "actions": {}}
    with pytest.raises(LookupError, match="does not say of which function it is"):
        inngest_server.replay(given)
    with pytest.raises(LookupError, match="no function 'gone' is registered"):
        inngest_server.replay(given, "gone")


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_run_is_rerun_from_a_step_with_another_input(inngest_server, checkpointing):
    charged = []

    def handler(ctx):
        price = ctx.step.run("load", lambda: 5)
        return ctx.step.run("charge", lambda amount: charged.append(amount) or amount, price)

    inngest_server.serve(toolkit_shop.app_of(handler, checkpointing=checkpointing))
    run = inngest_server.send("go").run()
    again = run.rerun(from_step="charge", input=[7])
    assert (run.output, again.output) == (5, 7)
    assert charged == [5, 7]
    assert run.rerun().output == 5
    with pytest.raises(LookupError, match="no step 'chargee'"):
        run.rerun(from_step="chargee")
    assert again.event == run.event
