"""Replay recorded runs: an app that answers as it was recorded to, and a comparison
of what the local server sends with what a real server sent, field by field.
"""

import contextlib
import json
import re
import threading
import typing as t
from urllib.parse import parse_qsl

from raw_app import RawApp, ask, calls_of, function, hashed, recording

from inngest_wsgi.testing import LocalServer, VirtualClock
from inngest_wsgi.testing._wire.canonical import canonical

#: Set by chance or by the time, in a call's ``ctx``: compared by their types, and
#: with the headers that have them too.
RANDOM = ("request_id", "job_id", "qi_id", "run_id", "fn_id")

#: The same, anywhere in an event that the server makes; there ``id`` and ``ts``
#: are too.
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

#: Headers whose values are set by chance or by the time, or are an address, and
#: why they are left out of the comparison. Their names and order are compared.
NOT_COMPARED_HEADERS = {
    "Host": "the address of the app",
    "Content-Length": "follows from ids and times of other lengths",
    "Traceparent": "random",
    "Tracestate": "random",
    "X-Inngest-Signature": "depends on the time; its rule is compared by itself",
    "X-Inngest-Job-Id": "random, and equal to job_id of the body",
    "X-Request-Id": "random, and equal to request_id of the body",
    "X-Run-Id": "random, and equal to run_id of the body",
}

#: The same for answers to requests of the app.
NOT_COMPARED_ANSWERS = {
    "Content-Length": "follows from ids and times of other lengths",
    "Date": "the time",
    "Vary": "is about browsers, for which the local server is not",
}

#: Recorded dates are long past; these lengths keep the order of what happened.
SLEEPS = {"21": "8s", "32": "600s", "42": "300s"}

#: Numbers of calls that were under way at the same time: each waits for the
#: other, so that what follows from them does, too.
MEETINGS = {"26": [(1, 2), (3, 4)]}

#: Calls of two functions, which are compared in the order that they came.
ONE_BY_ONE = ("128", "129")

#: What was finished meanwhile is a matter of luck in these, save at the end.
RACES = ("26", "84")

#: Of these the requests are made that the app made during its calls.
ASKING = "23 34 39 52 72 73 74 75 76 77 79 81 91 92 102".split()

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


#: Fillers are shortened in the stored bodies.
_SHORTENED = re.compile(r"([^\s<\"])<(\d+) times>")


def full(text):
    """Return a stored body as it was."""
    return _SHORTENED.sub(lambda match: match.group(1) * int(match.group(2)), text)


class Replayed:
    """Answers calls with the answers recorded for them, and makes the requests to
    the server that the app was recorded to make meanwhile.

    :param replaced: texts to replace in what was recorded, on both sides.
    """

    def __init__(self, number, recorded, replaced=()):
        for exchange in recorded["exchanges"]:
            for side in ("request", "response"):
                exchange[side]["body"] = full(exchange[side]["body"])
        self.number = number
        self.all = recorded["exchanges"]
        self.server_url = ""
        #: Requests of the app that were answered, and their recorded answers.
        self.asked = []
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
        self.ask(call, exchange)
        if self.number == "84" and call.step_id == hashed("slow"):
            # The discovery request after the fast one came first.
            assert self.arrived[3].wait(60)
        return self.answer(exchange["response"])

    def ask(self, call, exchange):
        """Make the requests that were recorded after a call, and before the next one."""
        if self.number not in ASKING:
            return
        first = next(n for n, e in enumerate(self.all) if e is exchange) + 1
        for made in self.all[first:]:
            if made["direction"] == "server->sdk":
                break
            if "Authorization" not in made["request"]["headers"] and self.number == "91":
                continue  # by a test script, which came later
            request, real = made["request"], made["response"]
            old = body_of(exchange)["ctx"]
            query, path, body = (
                self.renamed(request[part], old, call.ctx) for part in ("query", "path", "body")
            )
            url = self.server_url + path + (f"?{query}" if query else "")
            headers = {
                name: value
                for name, value in request["headers"].items()
                if name.lower() in ("authorization", "content-type")
            }
            got = ask(request["method"], url, body.encode(), headers)
            self.asked.append((got, real, self.renamed(real["body"], old, call.ctx)))

    @staticmethod
    def renamed(text, old, new):
        """Put the ids of a call in place of those of the recorded one."""
        for name in ("run_id", "fn_id", "qi_id", "request_id"):
            text = text.replace(old[name], new[name])
        return text

    def answer(self, response):
        headers = {
            name: value
            for name, value in response["headers"].items()
            if name.lower() not in ("server", "date", "content-length", "x-inngest-signature")
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
        for got, real, body in self.asked:
            compare_answer(got, real, body)


def compare_answer(got, real, body):
    """Compare the server's answer to a request of the app with the recorded one.

    :param body: of the recorded one, with the ids of this run.
    """
    assert got.status == real["status"]
    for name in real["headers"].keys() - NOT_COMPARED_ANSWERS.keys():
        assert got.headers[name] == real["headers"][name]
    assert ("Content-Type" in got.headers) == ("Content-Type" in real["headers"])
    if got.json is None:
        assert got.text == body
        return
    expected = json.loads(body)
    if "ids" in expected:  # of events, which are random
        assert len(got.json.pop("ids")) == len(expected.pop("ids"))
    assert scrubbed(got.json) == scrubbed(expected)


@contextlib.contextmanager
def replayed(number, replaced=(), only=None, **options):
    """Yield a recording and a server that replays it; compare the calls at the
    end.

    :param only: the functions to keep of the recording; all if None.
    :param options: of the server.
    """
    recorded = recording(number)
    key = recorded.get("signing_key")
    options.setdefault("clock", VirtualClock())
    if only is not None:
        recorded["exchanges"] = [e for e in calls_of(recorded) if query_of(e)["fnId"] in only]
    reply = Replayed(number, recorded, replaced)
    secret = key and key.rsplit("-", 1)[1]
    with RawApp(reply, lambda url: list(reply.register(url)), secret) as app:
        workers = 1 if number in ONE_BY_ONE else 8
        with LocalServer(signing_key=key, max_workers=workers, **options) as server:
            app.server_url = reply.server_url = server.url
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
    for name in theirs.keys() - NOT_COMPARED_HEADERS.keys():
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
