"""The local server reacts to an app's answers as a real server did.

The experiments in the recordings 110 to 113: a raw app gave these answers, and
``observed`` is the reaction of a real server.
"""

import datetime
import gzip
import json
import re
import socket
import threading
import time
import zlib

import pytest
from raw_app import (
    SDK,
    answer,
    function,
    hashed,
    in_order,
    op,
    ops,
    recording,
    run_of,
    served,
)

EXPERIMENTS = {
    experiment["id"]: experiment
    for number in (110, 111, 112, 113)
    for experiment in recording(number)["experiments"]
}

#: A real server hangs, loops for ever, or retries 20 times whatever was
#: configured; the local server fails the run at once and says why.
FAILED_AT_ONCE = {
    "206-empty-array": "empty list",
    "206-empty-array-always": "empty list",
    "206-none-op": "the op None",
    "206-same-id-again": "contained the result of that step",
    "planned-already-planned": "contained the result of that step",
    "target-answers-empty": "empty list",
    "target-answers-other-step": "does not report that step",
    "sleep-2y": "cannot read",
    "sleep-garbage": "cannot read",
    "sleep-garbage-always": "cannot read",
    "sleep-garbage-retries1": "cannot read",
    "sleep-number": "cannot read",
    "sleep-1w-invalid-unit": "cannot read",
    "wait-no-event": "has no event name",
    "wait-bad-timeout": "cannot read",
    "invoke-no-payload": "has no payload",
    "invoke-list-data": "not an object",
}

#: The answers are described in words; tested one by one further down.
IN_WORDS = {
    name
    for name, experiment in EXPERIMENTS.items()
    if not all(isinstance(given, dict) for given in experiment["responses_by_call"])
}

#: The bytes of these are not in the recording.
UNRECORDED_BYTES = {"gzip-body", "deflate-body"}

#: The UI of the real server shows this output; ours is the body itself.
OTHER_OUTPUT = {"206-no-header-always"}

#: The UI of the real server shows no output for these; its events have it.
RUN_COMPLETE = {
    "206-run-complete",
    "206-step-and-run-complete",
    "run-complete",
    "step-and-run-complete",
    "run-complete-error",
}

#: Needs the function that it invokes; tested further down.
WITH_CHILD = {"invoke-null-data-payload"}

_CUT = re.compile(r"\.\.\. \((\d+) bytes\)\Z")


def restored(given):
    """Return an answer of an experiment, with a shortened body at full length."""
    cut = _CUT.search(given["body"])
    if cut is None:
        return given
    size = int(cut.group(1))
    if given["status"] == 200:
        return dict(given, body='"' + "x" * (size - 2) + '"')
    found = re.search(r'"id": "([0-9a-f]+)', given["body"])
    assert found is not None
    step_id = found.group(1)
    (name,) = [name for name in "abs" if hashed(name).startswith(step_id)]
    frame = {"op": "StepRun", "id": hashed(name), "name": name, "displayName": name, "data": ""}
    filler = size - len(json.dumps([frame]))
    return dict(given, body=json.dumps([dict(frame, data="x" * filler)]))


#: The experiments in which calls 1 and 2 were made at the same time.
AT_ONCE = {
    "206-two-stepruns",
    "206-two-stepruns-reqver1",
    "planned-already-planned",
    "target-answers-other-step",
}


def together(name, reply):
    """Hold calls back that a real server made at the same time, until all are
    here; otherwise the first to end would change what the others carry."""
    if name not in AT_ONCE:
        return reply
    barrier = threading.Barrier(2, timeout=60)

    def held(call):
        if call.number in (1, 2):
            barrier.wait()
        return reply(call)

    return held


def react(name, reply, retries):
    def register(url):
        return [function(url, retries=retries)]

    with served(reply, register) as (app, server):
        limits = server._store.runs
        if name == "step-limit":
            limits.step_count_limit = 2
        if name == "state-limit":
            limits.state_limit = 4000
        run = run_of(server)
    return app.calls, run


def seen(calls):
    return [
        (
            call.step_id,
            call.attempt,
            call.ctx["disable_immediate_execution"],
            call.body["version"],
            json.dumps(call.steps, sort_keys=True),
        )
        for call in calls
    ]


def observed(experiment):
    return [
        (
            call["step_id"],
            call["attempt"],
            call["disable_immediate_execution"],
            call["version"],
            json.dumps(call["steps"], sort_keys=True),
        )
        for call in experiment["observed"]["calls"]
    ]


