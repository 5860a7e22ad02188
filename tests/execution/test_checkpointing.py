"""A call goes on after a step that the server has stored, and ends in what the
server has not stored."""

import json
import logging
import threading
import time
import types
import typing as t

import pytest
import urllib3
from apps import KEY, OTHER_KEY, Endpoint, call_body, step_hash
from streams import inner_of

import inngest_wsgi as inngest
from inngest_wsgi._execution import checkpoint
from inngest_wsgi._server_api import retry

CTX = {
    "run_id": "01M81766GA504FKZSYRTHG82MA",
    "fn_id": "b5dc1f11-fa9e-50ef-bd42-75b7f3d06a71",
    "qi_id": "MW93dGYyYmdld3BlMTo6ZGVmYXVsdA==",
    "request_id": "01M81766HQ80DA8WECKN4ESNQ2",
    "generation_id": 3,
}


class Api:
    """The server's API.

    :param answers: status codes, or exceptions, of the checkpoints in their
        order; 200 for all further ones.
    :param key: the only key that is accepted; any if None.
    """

    def __init__(self, *answers, key=None):
        self.answers = list(answers)
        self.key = key
        self.checkpoints = []
        self.refused = 0

    def request(self, method, url, body=b"", headers=None, **options):
        assert method == "POST" and url.endswith(f"/v1/checkpoint/{CTX['run_id']}/async")
        if self.key is not None and headers["Authorization"] != self.key:
            self.refused += 1
            return types.SimpleNamespace(status=401, data=b"Authentication failed", headers={})
        found = json.loads(body)
        self.checkpoints.append(found)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, BaseException):
            raise answer
        return types.SimpleNamespace(status=answer, data=b"", headers={})

    @property
    def stored(self):
        """The names of the steps of each checkpoint."""
        return [[step["displayName"] for step in c["steps"]] for c in self.checkpoints]


