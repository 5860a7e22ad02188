"""Functions that are right, and a test of each that holds with any fault."""

import random

import programs
import toolkit_shop

import inngest_wsgi as inngest

#: Nodes of generated programs that catch everything, which no right function does.
WRONG_NODES = ("swallow", "forget")


def program_of(seed):
    """Return a generated program without the nodes that are wrong."""
    for attempt in range(1000):
        choose = random.Random(f"{seed} {attempt}").randrange
        program = programs.Maker(choose, leaves=3).program()
        text = repr(program)
        if not any(repr(node) in text for node in WRONG_NODES) and "'step'" in text:
            return program
    raise AssertionError("no such program")


def generated(seed):
    program = program_of(seed)
    checkpointing = bool(seed % 2)

    def scenario(server):
        def handler(ctx):
            return programs.Interpreter(ctx, lambda step, well: None).run(program)

        server.serve(
            toolkit_shop.app_of(
                handler, checkpointing=checkpointing, retries=programs.ATTEMPTS - 1
            )
        )
        run = server.send("go").run()
        server.run_until_idle()
        kind, output = programs.Reference().end(program)
        assert run.status == {"ok": "Completed", "failed": "Failed"}[kind], run

    scenario.__name__ = f"program_{seed}"
    return scenario


def paid_once(server):
    """The charge has an idempotency key, so that it may run again."""
    charges = {}

    def charge(key, amount):
        return charges.setdefault(key, amount)

    def handler(ctx):
        price = ctx.step.run("load", lambda: 500)
        ctx.step.sleep("pack", "3s")
        return ctx.step.run("charge", charge, ctx.run_id, price)

    server.serve(toolkit_shop.app_of(handler))
    run = server.send("go").run()
    server.run_until_idle()
    assert run.output == 500, run
    assert list(charges.values()) == [500]


def payment_before_its_timeout(server):
    def handler(ctx):
        paid = ctx.step.wait_for_event("paid", event="paid", timeout="1d")
        if paid is None:
            return "cancelled"
        return ctx.step.run("ship", lambda: paid.data["by"])

    server.serve(toolkit_shop.app_of(handler))
    run = server.send("go").run()
    server.advance("12h")
    server.send("paid", {"by": "card"})
    server.run_until_idle()
    assert run.output == "card", run


def child_and_events(server):
    shop = toolkit_shop.Shop()
    shop.functions.clear()

    @shop.function("child", "never")
    def child(ctx):
        return ctx.step.run("work", lambda: ctx.event.data["n"] + 1)

    @shop.function("parent", "go")
    def parent(ctx):
        found = ctx.step.invoke("ask", function=child, data={"n": 1})
        ctx.step.send_event("tell", inngest.Event("told", {"n": found}, id="told-once"))
        return found

    @shop.function("told", "told")
    def told(ctx):
        return ctx.event.data["n"]

    server.serve(shop.application)
    server.send("go")
    server.run_until_idle()
    assert server.run("parent").output == 2
    assert server.run("told").output == 2


def random_values_in_steps(server):
    """Ids and times differ from call to call, and are remembered."""

    def handler(ctx):
        token = ctx.step.run("draw", lambda: random.SystemRandom().random())
        both = ctx.group.parallel(
            (lambda: ctx.step.run("a", lambda: token), lambda: ctx.step.run("b", lambda: token))
        )
        return {"token": token, "run": ctx.run_id, "same": both == (token, token)}

    server.serve(toolkit_shop.app_of(handler))
    run = server.send("go").run()
    server.run_until_idle()
    assert run.output["same"], run


RIGHT = [
    paid_once,
    payment_before_its_timeout,
    child_and_events,
    random_values_in_steps,
    *map(generated, range(8)),
]
