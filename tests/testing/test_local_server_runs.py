"""The local server makes the calls that a real server was recorded to make.

Whole runs: the app answers as it was recorded to, and what the server sends
is compared, request by request.
"""

import json
import socket

import pytest
from raw_app import RawApp, calls_of, function, post, recording
from replays import Replayed, body_of, compare_call, replayed, trigger_of
from stub_server import Scripted, serving

from inngest_wsgi.testing import LocalServer, VirtualClock


@pytest.mark.parametrize(
    "number",
    [
        "03",
        "04",
        "05",
        "06",
        "07",
        "08",
        "09",
        "10",
        "11",
        "12",
        "13",
        "14",
        "15",
        "16",
        "18",
        "19",
        "20",
        "21",
        "22",
        "23",
        "24",
        "25",
        "26",
        "27",
        "28",
        "31",
        "33",
        "34",
        "38",
        "39",
        "40",
        "41",
        "51",
        "52",
        "59",
        "60",
        "72",
        "73",
        "74",
        "75",
        "76",
        "77",
        "78",
        "79",
        "80",
        "81",
        "82",
        "84",
        "85",
        "87",
        "91",
        "92",
        "93",
        "96",
        "97",
        "102",
        "122",
        "128",
        "129",
    ],
)
def test_runs_of_one_event_equal_the_recording(number):
    with replayed(number) as (recorded, server):
        server.send(trigger_of(recorded))
        run = server.wait_for_run(trigger_of(recorded)["id"])
    if "runs" not in recorded:
        return
    assert run.status == recorded["runs"][0]["status"]
    if recorded["runs"][0]["output"] != "":
        # The page shows that where the run ended with RunComplete (W33).
        assert run.output == recorded["runs"][0]["output"]


@pytest.mark.parametrize(
    "fn_id, status",
    [
        ("js-app-no-ckpt", "Completed"),
        ("js-app-nested-error-data", "Failed"),
        ("js-app-ckpt-retry-after-step", "Completed"),
    ],
)
def test_streams(fn_id, status):
    with replayed("105", only=[fn_id]) as (recorded, server):
        server.send(trigger_of(recorded))
        run = server.wait_for_run(trigger_of(recorded)["id"])
    assert run.status == status


def test_a_wait_fulfilled_by_an_event():
    with replayed("17") as (recorded, server):
        (memo,) = body_of(calls_of(recorded)[1])["steps"].values()
        with server.hold():
            server.send(trigger_of(recorded))
            server.wait_for(trigger_of(recorded)["id"], "waiting")
            unlike = dict(memo, id="unlike", data={"id": "other"})
            server.send([dict(unlike, name="wire/else"), dict(unlike, id="unlike-2"), memo])
        run = server.wait_for_run(trigger_of(recorded)["id"])
    assert run.output == recorded["runs"][0]["output"]
    assert [e.kind for e in run.history] == ["started", "waiting", "event received", "completed"]


def test_a_batch():
    with replayed("30") as (recorded, server):
        events = body_of(calls_of(recorded)[0])["events"]
        with server.hold():
            server.send(events[:2])
            assert server.runs() == []
            server.send(events[2])
        run = server.wait_for_run(events[1]["id"])
    assert run.output == recorded["runs"][0]["output"]


def test_a_run_cancelled_by_an_event():
    with replayed("32") as (recorded, server):
        cancelled = trigger_of(recorded)
        with server.hold():
            server.send(cancelled)
            server.wait_for(cancelled["id"], "sleeping")
            server.send({"name": "wire/cancel", "data": {"id": "another"}})
            assert not server.runs(cancelled["id"])[0].ended
            server.send({"name": "wire/cancel", "data": {"id": "c1"}})
            run = server.wait_for_run(cancelled["id"], timeout=0)
    assert run.status == recorded["runs"][0]["status"] == "Cancelled"
    # The page shows an empty object.
    assert (run.output, recorded["runs"][0]["output"]) == (None, {})


def test_an_invoked_run_is_cancelled():
    with replayed("42") as (recorded, server):
        with server.hold():
            server.send(trigger_of(recorded))
            child = server.wait_for(trigger_of(recorded)["id"], "invoking").child
            server.wait_for(child, "sleeping")
            server.send({"name": "wire/cancel", "data": {"id": "child-c"}})
        server.wait_for_run(trigger_of(recorded)["id"])


# -- a rerun ---------------------------------------------------------------------


def test_a_rerun_with_another_input():
    with replayed("83") as (recorded, server):
        server.send(trigger_of(recorded))
        old = server.wait_for_run(trigger_of(recorded)["id"])
        new = server.rerun(old.run_id, "with-args", [{"edited": True}, "zwei"])
        run = server.wait_for_run(new)
        assert [r.run_id for r in server.runs(trigger_of(recorded)["id"])] == [old.run_id, new]
    assert [r["output"] for r in recorded["runs"]] == [old.output, run.output]


def test_a_rerun_from_the_first_of_a_group_finds_out_what_to_run():
    with replayed("130") as (recorded, server):
        server.send(trigger_of(recorded))
        old = server.wait_for_run(trigger_of(recorded)["id"])
        run = server.wait_for_run(server.rerun(old.run_id, "p1"))
    assert (run.status, run.output, run.steps) == ("Completed", old.output, old.steps)


