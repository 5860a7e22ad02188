"""Open streamed answers as a server does, and decode them without the package's
help."""

import io
import json
import re
import threading
import time
from wsgiref.util import setup_testing_defaults

from apps import Endpoint, call_body, step_hash

import inngest_wsgi as inngest
from inngest_wsgi._codec import encode
from inngest_wsgi._messages import Response

FN = "fnId=shop-f&stepId=step"
BODY = json.dumps(call_body()).encode()

_TIMING = re.compile(rb'"timing":\{"a":\d+,"b":\d+\}')
_NOT_COMPARED = ("Content-Length", "Server-Timing", "X-Inngest-Signature")


class Opened:
    """A streamed answer whose chunks are read one by one."""

    def __init__(self, application, body=BODY, **environ):
        base = {
            "REQUEST_METHOD": "POST",
            "QUERY_STRING": FN,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
        base.update(environ)
        setup_testing_defaults(base)
        self.environ = base
        self.chunks = application(base, self._start_response)

    def _start_response(self, status, headers, exc_info=None):
        self.status = int(status[:3])
        self.header_list = headers
        self.headers = dict(headers)

    def read(self):
        """Read the rest of the stream, and close it."""
        text = b"".join(self.chunks)
        if hasattr(self.chunks, "close"):
            self.chunks.close()
        return text


def inner_of(text):
    """Return the status, the headers and the body in the text of a complete stream."""
    assert text[:1] == b" " and text.lstrip(b" ")[:1] == b"{"
    found = json.loads(text)
    assert sorted(found) == ["body", "headers", "status"]
    body = found["body"]
    if isinstance(body, str):
        return found["status"], found["headers"], body.encode()
    as_written = text.partition(b',"body":')[2][:-1]
    assert json.loads(as_written) == body
    return found["status"], found["headers"], as_written


def comparable(status, headers, body):
    """Return an answer without the parts that differ each time."""
    kept = {name: value for name, value in headers.items() if name not in _NOT_COMPARED}
    return status, kept, _TIMING.sub(b"", body)


def wait_until(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition did not become true"
        time.sleep(0.002)


DONE = {step_hash("a"): {"data": "A"}}
QUOTES = ['"' * 3_000_000]


class NoApi:
    def request(self, method, url, **kwargs):
        raise inngest.ApiError("no server here")


def forced(handler, **options):
    return Endpoint(handler, **dict({"streaming": "force"}, **options))


def streams_of(endpoint):
    return endpoint.application._router._streams


def free_slots(endpoint):
    streams = streams_of(endpoint)
    return streams._limit - len(streams._running)


def lost(caplog):
    """Return the log's records about lost connections."""
    return [r.getMessage() for r in caplog.records if "lost its connection" in r.msg]


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("inngest_wsgi run")]


def inner_answer(handler, **options):
    return inner_of(Opened(forced(handler, **options).application).read())


def raising(kind, *args):
    """Return a function that raises a new exception each time, because the
    traceback of a single one would grow."""

    def handler(ctx):
        raise kind(*args)

    return handler


def in_step(work, *args):
    return lambda ctx: ctx.step.run("a", work, *args)


def around(log, name, fail=None):
    """Return a call context that logs each event with the name of its thread."""

    class Manager:
        def __enter__(self):
            log.append((name, "entered", threading.current_thread().name))
            if fail == "entered":
                raise KeyError(name)

        def __exit__(self, *exc_info):
            log.append((name, "left", threading.current_thread().name))
            if fail == "left":
                raise KeyError(name)

    def made(environ):
        log.append((name, "made", threading.current_thread().name))
        assert environ["REQUEST_METHOD"] == "POST"
        if fail == "made":
            raise KeyError(name)
        return Manager()

    return made


def as_value(text, body):
    """Return a stream in the form that it has if it is very large."""
    status, headers, _ = inner_of(b" " + text)
    limit = encode.MAX_STREAM_BYTES
    try:
        encode.MAX_STREAM_BYTES = len(text) - 1
        found = encode.streamed(Response(status, list(headers.items()), body))
    finally:
        encode.MAX_STREAM_BYTES = limit
    assert found.endswith(b',"body":' + body + b"}")
    return found
