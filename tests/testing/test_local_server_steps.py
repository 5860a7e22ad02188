"""Waits, invokes, signals, requests and groups on the local server."""

import threading

import pytest
from raw_app import (
    answer,
    function,
    hashed,
    in_order,
    op,
    ops,
    run_of,
    served,
)
from stub_server import Scripted, serving

from inngest_wsgi.testing import SystemClock

DONE = answer(200, "done")


def kinds(run):
    return [entry.kind for entry in run.history]


def wait(step, event="raw/wanted", timeout="1h", **opts):
    return op("WaitForEvent", step, opts=dict({"event": event, "timeout": timeout}, **opts))


def invoke(step, function_id="raw-child", **opts):
    opts.setdefault("payload", {"data": {"n": 1}})
    return op("InvokeFunction", step, opts=dict({"function_id": function_id}, **opts))


def by_function(**replies):
    """Return a reply that answers each function's calls with that function's reply."""
    numbers = {}
    lock = threading.Lock()

    def reply(call):
        name = call.query.split("fnId=raw-")[1].split("&")[0].replace("-", "_")
        with lock:
            call.number = numbers.get(name, 0)
            numbers[name] = call.number + 1
        given = replies[name]
        return given(call) if callable(given) else given

    return reply


def functions(**settings):
    def register(url):
        return [
            function(url, name.replace("_", "-"), event="raw/" + name.replace("_", "-"), **options)
            for name, options in settings.items()
        ]

    return register


# -- waits -------------------------------------------------------------------------


def test_one_event_resumes_every_run_that_waits_for_it():
    def reply(call):
        return DONE if call.steps else ops(wait("w"))

    with served(reply) as (app, server):
        with server.hold():
            ids = server.send([{"name": "raw/go"}, {"name": "raw/go"}])
            for event_id in ids:
                server.wait_for(event_id, "waiting", step="w")
            server.send({"name": "raw/wanted", "data": {"data": 1}})
        runs = [server.wait_for_run(event_id) for event_id in ids]
    for run in runs:
        assert run.steps[hashed("w")]["data"] == {"data": 1}
        assert run.history[1].detail == "raw/wanted"
        assert run.history[1].until is not None
        assert run.history[-1].at == 0


def test_an_event_that_came_too_late_or_too_early():
    def reply(call):
        if hashed("first") not in call.steps:
            return ops(wait("first", timeout="10s"))
        if hashed("second") not in call.steps:
            return ops(wait("second", timeout="10s"))
        return DONE

    with served(reply) as (app, server):
        server.send({"name": "raw/wanted"})
        run = run_of(server)
        server.send({"name": "raw/wanted"})
    assert run.steps == {hashed("first"): None, hashed("second"): None}
    assert [e.at for e in run.history if e.kind == "wait timed out"] == [10000, 20000]


def test_an_event_resumes_the_current_wait_and_not_the_next():
    def reply(call):
        for step in ("first", "second"):
            if hashed(step) not in call.steps:
                return ops(wait(step))
        return DONE

    with served(reply) as (app, server):
        with server.hold():
            (event_id,) = server.send({"name": "raw/go"})
            server.wait_for(event_id, "waiting", "first")
            server.send({"name": "raw/wanted", "id": "one"})
            server.wait_for(event_id, "waiting", "second")
            # The same event again does not count as a second event.
            server.send({"name": "raw/wanted", "id": "one"})
            server.send({"name": "raw/wanted", "id": "two"})
        run = server.wait_for_run(event_id)
    assert [run.steps[hashed(s)]["id"] for s in ("first", "second")] == ["one", "two"]


@pytest.mark.parametrize("condition", ["event.data.n == async.data.n && async.data.ok", None])
def test_conditions_compare_with_the_trigger(condition):
    reply = in_order(ops(wait("w", **{"if": condition})), DONE)
    with served(reply) as (app, server):
        with server.hold():
            (event_id,) = server.send({"name": "raw/go", "data": {"n": 7}})
            server.wait_for(event_id, "waiting")
            server.send({"name": "raw/wanted", "data": {"n": 7}})
            server.send({"name": "raw/wanted", "data": {"n": 8, "ok": True}})
            server.send({"name": "raw/wanted", "data": {"n": 7, "ok": True}})
        memo = server.wait_for_run(event_id).steps[hashed("w")]
    assert memo["data"] == ({"n": 7} if condition is None else {"n": 7, "ok": True})


