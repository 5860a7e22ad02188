"""Make the endpoints that are compared, and the signed calls that each of them gets.

A call comes with so many memos, and its function runs one new step.
"""

import hashlib
import hmac
import io
import json
import sys
import time

SECRET = "0123456789abcdef" * 4
KEY = "signkey-test-" + SECRET


def ours(count):
    import inngest_wsgi

    client = inngest_wsgi.Inngest(app_id="bench", is_production=True)
    trigger = inngest_wsgi.TriggerEvent(event="bench/call")

    @client.create_function(fn_id="f", trigger=trigger)
    def function(ctx):
        run = ctx.step.run
        for n in range(count):
            run(f"step-{n}", int)
        return run("new", int)

    return inngest_wsgi.serve(client, [function], signing_key=KEY)


def official(count):
    import logging

    import flask
    import inngest
    import inngest.flask

    logging.getLogger("inngest").setLevel(logging.CRITICAL)
    client = inngest.Inngest(app_id="bench", is_production=True, signing_key=KEY)

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="bench/call"))
    def function(ctx: inngest.ContextSync) -> object:
        for n in range(count):
            ctx.step.run(f"step-{n}", int)
        return ctx.step.run("new", int)

    app = flask.Flask(__name__)
    inngest.flask.serve(app, client, [function])
    return app


def call(count, size=0):
    """Return the body of a call.

    :param count: how many memos it has
    :param size: additional bytes of its event; the body has them twice
    """
    memo = {"id": 1234, "name": "a product", "tags": ["a", "b"], "price": 12.5}
    ids = [hashlib.sha1(f"step-{n}".encode()).hexdigest() for n in range(count)]
    event = {
        "name": "bench/call",
        "data": {"id": 1, "x": "x" * size},
        "id": "e",
        "ts": 1,
        "user": {},
    }
    ctx = {
        "attempt": 0,
        "disable_immediate_execution": False,
        "env": "",
        "fn_id": "b5dc1f11-fa9e-50ef-bd42-75b7f3d06a71",
        "generation_id": 1,
        "job_id": "1owtf2bgewpe1",
        "max_attempts": 4,
        "request_id": "01M81766HQ80DA8WECKN4ESNQ2",
        "run_id": "01M81766GA504FKZSYRTHG82MA",
        "stack": {"current": count, "stack": ids},
        "step_id": "step",
        "use_api": False,
    }
    body = json.dumps(
        {
            "ctx": ctx,
            "defers": {},
            "event": event,
            "events": [event],
            "steps": {step: {"data": memo} for step in ids},
            "use_api": False,
            "version": 2,
        },
        separators=(",", ":"),
        sort_keys=True,
    ).encode()
    return body


def environ_of(body):
    """Return the environ of a call without ``wsgi.input``, signed now."""
    stamp = str(int(time.time()))
    signed = hmac.new(SECRET.encode(), body + stamp.encode(), hashlib.sha256).hexdigest()
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/inngest",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "fnId=bench-f&stepId=step",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "3000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost:3000",
        "HTTP_USER_AGENT": "Inngest",
        "HTTP_X_INNGEST_SIGNATURE": f"t={stamp}&s={signed}",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def make_round(application, body, times):
    """Make so many calls, and return the seconds of one."""
    fixed = environ_of(body)

    def ignore(status, headers, exc_info=None):
        pass

    started = time.perf_counter()
    for _ in range(times):
        environ = dict(fixed)
        environ["wsgi.input"] = io.BytesIO(body)
        answer = application(environ, ignore)
        for _ in answer:
            pass
        if hasattr(answer, "close"):
            answer.close()
    return (time.perf_counter() - started) / times


def check(application, body):
    """Make sure that an endpoint does what it is measured for."""
    found = []
    answer = b"".join(
        application(
            dict(environ_of(body), **{"wsgi.input": io.BytesIO(body)}),
            lambda status, headers, exc_info=None: found.append(status),
        )
    )
    assert found[0].startswith("206"), (found, answer)
    assert json.loads(answer)[0]["displayName"] == "new", answer
