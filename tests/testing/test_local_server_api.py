"""The local server's own HTTP API answers as a real server was recorded to."""

import json
import re

import pytest
from raw_app import (
    answer,
    ask,
    function,
    hashed,
    in_order,
    op,
    ops,
    post,
    recording,
    run_of,
    served,
)
from recordings import verdicts

from inngest_wsgi.testing import LocalServer, VirtualClock

KEY = "signkey-test-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
BARE = KEY.rsplit("-", 1)[1]
BEARER = "Bearer signkey-test-4884fdaafea47c29fea7159d0daddd9c085d6200e1359e85bb81736af6b7c837"
EVENT_KEY = "event-key-test-1"

_FILLER = re.compile(r"x<(\d+) times>")
_ULID = re.compile(r"[0-9A-Z]{26}\Z")


@pytest.fixture(scope="module")
def cloud():
    with LocalServer(signing_key=KEY, event_keys=[EVENT_KEY], clock=VirtualClock()) as server:
        yield server


def exchanges(number):
    found = recording(number)["exchanges"]
    return [pytest.param(e, id=e["note"].split(" (")[0].replace(" ", "-")[:60]) for e in found]


def send_recorded(server, exchange):
    request = exchange["request"]
    headers = {
        name: value
        for name, value in request["headers"].items()
        if name not in ("Host", "Content-Length", "Accept-Encoding")
    }
    body = _FILLER.sub(lambda match: "x" * int(match.group(1)), request["body"])
    if body.endswith("... (5001 events)"):
        body = json.dumps([{"name": "x/many", "data": {}}] * 5001)
    url = server.url + request["path"] + ("?" + request["query"] if request["query"] else "")
    return ask(request["method"], url, body.encode(), headers)


@pytest.mark.parametrize("exchange", exchanges(53))
def test_event_api(cloud, exchange):
    got = send_recorded(cloud, exchange)
    real = exchange["response"]
    assert got.status == real["status"]
    assert got.headers["X-Inngest-Server-Kind"] == "cloud"
    if exchange["request"]["method"] == "GET":
        assert got.headers["Allow"] == "POST"
        return
    if got.status == 303:
        assert got.headers["Location"] == real["headers"]["Location"]
        return
    assert got.headers["Content-Type"] == real["headers"]["Content-Type"]
    if "5001" in exchange["note"]:
        assert got.json["error"] in real["body"]
        assert len(set(got.json["ids"])) == 5000
        return
    expected = json.loads(real["body"])
    ids, expected_ids = got.json.pop("ids", None), expected.pop("ids", None)
    assert got.json == expected
    if "seed" in exchange["note"] and "malformed" not in exchange["note"]:
        assert ids == expected_ids
    elif ids is not None:
        assert [bool(_ULID.match(i)) for i in ids] == [bool(i) for i in expected_ids]


def test_events_before_the_invalid_one_of_a_list_start_runs():
    with served(lambda call: answer(200, "done")) as (app, server):
        got = post(server.url + "/e/k", [{"name": "raw/go", "data": {}}, {"name": ""}])
        assert got.status == 400
        (event_id,) = got.json["ids"]
        assert server.wait_for_run(event_id).status == "Completed"


def test_a_custom_id_starts_one_run_only():
    event = {"name": "raw/go", "data": {"n": 1}, "id": "order-1"}
    with served(lambda call: answer(200, "done")) as (app, server):
        first = post(server.url + "/e/k", event).json["ids"]
        again = post(server.url + "/e/k", event).json["ids"]
        assert first != again and "order-1" not in first + again
        run = server.wait_for_run("order-1")
        assert run.event["id"] == "order-1"
        assert [r.run_id for r in server.runs()] == [run.run_id]
        assert server.runs(first[0]) == [run]
        with pytest.raises(LookupError, match="triggered no run"):
            server.wait_for_run(again[0])


def test_a_repeated_seed_starts_one_run_only():
    seed = {"X-Inngest-Event-Id-Seed": "1743130137367,eii2YKXRVTJPuA=="}
    with served(lambda call: answer(200, "done")) as (app, server):
        ids = [post(server.url + "/e/k", {"name": "raw/go"}, seed).json["ids"] for _ in range(2)]
        assert ids[0] == ids[1]
        server.wait_for_run(ids[0][0])
        assert len(server.runs()) == 1


def test_dev_mode_takes_any_event_key_and_needs_no_bearer():
    with LocalServer(event_keys=[EVENT_KEY]) as server:
        assert post(server.url + "/e/whatever", {"name": "a/b"}).status == 200
        got = post(server.url + "/fn/register", {"appName": "a", "functions": []})
        assert (got.status, got.headers["X-Inngest-Server-Kind"]) == (200, "dev")


