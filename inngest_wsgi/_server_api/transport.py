"""Make single requests, within limits of time and size. The only user of
urllib3."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import typing as t
import weakref

import urllib3

from . import body as _body
from .connection import limited, prepare
from .retry import Deadline

#: The limit for connecting to one address of a server, in seconds, where a
#: deadline is set.
CONNECT_TIMEOUT_S = 5.0
#: The limit for :meth:`Transport.probe`, in seconds, for connecting and again
#: for the headers.
PROBE_TIMEOUT_S = 3.0
#: How many connections to a server are kept open. More threads than a process
#: has: urllib3 closes each further one after its request, and warns of it.
MAX_CONNECTIONS = 256


class Unreachable(Exception):
    """There was no answer, or not all of it. The message describes why,
    without urllib3's own message: that may contain the URL, and with it the
    event key."""


class Pool(t.Protocol):
    """The type of the ``http`` option: urllib3's ``request()``."""

    def request(self, method: str, url: str, **kwargs: t.Any) -> t.Any: ...


class Transport:
    """Makes requests.

    :param request_timeout: the limit for connecting and again for the answer,
        in seconds
    :param pool: an object with urllib3's ``request()``; None to use a
        ``PoolManager`` for each process
    """

    def __init__(self, request_timeout: float, pool: t.Optional[Pool] = None) -> None:
        self._request_timeout = request_timeout
        self._pool = pool
        self._own: t.Optional[t.Tuple[int, Pool]] = None

    def request(
        self,
        method: str,
        url: str,
        body: t.Optional[bytes],
        headers: t.Mapping[str, str],
        deadline: Deadline,
        max_bytes: int,
    ) -> t.Tuple[t.Any, bytes]:
        """Make a request.

        :param max_bytes: the largest body of the answer, once decompressed
        :returns: urllib3's response, and its body
        :raises Unreachable: there was no answer, or not all of it
        :raises body.BodyProblem: the body cannot be used
        """
        pool = self._connected()
        try:
            prepare(pool, url)
            with limited(deadline.at), contextlib.ExitStack() as failed:
                # urllib3's own retries would log the URL, and an event key is
                # a part of it
                response = pool.request(
                    method,
                    url,
                    body=body,
                    headers=headers,
                    timeout=self._timeout(deadline),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    # the default since urllib3 2.0
                    enforce_content_length=True,
                )
                failed.callback(_drop, response)
                latest = min(deadline.at, time.monotonic() + self._request_timeout)
                content = _body.read(response, max_bytes, latest)
                # its connection can serve another request
                failed.pop_all()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(_reason(error)) from None
        return response, content

    def probe(self, url: str) -> t.Any:
        """Make a GET request, and return urllib3's response, without a body.

        :raises Unreachable: there was no answer within
            :data:`PROBE_TIMEOUT_S`
        """
        pool = self._connected()
        try:
            prepare(pool, url)
            with limited(time.monotonic() + 2 * PROBE_TIMEOUT_S):
                response = pool.request(
                    "GET",
                    url,
                    timeout=PROBE_TIMEOUT_S,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
            # the body is not needed, and may take long to arrive
            _drop(response)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(_reason(error)) from None
        return response

    def _timeout(self, deadline: Deadline) -> t.Union[float, urllib3.Timeout]:
        limit = self._request_timeout
        remaining = deadline.remaining_s()
        if remaining is None:
            return limit
        limit = max(0.001, min(limit, remaining))
        return urllib3.Timeout(connect=min(limit, CONNECT_TIMEOUT_S), read=limit)

    def _connected(self) -> Pool:
        """Return the pool of this process. A connection that was opened
        before a fork must not be used by both processes."""
        if self._pool is not None:
            return self._pool
        pid = os.getpid()
        if self._own is None or self._own[0] != pid:
            pool = urllib3.PoolManager(maxsize=MAX_CONNECTIONS)
            # urllib3 1.26 leaves open what a pool holds that is not used any more
            weakref.finalize(self, pool.clear)
            self._own = (pid, pool)
        return self._own[1]


def _drop(response: t.Any) -> None:
    """Close the connection of an answer that is not read to its end."""
    for name in ("close", "release_conn"):
        method = getattr(response, name, None)
        if method is not None:
            method()


def _reason(error: Exception) -> str:
    """Describe an error without urllib3's message, which may contain the URL
    and with it the event key."""
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, OSError) and cause.strerror:
        return f"{cause.strerror} ({type(error).__name__})"
    if isinstance(error, (urllib3.exceptions.TimeoutError, socket.timeout)):
        return f"no answer in time ({type(error).__name__})"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        kinds = f"{type(error).__name__}: {type(cause).__name__}"
        return f"the answer is not HTTP, or not complete ({kinds})"
    return type(error).__name__
