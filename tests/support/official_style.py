"""Small programs in the official Python SDK's style, which run with either
package: the module is their only parameter, as the import is in a real one.

``nox -s official`` runs them with the official SDK and keeps its answers in
``official_answers.json``; ``tests/test_official_style.py`` runs them with ours.
What is left out of an answer, no server reads.
"""

# no types can be checked where the module is a parameter
# mypy: ignore-errors

import datetime
import hashlib
import importlib
import json
import logging
import pathlib
import typing as t

from stub_server import Scripted, serving
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

ANSWERS = pathlib.Path(__file__).with_name("official_answers.json")


def hashed(step_id: str) -> str:
    return hashlib.sha1(step_id.encode()).hexdigest()


def memos(**results: t.Any) -> t.Dict[str, t.Any]:
    """Memos by the steps' ids, with _ for -."""
    return {hashed(name.replace("_", "-")): value for name, value in results.items()}


# -- the programs: each returns a client, its functions, and the calls to make


def steps(inngest):
    client = inngest.Inngest(app_id="shop", is_production=False)

    @client.create_function(
        fn_id="order",
        name="Take an order",
        trigger=inngest.TriggerEvent(event="shop/order.placed", expression="event.data.total > 1"),
        retries=2,
    )
    def order(ctx: inngest.ContextSync) -> t.Dict[str, t.Any]:
        total = ctx.step.run("total", lambda a, b: a + b, 1, ctx.event.data["total"])
        ctx.step.sleep("settle", datetime.timedelta(minutes=90))
        paid = ctx.step.wait_for_event(
            "paid",
            event="shop/order.paid",
            if_exp="async.data.id == event.data.id",
            timeout=datetime.timedelta(hours=1),
        )
        invoiced = ctx.step.invoke(
            "invoice", function=invoice, data={"total": total}, timeout=60 * 1000
        )
        archived = ctx.step.invoke_by_id("archive", app_id="vault", function_id="keep")
        return {
            "total": total,
            "paid": None if paid is None else [paid.name, paid.data, paid.id, paid.ts],
            "invoiced": invoiced,
            "archived": archived,
            "event": [ctx.event.name, ctx.event.data, ctx.event.id, ctx.event.ts],
            "events": len(ctx.events),
            "run": [ctx.run_id, ctx.attempt],
        }

    @client.create_function(fn_id="invoice", trigger=inngest.TriggerEvent(event="shop/invoice"))
    def invoice(ctx: inngest.ContextSync) -> str:
        return "invoiced"

    event = {"name": "shop/order.placed", "data": {"id": 7, "total": 2}, "id": "e7", "ts": 9}
    paid = {"name": "shop/order.paid", "data": None, "id": "p", "ts": 3, "user": None, "v": "1"}
    known = dict(total={"data": 3})
    calls = [("total", {})]
    calls.append(("sleep", dict(known)))
    known["settle"] = None
    calls.append(("wait", dict(known)))
    calls.append(("invoke", dict(known, paid=None)))
    known["paid"] = paid
    calls.append(("invoke after the event", dict(known)))
    known["invoice"] = {"data": "I-1"}
    calls.append(("invoke by id", dict(known)))
    calls.append(("end", dict(known, archive={"data": [1]})))
    calls.append(("end after a timeout", dict(known, paid=None, archive={"data": None})))
    return (
        client,
        [order, invoice],
        [
            *(
                (name, dict(fn_id="shop-order", steps=memos(**m), event=event))
                for name, m in calls
            ),
            ("the other", dict(fn_id="shop-invoice")),
        ],
    )