# -- registration --------------------------------------------------------------


def test_registration(cloud):
    for exchange in recording(54)["exchanges"]:
        got = send_recorded(cloud, exchange)
        real = exchange["response"]
        note = exchange["note"]
        assert got.status == real["status"], note
        assert got.headers["Content-Type"] == real["headers"]["Content-Type"], note
        if got.status == 401:
            assert got.text == real["body"], note
            continue
        expected = json.loads(real["body"])
        if note == "invalid JSON":
            # The words after the colon are those of Go's reader.
            prefix = expected["error"].split(":")[0]
            assert set(got.json) == {"error"} and got.json["error"].startswith(prefix)
            continue
        for made_up in ("sync_id", "app_id"):
            assert (made_up in got.json) == (made_up in expected), note
            expected.pop(made_up, None), got.json.pop(made_up, None)
        assert got.json == expected, note


def register(server, **changes):
    fn = {**function("http://127.0.0.1:9/x"), **changes}
    return post(server.url + "/fn/register", {"appname": "raw", "functions": [fn]})


UNREAD = "event.data.l.map(x, x > 1, x) == []"


@pytest.mark.parametrize(
    "settings, where",
    [
        ({"triggers": [{"event": "raw/go", "expression": UNREAD}]}, "of a trigger"),
        ({"idempotency": UNREAD}, "of idempotency"),
        ({"batchEvents": {"maxSize": 2, "timeout": "9s", "if": UNREAD}}, "of batchEvents"),
        ({"rateLimit": {"limit": 1, "period": "9s", "key": UNREAD}}, "of rateLimit"),
        ({"debounce": {"period": "9s", "key": UNREAD}}, "of debounce"),
    ],
    ids=str,
)
def test_an_expression_that_is_not_read_fails_its_own_function_alone(settings, where, caplog):
    def register(url):
        return [{**function(url, "bad"), **settings}, function(url, "good")]

    with served(lambda call: answer(200, 1), register) as (app, server):
        (event_id,) = server.send({"name": "raw/go"})
        ended = {run.function_id: server.wait_for_run(run.run_id) for run in server.runs(event_id)}
        assert ended["raw-good"].status == "Completed"
        assert ended["raw-bad"].status == "Failed"
        message = ended["raw-bad"].output["error"]["message"]
        assert message.startswith(
            f"the local server cannot run raw-bad: the expression {UNREAD!r}"
        )
        assert where in message and "map() with a condition" in message
        assert len(app.calls) == 1
    assert sum("cannot run raw-bad" in record.message for record in caplog.records) == 1


def test_an_option_that_has_no_effect_is_warned_of_once(caplog):
    settings = {
        "timeouts": {"start": "soon"},
        "triggers": [
            {"event": "*"},
            {"event": "inngest/deferred.schedule"},
            {"cron": "0 3 * * *", "jitter": "9s"},
        ],
        "concurrency": {"fn": [{"limit": 1}], "step": [{"limit": 2}]},
    }
    with LocalServer() as server:
        assert register(server, **settings).status == 200
        assert register(server, name="again", **settings).status == 200
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 5
    assert all(
        text.startswith("function raw-fn: no effect in the local server:") for text in warned
    )
    parts = ("timeouts.start: 'soon'", "trigger '*'", "jitter", "defer()", "concurrency.fn")
    for part in parts:
        assert any(part in text for text in warned)


@pytest.mark.parametrize(
    "pattern, name, fits",
    [
        ("shop/*", "shop/order.placed", True),
        ("shop/order.*", "shop/order.placed", True),
        ("shop/order/*", "shop/order/placed/late", True),
        ("shop/*", "shop/order/placed/late", True),
        ("shop/*", "shop/", True),
        ("shop/*", "shop", False),
        ("shop/*", "shops/order", False),
        ("shop/ord*", "shop/order", False),
        ("*/order", "shop/order", False),
        ("*", "shop/order", False),
    ],
)
def test_a_wildcard_stands_for_what_follows_a_slash_or_a_full_stop(pattern, name, fits):
    with LocalServer() as server:
        register(server, triggers=[{"event": pattern}])
        (event_id,) = server.send({"name": name})
        assert len(server.runs(event_id)) == fits


@pytest.mark.parametrize("what, settings, accepted", verdicts("functions"))
def test_a_function_is_registered_if_a_server_registers_it(what, settings, accepted):
    with LocalServer() as server:
        assert register(server, **settings).status == (200 if accepted else 400)


