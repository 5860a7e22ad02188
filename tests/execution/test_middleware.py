import contextlib

import pytest
from apps import Endpoint, step_hash
from stub_server import Scripted, serving

import inngest_wsgi as inngest
from inngest_wsgi.context import State
from inngest_wsgi.testing import TestServer

OK = (200, {"ids": ["01A"], "status": 200})


def recording(log, name):
    """Return a middleware that records the calls of its hooks."""

    class Recorder(inngest.Middleware):
        def __init__(self, client, raw_request):
            super().__init__(client, raw_request)
            log.append(name + " made")

        def transform_input(self, ctx, function, steps):
            log.append(f"{name} transform_input {function.fn_id} {steps.size}")

        def before_execution(self):
            log.append(name + " before_execution")

        def after_execution(self):
            log.append(name + " after_execution")

        def transform_output(self, result):
            error = type(result.error).__name__ if result.error else None
            step = result.step.id if result.step else None
            log.append(f"{name} transform_output {result.output} {error} {step}")

        def before_response(self):
            log.append(name + " before_response")

        def before_send_events(self, events):
            log.append(f"{name} before_send_events {len(events)}")

        def after_send_events(self, result):
            log.append(f"{name} after_send_events {result.ids} {result.error}")

        def close(self):
            log.append(name + " close")

    return Recorder


class Endpoints(Endpoint):
    """An endpoint whose client and function have middleware."""

    def __init__(self, handler, outer, inner, **options):
        self.inngest = inngest.Inngest("shop", is_production=False, middleware=outer)
        function = self.inngest.create_function(
            fn_id="f", trigger=inngest.TriggerEvent("a"), middleware=inner
        )(handler)
        self.application = inngest.serve(self.inngest, [function], **options)
        from werkzeug.test import Client

        self.cloud, self.http = False, Client(self.application)


def logged(handler, *args, **options):
    """Return what two middlewares record of a call."""
    log = []
    endpoint = Endpoints(
        lambda ctx: handler(ctx, log), [recording(log, "c")], [recording(log, "f")]
    )
    endpoint.call(*args, **options)
    return log


def begin(known):
    entered = [f"{name} transform_input f {known}" for name in "cf"]
    return ["c made", "f made"] + entered


NEW = ["c before_execution", "f before_execution"]
DONE = ["f after_execution", "c after_execution"]
LEAVE = ["c before_response", "f before_response", "f close", "c close"]


def output(text):
    return ["f transform_output " + text, "c transform_output " + text]


def no_step(ctx, log):
    log.append("code")
    return 1


def two_steps(ctx, log):
    log.append("code 0")
    a = ctx.step.run("a", lambda: log.append("step a") or 1)
    log.append("code 1")
    b = ctx.step.run("b", lambda: log.append("step b") or 2)
    log.append("code 2")
    return a + b


def raises(ctx, log):
    raise ValueError


def step_raises(ctx, log):
    ctx.step.run("a", lambda: 1 / 0)


def sleeps(ctx, log):
    ctx.step.sleep("a", "1s")


def group(ctx, log):
    ctx.group.parallel((lambda: sleeps(ctx, log), lambda: ctx.step.run("b", lambda: 2)))


A = {step_hash("a"): {"data": 1}}
AB = dict(A, **{step_hash("b"): {"data": 2}})

#: The order is the official SDK's, observed: what it does not have is close.
ORDER = [
    (no_step, {}, {}, NEW + ["code"] + DONE + output("1 None None")),
    (two_steps, {}, {}, NEW + ["code 0", "step a"] + DONE + output("1 None a")),
    (two_steps, A, {}, ["code 0"] + NEW + ["code 1", "step b"] + DONE + output("2 None b")),
    (two_steps, AB, {}, ["code 0", "code 1"] + NEW + ["code 2"] + DONE + output("3 None None")),
    (raises, {}, {}, NEW + output("None ValueError None")),
    (step_raises, {}, {}, NEW + DONE + output("None ZeroDivisionError a")),
    (sleeps, {}, {}, NEW + DONE + output("None None a")),
    (group, {}, {}, NEW + DONE),
    (group, {}, {"step": step_hash("b")}, NEW + DONE + output("2 None b")),
]