def groups(inngest):
    client = inngest.Inngest(app_id="shop", is_production=False)

    @client.create_function(fn_id="group", trigger=inngest.TriggerEvent(event="e"))
    def group(ctx: inngest.ContextSync) -> t.Any:
        return ctx.group.parallel(
            (
                lambda: ctx.step.run("a", lambda: 1),
                lambda: ctx.step.run("b", lambda: 2),
                lambda: ctx.step.wait_for_event("c", event="c", timeout=5000),
            )
        )

    @client.create_function(fn_id="race", trigger=inngest.TriggerEvent(event="e"))
    def race(ctx: inngest.ContextSync) -> t.Any:
        def branch() -> int:
            first = ctx.step.run("a", lambda: 1)
            return ctx.step.run("a2", lambda: first + 1)

        return ctx.group.parallel(
            (branch, lambda: ctx.step.run("b", lambda: 2)),
            parallel_mode=inngest.ParallelMode.RACE,
        )

    every = memos(a={"data": 1}, b={"data": 2}, c=None)
    return (
        client,
        [group, race],
        [
            ("discovery", dict(fn_id="shop-group")),
            ("one of them", dict(fn_id="shop-group", step=hashed("b"))),
            ("the rest", dict(fn_id="shop-group", steps=memos(b={"data": 2}))),
            ("all", dict(fn_id="shop-group", steps=every)),
            ("race", dict(fn_id="shop-race")),
            ("race, one of them", dict(fn_id="shop-race", step=hashed("a"))),
            ("race, the next", dict(fn_id="shop-race", steps=memos(a={"data": 1}))),
        ],
    )


def failures(inngest):
    client = inngest.Inngest(app_id="shop", is_production=False, logger=quiet())
    when = datetime.datetime(2040, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)

    def fails(name):
        def raises():
            if name == "final":
                raise inngest.NonRetriableError("no more", quiet=True)
            if name == "later":
                raise inngest.RetryAfterError("later", when, quiet=True)
            raise KeyError("k")

        return raises

    def declare(name, handler):
        return client.create_function(fn_id=name, trigger=inngest.TriggerEvent(event="e"))(handler)

    def caught(ctx: inngest.ContextSync) -> t.Any:
        try:
            return ctx.step.run("a", fails("plain"))
        except inngest.StepError as err:
            return [err.message, err.name, err.stack, str(err), err.is_retriable]

    failed = memos(a={"error": {"name": "KeyError", "message": "'k'", "stack": "S"}})
    return (
        client,
        [
            declare("plain", lambda ctx: fails("plain")()),
            declare("final", lambda ctx: fails("final")()),
            declare("later", lambda ctx: fails("later")()),
            declare("step", lambda ctx: ctx.step.run("a", fails("plain"))),
            declare("caught", caught),
        ],
        [
            ("a function", dict(fn_id="shop-plain")),
            ("for good", dict(fn_id="shop-final")),
            ("later", dict(fn_id="shop-later")),
            ("a step", dict(fn_id="shop-step")),
            ("a step, the last time", dict(fn_id="shop-step", attempt=3)),
            ("caught", dict(fn_id="shop-caught", steps=failed)),
        ],
    )