def test_a_rerun_keeps_what_came_before():
    first, again = recording("05"), calls_of(recording("37"))[0]
    event = trigger_of({"exchanges": [again]})
    calls = []

    def reply(call):
        calls.append(call)
        if call.step_id != "step":
            return given.answer(again["response"])
        return given(call)

    given = Replayed("05", first)
    names = [json.loads(e["response"]["body"])[0]["displayName"] for e in given.exchanges[:2]]
    register = lambda url: [  # noqa: E731
        function(url, event=event["name"], id="wire-app-two-steps", retries=4)
    ]
    with RawApp(reply, register) as app, LocalServer(clock=VirtualClock()) as server:
        app.server_url = server.url
        server.sync(app.url)
        server.send(event)
        old = server.wait_for_run(event["id"])
        new = server.wait_for_run(server.rerun(old.run_id, names[1], [{"edited": True}]))
    # What the first step returned has changed between the two recordings.
    expected = body_of(again)
    (first_id,) = expected["ctx"]["stack"]["stack"]
    expected["steps"][first_id] = old.steps[first_id]
    compare_call(calls[-1], again["request"], expected, lucky=False)
    assert new.status == "Completed"


# -- signals -----------------------------------------------------------------------


def signal_of(recorded, position=0):
    found = [e for e in recorded["exchanges"] if e["request"]["path"] == "/v1/signals"]
    return found[position]


def same_answer(got, exchange, run_id):
    real = json.loads(exchange["response"]["body"])
    assert got.status == exchange["response"]["status"]
    assert set(got.json) == set(real) and set(got.json["metadata"]) == set(real["metadata"])
    assert got.json["data"] == {"run_id": run_id}


def test_a_signal():
    exchange = signal_of(recording("86"))
    with replayed("86", only=["js-app-wait-signal"]) as (recorded, server):
        with server.hold():
            server.send(trigger_of(recorded))
            run_id = server.runs()[0].run_id
            server.wait_for(run_id, "waiting")
            got = post(server.url + "/v1/signals", exchange["request"]["body"].encode())
        same_answer(got, exchange, run_id)
        run = server.wait_for_run(run_id)
    assert run.output == json.loads(exchange["request"]["body"])


@pytest.mark.parametrize("mode", ["fail", "replace"])
def test_two_waits_for_one_signal(mode):
    fn_id = "js-app-wait-signal-" + {"fail": "conflict", "replace": "replace"}[mode]
    exchange = signal_of(recording("88"), 0 if mode == "fail" else 1)
    with replayed("88", only=[fn_id]) as (recorded, server):
        with server.hold():
            runs = []
            for position in (0, 1):
                server.send(trigger_of(recorded, position))
                runs.append(server.runs()[-1].run_id)
                kind = "failed" if mode == "fail" and position else "waiting"
                server.wait_for(runs[-1], kind)
            got = post(server.url + "/v1/signals", exchange["request"]["body"].encode())
        same_answer(got, exchange, runs[0] if mode == "fail" else runs[1])
        first, second = map(server.wait_for_run, runs)
        again = post(server.url + "/v1/signals", exchange["request"]["body"].encode())
    nobody = signal_of(recording("88"), 2)["response"]
    assert (again.status, again.text) == (404, nobody["body"])
    if mode == "fail":
        assert second.output == recording("88")["runs"][1]["output"]
        assert first.status == "Completed"
    else:
        assert first.output == {"s": None, "who": 1}
        assert "wait timed out" in [entry.kind for entry in first.history]


# -- requests that the server makes for the app -----------------------------------------


def recorded_answer(exchange):
    """A third party's answer, for :class:`~stub_server.Scripted`."""
    answer = exchange["response"]
    return answer["status"], answer["body"], answer["headers"]


def unused_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("number, events", [("35", 1), ("36", 1), ("89", 1), ("90", 2)])
def test_requests_for_the_app(number, events):
    exchanges = [e for e in recording(number)["exchanges"] if e["direction"] == "server->provider"]
    provider = Scripted(*map(recorded_answer, exchanges))
    with serving(provider, plain=True) as origin:
        address = origin[len("http://") :]
        replaced = [("127.0.0.1:4010", address), ("127.0.0.1:4999", unused_address())]
        with replayed(number, replaced) as (recorded, server):
            triggers = {
                e["id"]: e for e in map(lambda call: body_of(call)["event"], calls_of(recorded))
            }
            assert len(triggers) == events
            server.send(list(triggers.values()))
            for event_id in triggers:
                assert server.wait_for_run(event_id).status == "Completed"
    assert len(provider.requests) == len(exchanges)
    for request, exchange in zip(provider.requests, exchanges):
        real = exchange["request"]
        assert (request.method, request.get_data(as_text=True)) == (real["method"], real["body"])
        target = real["path"] + ("?" + real["query"] if real["query"] else "")
        assert request.environ["RAW_URI"] == target
        headers = list(real["headers"].items())[1:]
        assert request.environ["raw.headers"] == [("Host", address)] + headers
