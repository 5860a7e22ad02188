"""An application with the endpoint mounted in it, for real servers.

Each side effect of a step is a line in the file that ``EFFECTS`` names.
"""

import os

import gevent
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

import inngest_wsgi as inngest

client = inngest.Inngest(app_id="mounted")


def effect(text):
    with open(os.environ["EFFECTS"], "a") as file:
        file.write(text + "\n")
    return text


@client.create_function(fn_id="steps", trigger=inngest.TriggerEvent(event="test/steps"), retries=2)
def steps(ctx):
    def flaky():
        if ctx.attempt == 0:
            raise ValueError("not yet")
        return effect("flaky")

    found = [ctx.step.run("first", effect, "first"), ctx.step.run("flaky", flaky)]
    ctx.step.sleep("nap", "7d")
    return found + [ctx.step.run("last", effect, "last é"), ctx.event.data["n"]]


@client.create_function(
    fn_id="caught", trigger=inngest.TriggerEvent(event="test/caught"), retries=1
)
def caught(ctx):
    def always():
        effect("tried")
        raise KeyError("never")

    try:
        ctx.step.run("always", always)
    except inngest.StepError as error:
        return [error.name, error.message]


@client.create_function(fn_id="final", trigger=inngest.TriggerEvent(event="test/final"), retries=5)
def final(ctx):
    effect("called")
    raise inngest.NonRetriableError("give up")


@client.create_function(fn_id="later", trigger=inngest.TriggerEvent(event="test/later"), retries=1)
def later(ctx):
    effect("called")
    if ctx.attempt == 0:
        raise inngest.RetryAfterError("later", "2h")
    return "now"


@client.create_function(fn_id="large", trigger=inngest.TriggerEvent(event="test/large"), retries=0)
def large(ctx):
    sizes = [len(ctx.step.run("large", lambda n=n: "x" * 2_000_000 + str(n))) for n in range(3)]
    effect("done")
    return sizes


@client.create_function(fn_id="nightly", trigger=inngest.TriggerCron(cron="0 3 * * *"))
def nightly(ctx):
    return ctx.step.run("clean", effect, ctx.event.name)


@client.create_function(fn_id="alive", trigger=inngest.TriggerEvent(event="test/alive"))
def alive(ctx):
    return os.getpid()


class StepInAHook(inngest.Middleware):
    def transform_input(self, ctx, function, steps):
        ctx.step.run("misplaced", effect, "misplaced")


@client.create_function(
    fn_id="hook", trigger=inngest.TriggerEvent(event="test/hook"), middleware=[StepInAHook]
)
def hook(ctx):
    effect("called")


kept = []


@client.create_function(fn_id="keeper", trigger=inngest.TriggerEvent(event="test/keeper"))
def keeper(ctx):
    def again():
        raise kept[0]

    try:
        ctx.step.run("first", effect, "first")
        ctx.step.run("second", again)
    except BaseException as exc:
        kept.append(exc)
        raise


@client.create_function(
    fn_id="timeout", trigger=inngest.TriggerEvent(event="test/timeout"), retries=1
)
def timeout(ctx):
    def slow():
        effect("tried")
        raise gevent.Timeout(2)

    try:
        ctx.step.run("slow", slow)
    except inngest.StepError as error:
        return [error.name, error.message]


FUNCTIONS = [steps, caught, final, later, large, nightly, alive, hook, keeper, timeout]
endpoint = inngest.serve(client, FUNCTIONS)
at = os.environ.get("MOUNTED_AT", "/api/inngest").encode().decode("latin-1")
application = DispatcherMiddleware(Response("a page"), {at: endpoint})
