"""The functions that each framework's application serves.

An application module is called ``in_<framework>``. Its name ``application`` is a
WSGI application with an endpoint at each path of :func:`endpoints`, beside the
pages that ``tests/support/frameworks.py`` lists.
"""

import os
import pathlib
import time

import inngest_wsgi as inngest

#: The addresses of the servers that the two endpoints belong to.
DEV, CLOUD = "DEV_SERVER", "CLOUD_SERVER"

#: That of the cloud mode is in the environment.
KEY = "CLOUD_KEY"

#: Must be what the framework has kept for the function.
KEPT = "kept by the framework"


class Endpoint:
    """What to serve at a path.

    :ivar path: where to mount it
    :ivar client: its app
    :ivar functions: its functions
    :ivar options: further arguments of ``serve()``
    """

    def __init__(self, path, client, keeps, **options):
        self.path = path
        self.client = client
        self.functions = declare(client, keeps)
        self.options = options


def endpoints(keeps):
    """Return one endpoint in dev mode that answers in one piece, and one in cloud
    mode that streams.

    :param keeps: called in a function and in a step; returns :data:`KEPT` from
        where the framework keeps what belongs to a request or an application
    """
    dev = inngest.Inngest(app_id="buffered", is_production=False, **_at(DEV))
    cloud = inngest.Inngest(
        app_id="streamed", is_production=True, signing_key=os.environ[KEY], **_at(CLOUD)
    )
    return [
        Endpoint("/api/inngest", dev, keeps),
        Endpoint("/api/streamed", cloud, keeps, streaming="force", keepalive_interval=250),
    ]


def mounts(keeps, *call_context):
    """Return the endpoints as WSGI applications, by their paths."""
    return {
        endpoint.path: inngest.serve(
            endpoint.client,
            endpoint.functions,
            call_context=call_context,
            **endpoint.options,
        )
        for endpoint in endpoints(keeps)
    }


def _at(name):
    return {"api_base_url": os.environ[name], "event_api_base_url": os.environ[name]}


def declare(client, keeps):
    functions = []

    def function(handler):
        name = handler.__name__
        trigger = inngest.TriggerEvent(event="test/" + name)
        declared = client.create_function(fn_id=name, trigger=trigger, retries=2)
        functions.append(declared(handler))

    @function
    def steps(ctx):
        return [ctx.step.run(str(n), lambda n=n: f"é{n}") for n in range(3)]

    @function
    def sleeping(ctx):
        before = ctx.step.run("before", time.time)
        ctx.step.sleep("a week", "7d")
        return before <= ctx.step.run("after", time.time)

    @function
    def failing_once(ctx):
        def flaky():
            if ctx.attempt == 0:
                raise ValueError("not yet")
            return "at last"

        return ctx.step.run("flaky", flaky)

    @function
    def parallel(ctx):
        return list(
            ctx.group.parallel(
                tuple(lambda n=n: ctx.step.run(f"branch {n}", lambda n=n: n * n) for n in range(3))
            )
        )

    @function
    def keeping(ctx):
        return [keeps(), ctx.step.run("in a step", keeps)]

    @function
    def broken(ctx):
        raise inngest.NonRetriableError("broken for good")

    @function
    def large(ctx):
        return len(ctx.event.data["text"])

    @function
    def waiting(ctx):
        """Wait until the file ``go`` is in the directory that the event names."""
        place = pathlib.Path(ctx.event.data["place"])
        while not (place / "go").exists():
            if ctx.disconnected.wait(0.02):
                return "nobody hears"
        return "é was waited for"

    return functions