def middleware(inngest):
    """A middleware as the official documentation has them: without ``close``,
    with attributes of its own, made by a factory, and with its base class's
    attributes assigned to."""
    seen: t.List[t.Any] = []

    class Tracing(inngest.MiddlewareSync):
        def __init__(self, client, raw_request):
            super().__init__(client, raw_request)
            self.client = client
            seen.append(["made", client.app_id, client.is_production, raw_request is not None])

        def transform_input(self, ctx, function, steps):
            seen.append(["input", ctx.run_id, function.id, function.local_id, function.get_id()])
            seen.append(
                [steps.size, [[m.data, getattr(m.error, "name", None)] for m in memos_of(steps)]]
            )
            ctx.tenant = "acme"

        def before_execution(self):
            seen.append("before")

        def after_execution(self):
            seen.append("after")

        def transform_output(self, result):
            step = result.step
            seen.append(
                [
                    "output",
                    result.has_output(),
                    type(result.error).__name__,
                    None if step is None else [step.id, step.op.value, step.op.name],
                ]
            )

        def before_response(self):
            seen.append("response")

    class Store(inngest.MiddlewareSync):
        """Keeps the outputs of steps elsewhere, as the remote state middleware."""

        def __init__(self, client, raw_request, kept):
            super().__init__(client, raw_request)
            self._kept = kept

        @classmethod
        def factory(cls, kept):
            return lambda client, raw_request: cls(client, raw_request, kept)

        def transform_input(self, ctx, function, steps):
            for memo in steps.values():
                if isinstance(memo.data, dict) and "kept" in memo.data:
                    memo.data = self._kept[memo.data["kept"]]

        def transform_output(self, result):
            if result.step is None or result.step.op.value != "StepRun":
                return
            if result.has_output() is False:
                return
            self._kept["k1"] = result.output
            result.output = {"kept": "k1"}

    def memos_of(found):
        return sorted(found.values(), key=lambda memo: str(memo.data))

    client = inngest.Inngest(
        app_id="shop",
        is_production=False,
        middleware=[Tracing, Store.factory({"k0": "far away"})],
        logger=quiet(),
    )

    def on_failure(ctx):
        return ctx.tenant

    @client.create_function(
        fn_id="f", trigger=inngest.TriggerEvent(event="e"), on_failure=on_failure, retries=3
    )
    def f(ctx: inngest.ContextSync) -> t.Any:
        first = ctx.step.run("a", lambda: ["secret"])
        ctx.step.sleep("b", 60 * 1000)
        if ctx.step.run("c", lambda: 1 / 0):
            raise ValueError
        return [ctx.tenant, first]

    own: t.List[t.Any] = []

    class Own(inngest.MiddlewareSync):
        def transform_output(self, result):
            own.append(result.has_output())
            if result.has_output():
                result.output = [result.output]

    @client.create_function(
        fn_id="g",
        trigger=inngest.TriggerEvent(event="e"),
        on_failure=on_failure,
        middleware=[Own],
    )
    def g(ctx: inngest.ContextSync) -> t.Any:
        raise ValueError("g")

    known = memos(a={"data": {"kept": "k0"}}, b=None)
    failed = dict(known, **memos(c={"error": {"name": "E", "message": "m"}}))
    return (
        client,
        [f, g],
        [
            ("a step", dict(fn_id="shop-f", seen=seen)),
            ("a sleep", dict(fn_id="shop-f", steps=memos(a={"data": 1}), seen=seen)),
            ("a step that raises", dict(fn_id="shop-f", steps=known, seen=seen)),
            ("its last attempt", dict(fn_id="shop-f", steps=known, attempt=3, seen=seen)),
            (
                "the end",
                dict(fn_id="shop-f", steps=dict(known, **memos(c={"data": 0})), seen=seen),
            ),
            ("a failed step", dict(fn_id="shop-f", steps=failed, seen=seen)),
            ("an exception", dict(fn_id="shop-g", seen=seen)),
            ("a failure handler", dict(fn_id="shop-g-failure", seen=seen)),
        ],
    )


def events(inngest):
    client = inngest.Inngest(app_id="shop", is_production=False)

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="e"))
    def f(ctx: inngest.ContextSync) -> t.Any:
        data = {"a": {"b": 1}}
        made = [
            inngest.Event(name="n", data=None),
            inngest.Event(name="n", data=data, unknown=1, model="m"),
            inngest.Event(data={"l": [1, (2,)]}, id="i", name="n", ts=4),
            inngest.Event.model_validate({"name": "n", "data": None, "source": "x"}),
            inngest.Event.model_validate_json('{"name": "n", "data": {"x": 1.5}}'),
            inngest.Event.from_raw('{"name": "n", "ts": 5}'),
            inngest.Event(name="n").model_copy(update={"id": "z"}),
        ]
        data["a"]["b"] = 2
        data["c"] = {}
        refused = []
        for fields in (
            {},
            {"name": None},
            {"name": "n", "id": None},
            {"name": "n", "id": 5},
            {"name": "n", "ts": "5"},
            {"name": "n", "ts": 5.0},
            {"name": "n", "ts": True},
            {"name": "n", "ts": None},
            {"name": "n", "data": [1]},
            {"name": "n", "data": "text"},
        ):
            refused.append(isinstance(inngest.Event.from_raw(fields), ValueError))
        return {
            "made": [event.model_dump() for event in made],
            "as dicts": [event.to_dict() for event in made],
            "as text": [event.model_dump_json() for event in made],
            "a part": made[2].model_dump(exclude={"data"}),
            "another": made[2].model_dump(include={"id", "ts"}, mode="json"),
            "no defaults": made[0].model_dump(exclude_defaults=True, by_alias=True),
            "equal": made[0] == inngest.Event(name="n"),
            "the same": inngest.Event.model_validate(made[0]) is made[0],
            "refused": refused,
            "received": [ctx.event.model_dump(), ctx.event.to_dict()],
        }

    # user and v are of older servers, and ours alone shows them
    event = {"name": "e", "data": None, "id": "e1", "ts": 1, "user": None, "other": 1}
    return client, [f], [("methods", dict(fn_id="shop-f", event=event))]


