"""Every kind of step, run by the SDK and the local server over HTTP, in dev mode,
in cloud mode, and with every call streamed.

A table has the functions, the result that each must have, and its side
effects, each of which must happen exactly once.
"""

import collections
import dataclasses
import json
import threading
import typing as t

import pytest
from apps import KEY
from stub_server import serving
from werkzeug.wrappers import Response

import inngest_wsgi as inngest
from inngest_wsgi.experimental import step
from inngest_wsgi.experimental.ai import openai
from inngest_wsgi.testing import LocalServer, VirtualClock

WAIT, RACE = inngest.ParallelMode.WAIT, inngest.ParallelMode.RACE


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Harness:
    """The functions, and a record of their steps' side effects."""

    server: t.Any
    streamed: bool
    statuses: t.Set[int]

    def __init__(self, client):
        self.client = client
        self.effects = []
        self.changed = threading.Condition()
        self.functions = []
        self.provider = None

    def effect(self, value):
        with self.changed:
            self.effects.append(value)
            self.changed.notify_all()
        return value

    def wait_for_effects(self, *expected):
        with self.changed:
            self.changed.wait_for(lambda: count(self.effects) == count(expected), timeout=60)
        assert count(self.effects) == count(expected)

    def function(self, name, **options):
        def declare(handler):
            trigger = inngest.TriggerEvent(event="test/" + name)
            declared = self.client.create_function(
                **dict({"fn_id": name, "trigger": trigger, "retries": 1}, **options)
            )(lambda ctx: handler(self, ctx))
            self.functions.append(declared)
            return declared

        return declare

    def failing(self, name, times=99):
        def work():
            if self.effects.count(name + " tried") < times:
                self.effect(name + " tried")
                raise ValueError(name)
            return self.effect(name)

        return work


def branches(harness, ctx):
    def two():
        first = ctx.step.run("b1", harness.effect, "b1")
        ctx.step.sleep("bz", "1h")
        return first + ctx.step.run("b2", harness.effect, "b2")

    return (lambda: ctx.step.run("a", harness.effect, "a"), two, lambda: ctx.step.sleep("z", 5))


def build(harness):
    """Declare all functions."""
    define = harness.function

    @define("sequence")
    def sequence(w, ctx):
        n = ctx.event.data["n"]
        found = [ctx.step.run("same", w.effect, n + i) for i in range(3)]
        ctx.step.sleep("nap", "30d")
        return found

    for mode in (WAIT, RACE):

        @define("group-" + mode.value)
        def group(w, ctx, mode=mode):
            found = list(ctx.group.parallel(branches(w, ctx), mode))
            return found + [ctx.step.run("after", w.effect, "after")]

        @define("group-fails-" + mode.value)
        def group_fails(w, ctx, mode=mode):
            work = (
                lambda: ctx.step.run("good", w.effect, "good"),
                lambda: ctx.step.run("bad", w.failing("bad")),
            )
            try:
                ctx.group.parallel(work, mode)
            except inngest.StepError as error:
                return ctx.step.run("repair", w.effect, "repaired " + error.message)

        @define("nested-" + mode.value)
        def nested(w, ctx, mode=mode):
            def inner():
                return list(ctx.group.parallel(branches(w, ctx), mode))

            return list(
                ctx.group.parallel((inner, lambda: ctx.step.run("c", w.effect, "c")), mode)
            )

    @define("retried")
    def retried(w, ctx):
        return ctx.step.run("flaky", w.failing("flaky", 1))

    @define("wait")
    def wait(w, ctx):
        found = ctx.step.wait_for_event(
            "wait", event="test/answer", if_exp="async.data.n == event.data.n", timeout="1d"
        )
        return found.data if found else None

    @define("child", output_type=Point)
    def child(w, ctx):
        n = ctx.step.run("child", w.effect, ctx.event.data["n"])
        return Point(n, n + 1)

    @define("invoke")
    def invoke(w, ctx):
        point = ctx.step.invoke("call", function=child, data={"n": 3})
        return [point.x, point.y]

    @define("broken", retries=0)
    def broken(w, ctx):
        raise KeyError("broken")

    @define("invoke-broken")
    def invoke_broken(w, ctx):
        try:
            ctx.step.invoke("call", function=broken)
        except inngest.StepError as error:
            return [error.name, error.message]

    @define("send")
    def send(w, ctx):
        ids = ctx.step.send_event(
            "send", [inngest.Event(name="test/heard", data={"i": i}) for i in range(2)]
        )
        return len(ids)

    @define("heard")
    def heard(w, ctx):
        return ctx.step.run("hear", w.effect, ctx.event.data["i"])

    @define("signal-wait")
    def signal_wait(w, ctx):
        return ctx.step.wait_for_signal("wait", signal="go", timeout="1d")

    @define("signal-send")
    def signal_send(w, ctx):
        return ctx.step.send_signal("send", signal="go", data=[1]) is not None

    @define("fetch")
    def fetch(w, ctx):
        found = ctx.step.fetch("get", w.provider + "/page", method="POST", body="hello")
        return [found.status, found.json()]

    @define("fetch-raced")
    def fetch_raced(w, ctx):
        def get(name):
            return lambda: ctx.step.fetch(name, w.provider + "/" + name).json()["path"]

        def ask(name):
            adapter = openai.Adapter(auth_key="k", model="m", base_url=w.provider + "/" + name)
            body = {"messages": []}
            return lambda: ctx.step.ai.infer(name, adapter=adapter, body=body)["path"]

        found = ctx.group.parallel(
            (lambda: ctx.step.run("a", w.effect, "a"), get("within"), ask("asked")), RACE
        )
        return list(found) + [get("after")(), ask("at-last")()]

    @define("infer")
    def infer(w, ctx):
        adapter = openai.Adapter(auth_key="k", model="m", base_url=w.provider)
        return ctx.step.ai.infer("ask", adapter=adapter, body={"messages": []})["path"]

    @define("wrap")
    def wrap(w, ctx):
        return ctx.step.ai.wrap("ask", w.effect, "asked")

    @step("decorated")
    def decorated(value):
        return harness.effect(value)

    @define("decorator")
    def decorator(w, ctx):
        return decorated("called")

    @define("swallow")
    def swallow(w, ctx):
        for name in "ab":
            try:
                ctx.step.run(name, w.effect, name)
            except BaseException:
                pass
        return "done"

    @define("fails", retries=0, on_failure=lambda ctx: harness.effect(failure_of(ctx)))
    def fails(w, ctx):
        ctx.step.run("bad", w.failing("bad"))

    @define("batched", batch_events=inngest.Batch(max_size=2, timeout="60s"))
    def batched(w, ctx):
        return w.effect(sorted(event.data["i"] for event in ctx.events))

    @define(
        "cancelled",
        cancel=[inngest.Cancel(event="test/stop", if_exp="async.data.n == event.data.n")],
    )
    def cancelled(w, ctx):
        w.effect("begun")
        ctx.step.sleep("long", "30d")
        w.effect("must not happen")

    @define("limit")
    def limit(w, ctx):
        # the largest JSON that the server stores for a step
        return len(ctx.step.run("large", lambda: "x" * (4 * 1024 * 1024 - 11)))

    @define("quotes")
    def quotes(w, ctx):
        # in a stream the escaped text would be too large
        return len(ctx.step.run("quotes", lambda: '"' * 2_000_000))

    @define(
        "expression",
        trigger=inngest.TriggerEvent(event="test/expression", expression="event.data.n > 5"),
    )
    def expression(w, ctx):
        return w.effect("large enough")


