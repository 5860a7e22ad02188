"""The least that an endpoint in Python can do for a call: read the body, verify
its signature, parse the JSON, hash the id of each step and look its memo up,
write one op, and sign the answer.

It checks nothing else, and is no endpoint to use. Other endpoints are compared
with it.
"""

import hashlib
import hmac
import json
import time


class Floor:
    """A WSGI application with one function of ``count`` steps and one more.

    :param secret: the signing key, without its prefix.
    """

    def __init__(self, secret, count):
        self._secret = secret.encode()
        self._ids = [f"step-{n}" for n in range(count)]

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        stamp, _, signature = environ["HTTP_X_INNGEST_SIGNATURE"].partition("&s=")
        stamp = stamp[2:]
        found = hmac.new(self._secret, body + stamp.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(found, signature) or abs(time.time() - int(stamp)) > 300:
            start_response("401 Unauthorized", [])
            return [b""]
        steps = json.loads(body)["steps"]
        for step_id in self._ids:
            steps[hashlib.sha1(step_id.encode()).hexdigest()]["data"]
        hashed = hashlib.sha1(b"new").hexdigest()
        op = {"op": "StepRun", "id": hashed, "displayName": "new", "name": "new", "data": 1}
        answer = json.dumps([op]).encode()
        now = str(int(time.time()))
        signed = hmac.new(self._secret, answer + now.encode(), hashlib.sha256).hexdigest()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(answer))),
            ("X-Inngest-Sdk", "floor:v0.0.0"),
            ("X-Inngest-Req-Version", "2"),
            ("X-Inngest-Signature", f"t={now}&s={signed}"),
        ]
        start_response("206 Partial Content", headers)
        return [answer]