def decorated(inngest):
    from_module = importlib.import_module(inngest.__name__ + ".experimental")

    @from_module.step("greet")
    def greet(name, *, mark="!"):
        return "hello " + name + mark

    client = inngest.Inngest(app_id="shop", is_production=False)

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="e"))
    def f(ctx: inngest.ContextSync) -> t.Any:
        same = from_module.get_step_context() is ctx.step
        return [same, greet("you", mark="?"), greet("me")]

    both = {hashed("greet"): {"data": 1}, hashed("greet:1"): {"data": 2}}
    return (
        client,
        [f],
        [
            ("the first", dict(fn_id="shop-f")),
            ("the second", dict(fn_id="shop-f", steps=memos(greet={"data": 1}))),
            ("the end", dict(fn_id="shop-f", steps=both)),
        ],
    )


def models(inngest):
    ai = importlib.import_module(inngest.__name__ + ".experimental.ai")
    client = inngest.Inngest(app_id="shop", is_production=False)
    adapters = {
        name: importlib.import_module(f"{ai.__name__}.{name}").Adapter
        for name in ("anthropic", "deepseek", "gemini", "grok", "openai")
    }
    assert ai.openai.Adapter is adapters["openai"]

    class Own(ai.BaseAdapter):
        def auth_key(self):
            return "own"

        def format(self):
            return "openai-chat"

        def headers(self):
            return {"X": "1"}

        def on_call(self, body):
            body["seen"] = True

        def url_infer(self):
            return "https://own.example/v1"

    def declare(name, adapter):
        @client.create_function(fn_id=name, trigger=inngest.TriggerEvent(event="e"))
        def f(ctx: inngest.ContextSync) -> t.Any:
            return ctx.step.ai.infer("ask", adapter=adapter, body={"messages": ["hi"]})

        return f

    functions = [declare("own", Own())]
    for name, adapter in adapters.items():
        functions.append(declare(name, adapter(auth_key="K", model="M")))
        functions.append(
            declare(
                name + "-2",
                adapter(
                    auth_key="K", model="M", base_url="https://x.example/v9/", headers={"H": "1"}
                ),
            )
        )
    calls = [(f.local_id, dict(fn_id=f.id)) for f in functions]
    answered = {"data": {"choices": []}}
    calls.append(("answered", dict(fn_id="shop-openai", steps=memos(ask=answered))))
    return client, functions, calls


PROGRAMS = [steps, groups, failures, middleware, events, decorated, models]


# -- running them --------------------------------------------------------


def quiet():
    """A logger of the user's own, whose output does not matter."""
    logger = logging.getLogger("official_style")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    return logger


def application(inngest, client, functions):
    """Return a WSGI application object that serves functions."""
    if hasattr(inngest, "serve"):
        return inngest.serve(client, functions)
    flask = importlib.import_module("flask")
    app = flask.Flask("shop")
    importlib.import_module("inngest.flask").serve(app, client, functions)
    return app


def call(app, fn_id, steps=None, step="step", event=None, path="/api/inngest", **ctx):
    """Call a function as a server does, and return the response."""
    event = event or {"name": "e", "data": {}, "id": "e1", "ts": 1}
    context = {
        "run_id": "01RUN",
        "attempt": 0,
        "max_attempts": 4,
        "disable_immediate_execution": False,
        "use_api": False,
        "stack": {"stack": [], "current": 0},
    }
    context.update(ctx)
    body = {"ctx": context, "event": event, "events": [event], "steps": steps or {}}
    return Client(app).post(
        f"{path}?fnId={fn_id}&stepId={step}",
        data=json.dumps(dict(body, use_api=False, version=1)),
        headers={"Content-Type": "application/json"},
    )


