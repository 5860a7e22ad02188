"""Functions that are wrong on purpose, and a test of each that does not see it.

Each test asserts what its author wanted, and passes without faults.
"""

import datetime
import functools
import uuid

import freezegun
import toolkit_shop

import inngest_wsgi as inngest


def effect_outside_a_step(server):
    """The mail is sent by the function itself."""
    mails = []

    def handler(ctx):
        order = ctx.step.run("load", lambda: {"to": "ada"})
        ctx.step.sleep("pack", "1h")
        if not ctx.step.run("is-cancelled", lambda: False):
            mails.append(order["to"])
        return "sent"

    server.serve(toolkit_shop.app_of(handler, checkpointing=False))
    run = server.send("go").run()
    server.run_until_idle()
    assert run.status == "Completed", run
    assert mails == ["ada"]


def random_id(server):
    """The id of a step is new in each call."""

    def handler(ctx):
        receipt = uuid.uuid4().hex
        ctx.step.run(f"print-{receipt}", lambda: None)
        return "printed"

    server.serve(toolkit_shop.app_of(handler, checkpointing=True))
    run = server.send("go").run()
    server.run_until_idle()
    assert run.output == "printed", run


def swallowed_interrupt(server):
    """A bare except is meant for the errors of the step, and catches its end too."""

    def handler(ctx):
        try:
            return ctx.step.run("charge", lambda: 7)
        except:  # noqa: E722
            return "not charged"

    server.serve(toolkit_shop.app_of(handler, checkpointing=False))
    assert server.send("go").run().output == 7


def time_outside_a_step(server):
    """The way to send depends on the time of the call."""

    def handler(ctx):
        placed = ctx.event.ts / 1000
        now = datetime.datetime.now(datetime.timezone.utc).timestamp()
        if now - placed < 10:
            ctx.step.run("send-by-courier", lambda: None)
        else:
            ctx.step.run("send-by-mail", lambda: None)
        return "sent"

    with freezegun.freeze_time() as frozen:
        server.on_time(frozen.move_to)
        server.serve(toolkit_shop.app_of(handler, checkpointing=False))
        run = server.send("go").run()
        server.run_until_idle()
        assert run.output == "sent", run


def step_after_a_race(server):
    """Whoever is first is noted in a variable, and pays."""

    def handler(ctx):
        winner = []

        def branch(name):
            ctx.step.run(f"ask-{name}", lambda: name)
            if not winner:
                winner.append(name)
                ctx.step.run(f"pay-{name}", lambda: name)

        branches = [functools.partial(branch, name) for name in ("visa", "cash")]
        ctx.group.parallel(branches, parallel_mode=inngest.ParallelMode.RACE)
        return "paid"

    server.serve(toolkit_shop.app_of(handler))
    run = server.send("go").run()
    server.run_until_idle()
    assert run.output == "paid", run


#: Each with words of the message that says what is wrong, and what to do.
WRONG = {
    effect_outside_a_step: ("outside of its steps", "in a step (ctx.step.run)"),
    random_id: ("does not take the same way", "a random number or id", "Read it in a step"),
    swallowed_interrupt: ("catches everything", "Let BaseException pass"),
    time_outside_a_step: ("does not take the same way", "the time", "Read it in a step"),
    step_after_a_race: ("does not take the same way", "In a race", "after the group"),
}
