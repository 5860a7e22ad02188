"""The local server makes the calls that a real server was recorded to make.

Whole runs: the app answers as it was recorded to, and what the server sends
is compared, request by request.
"""

import contextlib
import json
import socket
import threading
import typing as t
from urllib.parse import parse_qsl

import pytest
from raw_app import RawApp, calls_of, function, hashed, post, recording
from stub_server import Scripted, serving

from inngest_wsgi.testing import LocalServer, VirtualClock
from inngest_wsgi.testing._wire.canonical import canonical

#: Set by chance or by the time, in a call's ``ctx``.
RANDOM = ("request_id", "job_id", "qi_id", "run_id", "fn_id")

#: The same, anywhere in an event that the server makes.
RANDOM_IN_EVENTS = {
    "correlation_id",
    "expire",
    "gid",
    "source_app_id",
    "source_fn_id",
    "run_id",
}

#: For tracing; the local server leaves it out.
TRACING = ("isr", "tc")

#: Recorded dates are long past; these lengths keep the order of what happened.
SLEEPS = {"21": "8s", "32": "600s", "42": "300s"}

#: Numbers of calls that were under way at the same time: each waits for the
#: other, so that what follows from them does, too.
MEETINGS = {"26": [(1, 2), (3, 4)]}

#: Calls of two functions, which are compared in the order that they came.
ONE_BY_ONE = ("128", "129")

#: What was finished meanwhile is a matter of luck in these, save at the end.
RACES = ("26", "84")

SETTINGS: t.Dict[str, t.Any] = {
    "wire-app-batch": {"batchEvents": {"maxSize": 3, "timeout": "60s"}},
    "wire-app-cancellable": {
        "cancel": [{"event": "wire/cancel", "if": "event.data.id == async.data.id"}],
    },
}


def query_of(exchange):
    return dict(parse_qsl(exchange["request"]["query"]))


def body_of(exchange):
    return json.loads(exchange["request"]["body"])


class Replayed:
    """Answers calls with the answers recorded for them.

    :param replaced: texts to replace in what was recorded, on both sides.
    """

    def __init__(self, number, recorded, replaced=()):
        self.number = number
        self.replaced = replaced
        self.exchanges = calls_of(recorded)
        self.functions = list(dict.fromkeys(query_of(e)["fnId"] for e in self.exchanges))
        self.pairs = []
        self.lock = threading.Lock()
        self.arrived = [threading.Event() for _ in range(20)]
        self.meetings = {
            n: barrier
            for pair in MEETINGS.get(number, ())
            for barrier in [threading.Barrier(2, timeout=60)]
            for n in pair
        }

    def register(self, url):
        for fn_id in self.functions:
            first = next(e for e in self.exchanges if query_of(e)["fnId"] == fn_id)
            event = body_of(first)["event"]["name"]
            trigger = {"event": event}
            if event == "inngest/function.invoked":
                trigger = {"event": "raw/nothing"}
            if event == "inngest/function.failed":
                failed = fn_id[: -len("-failure")]
                trigger["expression"] = f"event.data.function_id == '{failed}'"
            retries = body_of(first)["ctx"]["max_attempts"] - 1
            yield function(
                url, retries=retries, id=fn_id, triggers=[trigger], **SETTINGS.get(fn_id, {})
            )

    def __call__(self, call):
        with self.lock:
            exchange = next(e for e in self.exchanges if self.fits(e, call))
            self.exchanges.remove(exchange)
            self.pairs.append((call, exchange["request"]))
        # After it has its place: the calls are compared in this order.
        self.arrived[call.number].set()
        if call.number in self.meetings:
            self.meetings[call.number].wait()
        if self.number == "84" and call.step_id == hashed("slow"):
            # The discovery request after the fast one came first.
            assert self.arrived[3].wait(60)
        return self.answer(exchange["response"])

    def answer(self, response):
        headers = {
            name: value
            for name, value in response["headers"].items()
            if name.lower() not in ("server", "date", "content-length")
        }
        if "retry-after" in headers:
            headers["retry-after"] = "3"
        body = self.replace(response["body"])
        if response["status"] == 206:
            reported = json.loads(body)
            for op in reported:
                if op["op"] == "Sleep":
                    op["name"] = SLEEPS.get(self.number, "1s")
            body = json.dumps(reported)
        return {"status": response["status"], "headers": headers, "body": body}

    def replace(self, text):
        for old, new in self.replaced:
            text = text.replace(old, new)
        return text

    @staticmethod
    def fits(exchange, call):
        asked = dict(parse_qsl(call.query))
        attempt = body_of(exchange)["ctx"]["attempt"]
        return query_of(exchange) == asked and attempt == call.attempt

    def compare(self):
        assert not self.exchanges
        for position, (call, real) in enumerate(self.pairs):
            body = json.loads(self.replace(real["body"]))
            # Whether a sibling has finished meanwhile, say.
            lucky = call.step_id != "step" and not call.attempt
            if self.number in RACES:
                lucky = position < len(self.pairs) - 1
            compare_call(call, real, body, lucky)


