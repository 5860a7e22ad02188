"""The rest of the package in a call that goes on after its steps."""

import datetime
import json
import os
import subprocess
import sys
import textwrap
import threading
import types

import pytest
from apps import Endpoint, call_body
from streams import Opened, threads, wait_until

import inngest_wsgi as inngest
from inngest_wsgi._execution import checkpoint, next_call
from inngest_wsgi._server_api import retry

CTX = {
    "run_id": "01M81766GA504FKZSYRTHG82MA",
    "fn_id": "b5dc1f11-fa9e-50ef-bd42-75b7f3d06a71",
    "qi_id": "MW93dGYyYmdld3BlMTo6ZGVmYXVsdA==",
    "request_id": "01M81766HQ80DA8WECKN4ESNQ2",
    "generation_id": 3,
}


class Api:
    """The server's API: checkpoints, events and the state of runs.

    :param answers: status codes of the checkpoints, then 200
    :param state: by the end of the path
    """

    def __init__(self, *answers, state=()):
        self.answers = list(answers)
        self.state = dict(state)
        self.checkpoints, self.seeds = [], []

    def request(self, method, url, body=b"", headers=None, **options):
        if "/e/" in url:
            self.seeds.append(headers["X-Inngest-Event-Id-Seed"])
            return answer(200, {"ids": ["E"] * len(json.loads(body)), "status": 200})
        if method == "GET":
            return answer(200, self.state[url.rpartition("/")[2]])
        self.checkpoints.append(json.loads(body))
        return answer(self.answers.pop(0) if self.answers else 200, None)

    @property
    def stored(self):
        return [[step["displayName"] for step in c["steps"]] for c in self.checkpoints]


def answer(status, body):
    data = b"" if body is None else json.dumps(body).encode()
    return types.SimpleNamespace(status=status, data=data, headers={})


