"""Replay: the outcome of a call, whatever the function does."""

import asyncio
import collections
import contextlib
import json
import logging
import typing as t

import gevent
import pytest
from apps import Endpoint, step_hash

import inngest_wsgi as inngest


def memo(user_id, value):
    return {step_hash(user_id): {"data": value}}


def test_a_step_runs_once_and_ends_the_call():
    ran = []

    def handler(ctx):
        value = ctx.step.run("a", lambda: ran.append("a") or 1)
        ran.append("after")
        return value

    endpoint = Endpoint(handler)
    op = endpoint.op()
    assert (op["op"], op["data"], ran) == ("StepRun", 1, ["a"])
    assert op["userland"] == {"id": "a", "index": 0}
    assert op["timing"]["a"] > 0 and op["timing"]["b"] >= 0
    assert endpoint.call(memo("a", 1)).get_json() == 1
    assert ran == ["a", "after"]


def test_arguments_reach_the_step():
    def handler(ctx):
        return ctx.step.run("a", lambda x, y, *, z: [x, y, z], 1, 2, z=3)

    assert Endpoint(handler).op()["data"] == [1, 2, 3]


@pytest.mark.parametrize(
    "raw, value",
    [
        ({"data": None}, None),
        ({"data": {"data": 1}}, {"data": 1}),
        ({"data": {"error": "mine"}}, {"error": "mine"}),
        ({"data": {"input": [1]}}, {"input": [1]}),
        (None, None),
        ("legacy", "legacy"),
        ({"bare": 1}, {"bare": 1}),
        ({"input": "not a list"}, {"input": "not a list"}),
    ],
)
def test_memos_of_a_run_step(raw, value):
    response = Endpoint(lambda ctx: ctx.step.run("a", lambda: 1 / 0)).call({step_hash("a"): raw})
    assert (response.status_code, response.get_json()) == (200, value)


@pytest.mark.parametrize("raw", [None, {"data": None}])
def test_memos_of_a_sleep(raw):
    endpoint = Endpoint(lambda ctx: [ctx.step.sleep("a", 1)])
    assert endpoint.call({step_hash("a"): raw}).get_json() == [None]


def test_an_edited_input_runs_the_step_with_it():
    endpoint = Endpoint(lambda ctx: ctx.step.run("a", lambda *args: list(args), "before"))
    op = endpoint.op({step_hash("a"): {"input": ["after", 2]}}, step=step_hash("a"))
    assert (op["op"], op["data"]) == ("StepRun", ["after", 2])


@pytest.mark.parametrize(
    "error, name, message, stack",
    [
        ({"name": "E", "message": "m", "stack": "s"}, "E", "m", "s"),
        ({"name": "E", "message": ""}, "E", "", None),
        ({}, "Error", "", None),
        ("text", "Error", "text", None),
    ],
)
def test_a_failed_step_raises_in_the_function(error, name, message, stack):
    def handler(ctx):
        with pytest.raises(inngest.StepError) as caught:
            ctx.step.run("a", lambda: None)
        return [caught.value.name, caught.value.message, caught.value.stack]

    response = Endpoint(handler).call({step_hash("a"): {"error": error}})
    assert response.get_json() == [name, message, stack]


def test_an_uncaught_step_error_is_final_and_keeps_its_own_name():
    error = {"name": "CardDeclined", "message": "no funds", "stack": "the step's own"}
    endpoint = Endpoint(lambda ctx: ctx.step.run("a", lambda: None))
    response = endpoint.call({step_hash("a"): {"error": error}})
    assert response.status_code == 400
    assert response.headers["X-Inngest-No-Retry"] == "true"
    assert response.get_json() == dict(error, code="step_errored")


