"""The WSGI application that ``streams.py`` runs: its function waits, at ``/streamed/api/inngest``
in a streamed call, and at ``/whole/api/inngest`` in one whose answer is sent in one piece.
"""

import os
import threading

import contestants
import stepped

RELEASE = "/release"


def make():
    """Make the application; gunicorn calls this."""
    contestants.prepare()
    import inngest_wsgi

    client = inngest_wsgi.Inngest(app_id="waiting", is_production=False)
    released = threading.Event()

    @client.create_function(fn_id="f", trigger=inngest_wsgi.TriggerEvent(event="bench/call"))
    def function(ctx):
        released.wait(600)

    ways = {
        "/streamed/api/inngest": {
            "streaming": "force",
            "keepalive_interval": int(os.environ["BENCHMARK_KEEPALIVE_MS"]),
            "max_streams": 1000,
        },
        "/whole/api/inngest": {"streaming": False},
    }
    endpoints = {
        path: inngest_wsgi.serve(client, [function], **options) for path, options in ways.items()
    }

    def application(environ, start_response):
        if environ["PATH_INFO"] == RELEASE:
            released.set()
            start_response("204 No Content", [("Content-Length", "0")])
            return []
        return endpoints[environ["PATH_INFO"]](environ, start_response)

    return stepped.Observed(application, int)
