"""Connections of urllib3 that make a request within a time.

A socket's timeout begins anew with every byte, so a server that sends one
byte now and then could hold a thread for hours, and urllib3 has no limit for a
whole answer. Here the time that is left is set on the socket before each read
from it. That needs no thread, and ends the reading of headers too.

A name may have several addresses. urllib3 tries one after another, each as long
as it may wait for one; here they share the time that is left. The look-up of
the name is the system's, and has the system's limits.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import math
import socket
import threading
import time
import typing as t

#: The least time that any part of a request is given, in seconds.
_LEAST_S = 0.01

_thread = threading.local()


@contextlib.contextmanager
def limited(at: float) -> t.Generator[None, None, None]:
    """Limit the answers that this thread begins to read meanwhile.

    :param at: the end by ``time.monotonic()``. An answer also ends with the
        read timeout of its request, counted from where it begins
    """
    _thread.at = at
    try:
        yield
    finally:
        _thread.at = None


def is_limited() -> bool:
    """Return True in a thread that makes a request within :func:`limited`."""
    return getattr(_thread, "at", None) is not None


def prepare(pool: t.Any, url: str) -> None:
    """Make a pool open connections that :func:`limited` limits.

    :param pool: a ``urllib3.PoolManager``, which may be the user's. The
        user's own requests by it are as before. Nothing can be done for an
        object of another kind, or for a connection that is open already
    """
    find = getattr(pool, "connection_from_url", None)
    found: t.Any = None if find is None else find(url)
    kind = getattr(found, "ConnectionCls", None)
    if isinstance(kind, type) and issubclass(kind, http.client.HTTPConnection):
        if kind.response_class is http.client.HTTPResponse:
            found.ConnectionCls = _connection_class(t.cast(t.Any, kind))


@functools.lru_cache(maxsize=16)
def _connection_class(kind: t.Any) -> t.Any:
    """Derive a class of connections. urllib3 lets users replace its own."""
    bases: t.Tuple[t.Any, ...] = (_Sending, kind)
    if getattr(getattr(kind, "_new_conn", None), "__module__", "") == "urllib3.connection":
        # others, through SOCKS for one, connect in their own way
        bases = (_Connecting, *bases)
    return type(kind.__name__, bases, {"response_class": _Response})


def _left_s() -> t.Optional[float]:
    """Return the seconds that this thread's request has left, at least some;
    None if it has no limit."""
    at = getattr(_thread, "at", None)
    return None if at is None or at == math.inf else max(_LEAST_S, at - time.monotonic())


class _Sending:
    """Sends a request within the thread's limit."""

    sock: t.Any

    def send(self, data: t.Any) -> None:
        left = _left_s()
        if left is not None and self.sock is not None:
            # urllib3 sets the limit for the answer afterwards
            self.sock.settimeout(left)
        super().send(data)  # type: ignore[misc]


class _Connecting:
    """Connects to one of the addresses of a name within the thread's limit."""

    port: int
    timeout: t.Any
    # where to connect to; the name in it is that of the certificate
    _dns_host: str

    def _new_conn(self) -> t.Any:
        connect = super()._new_conn  # type: ignore[misc]
        if _left_s() is None:
            return connect()
        name, timeout = self._dns_host, self.timeout
        try:
            hosts = _addresses(name, self.port)
        except UnicodeError:
            # no name can be like that, and urllib3 says so in its own way
            return connect()
        try:
            for n, self._dns_host in enumerate(hosts, 1):
                left = t.cast(float, _left_s())
                share = left / (len(hosts) - n + 1)
                self.timeout = min(share, timeout) if isinstance(timeout, (int, float)) else share
                try:
                    sock = connect()
                except Exception:
                    if n == len(hosts):
                        raise
                else:
                    # for a handshake of TLS
                    sock.settimeout(_left_s())
                    return sock
        finally:
            self._dns_host, self.timeout = name, timeout
        return connect()


def _addresses(name: str, port: int) -> t.List[str]:
    """Look up the addresses of a name, each once, in the system's order.

    :raises OSError: there are none
    """
    found = socket.getaddrinfo(name.strip("[]"), port, 0, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _Response(http.client.HTTPResponse):
    """An answer whose headers and body are read within the thread's limit."""

    def __init__(self, sock: socket.socket, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(sock, *args, **kwargs)
        at = getattr(_thread, "at", None)
        if at is not None and isinstance(self.fp, io.BufferedReader):
            limit = sock.gettimeout()
            if limit is not None:
                at = min(at, time.monotonic() + limit)
            # nothing has been read yet, so no byte is lost with this buffer
            raw = _TimedReader(self.fp.detach(), sock, at)
            self.fp = io.BufferedReader(raw)


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a time.

    :param raw: the socket's unbuffered file
    :param at: by ``time.monotonic()``
    """

    def __init__(self, raw: t.Any, sock: socket.socket, at: float) -> None:
        self._raw = raw
        self._sock = sock
        self._at = at

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._sock.fileno()

    def readinto(self, buffer: t.Any) -> t.Optional[int]:
        left = self._at - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        limit = self._sock.gettimeout()
        if limit is not None and limit <= left:
            return self._raw.readinto(buffer)  # type: ignore[no-any-return]
        self._sock.settimeout(left)
        try:
            return self._raw.readinto(buffer)  # type: ignore[no-any-return]
        finally:
            # the connection may serve the next request
            self._sock.settimeout(limit)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
