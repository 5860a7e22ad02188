"""Describe an exception of the user's code to the server: name, message and
traceback, and whether and when to try again (PROTOCOL section 6)."""

from __future__ import annotations

import os
import sys
import traceback
import typing as t

from .. import errors
from .._messages import UserError

#: Longest message and longest traceback that are sent, in characters.
MAX_TEXT = 32 * 1024

#: How many causes of an error are sent: its cause, the cause of that one, etc.
MAX_CAUSES = 5

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Failure(t.NamedTuple):
    """An exception of the user's code, ready to be sent.

    :ivar retriable: False if it asks not to be tried again
    :ivar retry_after: the ``Retry-After`` it asks for
    """

    error: UserError
    retriable: bool
    retry_after: t.Optional[str] = None


def describe(exc: BaseException) -> Failure:
    """Describe an exception."""
    error = UserError(*_facts(exc), cause=_cause(exc))
    if not isinstance(exc, errors.Error):
        return Failure(error, retriable=True)
    retry_after = None
    if isinstance(exc, (errors.RetryAfterError, errors.MiddlewareError)):
        retry_after = exc.header
    # an error of a step keeps the code that says so, and not that of its cause
    code = type(exc).code if isinstance(exc, errors.StepError) else exc.code
    return Failure(error._replace(code=code), exc.retriable, retry_after)


def is_process_exit(exc: BaseException) -> bool:
    """Tell whether an exception ends a process, a worker or a greenlet.

    Such an exception passes through. Every other exception is an error of the
    code that raised it, even one that does not derive from :exc:`Exception`:
    gevent, eventlet, asyncio and trio raise such for a timeout or a cancelled
    task.
    """
    if isinstance(exc, (SystemExit, KeyboardInterrupt)):
        # gunicorn ends a worker that takes too long with SystemExit
        return True
    greenlet = sys.modules.get("greenlet")
    return isinstance(exc, getattr(greenlet, "GreenletExit", ()))


def not_run(coroutine: t.Coroutine[t.Any, t.Any, t.Any]) -> errors.OutputError:
    """Make the error of a step whose function returned a coroutine."""
    coroutine.close()
    return errors.OutputError(
        "The function of the step is async def: it was called, but WSGI is synchronous and "
        "nothing would run it. Write it with def."
    )


def is_quiet(exc: BaseException) -> bool:
    """Tell whether an exception asks not to be logged."""
    return bool(getattr(exc, "quiet", False)) and isinstance(exc, errors.Error)


def _facts(exc: BaseException) -> t.Tuple[str, str, t.Optional[str]]:
    """Return name, message and traceback; of the error of a failed step, those
    of the step itself. The traceback of the :exc:`StepError` would only show
    where the function called the step."""
    if isinstance(exc, errors.StepError):
        stack = None if exc.stack is None else _cut(str(exc.stack))
        return _cut(str(exc.name)), _cut(str(exc.message)), stack
    return type(exc).__name__, _cut(_message(exc)), _cut(_stack(exc))


def _cause(exc: BaseException, depth: int = 0) -> t.Optional[t.Mapping[str, t.Any]]:
    """Return the ``__cause__`` or ``__context__`` of an exception, and theirs in
    turn, as nested JSON objects."""
    if isinstance(exc, errors.StepError):
        return exc.cause
    cause = exc.__cause__
    if cause is None and not exc.__suppress_context__:
        cause = exc.__context__
    if cause is None or depth == MAX_CAUSES:
        return None
    name, message, stack = _facts(cause)
    found: t.Dict[str, t.Any] = {"name": name, "message": message, "stack": stack}
    further = _cause(cause, depth + 1)
    if further is not None:
        found["cause"] = further
    return found


def _message(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:
        return f"({type(exc).__name__} has no readable message)"


def _stack(exc: BaseException) -> str:
    try:
        described = traceback.TracebackException.from_exception(exc)
        _leave_out_our_frames(described)
        return "".join(described.format())
    except Exception:
        # formatting calls the user's __str__, which may raise anything
        return "".join(traceback.format_tb(exc.__traceback__))


def _leave_out_our_frames(described: traceback.TracebackException) -> None:
    """Remove the lines of this package: a reader looks for those of the
    function."""
    pending: t.List[t.Optional[traceback.TracebackException]] = [described]
    while pending:
        one = pending.pop()
        if one is not None:
            one.stack[:] = [f for f in one.stack if not f.filename.startswith(_PACKAGE)]
            pending += [one.__cause__, one.__context__]


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    left_out = len(text) - MAX_TEXT
    return f"{text[:half]}\n... {left_out} characters left out ...\n{text[-half:]}"