@contextlib.contextmanager
def replayed(number, replaced=(), only=None):
    """Yield a recording and a server that replays it; compare the calls at the
    end.

    :param only: the functions to keep of the recording; all if None.
    """
    recorded = recording(number)
    if only is not None:
        recorded["exchanges"] = [e for e in calls_of(recorded) if query_of(e)["fnId"] in only]
    reply = Replayed(number, recorded, replaced)
    with RawApp(reply, lambda url: list(reply.register(url))) as app:
        workers = 1 if number in ONE_BY_ONE else 8
        with LocalServer(clock=VirtualClock(), max_workers=workers) as server:
            app.server_url = server.url
            server.sync(app.url)
            yield recorded, server
            for run in server.runs():
                server.wait_for_run(run.run_id)
    reply.compare()


def compare_call(call, real, expected, lucky):
    """Compare a call with the recorded one.

    :param expected: the body of the recorded one.
    :param lucky: whether what was finished meanwhile is left out.
    """
    assert call.query == real["query"]
    names = [name for name, _ in call.header_list]
    if list(real["headers"])[-1] == "Content-Length":
        # Recorded by a WSGI application, which does not know the order.
        names = sorted(names, key=list(real["headers"]).index)
    assert names == list(real["headers"])
    ours, theirs = dict(call.header_list), real["headers"]
    for name in (
        "User-Agent",
        "Connection",
        "Account-Id",
        "Content-Type",
        "X-Inngest-Generation-Id",
        "X-Inngest-Req-Version",
        "X-Inngest-Step-Id",
        "Accept-Encoding",
    ):
        assert ours[name] == theirs[name]
    assert call.raw == canonical(call.body)
    mine = json.loads(call.raw)
    assert ours["X-Run-Id"] == mine["ctx"]["run_id"]
    assert ours["X-Inngest-Job-Id"] == mine["ctx"]["job_id"]
    assert ours["X-Request-Id"] == mine["ctx"]["request_id"]
    for name in RANDOM:
        assert type(mine["ctx"].pop(name)) is type(expected["ctx"].pop(name))
    if lucky:
        for body in (mine, expected):
            del body["steps"], body["ctx"]["stack"]
    stacks = [body["ctx"].get("stack", {}).get("stack", []) for body in (mine, expected)]
    assert sorted(stacks[0]) == sorted(stacks[1])
    for body in (mine, expected):
        body["ctx"].get("stack", {}).pop("stack", None)
    assert scrubbed(mine) == scrubbed(expected)


def scrubbed(value):
    """Return a value in which whatever differs from run to run is replaced by its
    type."""
    if isinstance(value, list):
        return [scrubbed(element) for element in value]
    if not isinstance(value, dict):
        return value
    made = str(value.get("name", "")).startswith("inngest/")
    return {
        key: (
            type(inner)
            if key in RANDOM_IN_EVENTS or (made and key in ("id", "ts"))
            else scrubbed(inner)
        )
        for key, inner in value.items()
        if key not in TRACING
    }


def trigger_of(recorded, position=0):
    return body_of(calls_of(recorded)[position])["event"]


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
        "38",
        "40",
        "41",
        "78",
        "80",
        "82",
        "84",
        "85",
        "87",
        "93",
        "96",
        "97",
        "122",
        "128",
        "129",
    ],
)
def test_runs_of_one_event_equal_the_recording(number):
    with replayed(number) as (recorded, server):
        server.send(trigger_of(recorded))
        run = server.wait_for_run(trigger_of(recorded)["id"])
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