@pytest.mark.parametrize(
    "name",
    sorted(set(EXPERIMENTS) - set(FAILED_AT_ONCE) - IN_WORDS - UNRECORDED_BYTES - WITH_CHILD),
)
def test_reacts_as_observed(name):
    experiment = EXPERIMENTS[name]
    reply = in_order(*map(restored, experiment["responses_by_call"]))
    calls, run = react(name, together(name, reply), experiment["retries"])
    was = experiment["observed"]

    assert len(calls) == was["number_of_calls"]
    assert run.status == was["run_status_at_end"]
    ours, theirs = seen(calls), observed(experiment)
    for mine, real in zip(ours, theirs):
        assert mine[:4] == real[:4]
        if " bytes>" not in real[4]:
            assert mine[4] == real[4]
    real = was["run_output"]
    if name in RUN_COMPLETE:
        real = was["finished_events"]["inngest/function.finished"]["result"]
    compare_output(name, run.output, real)


def compare_output(name, output, real):
    if name in OTHER_OUTPUT:
        return
    if isinstance(real, str) and real.endswith(" bytes>"):
        assert len(json.dumps(output)) == int(real[1:].split()[0])
    elif isinstance(real, dict) and "before the SDK responded" in real.get("error", ""):
        # The explanation in "stack" is prose of the server's own.
        assert {**output, "stack": ""} == {**real, "stack": ""}
    elif name in ("step-limit", "wait-bad-expr", "wait-empty-if"):
        assert output["error"]["name"] == real["error"]["name"]
        assert output["error"]["message"] == real["error"]["message"]
    else:
        assert output == real


@pytest.mark.parametrize("name", sorted(set(FAILED_AT_ONCE) - IN_WORDS))
def test_fails_at_once_where_a_server_would_hang(name):
    experiment = EXPERIMENTS[name]
    reply = in_order(*experiment["responses_by_call"])
    calls, run = react(name, reply, experiment["retries"])
    assert run.status == "Failed"
    assert FAILED_AT_ONCE[name] in run.output["error"]["message"]
    if name == "206-same-id-again":
        assert seen(calls) == observed(experiment)
    assert len(calls) <= experiment["observed"]["number_of_calls"]


def test_every_experiment_is_accounted_for():
    in_words = {
        "206-planned-reqver1",
        "206-planned-reqver2",
        "206-single-planned",
        "target-answers-200",
        "target-answers-500",
        "target-answers-empty",
        "target-answers-other-step",
        "planned-already-planned",
        "two-waits",
        "hang-up",
        "hang-up-always",
        "307-redirect",
        "302-redirect",
        "redirect-307",
        "redirect-302",
        "wait-iso-timeout",
    }
    assert IN_WORDS == in_words | {n for n in EXPERIMENTS if n.startswith("retry-after-")}


# -- parallel steps, described in words --------------------------------------


def planner(version, first):
    """Return an app with a group of parallel steps, and the step c after it."""
    headers = {"X_Inngest_Req_Version": version}
    names = {hashed(name): name for name in first + ("c",)}

    def reply(call):
        if call.step_id != "step":
            name = names[call.step_id]
            return ops(op("StepRun", name, data=name.upper()), **headers)
        missing = [name for name in first if hashed(name) not in call.steps]
        if missing:
            return ops(*[op("StepPlanned", name) for name in missing], **headers)
        if hashed("c") in call.steps:
            return answer(200, "done", **headers)
        if call.ctx["disable_immediate_execution"]:
            return ops(op("StepPlanned", "c"), **headers)
        return ops(op("StepRun", "c", data="C"), **headers)

    return reply


@pytest.mark.parametrize(
    "name, version, first",
    [
        ("206-planned-reqver1", "1", ("a", "b")),
        ("206-planned-reqver2", "2", ("a", "b")),
        ("206-single-planned", "2", ("a",)),
    ],
)
def test_planned_steps(name, version, first):
    experiment = EXPERIMENTS[name]
    reply = planner(version, first)
    meeting = threading.Barrier(2, timeout=60)
    meet_again = threading.Barrier(2, timeout=60)

    def held(call):
        # The recorded order: both targets at once, and with version 1 both
        # discovery requests at once.
        if len(first) == 2 and call.number in (1, 2):
            meeting.wait()
        if version == "1" and call.number in (3, 4):
            meet_again.wait()
        return reply(call)

    calls, run = react(name, held, 1)
    real = observed(experiment)
    assert sorted(s[:4] for s in seen(calls)) == sorted(r[:4] for r in real)
    assert (run.status, run.output) == ("Completed", "done")
    assert json.loads(seen(calls)[-1][4]) == json.loads(real[-1][4])