@pytest.fixture(autouse=True)
def one_attempt(monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_RETRY", retry.Retry(attempts=1))


def abc(ctx):
    return "".join(ctx.step.run(name, lambda name=name: name) for name in "abc")


def ops_of(response):
    return [(op["op"], op["displayName"]) for op in response.get_json()]


LOST = urllib3.exceptions.ProtocolError("lost")
BUFFERED = inngest.Checkpointing(buffered_steps=2)


@pytest.mark.parametrize(
    "checkpointing, answers, stored, status, answer",
    [
        (True, [], [["a"], ["b"], ["c"]], 200, "abc"),
        (False, [], [], 206, [("StepRun", "a")]),
        (BUFFERED, [], [["a", "b"], ["c"]], 200, "abc"),
        (inngest.Checkpointing(buffered_steps=9), [], [["a", "b", "c"]], 200, "abc"),
        # what was not stored comes back in the answer
        (True, [LOST], [["a"]], 206, [("StepRun", "a")]),
        (True, [200, 503], [["a"], ["b"]], 206, [("StepRun", "b")]),
        (True, [200, 400], [["a"], ["b"]], 206, [("StepRun", "b")]),
        (True, [413], [["a"]], 206, [("StepRun", "a")]),
        (True, [404], [["a"]], 206, [("StepRun", "a")]),
        # the server would make a call after each of several
        (BUFFERED, [503], [["a", "b"]], 206, [("StepRun", "a")]),
        (
            BUFFERED,
            [200, 503],
            [["a", "b"], ["c"]],
            206,
            [("StepRun", "c"), ("RunComplete", "complete")],
        ),
        # nothing is repeated for a call that the server has made again
        (True, [200, 409], [["a"], ["b"]], 400, "stale_call"),
        (BUFFERED, [200, 409], [["a", "b"], ["c"]], 400, "stale_call"),
    ],
)
def test_a_call_ends_in_what_was_not_stored(checkpointing, answers, stored, status, answer):
    api = Api(*answers)
    endpoint = Endpoint(abc, http=api, checkpointing=checkpointing)
    response = endpoint.call(**CTX)
    assert api.stored == stored
    assert response.status_code == status
    if status == 206:
        assert ops_of(response) == answer
    elif status == 400:
        assert response.get_json()["code"] == answer
        assert response.headers["X-Inngest-No-Retry"] == "true"
    else:
        assert response.get_json() == answer


@pytest.mark.parametrize(
    "ctx, step",
    [
        ({"attempt": 1}, "step"),
        ({}, step_hash("a")),
        ({"fn_id": None}, "step"),
        ({"qi_id": ""}, "step"),
        ({"run_id": "../../v1/events"}, "step"),
    ],
)
def test_other_calls_run_one_step(ctx, step):
    api = Api()
    response = Endpoint(abc, http=api).call(step=step, **dict(CTX, **ctx))
    assert api.stored == []
    assert ops_of(response) == [("StepRun", "a")]


def test_a_call_whose_steps_are_planned_sends_nothing():
    api = Api()
    response = Endpoint(abc, http=api).call(**dict(CTX, disable_immediate_execution=True))
    assert api.stored == []
    assert ops_of(response) == [("StepPlanned", "a")]


def fails(ctx):
    ctx.step.run("a", lambda: 1)
    ctx.step.run("b", lambda: 1 / 0)


def raises(ctx):
    ctx.step.run("a", lambda: 1)
    raise RuntimeError("no")


def sleeps(ctx):
    ctx.step.run("a", lambda: 1)
    ctx.step.sleep("b", "1h")


def side_by_side(ctx):
    ctx.step.run("a", lambda: 1)
    ctx.group.parallel((lambda: ctx.step.run("b", int), lambda: ctx.step.run("c", int)))


def racing(ctx):
    ctx.step.run("a", lambda: 1)
    ctx.group.parallel(
        (lambda: ctx.step.run("b", int), lambda: ctx.step.run("c", int)),
        parallel_mode=inngest.ParallelMode.RACE,
    )


def large(ctx):
    ctx.step.run("a", lambda: 1)
    ctx.step.run("b", lambda: "x" * (5 * 1024 * 1024))


#: (function, status, ops or the name of the error)
ENDS = [
    (fails, 206, [("StepError", "b")]),
    (raises, 500, "RuntimeError"),
    (sleeps, 206, [("Sleep", "b")]),
    (side_by_side, 206, [("StepPlanned", "b"), ("StepPlanned", "c")]),
    (racing, 206, [("StepPlanned", "b"), ("StepPlanned", "c")]),
    (large, 206, [("StepFailed", "b")]),
]


@pytest.mark.parametrize("checkpointing", [True, inngest.Checkpointing(buffered_steps=5)])
@pytest.mark.parametrize("function, status, end", ENDS)
def test_whatever_ends_a_call_the_steps_before_it_are_stored_first(
    function, status, end, checkpointing
):
    api = Api()
    response = Endpoint(function, http=api, checkpointing=checkpointing).call(**CTX)
    assert api.stored == [["a"]]
    assert response.status_code == status
    assert (ops_of(response) if status == 206 else response.get_json()["name"]) == end


@pytest.mark.parametrize("function, status, end", ENDS)
def test_what_ends_a_call_waits_for_the_next_call_if_the_steps_before_it_are_not_stored(
    function, status, end
):
    api = Api(503)
    policy = inngest.Checkpointing(buffered_steps=5)
    response = Endpoint(function, http=api, checkpointing=policy).call(**CTX)
    assert response.status_code == 206
    assert ops_of(response) == [("StepRun", "a")]
    assert "X-Inngest-No-Retry" not in response.headers


def test_after_the_longest_runtime_the_next_step_is_planned():
    api, now = Api(), [0.0]

    def slow(ctx):
        def work(name):
            now[0] += 4
            return name

        return [ctx.step.run(name, work, name) for name in "abcd"]

    endpoint = Endpoint(slow, http=api, checkpointing=inngest.Checkpointing(max_runtime="10s"))
    calls = endpoint.application._router._calls
    calls._checkpoints = checkpoint.Checkpoints(calls._http, lambda: now[0])
    response = endpoint.call(**CTX)
    assert api.stored == [["a"], ["b"], ["c"]]
    assert ops_of(response) == [("StepPlanned", "d")]


def test_steps_are_sent_after_an_interval_even_while_another_one_runs(monkeypatch):
    sent = threading.Event()
    api = Api()
    ask = api.request

    def request(*args, **options):
        try:
            return ask(*args, **options)
        finally:
            sent.set()

    monkeypatch.setattr(api, "request", request)

    def function(ctx):
        ctx.step.run("a", lambda: 1)
        # this step ends once the one before it was sent
        return ctx.step.run("b", sent.wait, 30)

    policy = inngest.Checkpointing(buffered_steps=10, max_interval=20)
    response = Endpoint(function, http=api, checkpointing=policy).call(**CTX)
    assert response.get_json() is True
    assert api.stored == [["a"], ["b"]]


def test_a_checkpoint_has_all_that_the_server_wants_to_know():
    api = Api()
    Endpoint(abc, http=api).call(**CTX)
    found = api.checkpoints[0]
    (step,) = found.pop("steps")
    assert found.pop("ts") >= found.pop("request_started_at") > 1_700_000_000_000
    assert found == CTX
    assert step["timing"]["b"] >= 0
    assert {name: step[name] for name in ("op", "id", "displayName", "userland", "data")} == {
        "op": "StepRun",
        "id": step_hash("a"),
        "displayName": "a",
        "userland": {"id": "a", "index": 0},
        "data": "a",
    }


def test_the_value_of_a_step_is_what_a_later_call_would_have():
    value = {
        "z": 1.0,
        "a": (1, -0.0, 1e21, 12345678901234567890),
        "\U0001f600": None,
        "\uffff": "\ud800",
        "b": {"y": 2, "x": 1},
    }

    def function(ctx):
        found = ctx.step.run("a", lambda: value)
        # as text, so that the order of the keys and the types of numbers count
        return json.dumps(found)

    with_memo = {
        "z": 1,
        "a": [1, 0, 1e21, 12345678901234567000],
        "\U0001f600": None,
        "\uffff": "\ufffd",
        "b": {"x": 1, "y": 2},
    }
    with_memo = {key: with_memo[key] for key in ["a", "b", "z", "\U0001f600", "\uffff"]}
    assert Endpoint(function, http=Api()).call(**CTX).get_json() == json.dumps(with_memo)


def test_two_failures_in_a_row_turn_checkpointing_off_for_a_minute(caplog):
    now = [0.0]
    api = Api(503, 200, LOST, 503, 200)
    endpoint = Endpoint(abc, http=api)
    calls = endpoint.application._router._calls
    calls._checkpoints = checkpoint.Checkpoints(calls._http, lambda: now[0])
    asked = []
    with caplog.at_level(logging.WARNING, "inngest_wsgi"):
        for later in (0, 0, 0, 30, 29.9, 0.2):
            now[0] += later
            del api.checkpoints[:]
            endpoint.call(**CTX)
            asked.append(len(api.checkpoints))
    # one failure and then a success is no reason; two in a row are
    assert asked == [1, 2, 1, 0, 0, 3]
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    (warning,) = [text for text in warnings if "Checkpointing" in text]
    assert "60 seconds" in warning


def test_a_checkpoint_is_sent_with_the_fallback_key_when_the_first_is_refused():
    api = Api(key=None)
    from inngest_wsgi._security.signing import SigningKey

    api.key = "Bearer " + SigningKey(OTHER_KEY).bearer
    endpoint = Endpoint(abc, cloud=True, http=api, signing_key_fallback=OTHER_KEY, signing_key=KEY)
    assert endpoint.call(**CTX).get_json() == "abc"
    assert api.stored == [["a"], ["b"], ["c"]]
    assert api.refused == 3


def test_an_option_of_a_function_beats_that_of_the_endpoint_and_that_the_clients(monkeypatch):
    def steps(function=None, serve=None, client=None, environ=None):
        if environ is not None:
            monkeypatch.setenv("INNGEST_CHECKPOINTING", environ)
        app = inngest.Inngest(app_id="shop", is_production=False, checkpointing=client)
        declared = app.create_function(
            fn_id="f", trigger=inngest.TriggerEvent(event="e"), checkpointing=function
        )(abc)
        api = Api()
        endpoint = Endpoint(abc)
        from werkzeug.test import Client

        endpoint.http = Client(inngest.serve(app, [declared], http=api, checkpointing=serve))
        endpoint.call(**CTX)
        monkeypatch.delenv("INNGEST_CHECKPOINTING", raising=False)
        return [len(names) for names in api.stored]

    buffered = inngest.Checkpointing(buffered_steps=3)
    assert steps() == [1, 1, 1]
    assert steps(environ="false") == []
    assert steps(environ="0", client=True) == [1, 1, 1]
    assert steps(client=buffered) == [3]
    assert steps(client=buffered, serve=False) == []
    assert steps(serve=False, function=True) == [1, 1, 1]
    assert steps(serve=buffered, function=True) == [3]
    assert steps(serve=True, function=False) == []
    assert steps(serve=False, function=buffered) == [3]


@pytest.mark.parametrize(
    "options, said",
    [
        ({"buffered_steps": 0}, "buffered_steps of a Checkpointing: must be a whole number"),
        ({"buffered_steps": 1001}, "from 1 to 1000"),
        ({"max_interval": "0s"}, "max_interval of a Checkpointing"),
        ({"max_runtime": "soon"}, "time string"),
        ({"max_runtime": "3h"}, "max_runtime of a Checkpointing: must be from"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_where_it_is_made(options, said):
    with pytest.raises(ValueError, match=said):
        inngest.Checkpointing(**options)


def test_other_values_of_the_option_are_refused():
    client = inngest.Inngest(app_id="shop", is_production=False)
    with pytest.raises(inngest.FunctionConfigError, match="checkpointing must be True, False"):
        client.create_function(
            fn_id="f",
            trigger=inngest.TriggerEvent(event="e"),
            checkpointing="yes",  # type: ignore[arg-type]
        )(abc)
    with pytest.raises(inngest.SettingsError, match="checkpointing: must be True, False"):
        inngest.Inngest(app_id="shop", checkpointing=1)  # type: ignore[arg-type]


def test_a_streamed_call_goes_on_too():
    api = Api()
    endpoint = Endpoint(abc, http=api, streaming="force")
    status, _, body = inner_of(endpoint.call(**CTX).get_data())
    assert api.stored == [["a"], ["b"], ["c"]]
    assert (status, json.loads(body)) == (200, "abc")


# -- middleware --------------------------------------------------------------


def recorder(seen):
    class Recorder(inngest.Middleware):
        """Notes all that it sees; encrypts outputs, and decrypts memos."""

        def __init__(self, client, raw_request):
            super().__init__(client, raw_request)
            seen.append("made")

        def transform_input(self, ctx, function, steps):
            for memo in steps.values():
                if isinstance(memo.data, str) and memo.data.startswith("secret "):
                    memo.data = memo.data[7:]
            memos = sorted(str(memo.data) for memo in steps.values())
            seen.append(("transform_input", ctx.attempt, function.fn_id, steps.size, memos))
            ctx.logger.info("quiet while it replays")

        def before_execution(self):
            seen.append("before_execution")

        def after_execution(self):
            seen.append("after_execution")

        def transform_output(self, result):
            step = None if result.step is None else (result.step.id, result.step.op)
            seen.append(("transform_output", step, result.output, repr(result.error)))
            if isinstance(result.output, str) and result.step is not None:
                result.output = "secret " + result.output

        def before_response(self):
            seen.append("before_response")

        def close(self):
            seen.append("close")

    return Recorder


class Log(logging.Handler):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def emit(self, record):
        if record.levelno == logging.INFO:
            self.seen.append(record.getMessage())


def with_logs(ctx):
    found = []
    for name in "abc":
        ctx.logger.info(f"before {name}, attempt {ctx.attempt}")
        found.append(ctx.step.run(name, lambda name=name: name * 2))
        ctx.logger.info(f"after {name}: {found[-1]}")
    return found


def test_middleware_and_logger_see_the_same_with_checkpointing_and_without():
    seen = {}
    for checkpointing in (False, True):
        events = seen[checkpointing] = []
        logger = logging.Logger("app", logging.INFO)
        logger.addHandler(Log(events))
        endpoint = Endpoint(
            with_logs,
            http=Api(),
            checkpointing=checkpointing,
            client={"middleware": [recorder(events)], "logger": logger},
        )
        steps = {}
        while True:
            response = endpoint.call(steps, **CTX)
            if response.status_code != 206:
                break
            for op in response.get_json():
                steps[op["id"]] = {"data": op["data"]}
    assert response.get_json() == ["aa", "bb", "cc"]
    assert seen[True] == seen[False]
    assert seen[True].count("made") == 4


@pytest.mark.parametrize(
    "hook",
    ["__init__", "transform_input", "before_execution", "after_execution"]
    + ["transform_output", "before_response"],
)
@pytest.mark.parametrize("at", [1, 2])
def test_a_hook_that_raises_ends_the_call_as_it_would_without(hook, at):
    """The first and second use of each hook; none of them loses a stored step."""

    def middleware():
        uses = []

        class Raises(inngest.Middleware):
            pass

        def raising(self, *args):
            uses.append(hook)
            if hook == "__init__":
                inngest.Middleware.__init__(self, *args)
            if len(uses) == at:
                raise RuntimeError("hook")

        setattr(Raises, hook, raising)
        return Raises

    found = []
    for checkpointing in (False, True):
        api = Api()
        endpoint = Endpoint(
            abc,
            http=api,
            checkpointing=checkpointing,
            client={"middleware": [middleware()]},
        )
        steps, answers = {}, []
        for _ in range(9):
            response = endpoint.call(steps, **CTX)
            for stored in api.checkpoints:
                for op in stored["steps"]:
                    steps[op["id"]] = {"data": op["data"]}
            if response.status_code == 200:
                break
            if response.status_code == 206:
                for op in response.get_json():
                    steps[op["id"]] = {"data": op["data"]}
            else:
                retry = response.headers.get("X-Inngest-No-Retry") != "true"
                answers.append((response.status_code, retry))
        found.append((response.get_json(), answers))
    assert found[0] == found[1] == ("abc", [(500, True)])


def decoding():
    class Decodes(inngest.Middleware):
        """Works on events and memos in place, as if each call had its own."""

        def transform_input(self, ctx, function, steps):
            ctx.event.data["nested"]["n"] += 1
            ctx.calls = getattr(ctx, "calls", 0) + 1
            ctx.state.calls = getattr(ctx.state, "calls", 0) + 1
            for memo in steps.values():
                memo.data.append("decoded")

    return Decodes


def with_context(ctx):
    ctx.own = "kept"
    ctx.state.own = "kept too"
    found = []
    for name in "ab":
        found.append(list(ctx.step.run(name, list)))
        found.append([ctx.event.data["nested"]["n"], ctx.calls, ctx.own])
        found.append([ctx.state.calls, ctx.state.own])
    return found


def test_middleware_that_changes_its_input_in_place_changes_it_once():
    body = dict(CTX)
    results = []
    for checkpointing in (False, True):
        endpoint = Endpoint(
            with_context,
            http=Api(),
            checkpointing=checkpointing,
            client={"middleware": [decoding()]},
        )
        results.append(played(endpoint, body, {"nested": {"n": 1}}))
    expected = [["decoded"], [2, 1, "kept"], [1, "kept too"]]
    assert results[0] == results[1] == expected * 2


def played(endpoint, ctx, data=None, steps=None):
    """Call a function as a server does, until it returns."""
    steps = dict(steps or {})
    for _ in range(20):
        body = call_body(steps, **ctx)
        for event in (body["event"], *body["events"]):
            event["data"] = data or {}
        response = endpoint.request(body=json.dumps(body).encode())
        if response.status_code != 206:
            break
        for op in response.get_json():
            steps[op["id"]] = {"data": op["data"]}
    return response.get_json()


def test_a_step_with_edited_input_does_not_silence_what_follows():
    def function(ctx):
        for name in "abc":
            ctx.step.run(name, lambda *given: given, 1)
            ctx.logger.info(name)
        return "done"

    edited = {step_hash("a"): {"input": [5]}}
    for checkpointing in (False, True):
        lines = []
        logger = logging.Logger("app", logging.INFO)
        logger.addHandler(Log(lines))
        endpoint = Endpoint(
            function,
            http=Api(),
            checkpointing=checkpointing,
            client={"middleware": [inngest.Middleware], "logger": logger},
        )
        assert played(endpoint, CTX, steps=edited) == "done"
        assert lines == ["a", "b", "c"]


class Timeout(BaseException):
    """As gevent's."""


def test_a_timeout_within_a_checkpoint_ends_the_call_with_the_step():
    def function(ctx):
        try:
            ctx.step.run("a", lambda: 1)
        except Timeout:
            pass
        return ctx.step.run("b", lambda: 2)

    response = Endpoint(function, http=Api(Timeout())).call(**CTX)
    assert ops_of(response) == [("StepRun", "a")]


def test_without_a_thread_for_the_interval_each_step_is_sent_at_once(monkeypatch):
    def start(timer):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, "start", start)
    api = Api()
    policy = inngest.Checkpointing(buffered_steps=10, max_interval="1s")
    response = Endpoint(abc, http=api, checkpointing=policy).call(**CTX)
    assert response.get_json() == "abc"
    assert api.stored == [["a"], ["b"], ["c"]]


def test_what_comes_again_is_not_logged_as_a_failure(caplog):
    api = Api(503)
    policy = inngest.Checkpointing(buffered_steps=5)
    with caplog.at_level(logging.WARNING, "inngest_wsgi"):
        response = Endpoint(raises, http=api, checkpointing=policy).call(**CTX)
    assert ops_of(response) == [("StepRun", "a")]
    assert "failed, attempt" not in caplog.text


def test_the_end_of_the_process_stops_the_timer():
    api = Api()

    def function(ctx):
        ctx.step.run("a", lambda: 1)
        ctx.step.run("b", exit)

    policy = inngest.Checkpointing(buffered_steps=10, max_interval=50)
    before = threading.active_count()
    with pytest.raises(SystemExit):
        Endpoint(function, http=api, checkpointing=policy).call(**CTX)
    until = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert api.stored == []


def test_deeply_nested_memos_do_not_end_a_call_with_middleware():
    deep: t.Any = []
    for _ in range(700):
        deep = [deep]

    def function(ctx):
        ctx.step.run("a", lambda: deep)
        return ctx.step.run("b", lambda: 2)

    api = Api()
    endpoint = Endpoint(function, http=api, client={"middleware": [inngest.Middleware]})
    assert endpoint.call(**CTX).get_json() == 2
    assert api.stored == [["a"], ["b"]]
