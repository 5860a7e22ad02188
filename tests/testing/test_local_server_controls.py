"""Pausing functions, cancelling many runs, publishing, and syncs in band."""

import base64
import json
from datetime import datetime, timezone

import pytest
from raw_app import (
    RawApp,
    answer,
    ask,
    calls_of,
    function,
    op,
    ops,
    post,
    recording,
    served,
    signature,
)
from werkzeug.wrappers import Response

from inngest_wsgi.testing import LocalServer, SyncError, VirtualClock
from inngest_wsgi.testing._wire.canonical import canonical

START = 1714521600.0  # 2024-05-01T00:00:00Z


def utc(hour):
    return datetime(2024, 5, 1, hour, tzinfo=timezone.utc)


def sleeping(call):
    return answer(200, None) if call.steps else ops(op("Sleep", "s", name="10h"))


# -- many runs at once -------------------------------------------------------


@pytest.mark.parametrize("exchange", recording(131)["exchanges"], ids=lambda e: e["note"])
def test_cancellations_that_are_not_acceptable(exchange):
    request, real = exchange["request"], exchange["response"]
    with LocalServer() as server:
        got = ask(request["method"], server.url + request["path"], request["body"].encode())
    assert (got.status, got.text) == (real["status"], real["body"])
    assert got.headers["Content-Type"] == real["headers"]["Content-Type"]


def send_hourly(server, count=4):
    """Send an event each hour; its run sleeps."""
    found = []
    for number in range(count):
        (event_id,) = server.send(
            {"name": "raw/go", "data": {"n": number, "even": number % 2 == 0}}
        )
        server.wait_for(event_id, "sleeping")
        found.append(event_id)
        server.advance(3600)
    return found


def statuses(server, event_ids):
    return [server.runs(event_id)[0].status for event_id in event_ids]


@pytest.mark.parametrize(
    "given, cancelled",
    [
        ({"started_before": utc(2)}, [0, 1, 2]),
        ({"started_after": utc(1), "started_before": utc(2)}, [1, 2]),
        ({"started_after": utc(2)}, [2, 3]),
        ({"if_exp": "event.data.even"}, [0, 2]),
        ({"if_exp": "event.data.n > 0 && event.data.n < 3", "started_after": utc(2)}, [2]),
        ({}, [0, 1, 2, 3]),
    ],
    ids=str,
)
def test_runs_are_cancelled_by_when_they_began_and_by_their_events(given, cancelled):
    with served(sleeping, clock=VirtualClock(START)) as (_, server):
        with server.hold():
            sent = send_hourly(server)
            ids = server.cancel_many("raw-fn", **given)
            found = statuses(server, sent)
        assert found == ["Cancelled" if n in cancelled else "Running" for n in range(4)]
        assert ids == [server.runs(sent[n])[0].run_id for n in cancelled]


def test_the_api_for_many_runs():
    body = {
        "app_id": "raw",
        "function_id": "fn",
        "started_after": "2024-05-01T00:30:00Z",
        "started_before": "2024-05-01T03:00:00Z",
        "if": "event.data.even",
    }
    with served(sleeping, clock=VirtualClock(START)) as (_, server):
        url = server.url + "/v1/cancellations"
        with server.hold():
            sent = send_hourly(server)
            got = post(url, body)
            assert statuses(server, sent) == ["Running", "Running", "Cancelled", "Running"]
            made = got.json["data"]
            assert got.status == 200
            assert {key: made[key] for key in ("function_id", "kind", "cause", "name", "if")} == {
                "function_id": "raw-fn",
                "kind": "bulk_run",
                "cause": "api",
                "name": None,
                "if": "event.data.even",
            }
            assert made["started_before"] == body["started_before"]
            assert ask("GET", url).json["data"] == [made]
            assert ask("DELETE", f"{url}/{made['id']}").json["data"] == {"ok": True}
            assert ask("DELETE", f"{url}/{made['id']}").status == 404
            assert ask("GET", url).json["data"] == []
            refused = post(url, {**body, "if": "event.data.("})
            assert refused.status == 400 and "invalid expression" in refused.json["error"]


