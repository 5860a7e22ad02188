"""A call copies its body once, and keeps none of it while its function runs.

Memory is counted by tracemalloc, which counts what Python allocates, and no time.
"""

import json
import tracemalloc

from apps import Endpoint, call_body, sign

MIB = 1024 * 1024
#: What a call needs besides its body.
LITTLE = MIB // 4


class Input:
    """An input of which each part is read once, and is then the reader's."""

    def __init__(self, body, part):
        self.parts = [body[at : at + part] for at in range(0, len(body), part)][::-1]

    def read(self, length):
        assert len(self.parts[-1]) <= length
        return self.parts.pop()


def measure(body, part):
    """Return how much memory a call takes at the most, and how much while its
    function runs, both besides the parts of its body as they come.

    :param part: the size of the parts in bytes
    """
    during = []
    endpoint = Endpoint(lambda ctx: during.append(tracemalloc.get_traced_memory()[0]), cloud=True)
    signature = sign(body)

    def environ():
        return {
            "REQUEST_METHOD": "POST",
            "QUERY_STRING": "fnId=shop-f&stepId=step",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_X_INNGEST_SIGNATURE": signature,
            "wsgi.input": Input(body, part),
            "wsgi.url_scheme": "http",
        }

    def call(environ):
        started = []
        answer = endpoint.application(environ, lambda *args: started.append(args))
        assert started[0][0] == "200 OK", b"".join(answer)

    # modules are imported, and hashes made, before anything is counted
    call(environ())
    source = environ()
    tracemalloc.start()
    try:
        call(source)
        return tracemalloc.get_traced_memory()[1], during[1]
    finally:
        tracemalloc.stop()


def padded(size):
    """Return a call's body of a size, of which nearly nothing is to be kept."""
    return json.dumps(call_body()).encode().ljust(size)


def test_a_body_is_copied_once():
    most, during = measure(padded(4 * MIB), 4 * MIB)
    # the copy is its text
    assert 4 * MIB < most < 4 * MIB + LITTLE
    assert during < LITTLE


def test_a_body_that_comes_in_parts_is_put_together_besides():
    most, during = measure(padded(4 * MIB), 64 * 1024)
    assert 8 * MIB < most < 8 * MIB + LITTLE
    assert during < LITTLE


def test_a_large_value_is_made_once():
    call = call_body()
    del call["events"]
    call["event"]["data"] = {"text": "x" * 4 * MIB}
    most, during = measure(json.dumps(call).encode(), 5 * MIB)
    # the body's text, and the value; while the function runs, the value alone
    assert most < 2 * 4 * MIB + LITTLE
    assert during < 4 * MIB + LITTLE