@pytest.mark.parametrize(
    "opts, name, text",
    [
        ({"if": "len(async.data.x) > 1"}, "InvalidExpression", "failed to compile"),
        ({"if": 5}, "InvalidExpression", "failed to compile"),
        ({"timeout": "400d"}, "InngestErrTimeoutTooLong", "366 days"),
        ({"timeout": None}, "LocalServerError", "cannot read"),
        ({"timeout": ""}, "LocalServerError", "cannot read"),
        ({"timeout": 5}, "LocalServerError", "cannot read"),
        ({"event": ["x"]}, "LocalServerError", "has no event name"),
    ],
    ids=str,
)
def test_waits_that_fail_the_run(opts, name, text):
    with served(in_order(ops(wait("w", **opts)), DONE)) as (app, server):
        run = run_of(server)
    assert (run.status, run.output["error"]["name"]) == ("Failed", name)
    assert text in run.output["error"]["message"]


def test_waiting_in_real_time():
    reply = in_order(ops(wait("w", timeout="20ms")), ops(wait("v")), DONE)
    with served(reply, clock=SystemClock()) as (app, server):
        (event_id,) = server.send({"name": "raw/go"})
        server.wait_for(event_id, "waiting", "v")
        server.send({"name": "raw/wanted"})
        run = server.wait_for_run(event_id)
    assert run.steps[hashed("w")] is None
    assert run.steps[hashed("v")]["name"] == "raw/wanted"


# -- holding, and waiting for something ----------------------------------------------


def test_a_held_server_stops_and_continues():
    with served(in_order(ops(op("Sleep", "s", name="1w")), DONE)) as (app, server):
        with server.hold():
            with server.hold():
                (event_id,) = server.send({"name": "raw/go"})
                entry = server.wait_for(event_id, "sleeping", "s")
            assert (entry.kind, entry.step) == ("sleeping", "s")
            with pytest.raises(TimeoutError, match="sleeping 's'"):
                server.wait_for(event_id, "woke", timeout=0)
            with pytest.raises(TimeoutError):
                server.wait_for_run(event_id, timeout=0)
        server.wait_for(event_id, "woke")
        assert server.wait_until(event_id, lambda run: run.ended).output == "done"


def test_a_held_server_is_advanced():
    reply = in_order(
        ops(op("Sleep", "one", name="10s")),
        ops(op("Sleep", "two", name="10s")),
        ops(wait("w", timeout="1h")),
        DONE,
    )
    with served(reply) as (app, server):
        with server.hold():
            (event_id,) = server.send({"name": "raw/go"})
            server.advance(0)
            assert kinds(server.runs(event_id)[0]) == ["started", "sleeping"]
            server.advance(9.5)
            assert kinds(server.runs(event_id)[0])[-1] == "sleeping"
            server.advance(10.5)
            assert kinds(server.runs(event_id)[0])[-1] == "waiting"
            server.advance(60)
            server.send({"name": "raw/wanted"})
        run = server.wait_for_run(event_id)
    assert [e.at for e in run.history if e.kind in ("woke", "event received")] == [
        10000,
        20000,
        80000,
    ]


def test_advance_needs_a_held_server_that_is_idle():
    let_go = threading.Event()

    def reply(call):
        assert let_go.wait(60)
        return DONE

    with served(reply) as (app, server):
        with pytest.raises(RuntimeError, match="within hold"):
            server.advance(1)
        with server.hold():
            (event_id,) = server.send({"name": "raw/go"})
            with pytest.raises(TimeoutError, match="has not finished"):
                server.advance(1, timeout=0)
            let_go.set()
            server.advance(1)
            assert server.runs(event_id)[0].ended
    with served(reply, clock=SystemClock()) as (app, server), server.hold():
        with pytest.raises(RuntimeError, match="VirtualClock"):
            server.advance(1)