def raising(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    "error, attempt, most, op, no_retry, retry_after",
    [
        (ValueError("m"), 0, 4, "StepError", "false", None),
        (ValueError("m"), 2, 4, "StepError", "false", None),
        (ValueError("m"), 3, 4, "StepFailed", "true", None),
        (ValueError("m"), 9, 4, "StepFailed", "true", None),
        (ValueError("m"), 9, None, "StepError", "false", None),
        (inngest.NonRetriableError("m"), 0, 4, "StepFailed", "true", None),
        (inngest.RetryAfterError("m", 1500), 0, 4, "StepError", "false", "2"),
        (inngest.RetryAfterError("m", 1500), 3, 4, "StepFailed", "true", None),
        (inngest.StepError("m", "Inner"), 0, 4, "StepFailed", "true", None),
    ],
)
def test_a_step_that_raises(error, attempt, most, op, no_retry, retry_after):
    endpoint = Endpoint(lambda ctx: ctx.step.run("a", raising(error)))
    response = endpoint.call(attempt=attempt, max_attempts=most)
    assert response.status_code == 206
    (found,) = response.get_json()
    assert (found["op"], found["data"], found["error"]["message"]) == (op, None, "m")
    assert response.headers["X-Inngest-No-Retry"] == no_retry
    assert response.headers.get("Retry-After") == retry_after


@pytest.mark.parametrize(
    "error, status, no_retry, retry_after",
    [
        (ValueError("m"), 500, "false", None),
        (inngest.NonRetriableError("m"), 400, "true", None),
        (inngest.RetryAfterError("m", "1m"), 500, "false", "60"),
    ],
)
def test_a_function_that_raises(error, status, no_retry, retry_after):
    response = Endpoint(lambda ctx: raising(error)()).call()
    assert response.status_code == status
    problem = response.get_json()
    assert (problem["name"], problem["message"]) == (type(error).__name__, "m")
    assert "raise error" in problem["stack"]
    assert "inngest_wsgi/_execution/engine.py" not in problem["stack"]
    assert response.headers["X-Inngest-No-Retry"] == no_retry
    assert response.headers.get("Retry-After") == retry_after


def test_success_never_says_when_to_retry():
    for response in (Endpoint(lambda ctx: 1).call(), Endpoint(run_a).call()):
        assert "X-Inngest-No-Retry" not in response.headers
        assert "Retry-After" not in response.headers


def run_a(ctx):
    return ctx.step.run("a", lambda: 1)


def nothing_swallowed(ctx):
    raise AssertionError("not reached")


def bare_except(ctx):
    try:
        run_a(ctx)
    except:  # noqa: E722
        pass
    return "finished"


def except_base(ctx):
    try:
        run_a(ctx)
    except BaseException:
        raise ValueError("instead")


def finally_returns(ctx):
    try:
        run_a(ctx)
    finally:
        return "finished"


class Suppress:
    def __enter__(self):
        pass

    def __exit__(self, *exc):
        return True


def suppressed(ctx):
    with Suppress():
        run_a(ctx)
    return "finished"


def step_after_step(ctx):
    for name in "abc":
        try:
            ctx.step.run(name, lambda: None)
        except BaseException:
            pass
    return "finished"


@pytest.mark.parametrize(
    "handler", [bare_except, except_base, finally_returns, suppressed, step_after_step]
)
@pytest.mark.filterwarnings("ignore:'return' in a 'finally':SyntaxWarning")
def test_code_that_swallows_everything_does_not_finish_a_run(handler, caplog):
    op = Endpoint(handler).op()
    assert (op["op"], op["displayName"]) == ("StepRun", "a")
    assert "Let BaseException pass" in caplog.text


def test_nothing_is_logged_of_code_that_swallows_nothing(caplog):
    caplog.set_level(logging.WARNING)
    Endpoint(run_a).op()
    assert caplog.text == ""


class Cancelled(BaseException):
    """A cancellation like those of trio and other libraries."""


#: Not an Exception, and yet an error of the code that raises it.
BASE_ERRORS = [
    gevent.Timeout(2),
    asyncio.CancelledError("by a loop"),
    GeneratorExit(),
    Cancelled(),
]


def goes_on(ctx, work):
    try:
        work()
    except:  # noqa: E722
        pass
    return "done"


def goes_on_with_steps(ctx, work):
    goes_on(ctx, work)
    return goes_on(ctx, lambda: run_a(ctx))


def returns_in_finally(ctx, work):
    try:
        work()
    finally:
        return "done"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), gevent.GreenletExit()])