def failure_of(ctx):
    return [ctx.event.data["error"]["message"], ctx.event.data["function_id"]]


#: The paths that were requested of the provider.
REQUESTED = []


def provider(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    REQUESTED.append(environ["PATH_INFO"])
    found = {"path": environ["PATH_INFO"], "body": body.decode()}
    return Response(json.dumps(found), mimetype="application/json")(environ, start_response)


@pytest.fixture(scope="module", params=["dev", "cloud", "cloud-streamed"])
def harness(request):
    """An app that is synced with a server that has a virtual clock."""
    key = None if request.param == "dev" else KEY
    streaming = inngest.Streaming.FORCE if request.param == "cloud-streamed" else None
    statuses = set()
    with LocalServer(signing_key=key, clock=VirtualClock()) as server, serving(
        provider
    ) as outside:
        client = inngest.Inngest(
            app_id="shop",
            is_production=key is not None,
            signing_key=key,
            event_key="event-key",
            api_base_url=server.url,
            event_api_base_url=server.url,
            serializer=inngest.PydanticSerializer(),
        )
        harness = Harness(client)
        build(harness)
        harness.server, harness.provider = server, outside
        harness.streamed, harness.statuses = bool(streaming), statuses
        endpoint = inngest.serve(client, harness.functions, streaming=streaming)
        with serving(noting(statuses, endpoint)) as app:
            server.sync(app + "/api/inngest")
            yield harness
    # some tests make no call
    assert statuses <= {"201"} if streaming else "201" not in statuses


def noting(statuses, application):
    """Wrap an application, and record the statuses of its answers to calls."""

    def noted(environ, start_response):
        def start(status, *args):
            if environ["REQUEST_METHOD"] == "POST":
                statuses.add(status[:3])
            return start_response(status, *args)

        return application(environ, start)

    return noted


@pytest.fixture(autouse=True)
def no_effects(harness):
    del harness.effects[:]


GROUP = ["a", "b1", "b2"]

TABLE = [
    ("sequence", [7, 8, 9], [7, 8, 9]),
    ("group-wait", ["a", "b1b2", None, "after"], GROUP + ["after"]),
    ("group-race", ["a", "b1b2", None, "after"], GROUP + ["after"]),
    ("group-fails-wait", "repaired bad", ["good", "bad tried", "bad tried", "repaired bad"]),
    ("group-fails-race", "repaired bad", ["good", "bad tried", "bad tried", "repaired bad"]),
    ("nested-wait", [["a", "b1b2", None], "c"], GROUP + ["c"]),
    ("nested-race", [["a", "b1b2", None], "c"], GROUP + ["c"]),
    ("retried", "flaky", ["flaky tried", "flaky"]),
    ("wait", None, []),
    ("child", {"x": 7, "y": 8}, [7]),
    ("invoke", [3, 4], [3]),
    ("invoke-broken", ["KeyError", "'broken'"], []),
    ("signal-wait", None, []),
    ("signal-send", False, []),
    ("fetch", [200, {"path": "/page", "body": "hello"}], []),
    ("infer", "/chat/completions", []),
    ("wrap", "asked", ["asked"]),
    ("decorator", "called", ["called"]),
    ("swallow", "done", ["a", "b"]),
    ("limit", 4 * 1024 * 1024 - 11, []),
    ("quotes", 2_000_000, []),
    ("expression", "large enough", ["large enough"]),
]


@pytest.mark.parametrize("name, output, effects", TABLE)
def test_each_function_ends_with_the_expected_result(harness, name, output, effects):
    (event_id,) = harness.server.send({"name": "test/" + name, "data": {"n": 7}})
    run = harness.server.wait_for_run(event_id, timeout=60)
    assert (run.status, run.output) == ("Completed", output), run.history
    assert count(harness.effects) == count(effects)
    assert ("201" in harness.statuses) is harness.streamed


def test_no_request_is_made_twice_in_or_after_a_race(harness):
    del REQUESTED[:]
    (event_id,) = harness.server.send({"name": "test/fetch-raced", "data": {}})
    run = harness.server.wait_for_run(event_id, timeout=60)
    paths = ["/within", "/asked/chat/completions", "/after", "/at-last/chat/completions"]
    assert (run.status, run.output) == ("Completed", ["a"] + paths), run.history
    assert sorted(REQUESTED) == sorted(paths)


def count(effects):
    return collections.Counter(map(json.dumps, effects))


def test_a_false_expression_starts_no_run(harness):
    (event_id,) = harness.server.send({"name": "test/expression", "data": {"n": 5}})
    with pytest.raises(LookupError):
        harness.server.wait_for_run(event_id)


def test_waiting_for_an_event(harness):
    server = harness.server
    with server.hold():
        (event_id,) = server.send({"name": "test/wait", "data": {"n": 7}})
        server.wait_for(event_id, "waiting")
        server.send({"name": "test/answer", "data": {"n": 8, "for": "another"}})
        server.send({"name": "test/answer", "data": {"n": 7, "for": "us"}})
        run = server.wait_for_run(event_id)
    assert run.output == {"n": 7, "for": "us"}


def test_waiting_for_a_signal(harness):
    server = harness.server
    with server.hold():
        (waiting,) = server.send({"name": "test/signal-wait", "data": {}})
        server.wait_for(waiting, "waiting")
        (sending,) = server.send({"name": "test/signal-send", "data": {}})
        assert server.wait_for_run(sending).output is True
        assert server.wait_for_run(waiting).output == {"signal": "go", "data": [1]}


def test_sending_events_from_a_function(harness):
    (event_id,) = harness.server.send({"name": "test/send", "data": {}})
    assert harness.server.wait_for_run(event_id).output == 2
    harness.wait_for_effects(0, 1)


def test_the_failure_handler_of_a_failed_function(harness):
    (event_id,) = harness.server.send({"name": "test/fails", "data": {}})
    run = harness.server.wait_for_run(event_id)
    assert (run.status, run.output["message"]) == ("Failed", "bad")
    harness.wait_for_effects("bad tried", ["bad", "shop-fails"])


def test_a_batch_of_events_starts_one_run(harness):
    events = [{"name": "test/batched", "data": {"i": i}} for i in range(3)]
    ids = harness.server.send(events)
    runs = {harness.server.wait_for_run(event_id, timeout=60).run_id for event_id in ids}
    assert len(runs) == 2
    assert count(harness.effects) == count([[0, 1], [2]])


def test_cancelling_a_run(harness):
    server = harness.server
    with server.hold():
        (event_id,) = server.send({"name": "test/cancelled", "data": {"n": 7}})
        server.wait_for(event_id, "sleeping")
        server.send({"name": "test/stop", "data": {"n": 7}})
        assert server.wait_for_run(event_id).status == "Cancelled"
    assert harness.effects == ["begun"]


def test_a_rerun_with_edited_input(harness):
    server = harness.server
    (event_id,) = server.send({"name": "test/sequence", "data": {"n": 7}})
    before = server.wait_for_run(event_id)
    del harness.effects[:]
    again = server.wait_for_run(server.rerun(before.run_id, from_step="same", input=[42]))
    assert 42 in again.output and 42 in harness.effects
