"""Tests in the style of the official SDK's ``mocked`` module, with another import."""

import datetime

import pytest

import inngest_wsgi as inngest
from inngest_wsgi.experimental import mocked

client = inngest.Inngest(app_id="my-app", is_production=False)
client_mock = mocked.Inngest(app_id="test")

EVENT = inngest.Event(name="test")


def function(**options):
    return client.create_function(
        fn_id="test", trigger=inngest.TriggerEvent(event="test"), **options
    )


def test_a_function_without_steps():
    @function()
    def fn(ctx: inngest.ContextSync):
        return "hi"

    res = mocked.trigger(fn, EVENT, client_mock)
    assert res.status is mocked.Status.COMPLETED
    assert res.output == "hi"


def test_two_steps_and_a_sleep():
    @function()
    def fn(ctx):
        ctx.step.run("a", lambda: None)
        ctx.step.sleep("zzz", datetime.timedelta(days=300))
        return ctx.step.run("b", lambda: "hi")

    res = mocked.trigger(fn, EVENT, client_mock)
    assert (res.status, res.output, res.error) == (mocked.Status.COMPLETED, "hi", None)


def test_parallel_steps_give_a_tuple():
    @function()
    def fn(ctx):
        return ctx.group.parallel(
            (
                lambda: ctx.step.run("a", lambda: "a"),
                lambda: ctx.step.run("b", lambda: "b"),
            )
        )

    res = mocked.trigger(fn, EVENT, client_mock)
    assert res.status is mocked.Status.COMPLETED
    assert res.output == ("a", "b")


def test_events_are_sent_nowhere():
    @function()
    def fn(ctx):
        return ctx.step.send_event("a", [inngest.Event("event-1"), inngest.Event("event-2")])

    res = mocked.trigger(fn, EVENT, client_mock)
    assert res.output == ["00000000000000000000000000", "00000000000000000000000000"]
    assert client_mock.send_sync([EVENT, EVENT]) == res.output


def test_a_stub_for_invoke():
    @function()
    def fn(ctx):
        return ctx.step.invoke_by_id("a", app_id="foo", function_id="bar")

    res = mocked.trigger(fn, EVENT, client_mock, step_stubs={"a": "hi"})
    assert res.status is mocked.Status.COMPLETED
    assert res.output == "hi"


@pytest.mark.parametrize(
    "stub, output",
    [
        (inngest.Event(name="other-event", data={"foo": 1}), {"foo": 1}),
        (mocked.Timeout, "timed out"),
    ],
)
def test_a_stub_for_wait_for_event(stub, output):
    @function()
    def fn(ctx):
        event = ctx.step.wait_for_event(
            "a", event="other-event", timeout=datetime.timedelta(seconds=1)
        )
        return "timed out" if event is None else event.data

    res = mocked.trigger(fn, EVENT, client_mock, step_stubs={"a": stub})
    assert res.status is mocked.Status.COMPLETED
    assert res.output == output


def test_a_step_that_must_be_stubbed():
    @function()
    def fn(ctx):
        ctx.step.wait_for_event("a", event="other-event", timeout=datetime.timedelta(seconds=1))

    with pytest.raises(mocked.UnstubbedStepError, match="step a is not stubbed"):
        mocked.trigger(fn, EVENT, client_mock)


@pytest.mark.parametrize("in_step", [True, False])
def test_a_failure_is_tried_again(in_step):
    tries = []

    def flaky():
        tries.append(1)
        if len(tries) < 2:
            raise Exception("oh no")
        return "hi"

    @function()
    def fn(ctx):
        return ctx.step.run("a", flaky) if in_step else flaky()

    res = mocked.trigger(fn, EVENT, client_mock)
    assert (res.status, res.output, len(tries)) == (mocked.Status.COMPLETED, "hi", 2)


@pytest.mark.parametrize("in_step", [True, False])
def test_the_exception_of_a_function_that_failed(in_step):
    def broken():
        raise KeyError("oh no")

    @function(retries=0, on_failure=lambda ctx: pytest.fail("not called by trigger"))
    def fn(ctx):
        return ctx.step.run("a", broken) if in_step else broken()

    res = mocked.trigger(fn, EVENT, client_mock)
    assert res.status is mocked.Status.FAILED
    assert res.output is None
    assert isinstance(res.error, KeyError)


def test_a_batch_of_events_and_middleware():
    class Doubles(inngest.MiddlewareSync):
        def transform_output(self, result):
            if result.step is None:
                result.output = [result.output, result.output]

    @function(batch_events=inngest.Batch(max_size=10, timeout="10s"))
    def fn(ctx):
        return len(ctx.events)

    doubling = mocked.Inngest(app_id="test", middleware=[Doubles])
    assert mocked.trigger(fn, [EVENT, EVENT], doubling).output == [2, 2]
    with pytest.raises(ValueError, match="at least one event"):
        mocked.trigger(fn, [], client_mock)
