"""Every recording is compared with what the local server does, or says why not."""

import json

import pytest
from raw_app import WIRE, RawApp, answer, ask, calls_of, function, recording
from replays import NOT_COMPARED_HEADERS, body_of, compare_answer, compare_call

from inngest_wsgi.testing import LocalServer, VirtualClock

#: By the number of a recording: the test that compares it.
COMPARED = {
    "test_local_server_recordings.py": "01 02 29 50 59 60 70 103",
    "test_local_server_runs.py": (
        "03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 30 31"
        " 32 33 34 35 36 37 38 39 40 41 42 51 52 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86"
        " 87 88 89 90 92 93 96 97 102 128 129 130"
    ),
    "test_local_server_api.py": "53 54 55 58",
    "test_local_server_checkpoints.py": "99 100 101",
    "test_local_server_controls.py": "56 91 104 131",
    "test_local_server_streams.py": "105",
    "test_local_server_reactions.py": "110 111 112 113 122 124 125",
    "test_local_server.py": "123",
    "test_local_server_races.py": "120 121 126 127",
}

#: Why a recording is compared with nothing.
NOT_COMPARED = {
    "57": "no server makes requests with wrong signatures",
    "71": "a request by a test script, which no server makes",
    "94": "defer() is left out",
    "95": "defer() is left out",
    "98": "durable endpoints are left out",
}


def test_every_recording_is_compared_or_says_why_not():
    listed = [number for numbers in COMPARED.values() for number in numbers.split()]
    recorded = {path.name.partition("-")[0] for path in WIRE.glob("[0-9]*.json")}
    assert len(listed) == len(set(listed))
    assert not set(listed) & NOT_COMPARED.keys()
    assert {*listed, *NOT_COMPARED} == recorded


@pytest.mark.parametrize("number", ["01", "02", "50", "59", "60", "70"])
def test_a_sync_is_asked_for_and_answered_as_recorded(number):
    recorded = recording(number)
    key = recorded.get("signing_key")
    asked = [
        e["request"]
        for e in recorded["exchanges"]
        if e["request"]["method"] == "PUT" and "Go-" in e["request"]["headers"]["User-Agent"]
    ]
    registers = [e for e in recorded["exchanges"] if e["request"]["path"] == "/fn/register"]
    secret = key and key.rsplit("-", 1)[1]
    with RawApp(lambda call: answer(200, None), None, secret) as app:
        with LocalServer(signing_key=key) as server:
            app.server_url = server.url
            for exchange in registers:
                request = exchange["request"]
                headers = {
                    name: value
                    for name, value in request["headers"].items()
                    if name.lower() not in ("host", "content-length", "accept-encoding")
                }
                got = ask("POST", server.url + "/fn/register", request["body"].encode(), headers)
                expected = exchange["response"]
                if expected["status"] == 200:
                    for name in ("sync_id", "app_id"):  # random
                        body = json.loads(expected["body"])
                        assert type(body[name]) is type(got.json[name])
                        got.json[name] = body[name]
                compare_answer(got, expected, expected["body"])
            for _ in asked:
                server.sync(app.url)
    for ours, theirs in zip(app.syncs, asked):
        sent = dict(ours.header_list)
        assert list(sent) == list(theirs["headers"])
        for name in theirs["headers"].keys() - NOT_COMPARED_HEADERS.keys():
            assert sent[name] == theirs["headers"][name]
        # 127.0.0.1 stays what it is here
        theirs_url = json.loads(theirs["body"])["url"]
        assert ours.raw.decode().replace(app.url, theirs_url) == theirs["body"]


def test_a_schedule_calls_as_recorded():
    (exchange,) = calls_of(recording(29))
    expected = body_of(exchange)
    event = expected["event"]
    calls = []

    def reply(call):
        calls.append(call)
        return answer(200, None)

    def register(url):
        trigger = {"cron": event["data"]["cron"]}
        return [function(url, id="wire-app-cron", retries=4, triggers=[trigger])]

    clock = VirtualClock(event["ts"] / 1000 - 7)
    with RawApp(reply, register) as app, LocalServer(clock=clock) as server:
        app.server_url = server.url
        server.sync(app.url)
        with server.hold():
            server.advance(10)
    (call,) = calls
    assert call.body["event"] == event
    compare_call(call, exchange["request"], expected, lucky=False)


WITH_A_KEY = recording(103)["exchanges"] + [
    exchange
    for exchange in recording(58)["exchanges"]
    if exchange["request"]["path"].startswith("/v1/realtime")
]


@pytest.mark.parametrize("exchange", WITH_A_KEY, ids=lambda e: e["request"]["path"])
def test_requests_with_a_key_are_answered_as_recorded(exchange):
    request, real = exchange["request"], exchange["response"]
    headers = {"Authorization": request["headers"]["Authorization"]}
    with LocalServer(signing_key=recording(58)["signing_key"]) as server:
        url = f"{server.url}{request['path']}?{request['query']}"
        got = ask(request["method"], url, request["body"].encode(), headers)
    expected = real["body"]
    if real["status"] == 201:  # a token, which has its own test
        expected = json.dumps({"jwt": got.json["jwt"]})
    compare_answer(got, real, expected)