@pytest.mark.parametrize("handler, known, options, between", ORDER)
def test_the_order_of_the_hooks(handler, known, options, between):
    assert logged(handler, dict(known), **options) == begin(len(known)) + between + LEAVE


def test_before_execution_runs_at_the_end_at_the_latest():
    removed = dict(A, **{step_hash("removed"): {"data": 0}})
    log = logged(lambda ctx, log: ctx.step.run("a", lambda: 1), removed)
    assert log[4:] == NEW + DONE + output("1 None None") + LEAVE


def test_removed_memos_do_not_delay_before_execution():
    class Forget(inngest.Middleware):
        def transform_input(self, ctx, function, steps):
            assert steps.pop(step_hash("removed")).data == 0
            assert steps.pop("unknown") is None

    log = []
    endpoint = Endpoints(
        lambda ctx: [ctx.step.run("a", lambda: 1), log.append("code")][0],
        [Forget, recording(log, "c")],
        None,
    )
    endpoint.call(dict(A, **{step_hash("removed"): {"data": 0}}))
    assert log.index("c before_execution") < log.index("code")


def test_before_execution_runs_at_an_unknown_step_although_memos_are_left():
    left_over = {step_hash("renamed"): {"data": 0}}
    log = logged(two_steps, dict(left_over))
    assert log[4:8] == ["code 0"] + NEW + ["step a"]


class Doubling(inngest.Middleware):
    def transform_input(self, ctx, function, steps):
        ctx.event.data["seen"] = True
        for memo in steps.values():
            memo.data = memo.data * 2

    def transform_output(self, result):
        if result.error is None:
            result.output = [result.output]
        else:
            result.error = inngest.NonRetriableError("instead of " + str(result.error))


def test_input_memos_and_output_can_be_changed():
    def handler(ctx):
        return [ctx.event.data["seen"], ctx.step.run("a", lambda: 1)]

    endpoint = Endpoints(handler, [Doubling], None)
    assert endpoint.op()["data"] == [1]
    assert endpoint.call({step_hash("a"): {"data": 4}}).get_json() == [[True, 8]]


def test_an_awaited_event_can_be_changed_too():
    class Redact(inngest.Middleware):
        def transform_input(self, ctx, function, steps):
            for memo in steps.values():
                memo.data = dict(memo.data, data="redacted")

    def handler(ctx):
        return ctx.step.wait_for_event("a", event="e", timeout=1).name

    wire = {"name": "e", "data": {"secret": 1}}
    endpoint = Endpoints(handler, [Redact], None)
    response = endpoint.call({step_hash("a"): wire})
    assert "data of event 'e' must be a dict" in response.get_json()["message"]


@pytest.mark.parametrize("work", [lambda ctx: 1 / 0, lambda ctx: ctx.step.run("a", lambda: 1 / 0)])
def test_an_error_can_be_changed(work):
    response = Endpoints(work, [Doubling], None).call()
    assert response.headers["X-Inngest-No-Retry"] == "true"
    assert b"instead of division by zero" in response.data


HOOKS = [
    ("__init__", "made"),
    ("transform_input", "transform_input"),
    ("before_execution", "before_execution"),
    ("after_execution", "after_execution"),
    ("transform_output", "transform_output"),
    ("before_response", "before_response"),
]


@pytest.mark.parametrize("hook", [hook for hook, _ in HOOKS])
@pytest.mark.parametrize(
    "error, status", [(ValueError("why"), 500), (inngest.NonRetriableError("why"), 400)]
)
def test_a_hook_that_raises_makes_the_call_fail_and_is_named(hook, error, status):
    def broken(self, *args):
        raise error

    log = []
    Broken = type("Broken", (inngest.Middleware,), {hook: broken})
    # the error is reported even if the function swallows everything
    endpoint = Endpoints(swallowing, [recording(log, "c")], [Broken])
    response = endpoint.call()
    problem = response.get_json()
    assert response.status_code == status
    assert problem["code"] == "middleware_failed"
    name = "Broken()" if hook == "__init__" else f"Broken.{hook}()"
    said = f"middleware {name} raised {type(error).__name__}: why"
    assert problem["message"] == said
    assert log[-1] == "c close"