def test_a_hold_ends_with_an_exception():
    with served(in_order(ops(op("Sleep", "s", name="1w")), DONE)) as (app, server):
        with pytest.raises(ZeroDivisionError):
            with server.hold():
                raise ZeroDivisionError
        assert run_of(server).status == "Completed"


def test_waiting_for_a_condition_that_never_holds():
    with served(lambda call: DONE) as (app, server):
        run = run_of(server)
        assert server.wait_for(run.run_id, "completed").kind == "completed"
        with pytest.raises(LookupError, match="Completed"):
            server.wait_for(run.run_id, "waiting")
        with pytest.raises(LookupError, match="Completed"):
            server.wait_until(run.run_id, lambda run: False)
        (event_id,) = server.send({"name": "raw/nobody"})
        with pytest.raises(LookupError, match="triggered no run"):
            server.wait_for(event_id, "started")
        with pytest.raises(TimeoutError, match="no such event"):
            server.wait_for("unknown", "started", timeout=0)


# -- invokes -------------------------------------------------------------------------


def test_an_invoke():
    reply = by_function(
        parent=in_order(ops(invoke("i", payload={"data": {"n": 1.0}, "v": "2"})), DONE),
        child=in_order(ops(op("StepRun", "c", data=1)), answer(200, {"r": [None]})),
    )
    with served(reply, functions(parent={}, child={})) as (app, server):
        run = run_of(server, "raw/parent")
        child = server.wait_for_run(run.history[1].child)
    assert run.steps == {hashed("i"): {"data": {"r": [None]}}}
    assert kinds(run) == ["started", "invoking", "invoked", "completed"]
    assert run.history[1].detail == "raw-child"
    assert child.event["name"] == "inngest/function.invoked"
    assert (child.event["data"].pop("n"), child.event["v"]) == (1, "2")
    inngest = child.event["data"]["_inngest"]
    assert inngest["correlation_id"] == "{}.{}".format(run.run_id, hashed("i"))
    assert inngest["fn_id"] == "raw-child" and inngest["name"] == "i"


def test_a_child_that_fails():
    boom = {"name": "ValueError", "message": "boom", "stack": "at line 1"}
    reply = by_function(
        parent=in_order(ops(invoke("i")), DONE), child=answer(500, boom, X_Inngest_No_Retry="true")
    )
    with served(reply, functions(parent={}, child={"retries": 3})) as (app, server):
        run = run_of(server, "raw/parent")
    assert run.steps == {hashed("i"): {"error": dict(boom, error="NonRetriableError")}}
    assert kinds(run) == ["started", "invoking", "invoke failed", "completed"]


def test_a_child_that_exceeds_the_timeout_continues():
    reply = by_function(
        parent=in_order(ops(invoke("i", timeout="5s")), DONE),
        child=in_order(ops(op("Sleep", "s", name="1h")), answer(200, "late")),
    )
    with served(reply, functions(parent={}, child={})) as (app, server):
        run = run_of(server, "raw/parent")
        child = server.wait_for_run(run.history[1].child)
    assert run.steps[hashed("i")]["error"]["name"] == "InngestInvokeTimeoutError"
    assert (run.history[-1].at, child.status, child.output) == (5000, "Completed", "late")


def test_a_result_that_came_in_time_does_not_time_out_later():
    group = [invoke("i", timeout="1h"), wait("w"), signal("s")]
    nap = ops(op("Sleep", "nap", name="1w"))
    reply = by_function(parent=in_order(ops(*group), nap, DONE), child=answer(200, 1))
    with served(reply, functions(parent={}, child={})) as (app, server):
        with server.hold():
            (event_id,) = server.send({"name": "raw/parent"})
            server.wait_for(event_id, "waiting", "s")
            server.signal("sig")
            server.send({"name": "raw/wanted"})
            server.wait_for(event_id, "sleeping")
        run = server.wait_for_run(event_id)
    assert run.steps[hashed("i")] == {"data": 1}
    assert sorted(kinds(run)) == sorted(
        [
            "started",
            "invoking",
            "waiting",
            "waiting",
            "invoked",
            "signalled",
            "event received",
            "sleeping",
            "woke",
            "completed",
        ]
    )


