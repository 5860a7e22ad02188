"""What docs/steps.md says of steps where they are not allowed, and of code that catches all."""

import threading

import pytest

import inngest_wsgi as inngest


def run_of(inngest_server, handler, **options):
    client = inngest.Inngest(app_id="x", is_production=False)
    trigger = inngest.TriggerEvent(event="go")
    declare = client.create_function(fn_id="f", trigger=trigger, **options)
    inngest_server.serve(inngest.serve(client, [declare(handler)]))
    run = inngest_server.send("go").run()
    inngest_server.run_until_idle()
    return run


def in_another_step(ctx):
    ctx.step.run("outer", lambda: ctx.step.run("inner", lambda: 1))


def in_another_thread(ctx):
    def work():
        with pytest.raises(inngest.StepConfigError):
            ctx.step.run("there", lambda: 1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return "the error was caught"


def with_the_id_of_a_second_use(ctx):
    ctx.step.run("charge", lambda: 1)
    ctx.step.run("charge", lambda: 1)
    ctx.step.run("charge:1", lambda: 1)


def with_the_id_of_another_branch(ctx):
    def branch():
        ctx.step.run("first", lambda: 1)
        ctx.step.run("second", lambda: 1)

    ctx.group.parallel((branch, branch))


@pytest.mark.parametrize(
    "handler",
    [
        in_another_step,
        in_another_thread,
        with_the_id_of_a_second_use,
        with_the_id_of_another_branch,
    ],
)
def test_what_is_refused_is_not_retried(inngest_server, handler):
    run = run_of(inngest_server, handler)
    assert (run.status, run.error.name) == ("Failed", "StepConfigError"), run
    assert "attempt 2" not in str(run)


class Hook(inngest.Middleware):
    def transform_input(self, ctx, function, steps):
        ctx.step.run("in-a-hook", lambda: 1)


def test_a_step_in_a_hook(inngest_server):
    assert run_of(inngest_server, lambda ctx: 1, middleware=[Hook]).status == "Failed"


def test_a_step_in_a_generator(inngest_server):
    def steps(ctx):
        yield ctx.step.run("a", lambda: 1)
        yield ctx.step.run("b", lambda: 2)

    assert run_of(inngest_server, lambda ctx: list(steps(ctx))).result() == [1, 2]


@pytest.mark.parametrize("caught", [Exception, BaseException])
def test_code_that_catches_the_end_of_a_call(inngest_server, caught):
    def handler(ctx):
        try:
            ctx.step.sleep("nap", "1h")
        except caught:
            pass
        return ctx.step.run("after", lambda: "after")

    run = run_of(inngest_server, handler)
    assert run.result() == "after"
    assert (run.ended - run.began).total_seconds() == 3600


def test_a_step_in_a_finally_block(inngest_server):
    ends = []

    def handler(ctx):
        try:
            ctx.step.sleep("nap", "1h")
        finally:
            ends.append(1)
            ctx.step.run("clean-up", lambda: None)

    run = run_of(inngest_server, handler)
    assert run.status == "Completed", run
    # once when the sleep ended the call, which ran no step, and once for real
    assert len(ends) >= 2
    assert run.step("clean-up").began == run.step("nap").ended