def two_planned(targets):
    def reply(call):
        if call.step_id == "step" and not call.steps:
            return ops(op("StepPlanned", "a"), op("StepPlanned", "b"))
        for name, given in targets.items():
            if call.step_id == hashed(name):
                return given(call) if callable(given) else given
        return answer(200, "done")

    return reply


def test_a_target_that_answers_200_ends_the_run():
    called, ended = threading.Event(), threading.Event()

    def early(call):
        assert called.wait(60)
        return answer(200, "early")

    def slow(call):
        called.set()
        assert ended.wait(60)
        return ops(op("StepRun", "b", data=2))

    reply = two_planned({"a": early, "b": slow})
    with served(reply) as (app, server):
        run = run_of(server)
        ended.set()
    was = EXPERIMENTS["target-answers-200"]["observed"]
    assert (run.status, run.output) == (was["run_status_at_end"], was["run_output"])
    assert len(app.calls) == was["number_of_calls"]


def test_a_target_that_answers_500_fails_the_run():
    boom = {"name": "CustomError", "message": "boom", "stack": "CustomError: boom\n  at app.py:1"}
    reply = two_planned({"a": answer(500, boom), "b": ops(op("StepRun", "b", data=2))})
    calls, run = react("", reply, 1)
    was = EXPERIMENTS["target-answers-500"]["observed"]
    assert len(calls) == was["number_of_calls"]
    assert (run.status, run.output) == ("Failed", was["run_output"])
    assert seen(calls)[-1] == observed(EXPERIMENTS["target-answers-500"])[-1]


@pytest.mark.parametrize(
    "name, wrong",
    [
        ("target-answers-empty", ops()),
        ("target-answers-other-step", ops(op("StepRun", "z", data=1))),
    ],
)
def test_a_target_that_answers_wrongly_fails_the_run(name, wrong):
    reply = two_planned({"a": wrong, "b": ops(op("StepRun", "b", data=2))})
    calls, run = react("", together(name, reply), 1)
    assert run.status == "Failed"
    assert FAILED_AT_ONCE[name] in run.output["error"]["message"]
    if name == "target-answers-other-step":
        assert sorted(seen(calls)) == sorted(observed(EXPERIMENTS[name]))


def test_planning_finished_steps_again_fails_the_run():
    targets = {n: ops(op("StepRun", n, data=1)) for n in "abc"}

    def reply(call):
        if call.step_id == "step" and call.steps:
            return ops(*[op("StepPlanned", n) for n in "abc"])
        return two_planned(targets)(call)

    calls, run = react("", together("planned-already-planned", reply), 1)
    assert sorted(seen(calls)) == sorted(observed(EXPERIMENTS["planned-already-planned"]))
    assert run.status == "Failed"
    for reason in (FAILED_AT_ONCE["planned-already-planned"], "wait for 'a', 'b', which had"):
        assert reason in run.output["error"]["message"]


def test_a_target_that_plans_itself_again_leaves_no_work():
    reply = two_planned({"a": ops(op("StepPlanned", "a")), "b": ops(op("StepRun", "b", data=2))})
    _, run = react("", reply, 1)
    assert run.status == "Failed"
    assert "reported StepPlanned for step 'a' a second time" in run.output["error"]["message"]


def test_two_waits_in_a_group():
    reported = [
        op("WaitForEvent", "a", opts={"event": "raw/never", "timeout": "1s"}),
        op("Sleep", "b", opts={"duration": "2s"}),
    ]
    calls, run = react("", in_order(ops(*reported), answer(200, "done")), 1)
    was = EXPERIMENTS["two-waits"]
    assert json.loads(was["responses_by_call"][0]["body"])[0]["opts"] == reported[0]["opts"]
    assert seen(calls) == observed(was)
    assert (run.status, run.output) == ("Completed", was["observed"]["run_output"])


def test_a_wait_until_a_date():
    def reply(call):
        if call.number:
            return answer(200, "done")
        until = iso(time.time(), offset=3600)
        return ops(op("WaitForEvent", "s", opts={"event": "raw/never", "timeout": until}))

    calls, run = react("", reply, 1)
    assert seen(calls) == observed(EXPERIMENTS["wait-iso-timeout"])
    assert 3500 * 1000 < run.history[-1].at <= 3600 * 1000


