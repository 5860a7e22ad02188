"""Context managers entered around each run of a step's function."""

import contextlib
import json
import threading

import pytest
from apps import Endpoint, step_hash
from streams import Opened, forced, inner_of
from test_checkpointed_calls import CTX, Api

import inngest_wsgi as inngest
from inngest_wsgi._execution import checkpoint
from inngest_wsgi._server_api import retry


@pytest.fixture(autouse=True)
def one_attempt(monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_RETRY", retry.Retry(attempts=1))


class Recorder:
    """Makes managers that log what they are told.

    :param fail: when to raise a KeyError: ``made``, ``entered`` or ``left``
    :param suppresses: whether the managers suppress what they are told
    """

    def __init__(self, log, name="a", fail=None, suppresses=False):
        self.log, self.name, self.fail, self.suppresses = log, name, fail, suppresses
        self.steps = []

    def __call__(self, step):
        self.steps.append(step)
        self._note("made")
        return self

    def __enter__(self):
        self._note("entered")

    def __exit__(self, kind, error, trace):
        assert (kind, trace) == (None, None) if error is None else kind is type(error)
        self._note("left", *([] if error is None else [kind.__name__]))
        return self.suppresses

    def _note(self, what, *more):
        self.log.append(" ".join([self.name, what, *more]))
        if self.fail == what:
            raise KeyError(f"{self.name} {what}")


def fail(error):
    raise error


def calling(work, **options):
    """Return an endpoint whose function has one step."""
    return Endpoint(lambda ctx: ctx.step.run("s", work), **options)


def swallowed(ctx):
    """A step that has another in it, and hides that this is refused."""

    def work():
        with contextlib.suppress(inngest.StepConfigError):
            ctx.step.run("inner", int)

    ctx.step.run("s", work)


async def nothing():
    pass


CASES = {
    "succeeds": (lambda ctx: ctx.step.run("s", int), None),
    "has arguments": (lambda ctx: ctx.step.run("s", int, "1"), None),
    "is an AI step": (lambda ctx: ctx.step.ai.wrap("s", int), None),
    "raises": (lambda ctx: ctx.step.run("s", fail, ValueError("no")), "ValueError"),
    "is not retried": (
        lambda ctx: ctx.step.run("s", fail, inngest.NonRetriableError("no")),
        "NonRetriableError",
    ),
    "raises no Exception": (
        lambda ctx: ctx.step.run("s", fail, BaseException("no")),
        "BaseException",
    ),
    "has no JSON": (lambda ctx: ctx.step.run("s", object), "OutputError"),
    "is too large": (lambda ctx: ctx.step.run("s", lambda: "x" * 5_000_000), "OutputError"),
    "is async": (lambda ctx: ctx.step.run("s", nothing), "OutputError"),
    "has a step in it": (swallowed, "StepConfigError"),
}


@pytest.mark.parametrize("suppresses", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_managers_are_told_how_the_step_ended(name, suppresses):
    handler, error = CASES[name]
    log = []
    contexts = [Recorder(log), Recorder(log, "b", suppresses=suppresses)]
    op = Endpoint(handler, step_context=contexts).op()
    told = "" if error is None else " " + error
    assert log == ["a made", "a entered", "b made", "b entered", f"b left{told}", f"a left{told}"]
    if error is None:
        assert op["op"] == "StepRun"
    else:
        assert op["op"] in ("StepError", "StepFailed")
        assert op["error"]["name"] == error


@pytest.mark.parametrize(
    "fails, steps",
    [
        ("made", ["a left KeyError"]),
        ("entered", ["b entered", "a left KeyError"]),
        ("left", ["b entered", "c made", "c entered", "ran", "c left", "b left"]),
    ],
)
def test_a_step_fails_by_its_managers(fails, steps):
    log = []
    contexts = [Recorder(log), Recorder(log, "b", fails), Recorder(log, "c")]
    op = calling(lambda: log.append("ran"), step_context=contexts).op()
    assert log[:3] == ["a made", "a entered", "b made"]
    assert log[3:] == steps + (["a left KeyError"] if fails == "left" else [])
    assert (op["op"], op["error"]["name"]) == ("StepError", "KeyError")
    assert f"b {fails}" in op["error"]["message"]


def test_what_is_no_context_manager_fails_the_step():
    op = calling(int, step_context=[lambda step: step.key]).op()
    assert (op["op"], op["error"]["name"]) == ("StepError", "TypeError")
    assert "is not a context manager" in op["error"]["message"]


def test_a_step_keeps_its_own_error(caplog):
    log = []
    contexts = [Recorder(log), Recorder(log, "b", "left")]
    op = calling(lambda: fail(inngest.NonRetriableError("mine")), step_context=contexts).op()
    assert (op["op"], op["error"]["message"]) == ("StepFailed", "mine")
    assert log[-1] == "a left NonRetriableError"
    assert "raised as it was left" in caplog.text and "b left" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["step", "entered", "left"])
def test_what_ends_the_process_passes(error, where):
    log = []

    @contextlib.contextmanager
    def ends(step):
        if where == "entered":
            raise error
        yield
        if where == "left":
            raise error

    work = (lambda: fail(error())) if where == "step" else int
    with pytest.raises(error):
        calling(work, step_context=[Recorder(log), ends]).call()
    assert log[-1] == f"a left {error.__name__}"


@pytest.mark.parametrize("where", ["step", "left"])
def test_an_interrupt_of_another_call_is_an_error(where):
    log, kept = [], []

    def keep(ctx):
        try:
            ctx.step.run("s", int)
        except inngest.Interrupt as interrupt:
            kept.append(interrupt)
            raise

    Endpoint(keep).call()

    @contextlib.contextmanager
    def again(step):
        yield
        raise kept[0]

    contexts = [Recorder(log), *([again] if where == "left" else [])]
    work = (lambda: fail(kept[0])) if where == "step" else int
    op = calling(work, step_context=contexts).op()
    assert (op["op"], op["error"]["name"]) == ("StepFailed", "NonRetriableError")
    assert log[-1] == "a left NonRetriableError"


def test_other_kinds_of_steps_have_no_managers():
    log = []

    def handler(ctx):
        ctx.step.send_event("send", inngest.Event(name="test/sent"))
        ctx.step.sleep("nap", "1h")

    contexts = [Recorder(log)]
    endpoint = Endpoint(handler, http=Api(), client={"event_key": "k"}, step_context=contexts)
    assert endpoint.op()["op"] == "StepRun"
    assert endpoint.op({step_hash("send"): {"data": ["E"]}})["op"] == "Sleep"
    assert log == []


def test_steps_that_are_remembered_or_planned_have_no_managers():
    log = []

    def handler(ctx):
        ctx.step.run("s", int)
        return ctx.group.parallel([lambda: ctx.step.run("p", int), lambda: ctx.step.run("q", int)])

    endpoint = Endpoint(handler, step_context=[Recorder(log)])
    done = {step_hash("s"): {"data": 0}}
    assert [op["op"] for op in endpoint.call(done).get_json()] == ["StepPlanned"] * 2
    assert log == []
    (op,) = endpoint.call(done, step=step_hash("q")).get_json()
    assert (op["op"], op["displayName"]) == ("StepRun", "q")
    assert log == ["a made", "a entered", "a left"]


def test_the_step_is_described():
    recorder = Recorder([])

    def handler(ctx):
        return [ctx.step.run("s", int) for _ in range(2)]

    endpoint = Endpoint(handler, step_context=[recorder])
    endpoint.call(attempt=2)
    endpoint.call({step_hash("s"): {"data": 0}})
    first, second = recorder.steps
    key = "01RUN-" + step_hash("s")
    assert first == inngest.RunningStep("shop-f", "01RUN", "s", 2, key)
    assert second == first._replace(attempt=0, key="01RUN-" + step_hash("s:1"))


class Hooks(inngest.Middleware):
    log: list = []

    def before_execution(self):
        self.log.append("before_execution")

    def after_execution(self):
        self.log.append("after_execution")

    def transform_output(self, result):
        self.log.append(f"transform_output {result.error!r}")

    def before_response(self):
        self.log.append("before_response")


class LoggedApi(Api):
    def request(self, method, url, **options):
        if "/checkpoint/" in url:
            Hooks.log.append("checkpoint")
        return super().request(method, url, **options)


@pytest.mark.parametrize("fails", [None, "left"])
def test_managers_are_left_before_anything_is_told_of_the_step(fails):
    Hooks.log = log = []

    def handler(ctx):
        try:
            ctx.step.run("s", log.append, "ran")
        finally:
            log.append("function left")

    endpoint = Endpoint(
        handler,
        http=LoggedApi(),
        client={"middleware": [Hooks]},
        step_context=[Recorder(log, fail=fails)],
    )
    answer = endpoint.call(**CTX)
    told = [] if fails is None else ["function left"]
    expected = ["before_execution", "a made", "a entered", "ran", "a left", *told]
    assert log[: len(expected)] == expected
    if fails is None:
        assert log[5:10] == [
            "after_execution",
            "transform_output None",
            "before_response",
            "checkpoint",
            "before_execution",
        ]
        assert answer.get_json() is None
    else:
        assert log[6:8] == ["after_execution", "transform_output KeyError('a left')"]
        assert answer.get_json()[0]["op"] == "StepError"


class AsText(inngest.Middleware):
    def transform_output(self, result):
        if result.step is not None:
            result.output = repr(result.output)


def test_a_middleware_may_make_json_of_an_output():
    log = []
    endpoint = calling(set, client={"middleware": [AsText]}, step_context=[Recorder(log)])
    assert endpoint.op()["data"] == "set()"
    assert log[-1] == "a left"


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("hook", ["after_execution", "transform_output", "before_response"])
def test_a_hook_that_raises_after_a_step_has_it_run_again(hook, goes_on):
    """What is committed is committed by then: docs/transactions.md says so."""
    log = []

    def raises(self, *args):
        raise ValueError("no")

    raising = type("Raising", (inngest.Middleware,), {hook: raises})
    api = Api()
    endpoint = calling(
        int,
        client={"middleware": [raising]},
        step_context=[Recorder(log)],
        http=api,
        checkpointing=goes_on,
    )
    answer = endpoint.call(**(CTX if goes_on else {}))
    # tried again, with no step stored
    assert answer.status_code == 500
    assert answer.headers.get("X-Inngest-No-Retry") != "true"
    assert (log, api.stored) == (["a made", "a entered", "a left"], [])


def test_managers_are_entered_in_the_thread_of_a_streamed_function():
    names = []

    @contextlib.contextmanager
    def context(step):
        names.append(threading.current_thread().name)
        yield
        names.append(threading.current_thread().name)

    def work():
        names.append(threading.current_thread().name)

    endpoint = forced(lambda ctx: ctx.step.run("s", work), step_context=[context])
    assert inner_of(Opened(endpoint.application).read())[0] == 206
    assert names == ["inngest_wsgi run 01RUN"] * 3


@pytest.mark.parametrize("contexts", ["abc", 1, [None], {"a": 1}, contextlib.suppress])
def test_an_invalid_step_context_is_refused(contexts):
    with pytest.raises(inngest.SettingsError, match="step_context"):
        calling(int, step_context=contexts)


def test_a_test_server_enters_the_managers(inngest_server):
    log = []
    endpoint = calling(int, step_context=[Recorder(log)])
    inngest_server.serve(endpoint.application)
    inngest_server.stub("s", fail=1)
    run = inngest_server.send("test/event", {}).run("f")
    inngest_server.advance("1h")
    assert run.status == "Completed", run
    assert len([line for line in log if line.startswith("a left ")]) == 1
    assert log[-3:] == ["a made", "a entered", "a left"]


# -- transactions around steps ---------------------------------------------------


class Database:
    """Makes managers that do nothing, and tells whether a transaction is open."""

    def __init__(self):
        self.is_open = False

    def __call__(self, step):
        return contextlib.nullcontext()

    def open_transaction(self):
        return "a transaction of the shop" if self.is_open else None

    @contextlib.contextmanager
    def transaction(self):
        self.is_open = True
        try:
            yield
        finally:
            self.is_open = False


def warnings_in(caplog):
    return [r.getMessage() for r in caplog.records if "around its steps" in r.msg]


AROUND = {
    "a step": lambda ctx: ctx.step.run("s", int),
    "a sleep": lambda ctx: ctx.step.sleep("s", "1h"),
    "a failing step": lambda ctx: ctx.step.run("s", fail, ValueError("no")),
    "a group": lambda ctx: ctx.group.parallel([lambda: ctx.step.run("s", int)]),
}


@pytest.mark.parametrize("ctx", [{}, CTX], ids=["plain", "checkpointed"])
@pytest.mark.parametrize("name", AROUND)
def test_an_open_transaction_around_steps_is_warned_of_once(name, ctx, caplog):
    database = Database()

    def handler(ctx):
        with database.transaction():
            AROUND[name](ctx)

    endpoint = Endpoint(handler, http=Api(), step_context=[database])
    for _ in range(3):
        endpoint.call(**ctx)
    (warning,) = warnings_in(caplog)
    assert "shop-f has a transaction of the shop open" in warning
    assert "step 's'" in warning


def test_a_transaction_that_is_closed_before_a_step_is_not_warned_of(caplog):
    database = Database()

    def handler(ctx):
        with database.transaction():
            pass
        ctx.step.run("s", int)

    endpoint = Endpoint(handler, step_context=[database])
    assert endpoint.op()["op"] == "StepRun"
    assert warnings_in(caplog) == []


def test_what_looks_for_transactions_cannot_fail_a_call(caplog):
    database = Database()
    setattr(database, "open_transaction", lambda: fail(ValueError("no")))
    endpoint = calling(int, step_context=[database])
    assert endpoint.op()["op"] == "StepRun"
    assert "open_transaction() of step_context raised" in caplog.text


# -- call_context ----------------------------------------------------------------


def both(ctx):
    return [ctx.step.run("s", int), ctx.step.sleep("t", "1h")]


ENDS = {
    "returned": (lambda ctx: 1, {}, None),
    "failed": (lambda ctx: fail(ValueError("no")), {}, "ValueError"),
    "no JSON": (lambda ctx: object(), {}, "OutputError"),
    "step ran": (both, {}, "Interrupt"),
    "step failed": (CASES["raises"][0], {}, "ValueError"),
    "step refused": (swallowed, {}, "StepConfigError"),
    "sleeps": (lambda ctx: ctx.step.sleep("t", "1h"), {}, "Interrupt"),
    "steps, then a sleep": (both, CTX, "Interrupt"),
    "steps, then a failure": (
        lambda ctx: ctx.step.run("s", int) or ctx.step.run("t", fail, ValueError("no")),
        CTX,
        "ValueError",
    ),
    "steps, then a value": (lambda ctx: ctx.step.run("s", int), CTX, None),
    "too many steps": (
        lambda ctx: ctx.group.parallel(
            [lambda n=n: ctx.step.sleep(f"{n}" + "x" * 100_000, "1h") for n in range(99)]
        ),
        {},
        "OutputError",
    ),
}


@pytest.mark.parametrize("streaming", [False, "force"])
@pytest.mark.parametrize("suppresses", [False, True])
@pytest.mark.parametrize("name", ENDS)
def test_call_contexts_are_told_how_the_call_ended(name, suppresses, streaming):
    handler, ctx, error = ENDS[name]
    told, answers = [], []

    class Told(contextlib.ContextDecorator):
        def __init__(self, environ):
            pass

        def __enter__(self):
            pass

        def __exit__(self, kind, error, trace):
            told.append(kind)
            assert kind is None or isinstance(error, kind)
            return suppresses

    def body_of(contexts):
        endpoint = Endpoint(
            handler,
            http=Api(),
            streaming=streaming,
            call_context=contexts,
            checkpointing=bool(ctx),
        )
        answer = endpoint.call(**ctx)
        if not streaming:
            return answer.status_code, answer.get_json()
        status, _, body = inner_of(answer.data)
        return status, json.loads(body)

    for contexts in ([Told, Told], []):
        status, body = body_of(contexts)
        for op in body if isinstance(body, list) else ():
            op.pop("timing", None)
            (op.get("error") or {}).pop("stack", None)
        if isinstance(body, dict):
            body.pop("stack", None)
        answers.append((status, body))
    assert answers[0] == answers[1]
    expected = None if error is None else error
    assert [kind and kind.__name__ for kind in told] == [expected] * 2
    if error == "Interrupt":
        assert told[0] is inngest.Interrupt


@pytest.mark.parametrize("status", [409, 503])
def test_call_contexts_are_told_of_a_checkpoint_that_is_refused(status):
    told = []

    @contextlib.contextmanager
    def context(environ):
        try:
            yield
        except BaseException as exc:
            told.append(type(exc).__name__)
            raise

    def handler(ctx):
        ctx.step.run("s", int)
        raise ValueError("comes again")

    Endpoint(handler, http=Api(status), call_context=[context]).call(**CTX)
    assert told == ["Interrupt"]


def test_call_contexts_are_told_of_a_value_that_is_sent_with_its_steps():
    told = []

    @contextlib.contextmanager
    def context(environ):
        yield
        told.append("returned")

    policy = inngest.Checkpointing(buffered_steps=9)
    endpoint = Endpoint(
        lambda ctx: ctx.step.run("s", int),
        http=Api(503),
        checkpointing=policy,
        call_context=[context],
    )
    (_, complete) = endpoint.call(**CTX).get_json()
    assert (complete["op"], told) == ("RunComplete", ["returned"])