def answers_of(inngest, program):
    """Run a program, and return its answers by the names of the calls."""
    client, functions, calls = program(inngest)
    app = application(inngest, client, functions)
    found = {}
    for name, options in calls:
        seen = options.pop("seen", None)
        if seen is not None:
            del seen[:]
        response = call(app, **options)
        found[name] = {
            "status": min(response.status_code, 400),  # any error is one
            "final": response.headers.get("X-Inngest-No-Retry") == "true"
            or b'"StepFailed"' in response.data,
            "retry-after": response.headers.get("Retry-After"),
            "body": comparable(response.get_json()),
        }
        if seen is not None:
            found[name]["seen"] = json.loads(json.dumps(seen))
    return json.loads(json.dumps(found))


def comparable(body):
    """An answer without its tracebacks, times, and what nobody reads."""
    if isinstance(body, list) and body and all(isinstance(op, dict) and "op" in op for op in body):
        return sorted(map(comparable_op, body), key=lambda op: op["id"])
    if isinstance(body, dict) and "message" in body:
        return {"name": body["name"], "message": body["message"]}
    return body


def comparable_op(op):
    kept = {name: op.get(name) for name in ("op", "id", "displayName", "data")}
    error = op.get("error")
    kept["error"] = error and {"name": error["name"], "message": error["message"]}
    kept["userland"] = {"id": op["userland"]["id"], "index": op["userland"].get("index") or 0}
    opts = dict(op.get("opts") or {})
    if op["op"] in ("StepRun", "StepPlanned", "StepError", "StepFailed"):
        # of a step in the app the server reads the mode alone; the rest is shown to people
        opts = {name: value for name, value in opts.items() if name == "parallelMode"}
    if op["op"] == "Sleep":
        opts = {}
    if op["op"] == "WaitForEvent":
        # the server takes the name of the event from either place (W37)
        opts.setdefault("event", op["name"])
    if "payload" in opts:
        opts["payload"] = {name: value for name, value in opts["payload"].items() if value}
    kept["opts"] = {name: value for name, value in opts.items() if value is not None}
    return kept


# -- what a program is given ---------------------------------------------


def observe(inngest):
    """Call a function of a small app, and return what it and its middleware
    were given, by the name of the class."""
    seen = {}

    class Watching(inngest.MiddlewareSync):
        def transform_input(self, ctx, function, steps):
            memo = next(iter(steps.values()))
            seen.update(Function=function, StepMemos=steps, MiddlewareSync=self)
            seen["StepMemos.Output"] = memo
            seen["StepMemos.MemoizedError"] = memo.error

        def transform_output(self, result):
            seen["TransformOutputResult"] = result
            seen["TransformOutputStepInfo"] = result.step

    client = inngest.Inngest(app_id="shop", is_production=False, middleware=[Watching])

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="e"))
    def function(ctx):
        seen.update(ContextSync=ctx, StepSync=ctx.step, Event=ctx.event, GroupSync=ctx.group)
        seen["StepSync.ai"] = ctx.step.ai
        return ctx.step.run("b", lambda: 1)

    known = memos(a={"error": {"name": "E", "message": "m"}})
    answer = call(application(inngest, client, [function]), "shop-f", known)
    assert answer.status_code == 206, answer.get_data()
    seen["Inngest"] = client
    seen["NonRetriableError"] = inngest.NonRetriableError("m")
    seen["RetryAfterError"] = inngest.RetryAfterError("m", 1000)
    seen["StepError"] = inngest.StepError("m", "E", None)
    return seen


# -- sending events, and the registration --------------------------------


