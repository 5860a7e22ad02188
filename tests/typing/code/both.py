"""The same code under the types of the official SDK and under ours: a test replaces the import."""

import datetime
import typing

import inngest_wsgi as inngest

client = inngest.Inngest(app_id="shop", is_production=False)


def charge(order_id: int, currency: str) -> dict[str, int]:
    return {"amount": order_id + len(currency)}


@client.create_function(
    fn_id="fulfil",
    trigger=inngest.TriggerEvent(event="shop/order.placed", expression="event.data.id > 0"),
    retries=3,
    cancel=[inngest.Cancel(event="shop/order.cancelled", if_exp="true")],
    concurrency=[inngest.Concurrency(limit=2, key="event.data.id", scope="env")],
    debounce=inngest.Debounce(period=datetime.timedelta(seconds=10)),
    idempotency="event.data.id",
    priority=inngest.Priority(run="100"),
    singleton=inngest.Singleton(mode="skip"),
    throttle=inngest.Throttle(limit=1, period=datetime.timedelta(minutes=1)),
)
def fulfil(ctx: inngest.ContextSync) -> dict[str, int]:
    typing.assert_type(ctx.event.name, str)
    typing.assert_type(ctx.attempt, int)
    typing.assert_type(ctx.step.run("charge", charge, 1, "EUR"), dict[str, int])
    ctx.step.sleep("wait", datetime.timedelta(days=1))
    ctx.step.sleep_until("until", datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc))
    paid = ctx.step.wait_for_event("paid", event="shop/order.paid", timeout=1000)
    if paid is None:
        raise inngest.NonRetriableError("not paid")
    ids = ctx.step.send_event("tell", inngest.Event(name="shop/told", data={"id": 1}))
    typing.assert_type(ids, list[str])
    pair = ctx.group.parallel(
        (
            lambda: ctx.step.run("a", charge, 1, "EUR"),
            lambda: ctx.step.run("b", charge, 2, "USD"),
        )
    )
    ctx.logger.info("charged %s", pair)
    return pair[0]


@client.create_function(fn_id="daily", trigger=inngest.TriggerCron(cron="0 9 * * *"))
def daily(ctx: inngest.ContextSync) -> str:
    try:
        typing.assert_type(ctx.step.invoke("fulfil", function=fulfil), dict[str, int])
    except inngest.StepError as error:
        raise inngest.RetryAfterError("later", datetime.timedelta(hours=1)) from error
    return ctx.run_id


class Stamp(inngest.MiddlewareSync):
    def transform_input(
        self,
        ctx: typing.Union[inngest.Context, inngest.ContextSync],
        function: inngest.Function[typing.Any],
        steps: inngest.StepMemos,
    ) -> None:
        ctx.event.data = {**ctx.event.data, "stamped": True}

    def before_send_events(self, events: list[inngest.Event]) -> None:
        events[0].data = {"stamped": True}


client.add_middleware(Stamp)
client.send_sync(inngest.Event(name="shop/order.placed"))