def test_a_parent_that_has_ended_is_not_resumed():
    slow = in_order(ops(op("Sleep", "s", name="1h")), answer(200, "late"))
    reply = by_function(parent=in_order(ops(invoke("i")), DONE), child=slow)
    with served(reply, functions(parent={}, child={})) as (app, server):
        with server.hold():
            (event_id,) = server.send({"name": "raw/parent"})
            child = server.wait_for(event_id, "invoking").child
            server.wait_for(child, "sleeping")
            (parent,) = server.runs(event_id)
            assert server.cancel(parent.run_id) is True
        assert server.wait_for_run(child).output == "late"
        assert server.cancel(parent.run_id) is False
        assert kinds(server.runs(event_id)[0]) == ["started", "invoking", "cancelled"]


def test_nested_invokes():
    depth = 4

    def reply(call):
        level = int(call.query.split("fnId=raw-f")[1][0])
        if level == depth:
            return answer(200, level)
        if not call.steps:
            return ops(invoke("i", f"raw-f{level + 1}"))
        (memo,) = call.steps.values()
        return answer(200, memo["data"] * 10 + level)

    names = {f"f{level}": {} for level in range(depth + 1)}
    with served(reply, functions(**names), max_workers=2) as (app, server):
        assert run_of(server, "raw/f0").output == 43210


@pytest.mark.parametrize(
    "opts, text",
    [
        ({"payload": None}, "has no payload"),
        ({"payload": [1]}, "not an object"),
        ({"payload": {"data": "x"}}, "not an object"),
        ({"function_id": ""}, "has no function_id"),
        ({"timeout": "soon"}, "cannot read"),
    ],
    ids=str,
)
def test_invokes_that_fail_the_run(opts, text):
    with served(in_order(ops(invoke("i", **opts)), DONE)) as (app, server):
        run = run_of(server)
        assert len(server.runs()) == 1
    assert run.status == "Failed" and text in run.output["error"]["message"]


# -- signals -------------------------------------------------------------------------


def signal(step, name="sig", **opts):
    return op("WaitForSignal", step, opts=dict({"signal": name, "timeout": "1h"}, **opts))


def test_a_signal_by_the_servers_own_method():
    with served(in_order(ops(signal("s")), DONE)) as (app, server):
        with server.hold():
            (event_id,) = server.send({"name": "raw/go"})
            server.wait_for(event_id, "waiting")
            with pytest.raises(ValueError):
                server.signal("sig", float("nan"))
            run_id = server.signal("sig", {"x": 1.0})
        run = server.wait_for_run(event_id)
        with pytest.raises(LookupError, match="sig"):
            server.signal("sig")
    assert run.run_id == run_id
    assert run.steps[hashed("s")] == {"data": {"signal": "sig", "data": {"x": 1}}}
    assert kinds(run) == ["started", "waiting", "signalled", "completed"]


def test_a_signal_for_an_ended_run_is_not_delivered():
    with served(in_order(ops(signal("s")), DONE)) as (app, server), server.hold():
        (event_id,) = server.send({"name": "raw/go"})
        server.wait_for(event_id, "waiting")
        server.cancel(server.runs()[0].run_id)
        with pytest.raises(LookupError):
            server.signal("sig")


def test_a_signal_is_free_again_once_a_run_has_ended():
    with served(lambda call: ops(signal("s"))) as (app, server):
        with server.hold():
            for _ in range(2):
                (event_id,) = server.send({"name": "raw/go"})
                server.wait_for(event_id, "waiting")
                run_id = server.runs(event_id)[0].run_id
                server.cancel(run_id)


@pytest.mark.parametrize(
    "opts, text", [({"conflict": "both"}, "unknown conflict"), ({"signal": 7}, "has no signal")]
)
def test_signals_that_fail_the_run(opts, text):
    with served(in_order(ops(signal("s", **opts)), DONE)) as (app, server):
        run = run_of(server)
    assert run.status == "Failed" and text in run.output["error"]["message"]


# -- requests for the app --------------------------------------------------------------


