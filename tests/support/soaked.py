"""An application whose calls wait until their client disconnects, and which
reports the resources still in use; for real servers."""

import gc
import json
import logging
import os
import sys
import threading
import typing as t

from werkzeug.wrappers import Response

import inngest_wsgi as inngest
from inngest_wsgi._endpoint.streaming import Stream

KEEPALIVE_S = 0.02
#: What each call has for itself while it runs.
KEPT_BYTES = int(os.environ["KEPT_BYTES"])

client = inngest.Inngest(app_id="soaked", is_production=False)
counts = {"begun": 0, "ended": 0, "lost": 0}
lock = threading.Lock()


def count(name):
    with lock:
        counts[name] += 1


@client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="test/f"))
def waits(ctx):
    count("begun")
    try:
        # large enough to be noticed if it is not freed
        kept = ["x" * KEPT_BYTES, ctx]
        if not ctx.event.data.get("ends"):
            assert ctx.disconnected.wait(120)
        return len(kept)
    finally:
        count("ended")


class Lost(logging.Handler):
    def emit(self, record):
        if "lost its connection" in record.msg:
            count("lost")


logging.getLogger("inngest_wsgi").addHandler(Lost())

max_streams = int(os.environ["MAX_STREAMS"])
endpoint = inngest.serve(client, [waits], streaming="allow", max_streams=max_streams)
streams: t.Any = endpoint._router._streams
# shorter than the settings allow
streams._keepalive_s = KEEPALIVE_S


def resident():
    """Return this process's resident memory, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def state():
    gc.collect()
    return dict(
        counts,
        slots=max_streams - len(streams._running),
        threads=threading.active_count(),
        ours=sum(t.name.startswith("inngest_wsgi run") for t in threading.enumerate()),
        streams=sum(isinstance(found, Stream) for found in gc.get_objects()),
        descriptors=len(os.listdir("/proc/self/fd")),
        objects=sys.getallocatedblocks(),
        memory=resident(),
    )


def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "GET":
        return Response(json.dumps(state()))(environ, start_response)
    return endpoint(environ, start_response)