@pytest.fixture(autouse=True)
def one_attempt(monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_RETRY", retry.Retry(attempts=1))


def names_of(response):
    return [(op["op"], op["displayName"]) for op in response.get_json()]


@pytest.mark.parametrize("buffered", [1, 5])
def test_after_the_client_has_gone_what_ran_is_stored_and_nothing_else_runs(buffered):
    api, ran = Api(), []
    in_step, gone = threading.Event(), threading.Event()

    def function(ctx):
        ctx.step.run("a", ran.append, "a")

        def during():
            ran.append("b")
            in_step.set()
            gone.wait(60)

        ctx.step.run("b", during)
        ctx.step.run("c", ran.append, "c")

    policy = inngest.Checkpointing(buffered_steps=buffered)
    endpoint = Endpoint(function, http=api, streaming="force", checkpointing=policy)
    opened = Opened(endpoint.application, json.dumps(call_body(**CTX)).encode())
    in_step.wait(60)
    opened.chunks.close()
    gone.set()
    wait_until(lambda: sum(api.stored, []) == ["a", "b"])
    wait_until(lambda: not threads())
    assert ran == ["a", "b"]


def test_events_that_are_sent_again_have_the_same_ids():
    """The second of two buffered steps runs again."""

    def function(ctx):
        ctx.step.run("a", lambda: 1)
        return ctx.step.send_event("send", inngest.Event(name="test/sent"))

    api = Api(503)
    policy = inngest.Checkpointing(buffered_steps=2)
    endpoint = Endpoint(function, http=api, checkpointing=policy, client={"event_key": "k"})
    (op,) = endpoint.call(**CTX).get_json()
    assert op["displayName"] == "a"
    assert endpoint.call({op["id"]: {"data": 1}}, **CTX).get_json() == ["E"]
    first, second = api.seeds
    assert first == second


class Dates:
    def serialize(self, obj, typ):
        return obj.isoformat()

    def deserialize(self, obj, typ):
        return typ.fromisoformat(obj)


@pytest.mark.parametrize("checkpointing", [True, False])
def test_a_step_with_an_output_type_returns_that_type(checkpointing):
    day = datetime.date(2026, 1, 2)
    found = []

    def function(ctx):
        value = ctx.step.run("a", lambda: day, output_type=datetime.date)
        found.append(value)
        return ctx.step.run("b", lambda: str(value))

    api = Api()
    endpoint = Endpoint(
        function, http=api, checkpointing=checkpointing, client={"serializer": Dates()}
    )
    steps = {}
    response = endpoint.call(**CTX)
    while response.status_code == 206:
        for op in response.get_json():
            steps[op["id"]] = {"data": op["data"]}
        response = endpoint.call(steps, **CTX)
    assert response.get_json() == str(day)
    assert set(map(type, found)) == {datetime.date} and set(found) == {day}
    if checkpointing:
        assert api.checkpoints[0]["steps"][0]["data"] == str(day)


def test_a_run_whose_state_is_fetched_goes_on_too():
    event = {"name": "test/event", "data": {}, "id": "e1", "ts": 1}
    api = Api(state={"batch": [event], "actions": {}})

    def function(ctx):
        return [ctx.step.run(name, lambda name=name: name) for name in "abc"]

    response = Endpoint(function, http=api).call(**dict(CTX, use_api=True))
    assert response.get_json() == ["a", "b", "c"]
    assert api.stored == [["a"], ["b"], ["c"]]


class SetsSession(inngest.Middleware):
    def transform_input(self, ctx, function, steps):
        ctx.session = steps.size


class LooksAtMemos(inngest.Middleware):
    def transform_input(self, ctx, function, steps):
        for memo in steps.values():
            assert memo.data == [], "each call has memos of its own"
            memo.data.append("seen")


@pytest.mark.parametrize(
    "middleware, reads, result",
    # for each step the events, and its own memo or all of them at once
    [(inngest.Middleware, 0, []), (SetsSession, 2, []), (LooksAtMemos, 2, ["seen"])],
)
def test_memos_are_read_again_only_if_middleware_looks_at_them(
    middleware, reads, result, monkeypatch
):
    counted = []

    def loads(text):
        counted.append(text)
        return json.loads(text)

    real = next_call._json
    monkeypatch.setattr(next_call, "_json", types.SimpleNamespace(loads=loads, dumps=real.dumps))

    def function(ctx):
        return [list(ctx.step.run(f"step {n}", list)) for n in range(40)]

    policy = inngest.Checkpointing(buffered_steps=100)
    endpoint = Endpoint(
        function, http=Api(), checkpointing=policy, client={"middleware": [middleware]}
    )
    assert endpoint.call(**CTX).get_json() == [result] * 40
    assert len(counted) <= 40 * reads


def test_large_outputs_are_not_kept_back():
    def function(ctx):
        for name, size in (("a", 600_000), ("b", 600_000), ("c", 10), ("d", 3_900_000)):
            ctx.step.run(name, lambda size=size: "x" * size)
        ctx.step.run("e", lambda: 1)

    api = Api()
    policy = inngest.Checkpointing(buffered_steps=100)
    Endpoint(function, http=api, checkpointing=policy).call(**CTX)
    assert api.stored == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize(
    "size, reported",
    [(10, [("StepRun", "a"), ("RunComplete", "complete")]), (2_000_000, [("StepRun", "a")])],
)
def test_a_large_output_of_the_function_is_not_sent_with_steps(size, reported):
    def function(ctx):
        ctx.step.run("a", lambda: 1)
        return "x" * size

    policy = inngest.Checkpointing(buffered_steps=2)
    response = Endpoint(function, http=Api(503), checkpointing=policy).call(**CTX)
    assert names_of(response) == reported


def test_the_end_of_a_forked_process_does_not_wait_for_the_parents_checkpoint():
    """A step forks while the timer's checkpoint is under way."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    began, go_on = threading.Event(), threading.Event()
    found = []

    class Slow(Api):
        def request(self, *args, **options):
            began.set()
            go_on.wait(60)
            return super().request(*args, **options)

    def forks():
        began.wait(60)
        pid = os.fork()
        if pid == 0:
            sys.exit(7)
        ended = threading.Thread(target=lambda: found.append(os.waitpid(pid, 0)[1]))
        ended.start()
        ended.join(20)
        if not found:
            os.kill(pid, 9)
        go_on.set()

    def function(ctx):
        ctx.step.run("a", lambda: 1)
        return ctx.step.run("b", forks)

    parent = os.getpid()
    policy = inngest.Checkpointing(buffered_steps=9, max_interval=1)
    api = Slow()
    try:
        response = Endpoint(function, http=api, checkpointing=policy).call(**CTX)
    finally:
        if os.getpid() != parent:
            # without pytest's own end
            os._exit(7)
    assert response.get_json() is None
    assert found and os.WEXITSTATUS(found[0]) == 7
    assert api.stored == [["a"], ["b"]]


GEVENT = """
    from gevent import monkey

    monkey.patch_all()
    import sys

    sys.path.insert(0, {support!r})
    import json, time, types
    import gevent
    from apps import Endpoint
    import inngest_wsgi as inngest

    CTX = {ctx!r}
    sent = []

    class Api:
        def request(self, method, url, body=b"", **options):
            gevent.sleep(0.05)
            sent.append([step["displayName"] for step in json.loads(body)["steps"]])
            return types.SimpleNamespace(status=200, data=b"", headers={{}})

    def function(ctx):
        ctx.step.run("a", lambda: 1)
        ctx.step.run("b", wait)
        ctx.step.run("c", lambda: 1)
        return "done"

    def wait():
        while not sent:
            time.sleep(0.01)

    policy = inngest.Checkpointing(buffered_steps=9, max_interval=1)
    endpoint = Endpoint(function, http=Api(), checkpointing=policy)
    calls = [gevent.spawn(endpoint.call, **CTX) for _ in range(3)]
    with gevent.Timeout(50):
        gevent.joinall(calls)
    assert [call.value.get_json() for call in calls] == ["done"] * 3, calls
    names = [name for names in sent for name in names]
    assert sorted(names) == sorted("abc" * 3), sent
    assert sent[0] == ["a"], sent
    print("fine")
"""


def test_steps_are_sent_after_an_interval_in_greenlets_too():
    pytest.importorskip("gevent")
    support = os.path.join(os.path.dirname(os.path.dirname(__file__)), "support")
    code = textwrap.dedent(GEVENT.format(support=support, ctx=CTX))
    found = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100
    )
    assert found.stdout == b"fine\n", found.stderr.decode()