def test_the_api_for_many_runs_wants_the_key():
    with LocalServer(signing_key="ab" * 32) as server:
        assert post(server.url + "/v1/cancellations", {}).status == 401


def test_a_method_that_is_asked_for_nonsense_says_so():
    with served(sleeping) as (_, server):
        with pytest.raises(LookupError, match="raw-nothing"):
            server.cancel_many("raw-nothing")
        with pytest.raises(ValueError, match="invalid expression"):
            server.cancel_many("raw-fn", if_exp="event.data.(")
        with pytest.raises(LookupError, match="raw-nothing"):
            server.pause("raw-nothing")


# -- pausing -----------------------------------------------------------------


def test_a_paused_function_starts_no_runs():
    def register(url):
        return [function(url), function(url, "other")]

    with served(lambda call: answer(200, None), register) as (_, server):
        server.pause("raw-fn")
        (event_id,) = server.send({"name": "raw/go"})
        assert [run.function_id for run in server.runs(event_id)] == ["raw-other"]
        server.unpause("raw-fn")
        assert [run.function_id for run in server.runs(event_id)] == ["raw-other"]
        (event_id,) = server.send({"name": "raw/go"})
        assert len(server.runs(event_id)) == 2


def test_a_run_of_a_paused_function_waits():
    with served(sleeping, clock=VirtualClock(START)) as (app, server):
        with server.hold():
            (event_id,) = server.send({"name": "raw/go"})
            server.wait_for(event_id, "sleeping")
            server.pause("raw-fn")
            server.advance(20 * 3600)
            run = server.runs(event_id)[0]
            assert (run.status, run.history[-1].kind, len(app.calls)) == ("Running", "woke", 1)
            server.unpause("raw-fn")
        assert server.wait_for_run(event_id).status == "Completed"
        assert len(app.calls) == 2


def test_a_run_of_a_paused_function_can_be_cancelled():
    with served(sleeping, clock=VirtualClock(START)) as (app, server):
        with server.hold():
            (event_id,) = server.send({"name": "raw/go"})
            server.wait_for(event_id, "sleeping")
            server.pause("raw-fn")
            server.advance(20 * 3600)
            server.cancel(server.runs(event_id)[0].run_id)
            server.unpause("raw-fn")
            server.advance(1)
        assert server.wait_for_run(event_id).status == "Cancelled"
        assert len(app.calls) == 1


def test_an_invoke_of_a_paused_function_fails():
    def register(url):
        return [function(url), function(url, "child", event="raw/none")]

    def reply(call):
        if call.steps:
            return answer(200, next(iter(call.steps.values())))
        return ops(op("InvokeFunction", "i", opts={"function_id": "raw-child", "payload": {}}))

    with served(reply, register) as (_, server):
        server.pause("raw-child")
        (event_id,) = server.send({"name": "raw/go"})
        run = server.wait_for_run(event_id)
    assert "the function is paused" in run.output["error"]["message"]


# -- publishing --------------------------------------------------------------


def test_messages_are_taken_as_recorded():
    recorded = recording(91)
    sent = [e for e in recorded["exchanges"] if e["request"]["path"] == "/v1/realtime/publish"]
    frames = [json.loads(frame) for frame in recorded["subscriber_frames"][:3]]
    with LocalServer() as server:
        for exchange in sent:
            request, real = exchange["request"], exchange["response"]
            body = request["body"].replace("x<600000 times>", "x" * 600000).encode()
            got = ask("POST", f"{server.url}{request['path']}?{request['query']}", body)
            assert (got.status, got.text) == (real["status"], real["body"])
        seen = server.published("room:42")
        assert [(m.channel, m.topic, m.data, m.run_id) for m in seen[:3]] == [
            (f["channel"], f["topic"], f["data"], f.get("run_id")) for f in frames
        ]
        assert [m.data for m in server.published("")] == [{"a": 1}]
        assert len(server.published()) == len(sent)
        assert len(server.published()[-1].data) == 512 * 1024