def ask_ai(step, url, **opts):
    return op("AIGateway", step, opts=dict({"url": url, "body": {"q": 1}}, **opts))


def test_an_ai_request_is_retried_and_the_app_called_again():
    def register(url):
        return [function(url, retries=3)]

    provider = Scripted((500, {}), (429, {}), (200, {}))
    with serving(provider, plain=True) as url:

        def reply(call):
            return DONE if call.steps else ops(ask_ai("a", url))

        with served(reply, register) as (app, server):
            run = run_of(server)
    assert len(provider.requests) == 3
    assert [call.attempt for call in app.calls] == [0, 1, 2, 0]
    assert run.steps == {hashed("a"): {"data": {}}}
    assert kinds(run) == [
        "started",
        "requesting",
        "step error",
        "retry scheduled",
        "requesting",
        "step error",
        "retry scheduled",
        "requesting",
        "requested",
        "completed",
    ]


@pytest.mark.parametrize(
    "form, header, value",
    [
        ("openai-chat", "Authorization", "Bearer secret"),
        (None, "Authorization", "Bearer secret"),
        ("anthropic", "X-Api-Key", "secret"),
        ("gemini", "Authorization", None),
    ],
)
def test_keys_of_ai_providers(form, header, value, caplog):
    caplog.set_level("DEBUG")
    provider = Scripted((200, {}))
    with serving(provider, plain=True) as url:
        reply = in_order(ops(ask_ai("a", url, format=form, auth_key="secret")), DONE)
        with served(reply) as (app, server):
            run = run_of(server)
    (request,) = provider.requests
    assert request.headers.get(header) == value
    assert request.environ["RAW_URI"] == ("/?key=secret" if form == "gemini" else "/")
    assert "secret" not in caplog.text + str(run.history)


@pytest.mark.parametrize(
    "reported, text",
    [
        (op("Gateway", "g", opts={"url": "ftp://x/"}), "has no http or https URL"),
        (op("Gateway", "g", opts={}), "has no http or https URL"),
        (op("Gateway", "g", opts={"url": "http://[x/"}), "has no http or https URL"),
        (op("Gateway", "g", opts={"url": "http://x/", "body": {"a": 1}}), "not a string"),
        (op("AIGateway", "g", opts={"body": {}}), "has no http or https URL"),
    ],
)
def test_requests_that_fail_the_run(reported, text):
    with served(in_order(ops(reported), DONE)) as (app, server):
        run = run_of(server)
    assert run.status == "Failed" and text in run.output["error"]["message"]


def test_a_request_in_a_group_that_is_retried():
    def register(url):
        return [function(url, retries=1)]

    provider = Scripted((500, {}), (200, {}))
    with serving(provider, plain=True) as url:

        def reply(call):
            if call.step_id != "step":
                return ops(op("StepRun", "b", data="B"))
            missing = [n for n in "ab" if hashed(n) not in call.steps]
            group = {"a": op("AIGateway", "a", opts={"url": url}), "b": op("StepPlanned", "b")}
            return ops(*[group[n] for n in missing]) if missing else DONE

        with served(reply, register) as (app, server):
            run = run_of(server)
    assert run.status == "Completed"
    assert run.steps == {hashed("a"): {"data": {}}, hashed("b"): {"data": "B"}}


# -- groups ----------------------------------------------------------------------------


RACE = {"parallelMode": "race"}


def group_reply(group, then, race=False):
    """Report a group; answer targets with the step's name; go on with
    ``then``, given the call."""
    mode = RACE if race else {}

    def reply(call):
        names = {hashed(reported["displayName"]): reported for reported in group}
        if call.step_id != "step":
            name = names[call.step_id]["displayName"]
            return ops(op("StepRun", name, data=name.upper(), opts=mode))
        given = then(call)
        if given is not None:
            return given
        missing = [r for r in group if r["id"] not in call.steps]
        return ops(*[dict(r, opts=dict(r.get("opts", {}), **mode)) for r in missing])

    return reply


MIXED = [
    op("StepPlanned", "run"),
    op("Sleep", "nap", name="1h"),
    wait("yes", "raw/yes", "2h"),
    wait("never", timeout="3h"),
    signal("sig"),
    invoke("child"),
]


