"""The WSGI application whose runs ``steps.py`` and ``growth.py`` measure: functions with as many
steps as their event says, in a row or side by side.

It also says how many requests there were, and what they cost this process.
"""

import functools
import json
import os
import time

import child
import contestants

#: The settings of checkpointing, by the names that events have at their end.
SETTINGS = ("off", "on", "buffered")
BUFFERED_STEPS = 10
OBSERVED = "/observed"


def one(number):
    return number


def in_a_row(ctx):
    run = ctx.step.run
    for number in range(ctx.event.data["steps"]):
        run(f"step-{number}", one, number)
    return "done"


def side_by_side(ctx):
    run = ctx.step.run
    branches = [
        functools.partial(run, f"step-{number}", one, number)
        for number in range(ctx.event.data["steps"])
    ]
    ctx.group.parallel(tuple(branches))
    return "done"


SHAPES = {"row": in_a_row, "group": side_by_side}


class Observed:
    """Counts the calls of functions that an application gets.

    :param sent: returns how many requests the application has made itself
    """

    def __init__(self, application, sent):
        self._application = application
        self._sent = sent
        self._calls = 0

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] != OBSERVED:
            self._calls += environ["REQUEST_METHOD"] == "POST"
            return self._application(environ, start_response)
        found = {
            "calls": self._calls,
            "sent": self._sent(),
            "cpu_s": time.process_time(),
            "resident_bytes": child.resident(),
            "peak_bytes": child.resident("VmHWM"),
        }
        forget_peak()
        body = json.dumps(found).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


def forget_peak():
    """Let Linux measure the most resident memory anew from here on."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        # no Linux, or no right to; then there is only one peak
        pass


def ours():
    import urllib3

    import inngest_wsgi

    class Counting(urllib3.PoolManager):
        count = 0

        def request(self, *args, **kwargs):
            self.count += 1
            return super().request(*args, **kwargs)

    client = inngest_wsgi.Inngest(app_id="stepped")
    buffered = inngest_wsgi.Checkpointing(buffered_steps=BUFFERED_STEPS)
    settings = dict(zip(SETTINGS, (False, True, buffered)))
    functions = []
    for shape, handler in SHAPES.items():
        for name, setting in settings.items():
            trigger = inngest_wsgi.TriggerEvent(event=f"bench/{shape}-{name}")
            declare = client.create_function(
                fn_id=f"{shape}-{name}", trigger=trigger, checkpointing=setting
            )
            functions.append(declare(handler))
    pool = Counting(maxsize=10)
    endpoint = inngest_wsgi.serve(client, functions, http=pool)
    return Observed(endpoint, lambda: pool.count)


def official():
    import logging

    import flask
    import inngest
    import inngest.flask

    logging.getLogger("inngest").setLevel(logging.CRITICAL)
    client = inngest.Inngest(app_id="stepped")
    functions = []
    for shape, handler in SHAPES.items():
        trigger = inngest.TriggerEvent(event=f"bench/{shape}-off")
        functions.append(client.create_function(fn_id=f"{shape}-off", trigger=trigger)(handler))
    app = flask.Flask(__name__)
    inngest.flask.serve(app, client, functions)
    # it sends no checkpoints
    return Observed(app, int)


def make():
    """Make the application; gunicorn calls this."""
    contestants.prepare()
    return {"ours": ours, "official": official}[os.environ["BENCHMARK_KIND"]]()