def test_a_token_is_made_as_recorded():
    def claims(token):
        return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))

    for exchange in recording(91)["exchanges"]:
        request, real = exchange["request"], exchange["response"]
        if request["path"] != "/v1/realtime/token":
            continue
        with LocalServer() as server:
            got = post(server.url + request["path"], request["body"].encode())
        assert got.status == real["status"]
        if real["status"] != 201:
            assert got.text == real["body"]
            continue
        ours, theirs = claims(got.json["jwt"]), claims(json.loads(real["body"])["jwt"])
        assert ours["exp"] - ours["iat"] == theirs["exp"] - theirs["iat"]
        for name in ("exp", "iat", "jti"):
            assert type(ours.pop(name)) is type(theirs.pop(name))
        assert ours == theirs


# -- syncs in band -----------------------------------------------------------

#: What stands for an app that answers as it was recorded, and its requests.
IN_BAND = [
    (number, exchange)
    for number in (56, 104)
    for exchange in recording(number)["exchanges"]
    if exchange["request"]["method"] == "PUT"
]


class _Answering(RawApp):
    """Answers every sync with one answer, signed now."""

    def __init__(self, exchange, key):
        super().__init__(lambda call: answer(200, None))
        self._exchange, self._secret = exchange, key

    def _sync(self, seen):
        real = self._exchange["response"]
        headers = {
            name: value
            for name, value in real["headers"].items()
            if name.lower() not in ("content-length", "date", "server", "x-inngest-signature")
        }
        if self._secret is not None:
            headers["X-Inngest-Signature"] = signature(self._secret, real["body"].encode())
        return Response(real["body"], real["status"], headers)


@pytest.mark.parametrize(
    "number, exchange", IN_BAND, ids=[f"{n}-{e['response']['status']}" for n, e in IN_BAND]
)
def test_an_app_is_registered_by_what_it_answers_in_band(number, exchange):
    secret = recording(number)["signing_key"].rsplit("-", 1)[1]
    real = exchange["response"]
    with _Answering(exchange, secret) as app, LocalServer(signing_key=secret) as server:
        if real["status"] != 200:
            with pytest.raises(SyncError) as caught:
                server.sync(app.url, in_band=True)
            assert (caught.value.status, caught.value.message) == (401, "Unauthorized")
            return
        got = server.sync(app.url, in_band=True)
        assert (got.status, got.kind, got.body) == (200, "in_band", json.loads(real["body"]))
        (request,) = app.syncs
        sent = {name.lower() for name, _ in request.header_list}
        asked = {name.lower() for name in exchange["request"]["headers"]}
        assert asked - sent <= {"accept-encoding"}  # of the harness that recorded it
        assert request.headers["X-Inngest-Sync-Kind"] == "in_band"
        assert json.loads(request.raw) == {"url": app.url}
        for registered in got.body["functions"]:
            name = registered["triggers"][0]["event"]
            assert [run.function_id for run in server.runs(server.send({"name": name})[0])] == [
                registered["id"]
            ]


def test_an_answer_in_band_that_is_not_signed_is_refused():
    exchange = next(e for _, e in IN_BAND if e["response"]["status"] == 200)
    with _Answering(exchange, None) as app, LocalServer(signing_key="ab" * 32) as server:
        with pytest.raises(SyncError, match="not signed"):
            server.sync(app.url, in_band=True)


def test_an_app_that_registers_by_itself_may_be_asked_in_band():
    with RawApp(lambda call: answer(200, None)) as app, LocalServer() as server:
        app.server_url = server.url
        assert server.sync(app.url, in_band=True).kind == "out_of_band"


def test_recorded_calls_of_this_file_are_canonical():
    for number in (91, 92):
        for exchange in calls_of(recording(number)):
            body = exchange["request"]["body"]
            assert canonical(json.loads(body)) == body.encode()
