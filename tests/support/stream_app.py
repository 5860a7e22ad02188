"""An application whose calls are streamed, for real servers: at /api/inngest
whatever the server, at /allow where the server can deliver it.

What a function does is decided by the files in the directory that its event
names. ``PLACE`` is the directory of the log.
"""

import logging
import os
import pathlib

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

import inngest_wsgi as inngest
from inngest_wsgi._endpoint import streaming

log = logging.getLogger("inngest_wsgi")
log.addHandler(logging.FileHandler(os.path.join(os.environ["PLACE"], "streamed.log")))
client = inngest.Inngest(app_id="streamed")


class Counted(streaming.Stream):
    """A stream that logs how many spaces the server requested before it closed
    the stream."""

    spaces = 0

    def __next__(self):
        self.spaces += 1
        return super().__next__()

    def close(self):
        super().close()
        log.warning("Run %s: %d spaces", self.run_id, self.spaces)


streaming.Stream = Counted  # type: ignore[misc]


def function(fn_id):
    return client.create_function(
        fn_id=fn_id, trigger=inngest.TriggerEvent(event="test/" + fn_id), retries=3
    )


def write(path, text):
    """Write a file so that no reader sees a part of it."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(path)


def begin(ctx):
    place = pathlib.Path(ctx.event.data["place"])
    write(place / "pid", str(os.getpid()))
    return place, place / "go"


@function("waiting")
def waiting(ctx):
    place, go = begin(ctx)
    while not go.exists():
        if ctx.disconnected.wait(0.02):
            write(place / "gone", "yes")
            return "nobody hears"
    return "é was waited for"


@function("computing")
def computing(ctx):
    place, go = begin(ctx)
    total = 0
    while not go.exists():
        total += sum(range(10000))
    return total > 0


@function("stepping")
def stepping(ctx):
    return ctx.step.run("a step", lambda: {"done": "é"})


@function("failing")
def failing(ctx):
    raise ValueError("not é today")


@function("final")
def final(ctx):
    raise inngest.NonRetriableError("never")


@function("large")
def large(ctx):
    begin(ctx)
    return ctx.event.data["text"] * ctx.event.data["times"]


@function("unserializable")
def unserializable(ctx):
    return {"it": object()}


functions = [waiting, computing, stepping, failing, final, large, unserializable]
force = inngest.serve(client, functions, streaming="force", keepalive_interval=250)
allow = inngest.serve(client, functions, streaming="allow", keepalive_interval=250)
application = DispatcherMiddleware(Response("a page"), {"/api/inngest": force, "/allow": allow})
