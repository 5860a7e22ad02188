"""What type checkers must report: each line that ends in "# error", and no other."""

import typing as t

import flask

import inngest_wsgi as inngest
import inngest_wsgi.django
import inngest_wsgi.flask
import inngest_wsgi.sqlalchemy
from inngest_wsgi import experimental

client = inngest.Inngest(app_id="shop", serializer=inngest.PydanticSerializer())
event = inngest.TriggerEvent(event="shop/order.placed")


class Order: ...


def charge(order_id: int, currency: str = "EUR", *, dry: bool = False) -> t.Dict[str, int]:
    return {"amount": order_id}


def load(order_id: int) -> Order:
    return Order()


async def fetch(order_id: int) -> t.Dict[str, int]:
    return {"amount": order_id}


async def fetch_all() -> t.List[int]:
    return []


@client.create_function(fn_id="steps", trigger=event)
def steps(ctx: inngest.Context) -> str:
    # the arguments of a step's function
    ctx.step.run("a", charge)  # error
    ctx.step.run("a", charge, "1")  # error
    ctx.step.run("a", charge, 1, 2)  # error
    ctx.step.run("a", charge, 1, "EUR", 3)  # error
    ctx.step.run("a", charge, 1, dry="no")  # error
    ctx.step.run("a", charge, 1, wet=True)  # error
    ctx.step.run("a", charge, 1, order_id=1)  # error
    ctx.step.run("a", load, "1", output_type=Order)  # error
    ctx.step.run("a", load, output_type=Order)  # error
    ctx.step.run("a", charge(1))  # error
    ctx.step.run(charge, 1)  # error
    ctx.step.run(1, charge, 1)  # error
    ctx.step.ai.wrap("a", charge, "1")  # error
    ctx.step.ai.wrap("a", charge)  # error
    # its result
    ctx.step.run("a", charge, 1).lower()  # error
    text: str = ctx.step.run("a", charge, 1)  # error
    order: int = ctx.step.run("a", load, 1, output_type=Order)  # error
    ctx.step.run("a", load, 1)  # error
    ctx.step.run("a", set)  # error
    # async def
    ctx.step.run("a", fetch, 1)  # error
    coroutine = ctx.step.run("a", fetch, 1)  # error
    ctx.step.ai.wrap("a", fetch, 1)  # error
    ctx.step.run("a", fetch, 1, output_type=dict)  # error
    fetched: t.Dict[str, int] = ctx.step.run("a", fetch, 1, output_type=dict)  # error
    # groups
    one, two, three = ctx.group.parallel((lambda: 1, lambda: "b"))  # error
    ctx.group.parallel((lambda: 1, lambda: "b"), parallel_mode="race")  # error
    text_a, number_a = ctx.group.parallel((lambda: "b", lambda: 1))
    print(text_a.lower())
    print(number_a.lower())  # error
    total, entries = ctx.group.parallel((lambda: 1, fetch_all))
    print(total + len(entries))  # error
    ctx.group.parallel((charge, lambda: 1))  # error
    ctx.group.parallel(lambda: 1)  # error
    # the other steps
    ctx.step.sleep("a", 1.5)  # error
    ctx.step.sleep_until("a", "1h")  # error
    ctx.step.wait_for_event("a", event="b")  # error
    ctx.step.wait_for_event("a", event="b", timeout="1h").data  # error
    ctx.step.wait_for_signal("a", signal="b", timeout="1h", on_conflict="wait")  # error
    ctx.step.invoke("a", function="steps")  # error
    ctx.step.invoke("a", function=charge)  # error
    number: int = ctx.step.invoke("a", function=steps)  # error
    ctx.step.send_event("a", "shop/order.placed")  # error
    ctx.step.run_all("a")  # error
    # the context
    ctx.session = None  # error
    ctx.sesion.close()  # error
    return f"{text}{order}{coroutine}{fetched}{three}{number}"


# options


@client.create_function(fn_id="a", trigger=event, retries="3")  # error
def a(ctx: inngest.Context) -> None: ...


@client.create_function(fn_id="b", trigger="shop/order.placed")  # error
def b(ctx: inngest.Context) -> None: ...


@client.create_function(fn_id="c", trigger=event, retry=3)  # error
def c(ctx: inngest.Context) -> None: ...


inngest.Singleton(mode="drop")  # error
inngest.Concurrency(limit=1, scope="function")  # error
inngest.serve(client, [steps], streaming="yes")  # error
inngest.serve(client, [steps], log_level="verbose")  # error
inngest.serve(client, [charge])  # error
inngest.Event(name="a").model_dump(mode="text")  # error
inngest.Inngest(app_id="shop", checkpointing="yes")  # error
inngest.Inngest(app_id="shop", serializer=Order())  # error
inngest.Inngest(app_id="shop", middleware=[Order])  # error
client.send("shop/order.placed")  # error


# adapters

application = flask.Flask("shop")
inngest_wsgi.flask.serve(application, client, [steps], streaming="yes")  # error
inngest_wsgi.flask.serve(application, client, [charge])  # error
inngest_wsgi.flask.serve(application, client, [steps], step_contexts=[])  # error
inngest_wsgi.flask.serve(client, [steps])  # error
inngest_wsgi.flask.serve(application, client, [steps], step_context=[charge])  # error
inngest_wsgi.django.serve(client, [steps], log_level="verbose")  # error
inngest_wsgi.django.serve(application, client, [steps])  # error
inngest_wsgi.sqlalchemy.step_transaction("sqlite://")  # error


# handlers


@client.create_function(fn_id="d", trigger=event)  # error
async def d(ctx: inngest.Context) -> str:
    return ""


@client.create_function(fn_id="e", trigger=event)  # error
def e(ctx: inngest.Context) -> Order:
    return Order()


@client.create_function(fn_id="f", trigger=event)  # error
def f() -> None: ...


@client.create_function(fn_id="g", trigger=event)  # error
def g(ctx: inngest.Context, step: inngest.Step) -> None: ...


@client.create_function(fn_id="h", trigger=event, output_type=Order)  # error
async def h(ctx: inngest.Context) -> Order:
    return Order()


@client.create_function(fn_id="i", trigger=event, output_type=Order)  # error
def i(ctx: inngest.Context) -> str:
    return ""


async def failed(ctx: inngest.Context) -> None: ...


def failed_with(event: int) -> None: ...


client.create_function(fn_id="j", trigger=event, on_failure=failed)  # error
client.create_function(fn_id="k", trigger=event, on_failure=failed_with)  # error


@experimental.step("send")  # error
async def send(order_id: int) -> None: ...


# middleware


class Hooks(inngest.Middleware):
    async def before_execution(self) -> None: ...  # error

    def transform_input(self, ctx: inngest.Context) -> None: ...  # error


class Numbers:
    def serialize(self, obj: t.Any) -> t.Any: ...

    def deserialize(self, obj: t.Any) -> t.Any: ...


inngest.Inngest(app_id="shop", serializer=Numbers())  # error