def test_an_invoke_with_null_as_its_data():
    experiment = EXPERIMENTS["invoke-null-data-payload"]
    parent = in_order(*experiment["responses_by_call"])
    seen_by_child = []

    def reply(call):
        if "200-json-object" in call.query:
            seen_by_child.append(call.body["event"]["data"])
            return answer(200, {"a": 1})
        call.number = 0 if not call.steps else 1
        return parent(call)

    def register(url):
        child = function(url, "child", event="raw/child", id="raw-app-200-json-object")
        return [function(url), child]

    with served(reply, register) as (app, server):
        run = run_of(server)
    calls = [call for call in app.calls if "fnId=raw-fn" in call.query]
    assert seen(calls) == observed(experiment)
    assert (run.status, run.output) == ("Completed", experiment["observed"]["run_output"])
    assert set(seen_by_child[0]) == {"_inngest"}


# -- transport ----------------------------------------------------------------


def hang_up(call):
    call.environ["raw.socket"].shutdown(socket.SHUT_RDWR)
    return answer(200, None)


def test_a_connection_that_breaks_is_retried():
    def reply(call):
        return answer(200, "done") if call.number else hang_up(call)

    calls, run = react("", reply, 2)
    assert [call.attempt for call in calls] == [0, 1]
    assert run.output == EXPERIMENTS["hang-up"]["observed"]["run_output"]


def test_a_connection_that_always_breaks_fails_the_run():
    calls, run = react("", hang_up, 1)
    was = EXPERIMENTS["hang-up-always"]["observed"]
    assert len(calls) == was["number_of_calls"]
    assert (run.status, run.output) == ("Failed", was["run_output"])


def test_an_answer_that_is_cut_short_is_no_answer():
    cut = answer(200, "done", Content_Length="100")
    calls, run = react("", in_order(cut, answer(200, "whole")), 1)
    assert (len(calls), run.output) == (2, "whole")


@pytest.mark.parametrize("status, method", [(307, "POST"), (302, "GET")])
def test_redirects_are_followed(status, method):
    def reply(call):
        if "moved" in call.query:
            return answer(200, "done")
        return {"status": status, "headers": {"Location": "/api/inngest?moved=1"}, "body": ""}

    calls, run = react("", reply, 1)
    assert (run.status, run.output, len(calls)) == ("Completed", "done", 2)
    assert calls[1].method == method
    assert calls[1].raw == calls[0].raw


def test_a_redirected_call_as_recorded():
    first, second = (e["request"] for e in recording(125)["exchanges"])
    assert (first["body"], first["query"]) == (second["body"], second["query"])

    def reply(call):
        if call.method == "GET":
            return answer(200, {"introspection": True})
        location = call.headers["Host"] + "/api/inngest?" + call.query
        return {"status": 301, "headers": {"Location": "http://" + location}, "body": ""}

    with served(reply, key="ab" * 32) as (app, server):
        run = run_of(server)
    assert (run.status, run.output) == ("Completed", {"introspection": True})
    (post, get) = app.calls
    assert (post.method, get.method) == ("POST", "GET")
    assert (post.raw, post.query) == (get.raw, get.query)
    added = {"Referer": "http://{}/api/inngest?{}".format(post.headers["Host"], post.query)}
    assert dict(get.header_list) == dict(post.header_list, **added)
    assert set(second["headers"]) - set(first["headers"]) == set(added)


def test_an_answer_with_too_much_input_as_recorded():
    planned = [op("StepPlanned", f"s{n}", opts={"input": ["x" * 60000]}) for n in range(150)]
    calls, run = react("", lambda call: ops(*planned), 0)
    (recorded,) = recording(124)["runs"]
    assert (run.status, run.output) == (recorded["status"], recorded["output"])
    assert len(calls) == 1


