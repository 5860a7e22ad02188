"""Make HTTP requests to apps.

What an answer means is decided in ``_wire.answers`` and ``_ops``.
"""

from __future__ import annotations

import http.client
import socket
import threading
import typing as t
import zlib
from urllib.parse import urljoin, urlsplit, urlunsplit

from .._wire.answers import Answer

_MOST_REDIRECTS = 10
_REPEATED = (307, 308)
_TURNED_INTO_GET = (301, 302, 303)

#: Seconds a call may take (2 hours).
CALL_TIMEOUT = 7200.0

#: The largest answer that is read, in bytes.
RESPONSE_LIMIT = 8 * 1024 * 1024


class CallFailed(Exception):
    """Raised if no usable answer came back."""


class AnswerTooLarge(Exception):
    """Raised if an answer is larger than :data:`RESPONSE_LIMIT`."""


class Caller:
    """Makes HTTP requests to apps; another thread may abort them.

    :param timeout: seconds that a request may go without progress.
    """

    def __init__(self, timeout: float = CALL_TIMEOUT) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._sockets: t.Set[socket.socket] = set()
        #: Whether :meth:`abort` was called.
        self.aborted: bool = False

    def request(
        self, method: str, url: str, headers: t.List[t.Tuple[str, str]], body: bytes
    ) -> Answer:
        """Send a request and return the answer; follow redirects as a server does (W32, W73).

        :raise CallFailed: there was no usable answer.
        :raise AnswerTooLarge: more than :data:`RESPONSE_LIMIT` bytes did.
        """
        for _ in range(_MOST_REDIRECTS):
            try:
                answer = self._once(method, url, headers, body)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise CallFailed(type(error).__name__) from error
            location = answer.headers.get("location")
            if not location or answer.status not in _REPEATED + _TURNED_INTO_GET:
                return answer
            headers = [pair for pair in headers if pair[0] != "Referer"]
            headers.insert(0, ("Referer", url))
            url = urljoin(url, location)
            if answer.status in _TURNED_INTO_GET:
                # The body and its headers stay.
                method = "GET"
        raise CallFailed("too many redirects")

    def abort(self) -> None:
        """Close all connections; later requests fail."""
        with self._lock:
            self.aborted = True
            sockets = list(self._sockets)
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _once(
        self, method: str, url: str, headers: t.List[t.Tuple[str, str]], body: bytes
    ) -> Answer:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the app's URL does not begin with http:// or https://")
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname, parts.port, timeout=self._timeout)
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        sock: t.Optional[socket.socket] = None
        try:
            connection.connect()
            # what the connection knows of it differs between checkers
            sock = t.cast(socket.socket, connection.sock)
            with self._lock:
                if self.aborted:
                    raise ConnectionAbortedError("the local server is stopping")
                self._sockets.add(sock)
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(body or None)
            return self._read(connection.getresponse())
        finally:
            if sock is not None:
                with self._lock:
                    self._sockets.discard(sock)
            connection.close()

    @staticmethod
    def _read(response: http.client.HTTPResponse) -> Answer:
        with response:
            body = response.read(RESPONSE_LIMIT + 1)
            if response.length and len(body) <= RESPONSE_LIMIT:
                raise http.client.IncompleteRead(body, response.length)
            headers = {name.lower(): value for name, value in response.getheaders()}
        if len(body) <= RESPONSE_LIMIT and headers.get("content-encoding") == "gzip":
            unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            try:
                body = unpacker.decompress(body, RESPONSE_LIMIT + 1)
            except zlib.error as error:
                raise http.client.HTTPException("broken gzip") from error
            del headers["content-encoding"]
        if len(body) > RESPONSE_LIMIT:
            raise AnswerTooLarge
        return Answer(response.status, headers, body)