def sent(inngest):
    """Send events from a client and from a step, and return what arrived."""
    arrived, seen = [], []

    @Request.application
    def server(request):
        events = json.loads(request.get_data())
        arrived.append([request.method, request.path, events])
        return Response(json.dumps({"ids": [event["name"] for event in events], "status": 200}))

    class Stamp(inngest.MiddlewareSync):
        def before_send_events(self, events):
            for event in events:
                event.data["stamped"] = True

        def after_send_events(self, result):
            seen.append([result.ids, result.error])

    def batch():
        return [
            inngest.Event(name="a", data={"n": 1}),
            inngest.Event(name="b", data=None, id="i", ts=7),
            inngest.Event(name="c", more=1),
        ]

    with serving(server) as origin:
        client = inngest.Inngest(
            app_id="shop",
            is_production=False,
            event_api_base_url=origin.replace("http://", ""),
            event_key="k",
            middleware=[Stamp],
        )

        @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="e"))
        def f(ctx: inngest.ContextSync) -> t.Any:
            return ctx.step.send_event("send", batch())

        ids = [client.send_sync(batch()), client.send_sync(inngest.Event(name="d"))]
        client.send_sync(batch(), skip_middleware=True)
        answer = call(application(inngest, client, [f]), "shop-f")
    for _, _, events in arrived:
        for event in events:
            event["has a time of its own"] = event.pop("ts") == 7
    found = {"ids": ids, "arrived": arrived, "seen": seen, "answer": comparable(answer.get_json())}
    return json.loads(json.dumps(found))


def registered(inngest):
    """Sync an app whose function has every option, and return what arrived."""
    server = Scripted((200, {"ok": True, "modified": True}))
    with serving(server) as origin:
        client = inngest.Inngest(
            app_id="shop", app_version="7", is_production=False, api_base_url=origin
        )
        minute = datetime.timedelta(minutes=1)

        @client.create_function(
            batch_events=inngest.Batch(
                max_size=3, timeout=minute, key="event.data.k", if_exp="event.data.b"
            ),
            concurrency=[
                inngest.Concurrency(limit=2),
                inngest.Concurrency(key="event.data.k", limit=1, scope="account"),
            ],
            debounce=inngest.Debounce(key="event.data.k", period=minute, timeout=120 * 1000),
            fn_id="every",
            idempotency="event.data.k",
            name="Every option",
            on_failure=lambda ctx: None,
            priority=inngest.Priority(run="event.data.p"),
            rate_limit=inngest.RateLimit(key="event.data.k", limit=3, period=minute),
            retries=7,
            singleton=inngest.Singleton(key="event.data.k", mode="skip"),
            throttle=inngest.Throttle(key="event.data.k", limit=1, period=minute, burst=2),
            timeouts=inngest.Timeouts(start=minute, finish=datetime.timedelta(days=8)),
            trigger=[
                inngest.TriggerEvent(event="a", expression="event.data.x"),
                inngest.TriggerCron(cron="0 9 * * 1-5", jitter="10s"),
            ],
        )
        def every(ctx: inngest.ContextSync) -> None:
            pass

        @client.create_function(
            cancel=[inngest.Cancel(event="c", if_exp="async.data.x", timeout=minute)],
            fn_id="some",
            trigger=inngest.TriggerCron(cron="* * * * *"),
            throttle=inngest.Throttle(limit=1, period=1000),
        )
        def some(ctx: inngest.ContextSync) -> None:
            pass

        response = Client(application(inngest, client, [every, some])).put("/api/inngest")
    (request,) = server.requests
    payload = without_none(json.loads(request.get_data()))
    kept = {name: payload[name] for name in ("functions", "url", "v")}
    kept["name"] = payload.get("appName") or payload.get("appname")
    kept["version"] = payload.get("appVersion")
    return {"status": response.status_code, "payload": kept}


def without_none(value):
    """A registration as a server reads it: null and an empty list are nothing."""
    if isinstance(value, dict):
        found = {name: without_none(item) for name, item in value.items()}
        return {name: item for name, item in found.items() if item not in (None, [])}
    return [without_none(item) for item in value] if isinstance(value, list) else value


def all_answers(inngest):
    """Run everything with one of the two packages."""
    found = {program.__name__: answers_of(inngest, program) for program in PROGRAMS}
    return dict(found, sent=sent(inngest), registered=registered(inngest))


def write(answers):
    text = json.dumps(answers, indent=1, sort_keys=True, ensure_ascii=False)
    ANSWERS.write_text(text + "\n", encoding="utf-8")


def stored():
    return json.loads(ANSWERS.read_text(encoding="utf-8"))