@pytest.mark.parametrize("go_on", [goes_on, goes_on_with_steps, returns_in_finally])
@pytest.mark.parametrize("target", ["step", "a", "x"])
def test_a_process_exit_in_a_step_cannot_be_swallowed(error, go_on, target, caplog):
    def handler(ctx):
        work = raising(error)
        if target == "x":
            branches = (lambda: run_a(ctx), lambda: ctx.step.run("x", work), work)
            return go_on(ctx, lambda: ctx.group.parallel(branches))
        return go_on(ctx, lambda: ctx.step.run("a", work))

    with pytest.raises(type(error)):
        Endpoint(handler).call(step="step" if target == "step" else step_hash(target))
    assert "Let BaseException pass" in caplog.text


def test_an_interrupt_kept_from_another_call_is_an_error():
    kept = []

    def handler(ctx):
        if kept:
            raise kept[0]
        try:
            run_a(ctx)
        except BaseException as exc:
            kept.append(exc)
            raise

    endpoint = Endpoint(handler)
    assert endpoint.op()["op"] == "StepRun"
    response = endpoint.call()
    assert response.status_code == 400
    assert "ended another call" in response.get_json()["message"]
    in_branch = Endpoint(lambda ctx: ctx.group.parallel((lambda: handler(ctx), lambda: 2)))
    assert in_branch.call().status_code == 400


def kept_interrupt():
    """Return the interrupt that ended a call, which no code should keep."""
    kept = []

    def handler(ctx):
        try:
            run_a(ctx)
        except BaseException as exc:
            kept.append(exc)
            raise

    Endpoint(handler).call()
    return kept[0]


def hooked(hook, misuse):
    """Return a middleware whose hook calls this function."""

    class Misusing(inngest.Middleware):
        ctx = None

        def transform_input(self, ctx, function, steps):
            self.ctx = ctx
            self.now("transform_input")

        def before_execution(self):
            self.now("before_execution")

        def after_execution(self):
            self.now("after_execution")

        def transform_output(self, result):
            self.now("transform_output")

        def before_response(self):
            self.now("before_response")

        def now(self, name):
            if name == hook:
                misuse(self.ctx)

    return {"middleware": [Misusing]}


def in_serializer(misuse):
    class Misusing:
        def serialize(self, obj, typ):
            misuse(None)

        def deserialize(self, obj, typ):
            return obj

    return {"serializer": Misusing()}


def a_kept_interrupt(ctx):
    raise kept_interrupt()


def a_step(ctx):
    ctx.step.run("misplaced", lambda: 1)


def a_group(ctx):
    ctx.group.parallel((lambda: ctx.step.sleep("misplaced", "1s"),))


def with_a_step(ctx):
    return ctx.step.run("a", lambda: 1, output_type=int) if ctx.attempt else run_a(ctx)


def call_context(at, misuse):
    @contextlib.contextmanager
    def entered():
        if at == "enter":
            misuse(None)
        yield

    def make(environ):
        if at == "make":
            misuse(None)
        return entered()

    return {"call_context": [make]}


HOOKS = "transform_input before_execution after_execution transform_output before_response".split()
BEFORE, IN_HOOK, AFTER = "before the function is", "before_execution()", "has ended"
ANOTHER_CALLS = "ends the call of a function at a step"
#: client and serve(), what misuses it, status, what the answer says
MISPLACED = {
    f"{misuse.__name__} in {hook}": (
        {"client": hooked(hook, misuse)},
        with_a_step,
        500 if misuse is a_kept_interrupt else 400,
        (
            ANOTHER_CALLS
            if misuse is a_kept_interrupt
            else (
                BEFORE
                if hook == "transform_input"
                else IN_HOOK
                if hook == "before_execution"
                else AFTER
            )
        ),
    )
    for hook in HOOKS
    for misuse in (a_step, a_group, a_kept_interrupt)
}
MISPLACED.update(
    {
        "an interrupt in a step": (
            {},
            lambda ctx: ctx.step.run("a", a_kept_interrupt, None),
            206,
            "ended another call",
        ),
        "an interrupt in the function": ({}, a_kept_interrupt, 400, "ended another call"),
        "an interrupt in a branch": (
            {},
            lambda ctx: ctx.group.parallel((lambda: a_kept_interrupt(ctx),)),
            400,
            "ended another call",
        ),
        "an interrupt in a step in a serializer": (
            {"client": in_serializer(a_kept_interrupt)},
            lambda ctx: ctx.step.run("a", lambda: 1, output_type=int),
            206,
            "ended another call",
        ),
        "an interrupt as a call_context is made": (
            call_context("make", a_kept_interrupt),
            run_a,
            500,
            ANOTHER_CALLS,
        ),
        "an interrupt as a call_context is entered": (
            call_context("enter", a_kept_interrupt),
            run_a,
            500,
            ANOTHER_CALLS,
        ),
    }
)


