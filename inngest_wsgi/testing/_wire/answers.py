"""Turn an app's answer to a call into one of three outcomes (W19 to W32)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ... import _protocol
from .canonical import DECODER, loads
from .outcomes import Failure, Outcome, Reported, Returned, server_failure
from .reported import read_ops
from .signing import SigningKey
from .times import parse_retry_after

_NO_RETRY_VALUE = "true"
_NOT_AN_SDK = "The response did not come from an Inngest SDK"
_UNREACHABLE = "Unable to reach SDK URL"


@dataclass(frozen=True)
class Answer:
    """An HTTP response; header names are in lower case."""

    status: int
    headers: t.Dict[str, str]
    body: bytes


def unreachable(reason: str) -> Failure:
    return server_failure(_UNREACHABLE, text=f"{_UNREACHABLE} ({reason})")


def cut_off() -> Failure:
    """Return the failure of a connection that broke in the midst of the answer, as the
    source of a real server has it (``exechttp.go``)."""
    return server_failure(
        "Your server reset the connection while we were reading the reply: Unexpected ending "
        "response"
    )


def too_large() -> Failure:
    return server_failure(
        "Your function's response body exceeds the maximum size limit", "output_too_large"
    )


def understand(answer: Answer, key: t.Optional[SigningKey], real_now: float) -> Outcome:
    """Return the outcome of a call from its answer.

    :param key: the key the call was signed with; None if it was not signed.
    :param real_now: unix seconds, by the clock that apps have too.
    """
    if answer.status == 201:
        inner = _unwrap_stream(answer)
        if isinstance(inner, Failure):
            return inner
        answer = inner
    headers = answer.headers
    retry_after = parse_retry_after(headers.get(_lower(_protocol.HEADER_RETRY_AFTER)), real_now)
    no_retry = headers.get(_lower(_protocol.HEADER_NO_RETRY)) == _NO_RETRY_VALUE
    outcome = _understand(answer, key, no_retry, retry_after)
    if isinstance(outcome, Failure):
        return replace(outcome, retriable=not no_retry, retry_after=retry_after)
    return outcome


def _understand(
    answer: Answer, key: t.Optional[SigningKey], no_retry: bool, retry_after: t.Optional[float]
) -> Outcome:
    good = 200 <= answer.status < 300
    text = answer.body.decode("utf-8", "replace")
    if not answer.headers.get(_lower(_protocol.HEADER_SDK)):
        return _not_an_sdk(answer, text) if good else _no_sdk_in_front(answer, text)
    if answer.headers.get("content-encoding", "identity") != "identity":
        return server_failure("the answer has a content encoding that a server cannot read")
    if key is not None:
        header = answer.headers.get(_lower(_protocol.HEADER_SIGNATURE))
        problem = key.problem(header, answer.body)
        if problem is not None:
            return server_failure(problem)
    if not good:
        return _function_error(answer.status, text, no_retry)
    if answer.status == 206:
        ops = read_ops(text)
        if isinstance(ops, Failure):
            return ops
        version = _version(answer.headers.get(_lower(_protocol.HEADER_REQ_VERSION)))
        return Reported(ops, no_retry, retry_after, version)
    output = _decode(text)
    if no_retry:
        label = "NonRetriableError"
        error = {"error": label, "message": label, "name": "Error"}
        return Failure(output, error, output, "X-Inngest-No-Retry: true on a success (W28)")
    if retry_after is not None:
        label = "Retry-After on a success"
        error = {"error": label, "message": label, "name": "Error"}
        return Failure(output, error, output, f"{label} (W28)")
    return Returned(output)


def _lower(header: str) -> str:
    return header.lower()


def _unwrap_stream(answer: Answer) -> t.Union[Answer, Failure]:
    """Return the answer within a streamed one (PROTOCOL section 7, W31).

    No recording has an inner status outside of 200 to 599, or 201, which is
    taken for any other success here, or a body in bad UTF-8.
    """
    try:
        outer = loads(answer.body)
    except ValueError:
        return server_failure("a 201 whose body is not JSON")
    status = outer.get("status") if isinstance(outer, dict) else None
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        return server_failure("a 201 without the real status in its body")
    headers = dict(answer.headers)
    inner = outer.get("headers") or {}
    if not isinstance(inner, dict) or not all(isinstance(v, str) for v in inner.values()):
        return server_failure("a 201 whose headers are not an object of strings")
    headers.update((name.lower(), value) for name, value in inner.items())
    body = outer.get("body", "")
    if not isinstance(body, str):
        body = _as_written(answer.body.decode("utf-8"), "body")
    return Answer(status, headers, body.encode("utf-8", "replace"))


def _as_written(text: str, name: str) -> str:
    """Return a member of a JSON object in its original characters.

    A signature covers these characters.

    :param text: JSON, an object that has the member.
    """
    found, at = "", text.index("{") + 1
    while True:
        at = _next(text, at)
        if text[at] == "}":
            return found
        key, at = DECODER.raw_decode(text, at)
        start = _next(text, at)
        _, at = DECODER.raw_decode(text, start)
        if key == name:
            found = text[start:at]


def _next(text: str, at: int) -> int:
    """Return the position of the next token in an object."""
    while text[at] in " \t\r\n,:":
        at += 1
    return at


def _decode(text: str) -> t.Any:
    """Read the body of a result: JSON, or else the text itself (W20)."""
    if not text.strip():
        return None
    try:
        value = loads(text)
    except ValueError:
        return text
    if isinstance(value, str):
        try:
            within = loads(value)
        except ValueError:
            return value
        if isinstance(within, dict):
            return within
    return value


def _not_an_sdk(answer: Answer, text: str) -> Failure:
    output = _decode(text)
    error = {"error": _NOT_AN_SDK, "message": _NOT_AN_SDK, "name": "Error"}
    return Failure(output, error, output, f"{_NOT_AN_SDK}: no {_protocol.HEADER_SDK} header (W19)")


def _no_sdk_in_front(answer: Answer, text: str) -> Failure:
    message = f"Your server returned HTTP {answer.status} before the SDK responded."
    kind = answer.headers.get("content-type", "no content type")
    output = {
        "error": message,
        "name": "Server returned a fatal error",
        "message": message,
        "stack": f"HTTP {answer.status}, {kind}, no {_protocol.HEADER_SDK} header:\n{text}",
    }
    return Failure(output, dict(output), output, message)


def _function_error(status: int, text: str, no_retry: bool) -> Failure:
    status_text = f"invalid status code: {status}"
    output = _decode(text)
    error: t.Dict[str, t.Any] = {
        "error": "NonRetriableError" if no_retry else status_text,
        "message": status_text,
        "name": "Error",
    }
    if output is None:
        return Failure(status_text, error, None, status_text)
    if isinstance(output, str) and output == text:
        error["message"] = output
    elif isinstance(output, dict):
        if isinstance(output.get("error"), str):
            error["error"] = output["error"]
        nested = output.get("error")
        source = nested if isinstance(nested, dict) else output
        for field in ("name", "message", "stack", "cause"):
            if source.get(field):
                error[field] = source[field]
    return Failure(output, error, output, f"{error['name']}: {error['message']}")


def _version(header: t.Optional[str]) -> int:
    try:
        return int(header or "0")
    except ValueError:
        return 0
