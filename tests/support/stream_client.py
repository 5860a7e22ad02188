"""An HTTP client on a plain socket, which sees each byte when it arrives."""

import contextlib
import json
import pathlib
import socket
import tempfile
import time
import typing as t
import uuid

from apps import call_body, sign

#: How long anything is waited for that should come, in seconds.
PATIENCE_S = 90

#: The sockets of the test that runs.
opened = []


class Answer:
    """What a server sends, read no further than is asked for.

    :ivar status: None until the head has come
    :ivar body: what has come of it, out of its framing
    :ivar framing: ``chunked``, ``length`` or ``close``
    :ivar over: nothing more comes
    :ivar whole: it is over, and by its framing nothing is missing
    """

    def __init__(self, sock):
        self.sock = sock
        self.status = self.framing = None
        self.headers = {}
        self.body = bytearray()
        self.over = self.whole = False
        self._raw = b""
        self._left: t.Any = None

    def read_until(self, enough, seconds=PATIENCE_S):
        """Read until there is enough of the body, the answer ends, or the time is
        over; return True if there is enough."""
        until = time.monotonic() + seconds
        while not enough(self.body) and not self.over:
            left = until - time.monotonic()
            if left <= 0:
                break
            with contextlib.suppress(socket.timeout):
                self._receive(left)
        return enough(self.body)

    def read_spaces(self, number, seconds=PATIENCE_S):
        """Return True if exactly this many spaces and nothing else arrived."""
        found = self.read_until(lambda body: len(body) >= number, seconds)
        assert not self.body.strip(b" "), self.body[:1000]
        return found

    def read_all(self):
        self.read_until(lambda body: False)
        assert self.over, f"the answer does not end: {self.body[-100:]!r}"
        return self

    def _receive(self, seconds):
        self.sock.settimeout(seconds)
        try:
            found = self.sock.recv(1024 * 1024)
        except ConnectionResetError:
            self.over = True
            return
        self._raw += found
        if self.status is None:
            self._parse_head()
        if self.status is not None:
            self._decode()
        if not found:
            self.over = True
            self.whole = self.whole or self.framing == "close"

    def _parse_head(self):
        while b"\r\n\r\n" in self._raw:
            head, _, self._raw = self._raw.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            status = int(first.split(" ")[1])
            # 100: go on
            if status >= 200:
                break
        else:
            return
        self.status = status
        pairs = [line.split(":", 1) for line in lines]
        self.headers = {name.strip().lower(): value.strip() for name, value in pairs}
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            self.framing = "chunked"
        elif "content-length" in self.headers:
            self.framing = "length"
            self._left = int(self.headers["content-length"])
        else:
            self.framing = "close"

    def _decode(self):
        if self.framing == "chunked":
            self._unchunk()
        elif self.framing == "close":
            self.body += self._raw
            self._raw = b""
        elif len(self.body) + len(self._raw) >= self._left:
            left = self._left - len(self.body)
            self.body += self._raw[:left]
            self._raw = self._raw[left:]
            self.over = self.whole = True

    def _unchunk(self):
        """Decode chunks (RFC 9112, 7.1). ``_left`` is the number of bytes missing
        of a chunk and its line end."""
        while True:
            if self._left is None:
                line, end, rest = self._raw.partition(b"\r\n")
                if not end:
                    return
                size, self._raw = int(line.partition(b";")[0], 16), rest
                self._left = size + 2 if size else 0
            if self._left == 0:
                # the last chunk; no server here sends trailers
                if len(self._raw) >= 2:
                    assert self._raw[:2] == b"\r\n", self._raw
                    self._raw, self.over, self.whole = self._raw[2:], True, True
                return
            taken, self._raw = self._raw[: self._left], self._raw[self._left :]
            self._left -= len(taken)
            # the line end is not part of the body
            self.body += taken if self._left >= 2 else taken[: len(taken) + self._left - 2]
            if self._left:
                return
            self._left = None


class Call:
    """One call of a function, and the directory whose files control it."""

    def __init__(self, place, function="waiting", **data):
        self.run_id = "01" + uuid.uuid4().hex.upper()[:24]
        self.place = pathlib.Path(tempfile.mkdtemp(dir=str(place)))
        # a server may run as another user
        self.place.chmod(0o777)
        document = call_body(run_id=self.run_id)
        document["events"][0]["data"].update(data, place=str(self.place))
        self.query = f"fnId=streamed-{function}&stepId=step"
        self.body = json.dumps(document, ensure_ascii=False).encode()

    def go(self):
        """Let the function return."""
        (self.place / "go").touch()

    def pid(self):
        """Return the id of the process in which the function has begun to run."""
        path = self.place / "pid"
        assert comes(path.exists), "the function does not begin"
        return int(path.read_text())

    def is_noticed(self, seconds):
        """Return True if the function has seen the disconnect."""
        return comes((self.place / "gone").exists, seconds)


def comes(true, seconds=PATIENCE_S):
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def connect(port, receive_buffer=None):
    sock = socket.socket()
    opened.append(sock)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE_S)
    sock.connect(("127.0.0.1", port))
    return sock


def ask(port, method="POST", receive_buffer=None, **request):
    """Send a request; return its answer, of which nothing has been read."""
    sock = connect(port, receive_buffer)
    sock.sendall(head(method, **request) + request.get("body", b""))
    return Answer(sock)


def head(
    method="POST", path="/api/inngest", query="", body=b"", version="1.1", headers=(), signed=True
):
    """Return the head of a request, with the length and the signature of its body."""
    lines = [
        f"{method} {path}?{query} HTTP/{version}",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
    ]
    if signed:
        lines.append("X-Inngest-Signature: " + sign(body))
    lines.extend(headers)
    if "Transfer-Encoding: chunked" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines + ["", ""]).encode()
