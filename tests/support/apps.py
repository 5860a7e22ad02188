"""Small applications, and signatures made without the package's help."""

import hashlib
import hmac
import json
import time

from werkzeug.test import Client

import inngest_wsgi as inngest

KEY = "signkey-test-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
OTHER_KEY = "signkey-test-" + "cd" * 32


def sign(body, key=KEY, at=None):
    """Return ``X-Inngest-Signature`` for a body (PROTOCOL section 3)."""
    stamp = str(int(time.time() if at is None else at))
    secret = key.split("-")[-1].encode()
    mac = hmac.new(secret, body + stamp.encode(), hashlib.sha256)
    return f"t={stamp}&s={mac.hexdigest()}"


def is_signed(response, key=KEY):
    header = response.headers.get("X-Inngest-Signature", "")
    stamp = header.partition("t=")[2].partition("&")[0]
    return header == sign(response.data, key, int(stamp or 0))


def call_body(steps=None, **ctx):
    """Return the body of a call."""
    event = {"name": "test/event", "data": {}, "id": "e1", "ts": 1}
    context = {
        "run_id": "01RUN",
        "attempt": 0,
        "max_attempts": 4,
        "disable_immediate_execution": False,
        "use_api": False,
        "stack": {"stack": [], "current": 0},
    }
    context.update(ctx)
    return {"ctx": context, "event": event, "events": [event], "steps": steps or {}}


def step_hash(user_id):
    return hashlib.sha1(user_id.encode()).hexdigest()


class Endpoint:
    """An application with one function, ``shop-f``, and a client for it."""

    def __init__(self, handler, *, cloud=False, key=KEY, client=None, **serve):
        self.inngest = inngest.Inngest(app_id="shop", is_production=cloud, **(client or {}))
        declare = self.inngest.create_function(
            fn_id="f", trigger=inngest.TriggerEvent(event="test/event"), retries=3
        )
        if cloud:
            serve.setdefault("signing_key", key)
        self.cloud, self.key = cloud, key
        self.application = inngest.serve(self.inngest, [declare(handler)], **serve)
        self.http = Client(self.application)

    def request(self, method="POST", query=None, body=b"", **options):
        if query is None:
            query = "fnId=shop-f&stepId=step" if method == "POST" else ""
        headers = dict(options.pop("headers", {}))
        signed = options.pop("signed", True)
        if self.cloud and signed:
            headers.setdefault("X-Inngest-Signature", sign(body, self.key))
        return self.http.open(
            path="/api/inngest",
            method=method,
            query_string=query,
            data=body,
            headers=headers,
            **options,
        )

    def call(self, steps=None, step="step", **ctx):
        """Call the function as the server does."""
        body = json.dumps(call_body(steps, **ctx)).encode()
        return self.request(query="fnId=shop-f&stepId=" + step, body=body)

    def op(self, steps=None, **options):
        """Call the function; return the only op of the answer."""
        response = self.call(steps, **options)
        assert response.status_code == 206, response.data
        (op,) = response.get_json()
        return op
