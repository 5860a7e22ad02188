"""Make requests for an app: ``step.fetch`` and AI calls.

A worker makes them without the lock. As on a real server, a failed request
is retried by calling the app again, which then reports the same op.
"""

from __future__ import annotations

import typing as t
from urllib.parse import quote, urlsplit

from ... import _protocol
from .._http.caller import AnswerTooLarge, Caller, CallFailed
from .._model import state
from .._run.exchange import Exchange
from .._run.items import Call, RunItem
from .._run.memos import save
from .._run.parallel import discover, job_after
from .._run.retries import may_retry, retry
from .._wire.answers import Answer
from .._wire.canonical import canonical, loads, normalised
from .._wire.outcomes import Op, local_failure
from .report import Handler, Report
from .steps import describe

_UNREACHABLE = "Unable to reach SDK URL"
_LEFT_OUT = ("connection", "transfer-encoding")


class Request(RunItem, Exchange):
    """A request to make, and the op that asked for it."""

    def __init__(
        self,
        report: Report,
        op: Op,
        method: str,
        url: str,
        headers: t.Dict[str, str],
        body: bytes,
    ) -> None:
        super().__init__(report.run, report.machinery.now())
        self._report = report
        self._op = op
        self._method, self._url, self._body = method, url, body
        self._headers = _complete(headers, body)
        self._ai = op.op == _protocol.OP_AI_GATEWAY

    @property
    def item(self) -> RunItem:
        return self

    def perform(self, caller: Caller) -> t.Dict[str, t.Any]:
        """Make the request; without the lock.

        :return: the step's memo.
        :raise CallFailed: the caller was told to give up.
        """
        try:
            answer = caller.request(self._method, self._url, self._headers, self._body)
        except CallFailed:
            if caller.aborted:
                raise
            return self._error(_UNREACHABLE)
        except AnswerTooLarge:
            return self._error("the answer is too large")
        return self._understand(answer)

    def settle(self, result: t.Dict[str, t.Any]) -> None:
        """Store the memo and continue the run; needs the lock."""
        memo = result
        report, op, run = self._report, self._op, self.run
        call, error = report.call, memo.get("error")
        kind, detail = state.REQUESTED, None
        if error is not None:
            run.errors[op.id] = error
            detail = describe(error)
            kind = state.STEP_FAILED
            if may_retry(call, True):
                kind = state.STEP_ERROR
        report.machinery.note(
            run, kind, step=op.display_name, attempt=call.attempt, op=op.op, detail=detail
        )
        if kind == state.STEP_ERROR:
            retry(report.machinery, call, None, op.display_name)
            return
        saved = save(report.machinery, run, op.id, memo)
        if saved is None:
            return
        if not saved.kept:
            report.retry_conflict(op)
            return
        job = job_after(op.id, op.race, report.group)
        again = Call(run, report.machinery.now(), after=op.id, race=op.race)
        discover(report.machinery, job, again, report.config, saved.waiting, op.race)

    def _understand(self, answer: Answer) -> t.Dict[str, t.Any]:
        text = answer.body.decode("utf-8", "replace")
        if not self._ai:
            return {
                "data": {
                    "body": text,
                    "headers": {
                        _canonical_name(name): value
                        for name, value in answer.headers.items()
                        if name not in _LEFT_OUT
                    },
                    "status_code": answer.status,
                    "url": self._url,
                }
            }
        try:
            value = normalised(loads(text))
        except ValueError:
            value = text
        if 200 <= answer.status < 300:
            return {"data": value}
        error = self._error(f"unsuccessful status code: {answer.status}")
        error["error"].update(stack=text, data=value)
        return error

    def _error(self, reason: str) -> t.Dict[str, t.Any]:
        name, kind = ("AIGatewayError", "AI") if self._ai else ("GatewayError", "gateway")
        message = f"Error making {kind} request: {reason}"
        return {"error": {"name": name, "message": message}}


def _complete(headers: t.Dict[str, str], body: bytes) -> t.List[t.Tuple[str, str]]:
    """Return the headers in a server's order: its own, the app's, one more."""
    given = {_canonical_name(name): value for name, value in headers.items()}
    first = [("User-Agent", given.pop("User-Agent", "Inngest")), ("Connection", "close")]
    if body:
        first.append(("Content-Length", str(len(body))))
    for name in ("Host", "Connection", "Content-Length", "Accept-Encoding"):
        given.pop(name, None)
    return first + sorted(given.items()) + [("Accept-Encoding", "gzip")]


def _canonical_name(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _texts(value: t.Any) -> t.Dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _host(url: t.Any) -> t.Optional[str]:
    """Return the host of an http or https URL; None for any other value."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return None
    if parts is None or parts.scheme not in ("http", "https"):
        return None
    return parts.hostname


def _request(
    report: Report, op: Op, method: str, url: t.Any, headers: t.Dict[str, str], body: bytes
) -> None:
    host = _host(url)
    if host is None:
        # The address may hold a key, so it is not repeated.
        report.machinery.fail(
            report.run, local_failure(f"{op.op} {op.display_name!r} has no http or https URL")
        )
        return
    report.machinery.note(
        report.run,
        state.REQUESTING,
        step=op.display_name,
        attempt=report.call.attempt,
        op=op.op,
        detail=f"{method} {host}",
    )
    report.machinery.put(Request(report, op, method, url, headers, body))


def _gateway(report: Report, op: Op) -> None:
    method, body = op.opts.get("method") or "GET", op.opts.get("body") or ""
    if not isinstance(body, str):
        report.machinery.fail(
            report.run,
            local_failure(f"Gateway {op.display_name!r} has a body that is not a string"),
        )
        return
    headers = _texts(op.opts.get("headers"))
    _request(report, op, str(method), op.opts.get("url"), headers, body.encode("utf-8", "replace"))


def _ai_gateway(report: Report, op: Op) -> None:
    url, key = op.opts.get("url"), op.opts.get("auth_key")
    headers = _texts(op.opts.get("headers"))
    headers.setdefault("Content-Type", "application/json")
    kind = str(op.opts.get("format") or "")
    if isinstance(key, str) and key:
        if kind.startswith("anthropic"):
            headers.setdefault("x-api-key", key)
            headers.setdefault("anthropic-version", "2023-06-01")
        elif kind.startswith("gemini"):
            # The SDK's adapter may have added the key already.
            if "key=" not in urlsplit(str(url)).query:
                url = f"{url}{'&' if '?' in str(url) else '?'}key={quote(key, safe='')}"
        else:
            headers.setdefault("Authorization", f"Bearer {key}")
    _request(report, op, "POST", url, headers, canonical(op.opts.get("body")))


HANDLERS: t.Dict[str, Handler] = {
    _protocol.OP_GATEWAY: _gateway,
    _protocol.OP_AI_GATEWAY: _ai_gateway,
}
LATER: t.Tuple[str, ...] = tuple(HANDLERS)