@pytest.mark.parametrize("kind", ["expressions", "doubtful_expressions", "cancel_expressions"])
def test_an_expression_is_registered_if_a_server_registers_it(kind):
    with LocalServer() as server:
        for text, accepted in verdicts(kind):
            settings = {"triggers": [{"event": "a", "expression": text}]}
            if kind == "cancel_expressions":
                settings = {"cancel": [{"event": "a", "if": text}]}
            got = register(server, **settings)
            assert got.status == (200 if accepted else 400), text
            if not accepted:
                assert got.json["error"] == "At least one function is invalid"


#: Where the local server says no and a real one yes.
OTHER_ANSWER = {"function id missing": "At least one function is invalid"}

#: No SDK is blocked.
NOT_TOLD = {"blocked JS SDK version"}


@pytest.mark.parametrize("exchange", exchanges(55))
def test_registrations_as_recorded(exchange):
    if exchange["note"] in NOT_TOLD:
        return
    with LocalServer(signing_key=KEY) as server:
        got = send_recorded(server, exchange)
    real = exchange["response"]
    if exchange["note"] in OTHER_ANSWER:
        assert got.status == 400
        assert OTHER_ANSWER[exchange["note"]] in got.json["error"]
    elif real["status"] == 200:
        assert (got.status, got.json["ok"]) == (200, True)
    else:
        assert (got.status, got.json) == (real["status"], json.loads(real["body"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": None},
        {"steps": {}},
        {"steps": None},
        {"triggers": [{}]},
        {"concurrency": [{"limit": 5, "scope": "env"}]},
        {"steps": {"step": {"id": "step", "name": "step", "runtime": {"type": "http"}}}},
        {"steps": {"step": {"runtime": {"url": "http://h/"}, "retries": {"attempts": "x"}}}},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_invalid_functions_are_refused_without_details(changes):
    with LocalServer() as server:
        got = register(server, **changes)
    real = {"error": "At least one function is invalid", "data": None, "status": 400}
    assert (got.status, got.json) == (400, real)


@pytest.mark.parametrize(
    "changes",
    [
        {"priority": {"run": "100"}},
        {"cancel": None},
        {"concurrency": []},
        {"new": 1},
        {"concurrency": 5},
        {"concurrency": {"step": [{"limit": 5}]}},
        {"concurrency": [{"limit": 5, "scope": "env", "key": "'a'"}]},
        {"timeouts": {}},
        {"debounce": None},
    ],
)
def test_settings_that_need_no_action_are_accepted(changes):
    with LocalServer() as server:
        assert register(server, **changes).status == 200


def test_a_new_registration_replaces_the_functions_of_the_app():
    with LocalServer(clock=VirtualClock()) as server:
        register(server)
        register(server, triggers=[{"event": "raw/other"}])
        (event_id,) = server.send({"name": "raw/go"})
        assert server.runs(event_id) == []


@pytest.mark.parametrize("attempts, calls", [(None, 5), (0, 1), (2, 3), (50, 21)])
def test_retries(attempts, calls):
    def register(url):
        fn = function(url)
        fn["steps"]["step"]["retries"] = {"attempts": attempts}
        return [fn]

    with served(lambda call: answer(500, "no"), register) as (app, server):
        run_of(server)
    assert len(app.calls) == calls
    assert {call.ctx["max_attempts"] for call in app.calls} == {calls}


@pytest.mark.parametrize("of_step, calls", [(None, 2), (2, 3)])
def test_retries_of_the_function_hold_where_its_step_has_none(of_step, calls):
    def register(url):
        fn = function(url)
        fn["retries"] = 1
        fn["steps"]["step"]["retries"] = of_step and {"attempts": of_step}
        return [fn]

    with served(lambda call: answer(500, "no"), register) as (app, server):
        run_of(server)
    assert len(app.calls) == calls


# -- reading back --------------------------------------------------------------


def get(server, path, bearer=None):
    return ask("GET", server.url + path, headers={"Authorization": bearer} if bearer else {})


def same_shape(ours, real, ignore=()):
    for exchanged in (ours.json, real):
        assert set(exchanged["metadata"]) == {"fetched_at", "cached_until"}
    mine, theirs = ours.json["data"], real["data"]
    mine, theirs = (mine, theirs) if isinstance(mine, dict) else (mine[0], theirs[0])
    assert set(mine) == set(theirs)


def test_runs_read_back():
    recorded = {e["note"]: e["response"] for e in recording(58)["exchanges"]}
    big = {"n": 1.5}
    with served(lambda call: answer(200, big), key=BARE) as (app, server):
        run = run_of(server)
        (event_id,) = [run.event["id"]]

        got = get(server, "/v1/runs/" + run.run_id, BEARER)
        same_shape(got, json.loads(recorded["run"]["body"]))
        assert got.json["data"]["run_id"] == run.run_id
        assert got.json["data"]["status"] == "Completed"
        assert got.json["data"]["output"] == big
        assert got.headers["Content-Type"] == recorded["run"]["headers"]["Content-Type"]

        got = get(server, f"/v1/events/{event_id}/runs", BEARER)
        same_shape(got, json.loads(recorded["runs of an event"]["body"]))
        assert [r["run_id"] for r in got.json["data"]] == [run.run_id]

        unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
        for path, note in [
            ("/v1/runs/" + unknown, "unknown run"),
            ("/v0/runs/not-a-run/actions", "actions of an invalid run id"),
            ("/v0/runs/{}/actions", "actions of a finished run (state is gone)"),
            ("/v0/runs/{}/batch", "batch of a finished run (state is gone)"),
        ]:
            got = get(server, path.format(run.run_id), BEARER)
            body = recorded[note]["body"].replace("01M817A8XYWFFH3EXPCKTHCSKB", run.run_id)
            assert (got.status, got.text) == (recorded[note]["status"], body)
            assert got.headers["Content-Type"] == recorded[note]["headers"]["Content-Type"]

        for path in ("/v1/runs/x", "/v1/events/x/runs", "/v0/runs/x/actions", "/v0/runs/x/batch"):
            for bearer in (None, "Bearer signkey-test-" + "0" * 64, "Basic " + BARE):
                got = get(server, path, bearer)
                assert (got.status, got.text) == (401, "Authentication failed\n")


def test_state_can_be_read_while_a_run_is_running():
    seen = {}

    def reply(call):
        if not call.steps:
            return ops(op("StepRun", "a", data={"x": 1.0}))
        for name in ("batch", "actions"):
            path = "/v0/runs/{}/{}".format(call.ctx["run_id"], name)
            seen[name] = get(served_by[0], path)
        return answer(200, None)

    with served(reply) as (app, server):
        served_by = [server]
        run = run_of(server)
    assert {got.status for got in seen.values()} == {200}
    assert {got.headers["Content-Type"] for got in seen.values()} == {"text/plain; charset=utf-8"}
    assert seen["actions"].json == {hashed("a"): {"data": {"x": 1}}}
    event = dict(run.event)
    assert event.pop("user") == {}
    assert seen["batch"].json == [event]


def test_signals_nobody_waits_for(cloud):
    recorded = {e["note"]: e for e in recording(58)["exchanges"]}["signal nobody waits for"]
    got = send_recorded(cloud, recorded)
    assert (got.status, got.text) == (404, recorded["response"]["body"])
    assert got.headers["Content-Type"] == recorded["response"]["headers"]["Content-Type"]
    assert post(cloud.url + "/v1/signals", {"signal": "x", "data": 1}).status == 401
    for body in (b"", b"{", b"[]", {"data": 1}, {"signal": 1}):
        got = post(cloud.url + "/v1/signals", body, {"Authorization": BEARER})
        assert got.status == 400 and got.json["error"].startswith("Invalid request: ")


def test_cancelling_over_http():
    reply = in_order(ops(op("Sleep", "s", name="1h")), answer(200, "done"))
    with served(reply, key=BARE) as (app, server), server.hold():
        (event_id,) = server.send({"name": "raw/go"})
        run_id = server.runs(event_id)[0].run_id
        server.wait_for(run_id, "sleeping")
        for path in ("/v1/runs/" + run_id, "/v1/runs/x"):
            assert ask("DELETE", server.url + path).status == 401
        bearer = {"Authorization": BEARER}
        for _ in range(2):
            got = ask("DELETE", server.url + "/v1/runs/" + run_id, headers=bearer)
            assert (got.status, got.text) == (200, "")
            assert server.wait_for_run(run_id, timeout=0).status == "Cancelled"
        assert ask("DELETE", server.url + "/v1/runs/x", headers=bearer).status == 404


def test_anything_else_is_404_or_405_in_json(cloud):
    for method, path, status in [
        ("GET", "/", 404),
        ("GET", "/dev", 404),
        ("POST", "/v1/checkpoint/x/steps", 404),
        ("GET", "/fn/register", 405),
        ("PUT", "/v1/runs/x", 405),
    ]:
        got = ask(method, cloud.url + path)
        assert (got.status, got.json["status"]) == (status, status)
        assert got.headers["Content-Type"] == "application/json"
