"""Ask an app to register."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ... import _protocol
from .._model.registry import read_registration
from .._model.settings import RegistrationRefused
from .._store import Store
from .._wire.answers import Answer
from .caller import AnswerTooLarge, Caller, CallFailed

#: Seconds an app has to answer.
SYNC_TIMEOUT = 30.0


class SyncError(Exception):
    """Raised if an app did not register.

    :ivar status: HTTP status of its answer; None if there was no answer.
    :ivar message: what the answer said, or what went wrong.
    """

    def __init__(self, status: t.Optional[int], message: str) -> None:
        super().__init__(message if status is None else f"HTTP {status}: {message}")
        self.status = status
        self.message = message


@dataclass(frozen=True)
class SyncResult:
    """The answer of an app that has registered."""

    #: HTTP status.
    status: int
    #: The JSON body.
    body: t.Any
    #: ``X-Inngest-Sync-Kind`` of the answer, or None.
    kind: t.Optional[str]


def sync(
    store: Store, caller: Caller, server_url: str, url: str, signed: bool, in_band: bool = False
) -> SyncResult:
    """Ask an app to register; see :meth:`LocalServer.sync`."""
    body = json.dumps({"url": url}, separators=(",", ":")).encode("utf-8")
    headers = [
        ("User-Agent", "Go-http-client/1.1"),
        ("Content-Length", str(len(body))),
        ("Content-Type", "application/json"),
        (_protocol.HEADER_SERVER_KIND, store.kind),
    ]
    if in_band:
        headers.append((_protocol.HEADER_SYNC_KIND, _protocol.IN_BAND))
    key = store.key
    if key is not None and signed:
        headers.append((_protocol.HEADER_SIGNATURE, key.sign(body)))
    headers.append(("Accept-Encoding", "gzip"))
    before = store.registered
    try:
        answer = caller.request("PUT", url, headers, body)
    except (CallFailed, AnswerTooLarge) as error:
        reason = str(error) or "too large"
        raise SyncError(None, f"no usable answer from the app ({reason})") from error
    parsed = _parsed(answer.body)
    if answer.status != 200:
        raise SyncError(answer.status, _message(parsed))
    kind = answer.headers.get(_protocol.HEADER_SYNC_KIND.lower())
    if in_band and kind == _protocol.IN_BAND:
        _register(store, answer, parsed, signed)
    if store.registered == before:
        raise SyncError(
            answer.status,
            "the app answered that it has registered, but it did not register with this "
            f"server; configure the app to use {server_url}",
        )
    return SyncResult(answer.status, parsed, kind)


def _register(store: Store, answer: Answer, parsed: t.Any, signed: bool) -> None:
    """Register what an app has answered in band (PROTOCOL section 5)."""
    if store.key is not None and signed:
        header = answer.headers.get(_protocol.HEADER_SIGNATURE.lower())
        problem = store.key.problem(header, answer.body)
        if problem is not None:
            raise SyncError(answer.status, problem)
    if not isinstance(parsed, dict):
        raise SyncError(answer.status, "the answer is not a JSON object")
    payload = {**parsed, "appName": parsed.get("app_id")}
    try:
        store.register(read_registration(json.dumps(payload).encode("utf-8")))
    except RegistrationRefused as refused:
        raise SyncError(answer.status, str(refused)) from None


def _parsed(body: bytes) -> t.Any:
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _message(parsed: t.Any) -> str:
    if isinstance(parsed, dict):
        for field in ("message", "error"):
            if isinstance(parsed.get(field), str):
                return str(parsed[field])
    return str(parsed)[:500]