def test_a_group_of_every_kind_is_finished_together():
    def then(call):
        if len(call.steps) == len(MIXED):
            return DONE
        assert not call.steps
        return None

    reply = by_function(parent=group_reply(MIXED, then), child=answer(200, "CHILD"))
    with served(reply, functions(parent={}, child={})) as (app, server):
        with server.hold():
            (event_id,) = server.send({"name": "raw/parent"})
            for step in ("yes", "never", "sig"):
                server.wait_for(event_id, "waiting", step)
            server.signal("sig", 1)
            server.send({"name": "raw/yes"})
        run = server.wait_for_run(event_id)
        calls = [c for c in app.calls if "fnId=raw-parent" in c.query]
    assert run.status == "Completed", run.output
    assert run.steps[hashed("run")] == {"data": "RUN"}
    assert run.steps[hashed("nap")] is run.steps[hashed("never")] is None
    assert run.steps[hashed("yes")]["name"] == "raw/yes"
    assert run.steps[hashed("sig")]["data"]["data"] == 1
    assert run.steps[hashed("child")] == {"data": "CHILD"}
    assert run.history[-1].at == 3 * 3600 * 1000
    assert [c.step_id for c in calls] == ["step", hashed("run"), "step"]
    # Only after a sleep does immediate execution stay off (W42).
    assert calls[-1].ctx["disable_immediate_execution"] is False


@pytest.mark.parametrize("opts, ended", [(RACE, 1000), ({}, 3600 * 1000)])
def test_after_a_race_a_step_that_says_so_does_not_wait_for_the_losers(opts, ended):
    group = [op("Sleep", "fast", name="1s"), op("Sleep", "slow", name="1h")]

    def then(call):
        if hashed("after") in call.steps:
            return DONE
        if hashed("fast") in call.steps:
            return ops(op("StepRun", "after", opts=opts))
        return None

    with served(group_reply(group, then, race=True)) as (app, server):
        run = run_of(server)
    assert run.status == "Completed", run.output
    assert run.history[-1].at == ended
    assert (hashed("slow") in run.steps) is (opts != RACE)


def test_a_race_whose_result_needs_every_step():
    group = [op("Sleep", name, name=f"{n + 1}s") for n, name in enumerate("abc")]

    def then(call):
        return DONE if len(call.steps) == 3 else None

    with served(group_reply(group, then, race=True)) as (app, server):
        run = run_of(server)
    # One discovery request after each; steps that are reported again are ignored.
    assert [len(call.steps) for call in app.calls] == [0, 1, 2, 3]
    assert [e.at for e in run.history if e.kind == "woke"] == [1000, 2000, 3000]
    assert len([e for e in run.history if e.kind == "sleeping"]) == 3


def test_a_branch_of_a_race_continues_with_its_own_step():
    def then(call):
        if hashed("b2") in call.steps:
            return DONE
        if hashed("b1") in call.steps:
            return ops(op("StepPlanned", "b2", opts={"parallelMode": "race"}))
        return None

    group = [op("StepPlanned", "b1"), wait("never"), op("StepPlanned", "b2")]

    def reply(call):
        if call.step_id == "step" and not call.steps:
            return ops(
                *[dict(r, opts=dict(r.get("opts", {}), parallelMode="race")) for r in group[:2]]
            )
        return group_reply(group, then, race=True)(call)

    with served(reply) as (app, server):
        run = run_of(server)
    assert run.status == "Completed", run.output
    assert run.history[-1].at == 0
    assert run.steps == {hashed("b1"): {"data": "B1"}, hashed("b2"): {"data": "B2"}}


def test_a_racer_counts_while_another_group_is_waited_for():
    def then(call):
        if hashed("late") in call.steps:
            return DONE
        if hashed("early") in call.steps:
            return ops(op("Sleep", "long", name="9h"), op("Sleep", "longer", name="10h"))
        return None

    group = [op("Sleep", "early", name="1h"), op("Sleep", "late", name="2h")]
    with served(group_reply(group, then, race=True)) as (app, server):
        run = run_of(server)
    assert run.status == "Completed", run.output
    assert run.history[-1].at == 2 * 3600 * 1000