@pytest.mark.parametrize("streaming", [False, "force"])
@pytest.mark.parametrize("case", MISPLACED)
def test_no_interrupt_leaves_the_endpoint(case, streaming):
    settings, handler, status, said = MISPLACED[case]
    response = Endpoint(handler, streaming=streaming, **settings).call()
    found, body = response.status_code, response.get_data(as_text=True)
    if found == 201:
        inner = json.loads(body)
        found, body = inner["status"], inner["body"]
    assert found == status, body
    assert said in body


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), gevent.GreenletExit()])
@pytest.mark.parametrize("place", ["function", "step"])
def test_a_process_exit_passes_through(error, place):
    def handler(ctx):
        if place == "step":
            ctx.step.run("a", raising(error))
        raise error

    with pytest.raises(type(error)):
        Endpoint(handler).call()


def test_a_step_inside_a_step_is_refused_and_both_are_named():
    def handler(ctx):
        return ctx.step.run("outer", lambda: ctx.step.run("inner", lambda: 1))

    op = Endpoint(handler).op()
    assert (op["op"], op["displayName"]) == ("StepFailed", "outer")
    assert "'inner'" in op["error"]["message"] and "'outer'" in op["error"]["message"]


@pytest.mark.parametrize("step_id", ["", None, 3])
def test_a_step_needs_an_id(step_id):
    response = Endpoint(lambda ctx: ctx.step.run(step_id, lambda: 1)).call()
    assert response.status_code == 400
    assert response.get_json()["code"] == "step_config_invalid"


@pytest.mark.parametrize(
    "ids, refused, other",
    [
        (["a", "a", "a:1"], "a:1", "a"),
        (["a:1", "a", "a"], "a", "a:1"),
        (["a", "a", "a", "a:2"], "a:2", "a"),
        (["a:1", "a:1", "a:1:1"], "a:1:1", "a:1"),
        (["a:1:1", "a:1", "a:1"], "a:1", "a:1:1"),
        (["a", "a:1", "a"], "a", "a:1"),
        (["a", "a:1"], None, None),
        (["a", "a", "a:2"], None, None),
        (["a", "a", "a:01", "a:+1", "a:\u0661", "a:", ":1", "a: 1", "a:1_0"], None, None),
        (["a", "a", "b:1", "a:1:1", "a:" + 5000 * "9"], None, None),
    ],
)
@pytest.mark.parametrize("swallow", [False, True])
def test_two_steps_with_one_hash_are_refused_and_both_are_named(ids, refused, other, swallow):
    def handler(ctx):
        found = []
        for user_id in ids:
            try:
                found.append(ctx.step.run(user_id, lambda: None))
            except inngest.StepConfigError:
                if not swallow:
                    raise
        return found

    values, uses = {}, collections.Counter()
    for user_id in ids:
        text = f"{user_id}:{uses[user_id]}" if uses[user_id] else user_id
        values.update(memo(text, user_id))
        uses[user_id] += 1
    response = Endpoint(handler).call(values)
    if refused is None:
        assert (response.status_code, response.get_json()) == (200, ids)
    else:
        assert (response.status_code, response.get_json()["code"]) == (400, "step_config_invalid")
        message = response.get_json()["message"]
        assert message.startswith(f"step {refused!r}: ")
        assert f"step {other!r}: the" in message


@pytest.mark.parametrize(
    "duration", [-1, "soon", "367d", None, 1.5, 367 * 86400 * 1000, "1y", 10**30]
)
def test_a_sleep_that_cannot_be_sent_is_refused_by_name(duration):
    response = Endpoint(lambda ctx: ctx.step.sleep("nap", duration)).call()
    assert response.status_code == 400
    assert response.get_json()["message"].startswith("step 'nap': ")