@pytest.mark.parametrize(
    "data, memo",
    [
        ("\udc00\ud800", {"data": "\ufffd"}),
        ({"\udc00\ud800": ["a\udc00\ud800"]}, {"data": {"\ufffd": ["a\ufffd"]}}),
        ("\U0001f600", {"data": "\U0001f600"}),
        ("caf\udce9", None),
        ([{"a": "\ud800 "}], None),
        ({"\ud800": 1}, None),
        ("\ud800" * 3, None),
    ],
    ids=ascii,
)
def test_unpaired_surrogates_in_a_step(data, memo):
    calls, run = react("", in_order(ops(op("StepRun", "s", data=data)), answer(200, 1)), 0)
    if memo is None:
        (recorded,) = recording(122)["runs"]
        assert (run.status, run.output) == (recorded["status"], recorded["output"])
    else:
        assert run.steps == {hashed("s"): memo}
        assert calls[1].steps == run.steps


def test_unpaired_surrogates_in_an_error_are_replaced():
    failed = op("StepFailed", "s", error={"name": "E", "message": "caf\udce9"})
    calls, run = react("", in_order(ops(failed), answer(200, 1)), 0)
    assert calls[1].steps == {hashed("s"): {"error": {"name": "E", "message": "caf\ufffd"}}}


def encoded(encoding, body):
    return {"status": 200, "headers": dict(SDK, **{"Content-Encoding": encoding}), "body": body}


def test_gzip_is_decoded():
    body = gzip.compress(b'{"a":1}')
    _, run = react("", lambda call: encoded("gzip", body), 0)
    assert run.output == EXPERIMENTS["gzip-body"]["observed"]["run_output"]


def test_other_encodings_fail_the_attempt():
    replies = in_order(encoded("deflate", zlib.compress(b'{"a":1}')), answer(200, "done"))
    calls, run = react("", replies, 1)
    assert (len(calls), run.output) == (2, "done")


# -- delays --------------------------------------------------------------------


def iso(seconds, form="%Y-%m-%dT%H:%M:%SZ", offset=0):
    moment = datetime.datetime.fromtimestamp(seconds + offset, datetime.timezone.utc)
    return moment.strftime(form)


@pytest.mark.parametrize(
    "name, header, delay",
    [
        ("int", lambda now: "4", 4),
        ("zero", lambda now: "0", None),
        ("negative", lambda now: "-3", None),
        ("float", lambda now: "4.5", None),
        ("iso-z", lambda now: iso(now + 400), 400),
        ("iso-ms", lambda now: iso(now + 400, "%Y-%m-%dT%H:%M:%S.500Z"), 400.5),
        ("iso-offset", lambda now: iso(now + 400, "%Y-%m-%dT%H:%M:%S+02:00", 7200), 400),
        ("iso-no-zone", lambda now: iso(now + 400, "%Y-%m-%dT%H:%M:%S"), 400),
        ("http-date", lambda now: iso(now + 400, "%a, %d %b %Y %H:%M:%S GMT"), 400),
        ("unix", lambda now: "1795337603", None),
        ("unix-ms", lambda now: "1795337603623", None),
        ("past", lambda now: "2020-01-01T00:00:00Z", 1),
        ("garbage", lambda now: "soon", None),
        ("8-digits", lambda now: "00000004", None),
    ],
)
def test_retry_after(name, header, delay):
    def reply(call):
        if call.number:
            return answer(200, "done")
        return answer(500, {"name": "E", "message": "m"}, Retry_After=header(int(time.time())))

    calls, run = react(name, reply, 2)
    was = EXPERIMENTS["retry-after-" + name]["observed"]
    assert len(calls) == was["number_of_calls"]
    (scheduled,) = [e for e in run.history if e.kind == "retry scheduled"]
    if delay is None:
        assert scheduled.retry_in == 2
    elif delay < 10:
        assert scheduled.retry_in == delay
    else:
        # Of a date, the part of the current second is already over, and what
        # the machine took; minutes would not be.
        assert delay - 60 < scheduled.retry_in <= delay
    assert run.history[-1].at == pytest.approx(scheduled.retry_in * 1000, abs=1)


@pytest.mark.parametrize(
    "name, seconds",
    [
        ("sleep-1s", 1),
        ("sleep-1500ms", 1.5),
        ("sleep-name-1s", 1),
        ("sleep-1m-as-60s", 3),
        ("sleep-compound", 1),
        ("sleep-none", 0),
        ("sleep-past-date", 0),
        ("sleep-negative", 0),
        ("sleep-until-key", 0),
    ],
)
def test_sleeps_last_as_long_as_observed(name, seconds):
    experiment = EXPERIMENTS[name]
    _, run = react(name, in_order(*experiment["responses_by_call"]), 0)
    (woke,) = [entry for entry in run.history if entry.kind == "woke"]
    assert woke.at == seconds * 1000
