"""The functions of the applications that tests/databases runs on real servers.

Each application has ``write(text)``, which inserts a row as its framework has it.
The environment says how the endpoint is mounted (``MOUNT``) and if each step has a
transaction (``FORM=steps``).
"""

import logging
import os
import signal

import inngest_wsgi as inngest

URL = os.environ["DATABASE_URL"]
MOUNT = os.environ["MOUNT"]
HAS_STEPS = os.environ["FORM"] == "steps"

logging.getLogger("inngest_wsgi").addHandler(logging.FileHandler(os.environ["LOG"]))
client = inngest.Inngest(app_id="db")


def dies(step):
    """Return a context manager that kills the worker after the commit, if the
    file ``KILL`` is there."""
    return Dies()


class Dies:
    def __enter__(self):
        pass

    def __exit__(self, *exc_info):
        path = os.environ.get("KILL", "")
        if path and os.path.exists(path):
            os.unlink(path)
            os.kill(os.getpid(), signal.SIGKILL)


def declare(write, around, once):
    """Return the functions.

    :param around: returns the framework's context manager of a transaction
    :param once: calls its second argument, unless a row with its first one is
        there
    """

    @client.create_function(
        fn_id="half", trigger=inngest.TriggerEvent(event="test/half"), retries=3
    )
    def half(ctx):
        def work():
            write(f"half {ctx.attempt}")
            if ctx.attempt == 0:
                raise ValueError("no")

        ctx.step.run("s", work)
        ctx.step.sleep("nap", "1h")
        ctx.step.run("t", write, "after")

    @client.create_function(
        fn_id="group", trigger=inngest.TriggerEvent(event="test/group"), retries=3
    )
    def group(ctx):
        def work():
            write(f"b{ctx.attempt}")
            if ctx.attempt == 0:
                raise ValueError("no")

        ctx.group.parallel(
            [lambda: ctx.step.run("a", write, "a"), lambda: ctx.step.run("b", work)]
        )

    @client.create_function(
        fn_id="around", trigger=inngest.TriggerEvent(event="test/around"), retries=0
    )
    def opens(ctx):
        with around():
            ctx.step.run("s", write, "around")
            ctx.step.sleep("nap", "1h")

    @client.create_function(fn_id="row", trigger=inngest.TriggerEvent(event="test/row"), retries=3)
    def row(ctx):
        ctx.step.run("s", write, ctx.event.data["text"])

    @client.create_function(
        fn_id="once", trigger=inngest.TriggerEvent(event="test/once"), retries=3
    )
    def only_once(ctx):
        ctx.step.run("s", once, f"{ctx.run_id}-s", lambda: write("once"))

    return [half, group, opens, row, only_once]


def serve_settings(transaction):
    """Return the settings of ``serve()``.

    :param transaction: what gives each step a transaction
    """
    if not HAS_STEPS:
        return {}
    return {"step_context": [dies, transaction], "call_context": [transaction.call_context]}
