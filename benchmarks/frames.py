"""Count the Python frames of the package for one POST with one new step, and
how often one module's frame calls into another's.

    python benchmarks/frames.py            # the two numbers
    python benchmarks/frames.py --tree     # each frame, indented by its depth
"""

import hashlib
import hmac
import io
import json
import os
import sys
import time

import inngest_wsgi as inngest

SECRET = "0123456789abcdef" * 4
PACKAGE = os.path.dirname(inngest.__file__) + os.sep


def make_application():
    """Make an endpoint in cloud mode with one function of one step."""
    client = inngest.Inngest(app_id="bench", is_production=True)
    declare = client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="bench/call"))
    function = declare(lambda ctx: ctx.step.run("a", int))
    return inngest.serve(client, [function], signing_key="signkey-test-" + SECRET)


def make_environ():
    """Make the environ of one signed call."""
    event = {"name": "bench/call", "data": {"id": 1}, "id": "e", "ts": 1}
    call = {"ctx": {"run_id": "01RUN", "attempt": 0}, "event": event, "steps": {}}
    body = json.dumps(call).encode()
    stamp = str(int(time.time()))
    signed = hmac.new(SECRET.encode(), body + stamp.encode(), hashlib.sha256).hexdigest()
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/inngest",
        "QUERY_STRING": "fnId=bench-f&stepId=step",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "localhost",
        "HTTP_X_INNGEST_SIGNATURE": f"t={stamp}&s={signed}",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
    }


def count(application, environ):
    """Make one call, and note each frame of the package.

    :returns: the depth, module and function of each, in the order of entry
    """
    frames = []

    def profile(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            depth, outer = 0, frame.f_back
            while outer is not None:
                depth += 1
                outer = outer.f_back
            module = frame.f_code.co_filename[len(PACKAGE) : -len(".py")]
            frames.append((depth, module, frame.f_code.co_name))

    sys.setprofile(profile)
    try:
        answer = b"".join(application(environ, lambda status, headers: None))
    finally:
        sys.setprofile(None)
    assert b'"op":"StepRun"' in answer, answer
    return frames


def main():
    application = make_application()
    count(application, make_environ())
    frames = count(application, make_environ())
    modules = [module for _, module, _ in frames]
    changes = sum(one != other for one, other in zip(modules, modules[1:]))
    if "--tree" in sys.argv:
        least = min(depth for depth, _, _ in frames)
        for depth, module, name in frames:
            print("{}{}.{}".format("  " * (depth - least), module, name))
    print(f"{len(frames)} frames, {changes} changes of module")


if __name__ == "__main__":
    main()