def test_a_point_in_time_that_cannot_be_sent_is_refused_by_name():
    import datetime

    far = datetime.datetime.now() + datetime.timedelta(days=368)
    for until in (far, "2026-01-01", None, datetime.date(2026, 1, 1)):
        response = Endpoint(lambda ctx, until=until: ctx.step.sleep_until("nap", until)).call()
        assert response.get_json()["message"].startswith("step 'nap': ")


def test_immediate_execution_disabled_plans_a_step_instead():
    ran = []
    endpoint = Endpoint(lambda ctx: ctx.step.run("a", ran.append, 1))
    op = endpoint.op(disable_immediate_execution=True)
    assert (op["op"], op["id"], ran) == ("StepPlanned", step_hash("a"), [])
    assert op["opts"] == {"input": [1]}
    op = endpoint.op(disable_immediate_execution=True, step=step_hash("a"))
    assert (op["op"], ran) == ("StepRun", [1])


@pytest.mark.parametrize(
    "handler, said",
    [
        (run_a, "the function came to step 'a' instead"),
        (lambda ctx: ctx.step.sleep("nap", "1s"), "the function came to step 'nap' instead"),
        (lambda ctx: "finished", "the function ended without it"),
    ],
)
def test_a_targeted_step_that_is_gone_is_a_retriable_error(handler, said):
    response = Endpoint(handler).call(step=step_hash("renamed"))
    problem = response.get_json()
    assert response.status_code == 500
    assert response.headers["X-Inngest-No-Retry"] == "false"
    assert (problem["code"], problem["name"]) == ("step_unexpected", "StepUnexpectedError")
    assert step_hash("renamed") in problem["message"] and said in problem["message"]


def test_a_targeted_call_runs_no_other_step():
    ran = []

    def handler(ctx):
        ctx.step.run("a", ran.append, "a")
        ctx.step.run("b", ran.append, "b")

    assert Endpoint(handler).call(step=step_hash("b")).status_code == 500
    assert ran == []
    Endpoint(handler).op(memo("a", None), step=step_hash("b"))
    assert ran == ["b"]


def test_an_output_that_is_not_json_fails_its_step_at_once():
    op = Endpoint(lambda ctx: ctx.step.run("a", lambda: {"items": [object()]})).op()
    assert op["op"] == "StepFailed"
    message = op["error"]["message"]
    assert "step 'a' of function shop-f" in message and "$.items[0]" in message


def test_an_output_that_is_not_json_fails_the_function_at_once():
    response = Endpoint(lambda ctx: {"when": object()}).call()
    assert response.status_code == 400
    assert response.headers["X-Inngest-No-Retry"] == "true"
    message = response.get_json()["message"]
    assert "function shop-f" in message and "$.when" in message


#: What the server counts is the JSON text, quotes included, in ``{"data":}``.
LARGEST = 4 * 1024 * 1024 - 2 - 9


@pytest.mark.parametrize("size, op", [(LARGEST, "StepRun"), (LARGEST + 1, "StepFailed")])
def test_an_output_that_is_too_large_fails_its_step_at_once(size, op):
    found = Endpoint(lambda ctx: ctx.step.run("a", lambda: "x" * size)).op()
    assert found["op"] == op
    if op == "StepFailed":
        assert "4194296 bytes" in found["error"]["message"]


def test_a_function_output_that_is_too_large():
    response = Endpoint(lambda ctx: "x" * (8 * 1024 * 1024)).call()
    assert (response.status_code, response.get_json()["code"]) == (400, "output_invalid")


def test_a_step_error_is_truncated_too():
    error = {"name": "E" * 10**6, "message": "m", "stack": "s" * 10**6}
    endpoint = Endpoint(lambda ctx: ctx.step.run("a", lambda: None))
    response = endpoint.call({step_hash("a"): {"error": error}})
    assert len(response.data) < 200_000


def test_odd_fields_of_a_step_error():
    error = inngest.StepError("m", None, stack=object())  # type: ignore[arg-type]
    response = Endpoint(lambda ctx: raising(error)()).call()
    assert (response.status_code, response.get_json()["message"]) == (400, "m")


class Trap(dict):
    def items(self):
        raise RuntimeError("the object itself is broken")


@pytest.mark.parametrize("place", ["function", "step"])
def test_an_output_whose_methods_raise_is_an_error(place):
    def handler(ctx):
        return ctx.step.run("a", Trap, {"a": 1}) if place == "step" else Trap(a=1)

    response = Endpoint(handler).call()
    assert b"the object itself is broken" in response.data
    assert b"internal_error" not in response.data


