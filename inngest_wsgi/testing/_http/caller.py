"""Calling an app: the request as a server makes it, and the bare answer.

Internal. What an answer means is decided in ``_answers`` and ``_ops``.
"""

from __future__ import annotations

import http.client
import secrets
import socket
import threading
import typing as t
import zlib
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

from ... import _protocol
from .._model.state import Config
from .._run.queue import Call
from .._wire import ids
from .._wire.canonical import canonical
from .._wire.signing import SigningKey

_ACCOUNT_ID = "00000000-0000-4000-a000-000000000000"
_MOST_REDIRECTS = 10
_REPEATED = (307, 308)
_TURNED_INTO_GET = (301, 302, 303)

#: Seconds a call may take (2 hours).
CALL_TIMEOUT = 7200.0

#: The largest answer that is read, bytes.
RESPONSE_LIMIT = 8 * 1024 * 1024

#: The largest call body before ``use_api`` sets in, bytes.
BODY_LIMIT = 4 * 1024 * 1024


class CallFailed(Exception):
    """No answer came back."""


class AnswerTooLarge(Exception):
    """The answer is over the limit."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: t.Dict[str, str]
    body: bytes


@dataclass(frozen=True)
class CallRequest:
    """A call, ready to be sent."""

    url: str
    headers: t.List[t.Tuple[str, str]]
    body: bytes
    #: Ids of the steps whose memos the call carries.
    known: t.FrozenSet[str]
    #: What the run's configuration was when the request was built.
    config: Config


def call_url(registered: str, function_id: str, step_id: str) -> str:
    """The registered URL with a call's query, keys sorted (W1)."""
    parts = urlsplit(registered)
    ours = {_protocol.QUERY_FN_ID: function_id, _protocol.QUERY_STEP_ID: step_id}
    query = [
        pair
        for pair in parse_qsl(parts.query, keep_blank_values=True)
        if pair[0] not in ours and pair[0] != _protocol.QUERY_DEPLOY_ID
    ]
    query = sorted(query + list(ours.items()), key=lambda pair: pair[0])
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


def build_call(
    call: Call, now: float, body_limit: int, key: t.Optional[SigningKey]
) -> CallRequest:
    """Make the request of a call (W2 to W7, W18), signed if there is a key."""
    run = call.run
    function = run.function
    fn_id = ids.function_uuid(function.function_id)
    request_id = ids.ulid(int(now * 1000))
    config = call.config
    body = _encode_body(call, config, fn_id, request_id, body_limit)
    headers = [
        ("User-Agent", "Inngest"),
        ("Connection", "close"),
        ("Content-Length", str(len(body))),
        ("Account-Id", _ACCOUNT_ID),
        ("Content-Type", "application/json"),
        (_protocol.HEADER_TRACEPARENT, f"00-{run.trace_id}-{secrets.token_hex(8)}-01"),
        (_protocol.HEADER_TRACESTATE, _tracestate(fn_id, ids.app_uuid(function.app_id))),
        ("X-Inngest-Generation-Id", str(call.generation)),
        ("X-Inngest-Job-Id", call.job_id),
        (_protocol.HEADER_REQ_VERSION, str(config.version)),
    ]
    if key is not None:
        headers.append((_protocol.HEADER_SIGNATURE, key.sign(body)))
    headers += [
        ("X-Inngest-Step-Id", call.step_id),
        ("X-Request-Id", request_id),
        (_protocol.HEADER_RUN_ID, run.run_id),
        ("Accept-Encoding", "gzip"),
    ]
    url = call_url(function.url, function.function_id, call.step_id)
    return CallRequest(url, headers, body, frozenset(run.memos), config)


def _encode_body(
    call: Call, config: Config, fn_id: str, request_id: str, body_limit: int
) -> bytes:
    run = call.run
    events = [event.sent() for event in run.events]
    ctx: t.Dict[str, t.Any] = {
        "attempt": call.attempt,
        "disable_immediate_execution": config.disable,
        "env": "",
        "fn_id": fn_id,
        "generation_id": call.generation,
        "job_id": call.job_id,
        "max_attempts": run.function.max_attempts,
        "qi_id": ids.queue_item_id(call.job_id),
        "request_id": request_id,
        "run_id": run.run_id,
        "stack": {"current": call.current, "stack": list(run.stack)},
        "step_id": _protocol.STEP,
        "use_api": False,
    }
    body: t.Dict[str, t.Any] = {
        "ctx": ctx,
        "defers": {},
        "event": events[0],
        "events": events,
        "steps": run.steps,
        "use_api": False,
        "version": config.version,
    }
    encoded = canonical(body)
    if len(encoded) > body_limit:
        # The steps go first; the events only if that was not enough (W18).
        body["use_api"] = ctx["use_api"] = True
        body["steps"] = {}
        encoded = canonical(body)
        if len(encoded) > body_limit:
            body["events"] = []
            encoded = canonical(body)
    return encoded


def _tracestate(fn_id: str, app_id: str) -> str:
    traceparent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    reference = quote(f'{{"tp":"{traceparent}","ts":""}}', safe="")
    return f"inngest@traceref={reference},inngest@fn={fn_id},inngest@app={app_id}"


class Caller:
    """Makes HTTP requests to apps, and can be made to give up on them.

    :param timeout: seconds a request may stand still.
    """

    def __init__(self, timeout: float = CALL_TIMEOUT) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._sockets: t.Set[socket.socket] = set()
        #: Whether :meth:`abort` was called.
        self.aborted = False

    def request(
        self, method: str, url: str, headers: t.List[t.Tuple[str, str]], body: bytes
    ) -> Answer:
        """Send and read, following redirects as a server does (W32, W73).

        :raise CallFailed: nothing usable came back over the connection.
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
        """Break off what is under way; nothing can be sent any more."""
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
            raise ValueError("the URL of the app is not an http or https URL")
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname, parts.port, timeout=self._timeout)
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        sock: t.Optional[socket.socket] = None
        try:
            connection.connect()
            sock = connection.sock
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
