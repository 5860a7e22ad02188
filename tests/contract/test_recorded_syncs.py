"""Replay every recorded sync and introspection: the server's requests to the
endpoint, and the server's answers to the endpoint's registration."""

import json
import urllib.parse

import pytest
import recordings
from apps import Endpoint, is_signed
from stub_server import Scripted, serving

import inngest_wsgi as inngest

NUMBERS = ("01", "02", "50", "54", "55", "56", "59", "60", "70", "71", "104")
RECORDINGS = {number: recordings.load(number) for number in NUMBERS}
OK = (200, {"ok": True, "modified": True})

EVENT_KEYS = {"71": "test-event-key", "104": "test-event-key"}

#: What another SDK answered, and we do not, with what we answer.
OTHERWISE = {
    # a framework's 404, without X-Inngest-Sdk: there is no endpoint at that path
    ("02", "/x/inngest"): None,
    ("02", "/.netlify/functions/inngest"): None,
    ("02", "/.redwood/functions/inngest"): None,
    # an empty body is signed as empty (56); the JavaScript SDK signs "{}"
    ("104", "trust probe, signed, empty body"): 200,
    # made by the harness; a probe needs no body
    ("104", "trust probe, signed, body {}"): 400,
}


def id_of(recording):
    return recording.name[:2] if recording.name[2] == "-" else recording.name[:3]


def asked():
    """Return the recorded requests of servers to SDKs, except calls of functions."""
    for number, recording in RECORDINGS.items():
        for at, exchange in enumerate(recording.exchanges):
            is_call = exchange.method == "POST" and "probe" not in exchange.query
            if exchange.direction == "server->sdk" and not is_call:
                yield pytest.param(recording, at, id=f"{number}-{at}")


def registered_in(recording, at):
    """Return the recorded app's functions, from its answer or from the
    registration that follows."""
    for exchange in recording.exchanges[at:] + recording.exchanges[:at]:
        for body in (exchange.answer.body, exchange.body):
            try:
                found = json.loads(body)
            except ValueError:
                continue
            if isinstance(found, dict) and found.get("functions"):
                return found["functions"]
    return []


def declared(client, wire):
    options = {}
    if "retries" in wire["steps"]["step"]:
        options["retries"] = wire["steps"]["step"]["retries"]["attempts"]
    return client.create_function(
        fn_id=wire["id"][len(client.app_id) + 1 :],
        name=wire["name"],
        trigger=[
            (
                inngest.TriggerCron(cron=trigger["cron"])
                if "cron" in trigger
                else inngest.TriggerEvent(
                    event=trigger["event"], expression=trigger.get("expression")
                )
            )
            for trigger in wire["triggers"]
        ],
        **options,
    )(lambda ctx: None)


def app_like(recording, at, origin):
    """Return an endpoint with the recorded app's id, mode, keys and functions."""
    wires = [wire for wire in registered_in(recording, at) if not wire["id"].endswith("-failure")]
    fn_id = wires[0]["id"] if wires else "prod-app-two"
    app_id = fn_id[: fn_id.index("-app") + 4]
    key = getattr(recording, "signing_key", None)
    client = inngest.Inngest(
        app_id=app_id,
        event_key=EVENT_KEYS.get(id_of(recording), "event-key-test-1" if key else None),
        is_production=key is not None,
        api_base_url=origin,
        event_api_base_url=origin,
        # the recorded SDKs do not register it
        checkpointing=False,
    )
    functions = [declared(client, wire) for wire in wires] or [
        client.create_function(fn_id="two", trigger=inngest.TriggerEvent(event="e"))(print)
    ]
    # the harness asked for syncs unsigned, which needs a configured address
    return inngest.serve(client, functions, signing_key=key, serve_origin="http://localhost:3000")