@pytest.mark.parametrize("place", ["function", "step", "branch"])
@pytest.mark.parametrize("error", BASE_ERRORS, ids=lambda error: type(error).__name__)
def test_other_base_exceptions_are_errors(error, place):
    work = raising(error)

    def handler(ctx):
        if place == "step":
            ctx.step.run("a", work)
        if place == "branch":
            ctx.group.parallel((work,))
        work()

    response = Endpoint(handler).call()
    assert response.headers["X-Inngest-No-Retry"] == "false"
    if place == "step":
        (op,) = response.get_json()
        assert (response.status_code, op["op"]) == (206, "StepError")
        problem = op["error"]
    else:
        assert response.status_code == 500
        problem = response.get_json()
    assert problem["name"] == type(error).__name__


def test_a_timeout_in_a_step_can_be_caught():
    def handler(ctx):
        try:
            ctx.step.run("a", raising(gevent.Timeout(2)))
        except inngest.StepError as error:
            return error.name

    endpoint = Endpoint(handler)
    failed = endpoint.op(attempt=3, max_attempts=4)
    assert failed["op"] == "StepFailed"
    memo_of_it = {step_hash("a"): {"error": failed["error"]}}
    assert endpoint.call(memo_of_it).get_json() == "Timeout"


def test_the_causes_of_an_error_are_sent():
    def handler(ctx):
        try:
            try:
                raise KeyError("first")
            except KeyError as error:
                raise OSError("second") from error
        except OSError:
            raise ValueError("third")

    problem = Endpoint(handler).call().get_json()
    second = problem["cause"]
    assert (second["name"], second["message"]) == ("OSError", "second")
    assert second["cause"]["name"] == "KeyError" and "cause" not in second["cause"]
    assert "direct cause" in problem["stack"] and "third" in problem["stack"]


def test_a_suppressed_cause_is_not_sent():
    def handler(ctx):
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second") from None

    assert "cause" not in Endpoint(handler).call().get_json()


def test_the_cause_of_a_steps_error_is_kept():
    cause = {"name": "KeyError", "message": "why"}
    error = {"name": "E", "message": "m", "cause": cause}
    endpoint = Endpoint(lambda ctx: ctx.step.run("a", lambda: None))
    assert endpoint.call({step_hash("a"): {"error": error}}).get_json()["cause"] == cause


def test_a_long_chain_of_causes_is_cut():
    def handler(ctx):
        error: t.Any = None
        for n in range(100):
            try:
                raise ValueError(n) from error
            except ValueError as found:
                error = found
        raise error

    problem, depth = Endpoint(handler).call().get_json(), 0
    while "cause" in problem:
        problem, depth = problem["cause"], depth + 1
    assert depth == 5


class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("no")


def test_an_error_without_a_readable_message():
    response = Endpoint(lambda ctx: raising(Unreadable())()).call()
    assert response.status_code == 500
    assert response.get_json()["name"] == "Unreadable"
    assert "no readable message" in response.get_json()["message"]


def test_an_enormous_message_is_truncated():
    response = Endpoint(lambda ctx: raising(ValueError("x" * 10**7))()).call()
    assert len(response.data) < 200_000
    assert "characters left out" in response.get_json()["message"]


def test_quiet_errors_are_not_logged(caplog):
    loud, quiet = inngest.NonRetriableError("loud"), inngest.NonRetriableError("hush", quiet=True)
    Endpoint(lambda ctx: raising(quiet)()).call()
    assert "hush" not in caplog.text
    Endpoint(lambda ctx: raising(loud)()).call()
    assert "loud" in caplog.text and "shop-f" in caplog.text and "01RUN" in caplog.text


def test_the_context_has_the_servers_values():
    def handler(ctx):
        found = [ctx.run_id, ctx.attempt, ctx.event.name, ctx.event.id, len(ctx.events)]
        return found + [ctx.job_id, ctx.request_id]

    answer = Endpoint(handler).call(attempt=2, job_id="j", request_id="q").get_json()
    assert answer == ["01RUN", 2, "test/event", "e1", 1, "j", "q"]
