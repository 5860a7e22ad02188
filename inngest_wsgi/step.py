"""What a function calls: builds an op, and asks the engine."""

from __future__ import annotations

import datetime
import time
import typing as t

from . import _protocol as p
from . import _timestr, errors
from ._engine import Engine
from ._messages import Op, StepId

T = t.TypeVar("T")

_RUN_OPTS = {"type": p.TYPE_STEP_RUN}


class Step:
    """The steps of one call, as ``ctx.step``.

    The id of a step is what its result is remembered by: keep it when the
    code around it changes. An id may be used again, in a loop for instance;
    the server tells the uses apart by their order.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(
        self,
        step_id: str,
        handler: t.Callable[..., T],
        *handler_args: t.Any,
        **handler_kwargs: t.Any,
    ) -> T:
        """Run ``handler(*handler_args, **handler_kwargs)`` once, and remember
        what it returns.

        :param step_id: see :class:`Step`
        :param handler: not a coroutine function; what it returns must be JSON
        :returns: what it returned, as it is after a way through JSON: a tuple
            is a list, ``1.0`` is ``1``
        :raises StepError: it raised, and its retries are used up
        :raises StepConfigError: no id, or a step inside a step
        """
        if handler_kwargs:
            return t.cast(
                T,
                self._engine.run(
                    step_id,
                    _RUN_OPTS,
                    lambda *args: handler(*args, **handler_kwargs),
                    handler_args,
                ),
            )
        return t.cast(T, self._engine.run(step_id, _RUN_OPTS, handler, handler_args))

    def sleep(self, step_id: str, duration: _timestr.Duration) -> None:
        """Sleep, without occupying this process.

        The duration is sent as it is, so the two machines' clocks need not
        agree.

        :param step_id: see :class:`Step`
        :param duration: milliseconds (``int``), a ``timedelta`` or a time
            string (``"1h30m"``); at most 366 days
        :raises StepConfigError: the duration cannot be sent
        """

        def describe(step: StepId) -> Op:
            try:
                if _timestr.milliseconds(duration) > _timestr.YEAR_MS:
                    raise ValueError("the longest sleep is 366 days")
                text = _timestr.to_timestr(duration)
            except ValueError as error:
                raise errors.StepConfigError(step_id, str(error)) from None
            return _sleep_op(step, text)

        self._engine.ask(step_id, describe)

    def sleep_until(self, step_id: str, until: datetime.datetime) -> None:
        """Sleep until a point in time; one that is past does not sleep.

        :param step_id: see :class:`Step`
        :param until: without a time zone it is taken as UTC; at most 366 days
            ahead
        :raises StepConfigError: the time cannot be sent
        """

        def describe(step: StepId) -> Op:
            if not isinstance(until, datetime.datetime):
                raise errors.StepConfigError(
                    step_id, "until must be a datetime, not {}".format(type(until).__name__)
                )
            aware = until if until.tzinfo else until.replace(tzinfo=datetime.timezone.utc)
            if aware.timestamp() - time.time() > _timestr.YEAR_MS / 1000:
                raise errors.StepConfigError(step_id, "the longest sleep is 366 days")
            return _sleep_op(step, _timestr.to_rfc3339(aware))

        self._engine.ask(step_id, describe)


def _sleep_op(step: StepId, duration: str) -> Op:
    # the server reads opts, and name where there is none
    return Op(p.OP_SLEEP, step, duration, {"duration": duration})
