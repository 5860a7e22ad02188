"""The local server answers checkpoints as a real server was recorded to.

During a call a raw app makes the recorded requests, with the ids of its own
call in them.
"""

import json
import re
import time

import pytest
from raw_app import answer, calls_of, function, op, ops, post, recording, served

from inngest_wsgi.testing import SystemClock

KEY = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

_FILLER = re.compile(r"x<(\d+) times>")
#: The reader's own words of what is wrong with a text that is not JSON.
_NOT_JSON = re.compile(r"(invalid request body: )invalid character .*")


def checkpoints_of(recorded):
    return [e for e in recorded["exchanges"] if "/checkpoint/" in e["request"]["path"]]


def ids_of(ctx):
    return {name: ctx[name] for name in ("run_id", "fn_id", "qi_id", "request_id")}


def live(text, recorded, call):
    """Put the ids of a call in the place of those of a recorded call."""
    theirs, ours = ids_of(recorded), ids_of(call.ctx)
    for name, value in theirs.items():
        text = text.replace(value, ours[name])
    return _FILLER.sub(lambda match: "x" * int(match.group(1)), text)


def send(server, exchange, recorded, call):
    request = exchange["request"]
    path = live(request["path"], recorded, call)
    text = live(request["body"], recorded, call)
    try:
        body = json.loads(text)
    except ValueError:
        return post(server.url + path, text.encode())
    now = int(time.time() * 1000)
    if "request_started_at" in body:
        body["request_started_at"] += now - body["ts"]
    if "ts" in body:
        body["ts"] = now
    return post(server.url + path, body)


def comparable(status, text):
    if not text:
        return status, None
    body = json.loads(text)
    assert set(body) == {"error", "data", "status"}
    error = _NOT_JSON.sub(r"\1", body["error"])
    return status, dict(body, error="not JSON" if error.endswith("body: ") else error)


@pytest.mark.parametrize("number", [99, 100])
def test_each_recorded_checkpoint_is_answered_and_stored_as_recorded(number):
    recorded = recording(number)
    first, second = calls_of(recorded)
    ctx = json.loads(first["request"]["body"])["ctx"]
    made, ended = checkpoints_of(recorded), []
    if "after the run has ended" in (made[-1]["note"] or ""):
        ended = [made.pop()]
    answers = []

    def reply(call):
        if call.number:
            return answer(200, "done")
        answers.extend(send(server, exchange, ctx, call) for exchange in made)
        return json_answer(first["response"])

    with served(reply, clock=SystemClock(), detect_stale_calls=number == 100) as (app, server):
        (event_id,) = server.send({"name": "raw/go", "data": {}})
        run = server.wait_for_run(event_id, 30)
        answers.extend(send(server, exchange, ctx, app.calls[0]) for exchange in ended)
    for exchange, got in zip(made + ended, answers):
        real = exchange["response"]
        expected = comparable(real["status"], live(real["body"], ctx, app.calls[0]))
        text = got.text
        if "invalid request body" in text and "nope" in exchange["request"]["body"]:
            text = json.dumps(dict(got.json, error="not JSON"))
        assert comparable(got.status, text) == expected, exchange["note"]
        assert got.headers["Content-Type"] == real["headers"]["Content-Type"]
    assert run.status == "Completed"
    later = json.loads(second["request"]["body"])
    call = app.calls[1]
    assert call.steps == later["steps"]
    assert call.ctx["stack"] == later["ctx"]["stack"]
    assert call.body["version"] == later["version"]


def json_answer(real):
    return dict(real, headers=dict(real["headers"]))


def test_the_attempts_of_a_call_go_on_after_its_checkpoint_as_recorded():
    recorded = recording(101)
    real_calls, made = calls_of(recorded), checkpoints_of(recorded)
    contexts = [json.loads(call["request"]["body"])["ctx"] for call in real_calls]

    def reply(call):
        for exchange in made:
            body = json.loads(exchange["request"]["body"])
            if body["request_id"] == contexts[call.number]["request_id"]:
                assert send(server, exchange, contexts[call.number], call).status == 200
        return json_answer(real_calls[call.number]["response"])

    def register(url):
        return [function(url, retries=2)]

    with served(reply, register, clock=SystemClock(), retry_interval=0) as (app, server):
        (event_id,) = server.send({"name": "raw/go", "data": {}})
        run = server.wait_for_run(event_id, 30)
    assert run.status == "Failed"
    assert len(app.calls) == len(real_calls) == 3
    for call, real in zip(app.calls, real_calls):
        body = json.loads(real["request"]["body"])
        assert (call.attempt, call.steps) == (body["ctx"]["attempt"], body["steps"])
        assert call.ctx["generation_id"] == body["ctx"]["generation_id"]
        assert call.body["version"] == body["version"]


def test_a_checkpoint_needs_the_signing_key():
    answers = []

    def reply(call):
        body = dict(ids_of(call.ctx), steps=[op("StepRun", "a", data=1)])
        url = f"{server.url}/v1/checkpoint/{call.ctx['run_id']}/async"
        answers.append(post(url, body))
        answers.append(post(url, body, {"Authorization": f"Bearer {KEY}"}))
        return answer(200, sorted(call.steps))

    with served(reply, key=KEY) as (app, server):
        (event_id,) = server.send({"name": "raw/go", "data": {}})
        run = server.wait_for_run(event_id, 30)
    refused, stored = answers
    assert (refused.status, refused.text.strip()) == (401, "Authentication failed")
    assert (stored.status, stored.text) == (200, "")
    assert [entry.step for entry in run.history if entry.kind == "step ran"] == ["a"]


def test_a_step_that_is_stored_and_then_reported_leads_to_the_next_call():
    """An app that did not hear that a step was stored reports it again."""

    def reply(call):
        if call.number:
            return answer(200, call.steps)
        step = op("StepRun", "a", data=1)
        body = dict(ids_of(call.ctx), steps=[step])
        assert post(f"{server.url}/v1/checkpoint/{body['run_id']}/async", body).status == 200
        return ops(step)

    with served(reply) as (app, server):
        (event_id,) = server.send({"name": "raw/go", "data": {}})
        run = server.wait_for_run(event_id, 30)
    assert (run.status, len(app.calls)) == ("Completed", 2)
    assert list(run.output.values()) == [{"data": 1}]


def test_the_steps_of_a_checkpoint_over_the_limit_of_a_run_are_refused():
    answers = []

    def reply(call):
        large = "x" * (4 * 1024 * 1024 - 100)
        for count in (7, 1):
            steps = [op("StepRun", f"s{len(answers)}-{n}", data=large) for n in range(count)]
            body = dict(ids_of(call.ctx), steps=steps)
            answers.append(post(f"{server.url}/v1/checkpoint/{body['run_id']}/async", body))
        body = dict(ids_of(call.ctx), steps=[op("StepRun", "a", data=large + "x" * 200)])
        answers.append(post(f"{server.url}/v1/checkpoint/{body['run_id']}/async", body))
        return answer(200, "done")

    with served(reply) as (app, server):
        (event_id,) = server.send({"name": "raw/go", "data": {}})
        run = server.wait_for_run(event_id, 60)
    assert [got.status for got in answers] == [200, 200, 413]
    assert answers[2].json["error"] == "run state size limit exceeded: state is too large"
    assert run.status == "Completed"