# -- other ops ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, calls, text", [("d{}", 21, "W34"), ("d", 2, "nothing is left to do")]
)
def test_discovery_requests_without_end_fail_the_run(name, calls, text):
    # The second of one id is taken for the first once more.
    reply = lambda call: ops(op("DiscoveryRequest", name.format(call.number)))  # noqa: E731
    with served(reply) as (app, server):
        run = run_of(server)
    assert run.status == "Failed" and text in run.output["error"]["message"]
    assert len(app.calls) == calls


@pytest.mark.parametrize("kind", ["DeferAdd", "DeferAbort", "None"])
def test_unknown_ops(kind):
    with served(lambda call: ops(op(kind, "d"))) as (app, server):
        run = run_of(server)
    assert (run.status, len(app.calls)) == ("Failed", 1)
    assert kind in run.output["error"]["message"]


def test_run_complete_after_a_targeted_call():
    def reply(call):
        if call.step_id == "step":
            return ops(op("StepPlanned", "a"))
        return ops(op("RunComplete", "end", data={"n": 1.0}), op("StepRun", "a", data=1))

    with served(reply) as (app, server):
        run = run_of(server)
    assert (run.status, run.output) == ("Completed", {"n": 1})
    assert run.steps == {hashed("a"): {"data": 1}}


# -- reruns ---------------------------------------------------------------------------------


def three_steps(call):
    for name in "abc":
        if hashed(name) not in call.steps or "input" in (call.steps[hashed(name)] or ()):
            return ops(op("StepRun", name, data=[name, call.steps.get(hashed(name))]))
    return answer(200, call.steps[hashed("c")]["data"])


def test_reruns():
    with served(three_steps) as (app, server):
        old = run_of(server)
        whole = server.wait_for_run(server.rerun(old.run_id))
        part = server.wait_for_run(server.rerun(old.run_id, "b"))
        edited = server.wait_for_run(server.rerun(old.run_id, "c", [1.0]))
        for bad in (lambda: server.rerun("x"), lambda: server.rerun(old.run_id, "z")):
            with pytest.raises(LookupError):
                bad()
        for value in (
            lambda: server.rerun(old.run_id, input=[1]),
            lambda: server.rerun(old.run_id, "a", [float("nan")]),
        ):
            with pytest.raises(ValueError):
                value()
    assert whole.output == part.output == old.output == ["c", None]
    assert edited.output == ["c", {"input": [1]}]
    assert {run.event["id"] for run in (whole, part, edited)} == {old.event["id"]}
    steps = [call.step_id for call in app.calls]
    assert steps[4:] == ["step"] * 4 + [hashed("b"), "step", "step"] + [hashed("c"), "step"]
    assert sorted(app.calls[-2].steps) == sorted(map(hashed, "abc"))
    assert app.calls[-2].ctx["stack"]["stack"] == [hashed("a"), hashed("b")]


def test_the_server_can_be_told_to_cancel():
    with served(in_order(ops(op("Sleep", "s", name="1h")), DONE)) as (app, server):
        with server.hold():
            (event_id,) = server.send({"name": "raw/go"})
            server.wait_for(event_id, "sleeping")
            assert server.cancel(server.runs()[0].run_id) is True
        run = server.wait_for_run(event_id)
        with pytest.raises(LookupError):
            server.cancel("x")
    assert (run.status, run.output, run.ended) == ("Cancelled", None, True)
    assert len(app.calls) == 1
    assert kinds(run) == ["started", "sleeping", "cancelled"]


def test_an_answer_for_a_cancelled_run_is_ignored():
    arrived, let_go = threading.Event(), threading.Event()

    def reply(call):
        arrived.set()
        assert let_go.wait(60)
        return DONE

    with served(reply) as (app, server):
        (event_id,) = server.send({"name": "raw/go"})
        assert arrived.wait(60)
        server.cancel(server.runs()[0].run_id)
        let_go.set()
        assert server.wait_for_run(event_id).output is None
