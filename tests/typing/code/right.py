"""What users write, and type checkers must accept, with the types that they find."""

import datetime
import decimal
import functools
import logging
import typing as t

import flask
import sqlalchemy
from sqlalchemy.orm import Session, sessionmaker
from typing_extensions import assert_type

import inngest_wsgi as inngest
import inngest_wsgi.django
import inngest_wsgi.flask
from inngest_wsgi import experimental
from inngest_wsgi.errors import StepError
from inngest_wsgi.experimental import ai, mocked
from inngest_wsgi.sqlalchemy import step_transaction
from inngest_wsgi.testing import TestServer

client = inngest.Inngest(
    app_id="shop",
    is_production=False,
    logger=logging.getLogger("shop"),
    request_timeout=datetime.timedelta(seconds=3),
    serializer=inngest.PydanticSerializer(),
    checkpointing=inngest.Checkpointing(buffered_steps=3),
)


class Order:
    id: int = 0


class Row(t.TypedDict):
    id: int


def charge(order_id: int, currency: str = "EUR", *, dry: bool = False) -> t.Dict[str, int]:
    return {"amount": order_id}


def row(id: int) -> Row:
    return {"id": id}


def load(order_id: int, deep: bool = False) -> Order:
    return Order()


def log(text: str) -> None:
    print(text)


class Mailer:
    def send(self, to: str) -> t.Optional[str]:
        return to

    def __call__(self, to: str) -> t.List[str]:
        return [to]


@client.create_function(fn_id="steps", trigger=inngest.TriggerEvent(event="shop/order.placed"))
def steps(ctx: inngest.Context) -> t.List[str]:
    run = ctx.step.run
    assert_type(run("a", charge, 1), t.Dict[str, int])
    assert_type(run("a", charge, 1, "USD"), t.Dict[str, int])
    assert_type(run("a", charge, order_id=1, dry=True), t.Dict[str, int])
    assert_type(run("a", charge, 1, currency="USD"), t.Dict[str, int])
    assert_type(run("a", row, 1), Row)
    assert_type(run("a", Mailer().send, "a@b"), t.Optional[str])
    assert_type(run("a", Mailer(), "a@b"), t.List[str])
    assert_type(run("a", functools.partial(charge, 1)), t.Dict[str, int])
    assert_type(run("a", lambda: 3), int)
    assert_type(run("a", int, "5"), int)
    assert_type(run("a", len, [1]), int)
    assert_type(run("a", sorted, [2, 1]), t.List[int])
    run("a", log, "text")
    assert_type(run("a", load, 1, output_type=Order), Order)
    assert_type(run("a", load, 1, True, output_type=t.Optional[Order]), Order)
    assert_type(run("a", functools.partial(load, deep=True), 1, output_type=Order), Order)
    assert_type(run("a", decimal.Decimal, "1.5", output_type=decimal.Decimal), decimal.Decimal)
    return ctx.step.send_event("b", [inngest.Event(name="a", data={"b": 1})])


@client.create_function(
    fn_id="others",
    trigger=[inngest.TriggerCron(cron="0 9 * * 1"), inngest.TriggerEvent("a", "event.data.b")],
    retries=3,
    cancel=[inngest.Cancel(event="b", timeout="1h")],
    concurrency=[inngest.Concurrency(limit=2, key="event.data.b", scope="env")],
    singleton=inngest.Singleton(mode="skip"),
    throttle=inngest.Throttle(limit=1, period=datetime.timedelta(minutes=1)),
    timeouts=inngest.Timeouts(finish="1h"),
)
def others(ctx: inngest.Context) -> int:
    ctx.step.sleep("a", 500)
    ctx.step.sleep("a", datetime.timedelta(days=1))
    ctx.step.sleep_until("b", datetime.datetime(2030, 1, 1))
    event = ctx.step.wait_for_event("c", event="shop/order.paid", timeout="3d")
    assert_type(event, t.Optional[inngest.Event])
    signal = ctx.step.wait_for_signal("d", signal="a", timeout="1h", on_conflict="replace")
    assert_type(signal, t.Optional[t.Dict[str, t.Any]])
    assert_type(ctx.step.send_signal("d", signal="a"), t.Optional[str])
    assert_type(ctx.step.invoke("e", function=steps), t.List[str])
    assert_type(ctx.step.invoke("e", function=typed, data={"id": 1}), Order)
    assert_type(ctx.step.fetch("f", "https://example.com").status, int)
    assert_type(ctx.step.ai.wrap("g", charge, 1), t.Dict[str, int])
    adapter = ai.openai.Adapter(auth_key="", model="gpt")
    answer: t.Dict[str, t.Any] = ctx.step.ai.infer("h", adapter=adapter, body={})
    try:
        assert_type(ctx.step.run("i", charge, 1)["amount"], int)
    except StepError as error:
        ctx.logger.warning("%s %s", error.name, error.step_id, extra=answer)
        raise inngest.RetryAfterError("busy", "1h") from error
    if ctx.disconnected.is_set() or ctx.attempt > 1:
        raise inngest.NonRetriableError("too late")
    assert_type(ctx.event.data.get("id"), t.Optional[t.Any])
    return ctx.attempt


@client.create_function(fn_id="typed", trigger=inngest.TriggerEvent("a"), output_type=Order)
def typed(ctx: inngest.Context) -> Order:
    return Order()