def swallowing(ctx):
    with contextlib.suppress(BaseException):
        ctx.step.run("a", lambda: 1)


def test_close_is_called_whatever_happens(caplog):
    log = []

    class Session(inngest.Middleware):
        def close(self):
            log.append("closed")
            raise OSError("the connection is lost")

    def leave(ctx):
        raise SystemExit

    with pytest.raises(SystemExit):
        Endpoints(leave, [recording([], "c"), Session], [Session]).call()
    assert log == ["closed", "closed"]
    assert "the connection is lost" in caplog.text and "Session" in caplog.text


def test_a_session_for_each_call():
    """The example in docs/functions.md."""
    opened, closed = [], []

    class DatabaseSession(inngest.Middleware):
        def transform_input(self, ctx, function, steps):
            opened.append(1)
            ctx.state.session = {"rows": [1, 2]}

        def close(self):
            closed.append(1)

    endpoint = Endpoints(lambda ctx: sum(ctx.state.session["rows"]), [DatabaseSession], None)
    assert [endpoint.call().get_json() for _ in range(2)] == [3, 3]
    assert (len(opened), len(closed)) == (2, 2)


class SetsState(inngest.Middleware):
    def transform_input(self, ctx, function, steps):
        ctx.state.tenant = "acme"
        # code that is older than ctx.state
        ctx.tenant = "acme, as before"


@pytest.mark.parametrize(
    "ask, answer",
    [
        (lambda ctx: [ctx.state.tenant, ctx.tenant], ["acme", "acme, as before"]),
        (lambda ctx: ctx.state is ctx.state, True),
        (lambda ctx: repr(ctx.state), "State(tenant='acme')"),
        (lambda ctx: hasattr(ctx.state, "session"), False),
        (lambda ctx: ctx.step.run("a", lambda: ctx.state.tenant), "acme"),
    ],
)
def test_the_state_of_a_call(ask, answer):
    server = TestServer()
    client = inngest.Inngest(app_id="shop", is_production=False, middleware=[SetsState])
    declare = client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="e"))
    server.serve(inngest.serve(client, [declare(ask)]))
    with server:
        assert server.send("e", {}).run().output == answer


def test_the_state_of_a_failure_handler_is_its_own():
    seen = []
    client = inngest.Inngest(app_id="shop", is_production=False, middleware=[SetsState])

    @client.create_function(
        fn_id="f",
        trigger=inngest.TriggerEvent(event="e"),
        retries=0,
        on_failure=lambda ctx: seen.append(vars(ctx.state)),
    )
    def fails(ctx):
        ctx.state.half_done = True
        raise ValueError("no")

    with TestServer() as server:
        server.serve(inngest.serve(client, [fails]))
        server.send("e", {})
        server.run_until_idle()
    assert seen == [{"tenant": "acme"}]


def test_what_is_missing_in_the_state_says_where_it_comes_from():
    with pytest.raises(AttributeError, match=r"no attribute 'session'.*transform_input"):
        State().session


def test_a_call_makes_no_state_that_nothing_asks_for():
    seen = []
    Endpoints(lambda ctx: seen.append("state" in vars(ctx)), None, None).call()
    assert seen == [False]


def test_raw_request_is_the_environ():
    found = []

    class Look(inngest.Middleware):
        def before_response(self):
            found.append((self.raw_request["REQUEST_METHOD"], self.client.app_id))

    Endpoints(lambda ctx: None, [Look], None).call()
    assert found == [("POST", "shop")]


def test_the_hooks_of_sending():
    log = []

    class Stamp(inngest.Middleware):
        def before_send_events(self, events):
            for event in events:
                event.data["stamp"] = 1
            events.append(inngest.Event(name="audit"))

    server = Scripted((200, {"ids": ["01A", "01B"], "status": 200}))
    with serving(server) as origin:
        client = inngest.Inngest(
            "shop",
            is_production=False,
            event_api_base_url=origin,
            middleware=[recording(log, "c"), Stamp],
        )
        assert client.send(inngest.Event(name="a")) == ["01A", "01B"]
        client.send([inngest.Event(name="a"), inngest.Event(name="b")], skip_middleware=True)
    assert log == [
        "c made",
        "c before_send_events 1",
        "c after_send_events ['01A', '01B'] None",
        "c close",
    ]
    first = server.requests[0].get_json()
    assert [event["name"] for event in first] == ["a", "audit"]
    assert first[0]["data"] == {"stamp": 1}


