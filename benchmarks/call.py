"""Measure how long the endpoint takes for a signed call whose two steps are
remembered, without a WSGI server. Prints the best of five rounds.

    python benchmarks/call.py

Quote the ratio of two versions measured in one run, not a single time.
"""

import hashlib
import hmac
import io
import json
import time

import inngest_wsgi as inngest

SECRET = "0123456789abcdef" * 4
CALLS = 3000


def handler(ctx):
    return [ctx.step.run("a", int), ctx.step.run("b", int)]


def make_environ():
    """Return a function that makes the environ of one call."""
    event = {"name": "bench/call", "data": {"id": 1}, "id": "e", "ts": 1}
    steps = {hashlib.sha1(name).hexdigest(): {"data": 1} for name in (b"a", b"b")}
    call = {"ctx": {"run_id": "01RUN", "attempt": 0}, "event": event, "steps": steps}
    body = json.dumps(call).encode()
    stamp = str(int(time.time()))
    mac = hmac.new(SECRET.encode(), body + stamp.encode(), hashlib.sha256).hexdigest()
    fixed = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/inngest",
        "QUERY_STRING": "fnId=bench-call&stepId=step",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_INNGEST_SIGNATURE": f"t={stamp}&s={mac}",
    }
    return lambda: dict(fixed, **{"wsgi.input": io.BytesIO(body)})


def main():
    client = inngest.Inngest(app_id="bench", signing_key=SECRET, is_production=True)
    trigger = inngest.TriggerEvent(event="bench/call")
    function = client.create_function(fn_id="call", trigger=trigger)(handler)
    application = inngest.serve(client, [function])
    environ, answered = make_environ(), []
    application(environ(), lambda status, headers: answered.append(status))
    assert answered == ["200 OK"], answered
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(CALLS):
            application(environ(), lambda status, headers: None)
        rounds.append((time.perf_counter() - started) / CALLS)
    print(f"{min(rounds) * 1e6:.0f} us a call")


if __name__ == "__main__":
    main()
