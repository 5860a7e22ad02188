"""Make the ops of steps that the server carries out (PROTOCOL section 6).

Each function checks the options of its kind of step, and raises
:exc:`~inngest_wsgi.errors.StepConfigError` for those that the server could not
carry out: it would let the run hang, or try it again and again (W35).
"""

from __future__ import annotations

import typing as t

from .. import _protocol as p, errors
from .._codec.durations import Duration, Time
from .._messages import Op, StepId
from . import options


def sleep(step: StepId, until: Time) -> Op:
    """Make the op of ``sleep`` and ``sleep_until``."""
    text = options.time(step.user_id, "the time", until)
    # the server reads opts, and name where there is none
    return Op(p.OP_SLEEP, step, text, {"duration": text})


def wait_for_event(step: StepId, event: str, if_exp: t.Optional[str], timeout: Time) -> Op:
    """Make the op of ``wait_for_event``."""
    options.text(step.user_id, "event", event)
    opts = {"event": event, "timeout": options.time(step.user_id, "timeout", timeout)}
    if if_exp is not None:
        # the server fails the run over one that it cannot read
        opts["if"] = options.expression(step.user_id, "if_exp", if_exp)
    return Op(p.OP_WAIT_FOR_EVENT, step, event, opts)


def wait_for_signal(step: StepId, signal: str, timeout: Time, on_conflict: str) -> Op:
    """Make the op of ``wait_for_signal``."""
    options.text(step.user_id, "signal", signal)
    if on_conflict not in ("fail", "replace"):
        raise errors.StepConfigError(step.user_id, 'on_conflict must be "fail" or "replace"')
    opts = {
        "signal": signal,
        "timeout": options.time(step.user_id, "timeout", timeout),
        "conflict": on_conflict,
    }
    return Op(p.OP_WAIT_FOR_SIGNAL, step, signal, opts)


def invoke(
    step: StepId,
    app_id: str,
    function_id: str,
    data: t.Optional[t.Mapping[str, t.Any]],
    timeout: t.Optional[Duration],
    v: t.Optional[str],
) -> Op:
    """Make the op of ``invoke`` and ``invoke_by_id``."""
    options.text(step.user_id, "function_id", function_id)
    # without a payload, even an empty one, the server never answers
    payload: t.Dict[str, t.Any] = {"data": options.json_object(step.user_id, "data", data)}
    if v is not None:
        payload["v"] = v
    full_id = f"{app_id}-{function_id}"
    opts: t.Dict[str, t.Any] = {"function_id": full_id, "payload": payload}
    if timeout is not None:
        opts["timeout"] = options.time(step.user_id, "timeout", timeout)
    return Op(p.OP_INVOKE_FUNCTION, step, step.user_id, opts)


def fetch(
    step: StepId,
    url: str,
    method: str,
    headers: t.Optional[t.Mapping[str, str]],
    body: t.Optional[str],
) -> Op:
    """Make the op of ``fetch``."""
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise errors.StepConfigError(step.user_id, 'url must begin with "https://" or "http://"')
    options.text(step.user_id, "method", method)
    headers = dict(headers or {})
    texts = [body or "", *headers, *headers.values()]
    if not all(isinstance(text, str) for text in texts):
        raise errors.StepConfigError(step.user_id, "headers and body must be text")
    opts: t.Dict[str, t.Any] = {"url": url, "method": method.upper(), "headers": headers}
    if body is not None:
        opts["body"] = body
    return Op(p.OP_GATEWAY, step, step.user_id, opts)