@pytest.mark.parametrize("recording, at", list(asked()))
def test_recorded_requests_are_answered_as_recorded(recording, at):
    exchange, number = recording.exchanges[at], id_of(recording)
    refused = number == "59" and exchange.method == "PUT"
    server = Scripted((401, "Authentication failed\n") if refused else OK)
    with serving(server) as origin:
        response = recordings.replay(app_like(recording, at, origin), exchange)
    for what in (exchange.path, exchange.note):
        if (number, what) in OTHERWISE:
            status = OTHERWISE[number, what]
            assert status in (None, response.status_code)
            return
    assert response.status_code == exchange.answer.status
    signed = "X-Inngest-Signature" in exchange.headers and response.status_code != 401
    if signed:
        assert is_signed(response, recording.signing_key)
    in_cloud = hasattr(recording, "signing_key")
    assert ("X-Inngest-Sdk" in response.headers) is (signed or not in_cloud)
    if response.status_code == 401:
        assert set(response.get_json()) == {"code", "message", "name"}
    elif exchange.method == "GET":
        check_introspection(response.get_json(), json.loads(exchange.answer.body))
    elif exchange.answer.headers.get("x-inngest-sync-kind") == "in_band":
        check_in_band(response, json.loads(exchange.answer.body))
    elif exchange.method == "PUT":
        check_out_of_band(response, server, recording, at)


#: Differs from SDK to SDK, or is of another SDK alone.
THEIRS = {"framework", "sdk", "sdk_version", "sdk_language", "capabilities", "extra"}
THEIRS |= {"featureObservations", "serve_origin", "sdk_author", "inspection", "platform"}


def check_introspection(ours, theirs):
    for name in set(theirs) - THEIRS - {"api_origin", "event_api_origin", "function_count"}:
        if name.endswith("_hash") and theirs[name]:
            assert theirs[name].startswith(ours[name])
        else:
            assert ours[name] == theirs[name], name
    assert isinstance(ours["function_count"], int)


def check_in_band(response, theirs):
    ours = response.get_json()
    assert response.headers["X-Inngest-Sync-Kind"] == "in_band"
    assert set(theirs) - {"featureObservations"} <= set(ours)
    for name in set(theirs) - THEIRS:
        assert ours[name] == theirs[name], name
    check_introspection(
        ours["inspection"],
        {k: v for k, v in theirs.get("inspection", {}).items() if k != "authentication_succeeded"},
    )


def check_out_of_band(response, server, recording, at):
    assert response.headers["X-Inngest-Sync-Kind"] == "out_of_band"
    assert set(response.get_json()) == {"message", "modified"}
    wires = registered_in(recording, at)
    registered = server.requests[0].get_json()
    assert registered["url"] == "http://localhost:3000/api/inngest"
    plain = {"id", "name", "triggers", "steps"}
    ours = {function["id"]: function for function in registered["functions"]}
    for theirs in wires:
        if set(theirs) <= plain and not theirs["id"].endswith("-failure"):
            # one app of the harness was called by another of its names
            theirs = json.loads(json.dumps(theirs).replace("127.0.0.1:3000", "localhost:3000"))
            assert ours[theirs["id"]] == theirs


def register_answers():
    for number, recording in RECORDINGS.items():
        for at, exchange in enumerate(recording.exchanges):
            if exchange.path == "/fn/register":
                yield pytest.param(exchange, id=f"{number}-{at}")


@pytest.mark.parametrize("exchange", list(register_answers()))
def test_the_servers_answer_to_a_sync_is_passed_on(exchange, caplog):
    answer = exchange.answer
    server = Scripted((answer.status, answer.body.decode()))
    with serving(server) as origin:
        endpoint = Endpoint(lambda ctx: None, base_url=origin)
        query = urllib.parse.parse_qsl(exchange.query)
        response = endpoint.request("PUT", query=urllib.parse.urlencode(query))
    assert server.requests[0].args.to_dict() == dict(query)
    body = response.get_json()
    if answer.status == 200:
        theirs = json.loads(answer.body)
        assert (response.status_code, body["modified"]) == (200, theirs["modified"])
        return
    assert (response.status_code, body["modified"]) == (500, False)
    try:
        said = json.loads(answer.body)["error"]
    except ValueError:
        said = answer.body.decode().strip()
    said = " ".join(said.split())
    assert said in body["message"]
    assert said in caplog.text
