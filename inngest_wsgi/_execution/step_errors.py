"""Carry the error of a step from the call in which it is raised to the calls
that remember it.

The server keeps name, message, traceback and causes of a step's error, and
``data``, in which an SDK may store more (W13). There we put an object with as
many of these keys as are needed:

- ``code`` and ``data``: the attributes of that name of the exception;
- ``kind``: the ``code`` of :exc:`~inngest_wsgi.errors.NonRetriableError` or
  :exc:`~inngest_wsgi.errors.RetryAfterError`, if the exception is one; a
  subclass has a name of its own;
- ``retry_after``: the time that a RetryAfterError asked for.

The official SDK lets these two classes pass through ``step.run``, so code
written for it catches them there. Therefore the :exc:`StepError` of such an
exception is of its class too.
"""

from __future__ import annotations

import contextlib
import datetime
import typing as t

from .. import errors
from .._codec import durations, json as _json

#: The most bytes of JSON that are kept of an exception's ``code`` and ``data``
#: each.
MAX_BYTES = 64 * 1024

_NON_RETRIABLE = errors.NonRetriableError.code
_RETRY_AFTER = errors.RetryAfterError.code
#: Where an error comes from a run that stored no ``kind``: from an invoked
#: function (the server keeps name and message of its error alone), or from
#: another SDK.
_KIND_OF_NAME = {
    errors.NonRetriableError.__name__: _NON_RETRIABLE,
    errors.RetryAfterError.__name__: _RETRY_AFTER,
}
_KEYS = frozenset(("code", "data", "kind", "retry_after"))


# checkers differ: the attributes of the first base come before the properties of the second
class NonRetriableStepError(  # pyright: ignore[reportIncompatibleVariableOverride]
    errors.StepError, errors.NonRetriableError
):
    """The :exc:`StepError` of a step that raised :exc:`NonRetriableError`."""

    code = _NON_RETRIABLE
    quiet = False


class RetryAfterStepError(  # pyright: ignore[reportIncompatibleVariableOverride]
    errors.StepError, errors.RetryAfterError
):
    """The :exc:`StepError` of a step that raised :exc:`RetryAfterError` in its
    last attempt."""

    code = _RETRY_AFTER
    quiet = False


def details(exc: BaseException) -> t.Optional[t.Dict[str, t.Any]]:
    """Return the object to store with the error of a step; None if there is
    nothing to store."""
    found: t.Dict[str, t.Any] = {}
    if isinstance(exc, errors.NonRetriableError):
        found["kind"] = _NON_RETRIABLE
    elif isinstance(exc, errors.RetryAfterError):
        found["kind"] = _RETRY_AFTER
        # a subclass may have an attribute of its own by that name
        with contextlib.suppress(Exception):
            found["retry_after"] = durations.to_rfc3339(exc.retry_after)
    for name in ("code", "data"):
        value = _json_attribute(exc, name)
        if value is not None and value != found.get("kind"):
            found[name] = value
    return found or None


def step_error(problem: t.Any, step_id: t.Optional[str], ran_here: bool) -> errors.StepError:
    """Make the exception of a step that has failed.

    :param problem: the ``error`` of the step's memo
    :param ran_here: False if the server carried the step out: its ``data`` is
        not ours then, and no call has logged the error
    """
    if not isinstance(problem, dict):
        problem = {"message": problem}
    name = str(problem.get("name") or "Error")
    stack, cause, data = problem.get("stack"), problem.get("cause"), problem.get("data")
    stored: t.Dict[str, t.Any] = {"data": data}
    if ran_here and isinstance(data, dict) and _KEYS.issuperset(data):
        stored = data
    kind = stored.get("kind") or _KIND_OF_NAME.get(name)
    cls: t.Type[errors.StepError] = errors.StepError
    if kind == _NON_RETRIABLE:
        cls = NonRetriableStepError
    elif kind == _RETRY_AFTER:
        cls = RetryAfterStepError
    found = cls(
        message=str(problem.get("message") or ""),
        name=name,
        stack=stack if isinstance(stack, str) else None,
        cause=cause if isinstance(cause, dict) else None,
        step_id=step_id,
        code=stored.get("code"),
        data=stored.get("data"),
    )
    found.was_logged = ran_here
    if isinstance(found, RetryAfterStepError):
        found.retry_after = _time(stored.get("retry_after"))
        found.header = durations.retry_after(found.retry_after)
    return found


def _json_attribute(exc: BaseException, name: str) -> t.Any:
    """Return an attribute of an exception as a JSON value; None if it has
    none, or one that is not JSON or too large."""
    try:
        text = _json.dumps(getattr(exc, name, None))
        return _json.loads(text) if len(text) <= MAX_BYTES else None
    except Exception:  # the user's objects may raise anything
        return None


def _time(text: t.Any) -> datetime.datetime:
    """Read a time that was stored; now, if it is none."""
    try:
        return durations.in_utc(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")))
    except (AttributeError, ValueError):
        return datetime.datetime.now(datetime.timezone.utc)
