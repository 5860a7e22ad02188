"""Decide whether and when a call whose function or step failed is made again (W29, W30)."""

from __future__ import annotations

import typing as t

from .._model import state
from .._model.state import utc
from .._wire import randomness
from .._wire.outcomes import Failure
from .items import Call
from .machinery import Machinery

#: Seconds after each attempt where the server has no ``retry_interval``.
_BACKOFF = (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200)
#: Up to so many random seconds are added to each.
_JITTER = 30.0


def backoff(attempt: int) -> float:
    """Return the seconds to wait after an attempt, with jitter (W30).

    :param attempt: number of the attempt that failed, from 0.
    """
    base = _BACKOFF[min(attempt, len(_BACKOFF) - 1)]
    return base + randomness.uniform(0, _JITTER)


def may_retry(call: Call, retriable: bool) -> bool:
    """Return True if a call that failed, or whose step failed, is made again.

    :param retriable: False if the app asked for no retry
    """
    return retriable and call.attempt + 1 < call.run.function.max_attempts


def retry_or_fail(machinery: Machinery, call: Call, failure: Failure) -> None:
    """Retry a call that failed, or fail its run if no attempt is left."""
    machinery.note(
        call.run,
        state.FUNCTION_ERROR,
        step=call.name,
        attempt=call.attempt,
        detail=failure.text,
    )
    if may_retry(call, failure.retriable):
        retry(machinery, call, failure.retry_after)
    else:
        machinery.fail(call.run, failure)


def retry(
    machinery: Machinery, call: Call, wanted: t.Optional[float], name: t.Optional[str] = None
) -> None:
    """Queue the next attempt of a call.

    :param wanted: seconds to wait if the app asked for a delay, else None:
        the server's ``retry_interval``, or the backoff of a real server.
    :param name: display name of the step for the history; the call's if None.
    """
    delay = wanted
    if delay is None:
        delay = machinery.retry_interval
    if delay is None:
        delay = backoff(call.attempt)
    due = machinery.now() + delay
    machinery.note(
        call.run,
        state.RETRY_SCHEDULED,
        step=name or call.name,
        attempt=call.attempt + 1,
        retry_in=delay,
        until=utc(due),
    )
    machinery.put(call.again(due))