def test_the_hooks_of_sending_get_a_failure():
    log = []
    server = Scripted((400, {"ids": ["01A"], "status": 400, "error": "event name is empty"}))
    with serving(server) as origin:
        client = inngest.Inngest(
            "shop",
            is_production=False,
            event_api_base_url=origin,
            middleware=[recording(log, "c")],
        )
        with pytest.raises(inngest.SendEventsError):
            client.send([inngest.Event(name="a"), inngest.Event(name="b")])
    assert log[2] == "c after_send_events ['01A'] event name is empty"


def test_a_step_that_sends_uses_the_middleware_of_the_call():
    log = []
    server = Scripted(OK)
    with serving(server) as origin:
        endpoint = Endpoints(
            lambda ctx: ctx.step.send_event("a", inngest.Event(name="a")),
            [recording(log, "c")],
            [recording(log, "f")],
            base_url=origin,
        )
        endpoint.call()
    assert [line for line in log if "send" in line] == [
        "c before_send_events 1",
        "f before_send_events 1",
        "f after_send_events ['01A'] None",
        "c after_send_events ['01A'] None",
    ]
    assert log.count("c made") == 1


class Asynchronous(inngest.Middleware):
    async def transform_output(self, result):  # type: ignore[override]
        result.output = "encrypted"


def test_an_asynchronous_hook_is_refused():
    with pytest.raises(inngest.SettingsError, match="Asynchronous.transform_output.. is async"):
        inngest.Inngest("shop", middleware=[Asynchronous])
    endpoint = Endpoints(lambda ctx: "plain", [lambda *args: Asynchronous(*args)], None)
    response = endpoint.call()
    assert "Asynchronous.transform_output()" in response.get_json()["message"]
    assert b"plain" not in response.data


def test_an_error_that_is_not_an_exception_is_refused():
    class Text(inngest.Middleware):
        def transform_output(self, result):
            result.error = "text"

    response = Endpoints(lambda ctx: None, [Text], None).call()
    assert "transform_output()" in response.get_json()["message"]


@pytest.mark.parametrize("hook", ["before_execution", "before_response"])
def test_a_hook_may_raise_retry_after_error(hook):
    def busy(self):
        raise inngest.RetryAfterError("busy", "1h")

    Busy = type("Busy", (inngest.Middleware,), {hook: busy})
    response = Endpoints(lambda ctx: None, [Busy], None).call()
    assert (response.status_code, response.headers["Retry-After"]) == (500, "3600")


def test_every_close_is_called_even_if_one_raises_a_process_exit():
    log = []

    class Leaves(inngest.Middleware):
        def close(self):
            raise SystemExit

    with pytest.raises(SystemExit):
        Endpoints(lambda ctx: None, [recording(log, "c"), Leaves], None).call()
    assert log[-1] == "c close"


def test_a_failure_to_send_is_raised_although_hooks_fail_too():
    class Raises(inngest.Middleware):
        def after_send_events(self, result):
            raise ValueError("hook")

    log = []
    client = inngest.Inngest("shop", is_production=False, middleware=[recording(log, "c"), Raises])
    with pytest.raises(inngest.OutputError, match="Event 'a' cannot be sent"):
        client.send(inngest.Event(name="a", data={"x": object()}))
    assert log[1] == "c before_send_events 1"


@pytest.mark.parametrize("middleware", [inngest.Middleware, [1], "text"])
def test_an_invalid_list_of_middleware_is_refused(middleware):
    with pytest.raises(inngest.SettingsError, match="middleware: .*list"):
        inngest.Inngest("shop", middleware=middleware)
    with pytest.raises(inngest.SettingsError, match="function 'f'"):
        inngest.Inngest("shop").create_function(
            fn_id="f", trigger=inngest.TriggerEvent("a"), middleware=middleware
        )
