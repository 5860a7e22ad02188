"""Open streamed answers as a server does, and decode them without the package's
help."""

import io
import json
import re
import time
from wsgiref.util import setup_testing_defaults

from apps import call_body

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


def wait_until(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it has not come to that"
        time.sleep(0.002)
