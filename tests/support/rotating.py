"""An application for a rotation of keys under load, for a real server.

Each side effect of a step is a line in the file that ``EFFECTS`` names.
"""

import os
import time

import inngest_wsgi as inngest

#: More than the body of a call may have, so that the state has to be fetched.
LARGE = "x" * 4000

client = inngest.Inngest(app_id="rotating")


def effect(n, name, result=None):
    line = f"{n} {name}\n".encode()
    file = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, line)
    finally:
        os.close(file)
    return result


@client.create_function(
    fn_id="work",
    trigger=inngest.TriggerEvent(event="rotating/work"),
    checkpointing=False,  # so that its state is fetched
)
def work(ctx):
    n = ctx.event.data["n"]
    ctx.step.run("first", effect, n, "first", LARGE)
    told = inngest.Event(name="rotating/told", data={"n": n})
    (event_id,) = ctx.step.send_event("tell", told)
    waited = ctx.step.send_signal("signal", signal=f"go-{n}", data=n)
    ctx.step.run("last", effect, n, "last")
    return [event_id, waited]


@client.create_function(fn_id="told", trigger=inngest.TriggerEvent(event="rotating/told"))
def told(ctx):
    ctx.step.run("told", effect, ctx.event.data["n"], "told")


@client.create_function(fn_id="waits", trigger=inngest.TriggerEvent(event="rotating/waits"))
def waits(ctx):
    n = ctx.event.data["n"]
    ctx.step.run("before", effect, n, "before")
    signal = ctx.step.wait_for_signal("go", signal=f"go-{n}", timeout="1h")
    ctx.step.run("after", effect, n, "after")
    return signal["data"]


@client.create_function(fn_id="long", trigger=inngest.TriggerEvent(event="rotating/long"))
def long(ctx):
    """Run a step that creates one file when it begins, and ends when another exists."""

    def under_way():
        open(ctx.event.data["begun"], "x").close()
        until = time.monotonic() + 60
        while not os.path.exists(ctx.event.data["end"]) and time.monotonic() < until:
            time.sleep(0.005)
        return effect(ctx.event.data["n"], "long")

    ctx.step.run("long", under_way)
    ctx.step.run("after", effect, ctx.event.data["n"], "after it")


endpoint = inngest.serve(client, [work, told, waits, long])
