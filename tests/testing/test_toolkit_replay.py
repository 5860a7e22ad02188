"""Replays: a run from a step, and a recorded run against the code of today."""

import http.server
import json
import threading

import pytest
import recordings
import toolkit_shop

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


def test_a_recorded_call_of_a_real_server(inngest_server):
    """The recorded function has the steps a and b."""
    calls = recordings.calls(recordings.load("05"))
    bodies = [json.loads(call.body) for call in calls]
    last = max(bodies, key=lambda body: len(body["steps"]))
    answers = [json.loads(call.answer.body) for call in calls]
    names = [answer[0]["displayName"] for answer in answers if isinstance(answer, list)]
    assert len(last["steps"]) == len(names) == 2
    inngest_server.serve(toolkit_shop.app_of(steps(*names)))
    assert inngest_server.replay(last).found == names
    report = inngest_server.replay(last)
    assert report.matches, report
    inngest_server.reset()
    inngest_server.serve(toolkit_shop.app_of(steps(names[1])))
    report = inngest_server.replay(last)
    # the recording has no names, so only the hashed id is known
    assert report.gone == [last["ctx"]["stack"]["stack"][0]]


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


def test_a_run_is_rerun_from_a_step_with_another_input(inngest_server):
    charged = []

    def handler(ctx):
        price = ctx.step.run("load", lambda: 5)
        return ctx.step.run("charge", lambda amount: charged.append(amount) or amount, price)

    inngest_server.serve(toolkit_shop.app_of(handler, checkpointing=False))
    run = inngest_server.send("go").run()
    again = run.rerun(from_step="charge", input=[7])
    assert (run.output, again.output) == (5, 7)
    assert charged == [5, 7]
    assert run.rerun().output == 5
    with pytest.raises(LookupError, match="no step 'chargee'"):
        run.rerun(from_step="chargee")
    assert again.event == run.event