@client.create_function(
    fn_id="listed", trigger=inngest.TriggerEvent("a"), output_type=t.List[Order]
)
def listed(ctx: inngest.Context) -> t.List[Order]:
    return [ctx.step.invoke("a", function=typed)]


@client.create_function(fn_id="groups", trigger=inngest.TriggerEvent("a"))
def groups(ctx: inngest.Context) -> None:
    run, parallel = ctx.step.run, ctx.group.parallel
    pair = parallel((lambda: run("a", charge, 1), lambda: run("b", Mailer().send, "b")))
    assert_type(pair, t.Tuple[t.Dict[str, int], t.Optional[str]])
    raced = parallel(
        (lambda: run("a", len, "a"), lambda: run("b", str, 1), lambda: None),
        parallel_mode=inngest.ParallelMode.RACE,
    )
    assert_type(raced, t.Tuple[int, str, None])
    branches = [lambda n=n: run(f"charge-{n}", charge, n) for n in range(10)]
    assert_type(parallel(branches), t.Tuple[t.Dict[str, int], ...])
    assert_type(parallel(tuple(branches)), t.Tuple[t.Dict[str, int], ...])
    eight = parallel((str, int, str, int, str, int, str, int))
    assert_type(eight, t.Tuple[str, int, str, int, str, int, str, int])


T = t.TypeVar("T", bound=inngest.JSON)


def audited(ctx: inngest.Context, name: str, work: t.Callable[[], T]) -> T:
    """Makes a step of a function of any type."""
    ctx.logger.info(name)
    return ctx.step.run(name, work)


@experimental.step("send-receipt")
def send_receipt(order_id: int) -> str:
    return str(order_id)


def failed(ctx: inngest.Context) -> None:
    assert_type(send_receipt(1), str)
    assert_type(experimental.get_step_context(), inngest.Step)
    assert_type(audited(ctx, "a", lambda: 3), int)


class Connection:
    def close(self) -> None: ...


class WithConnection(inngest.Middleware):
    connection: t.Optional[Connection] = None

    def transform_input(
        self, ctx: inngest.Context, function: inngest.Function[t.Any], steps: inngest.StepMemos
    ) -> None:
        self.connection = ctx.state.connection = Connection()
        ctx.state.tenant = ctx.event.data["tenant"]
        for memo in steps.values():
            memo.data = {"decoded": memo.data}

    def transform_output(self, result: inngest.TransformOutputResult) -> None:
        if result.step is not None and result.step.op is inngest.Opcode.STEP_RUN:
            result.output = {"encoded": result.output}

    def before_send_events(self, events: t.List[inngest.Event]) -> None:
        for event in events:
            event.data["tenant"] = "acme"

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


@client.create_function(
    fn_id="failing",
    trigger=inngest.TriggerEvent("a"),
    on_failure=failed,
    middleware=[WithConnection],
)
def failing(ctx: inngest.Context) -> str:
    connection: Connection = ctx.state.connection
    connection.close()
    return ctx.run_id


class Dates:
    """A serializer."""

    def serialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        return obj.isoformat() if typ is datetime.date else obj

    def deserialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        return datetime.date.fromisoformat(obj) if typ is datetime.date else obj


dated = inngest.Inngest(app_id="dated", serializer=Dates(), middleware=[WithConnection])
everything: t.List[inngest.Function[t.Any]] = [steps, others, typed, listed, groups]
application = inngest.serve(client, [*everything, failing], streaming="allow", log_level="debug")
# one of each type, with no annotation
mixed = [steps, others, groups, failing]
inngest.serve(client, mixed)

# the adapters
database = step_transaction(sessionmaker(sqlalchemy.create_engine("sqlite://")))
flask_application = flask.Flask("shop")
inngest_wsgi.flask.serve(
    flask_application, client, mixed, step_context=[database], streaming="allow", public_path="/a"
)
urlpatterns = [
    inngest_wsgi.django.serve(
        client, mixed, serve_path="/a", step_context=[inngest_wsgi.django.step_transaction()]
    )
]


def store(order_id: int) -> None:
    database.session.execute(sqlalchemy.text("INSERT INTO a VALUES (:id)"), {"id": order_id})
    assert_type(database.session, Session)


client.send(inngest.Event(name="shop/order.placed", data={"id": 1}))


def handler(context: inngest.Context, retries: int = 3) -> t.Dict[str, t.Any]:
    return {"retries": retries, "run": context.run_id}


late = client.create_function(fn_id="late", trigger=inngest.TriggerEvent("a"))(handler)
assert_type(late, inngest.Function[t.Dict[str, t.Any]])
assert_type(steps, inngest.Function[t.List[str]])
assert_type(typed, inngest.Function[Order])
assert_type(late.handler, t.Callable[[t.Any], t.Dict[str, t.Any]])


def test_shop(inngest_server: TestServer) -> None:
    inngest_server.serve(application)
    inngest_server.stub("a", {"amount": 1}, fail=2)
    run = inngest_server.send("shop/order.placed", {"id": 1}).run("steps")
    inngest_server.advance("3d")
    assert run.status == "Completed", run
    assert [step.id for step in run.steps] == ["a"]
    result = mocked.trigger(late, inngest.Event(name="a"), mocked.Inngest(app_id="test"))
    assert result.status is mocked.Status.COMPLETED
