"""Context managers entered around each function call, for state that lives in
thread-locals."""

from __future__ import annotations

import typing as t

from .. import _protocol as p, errors
from .._execution import failures
from .._execution.interrupt import Interrupt
from .._execution.managers import Managers
from .._logs import log
from .._messages import Environ, Outcome, Returned, StepsReported

#: Called with the environ in the request's thread. The context manager that it
#: returns is entered in the thread in which the function runs.
Maker = t.Callable[[Environ], t.ContextManager[t.Any]]


class CallContext:
    """The context managers of one call. Made in the request's thread, and
    entered in the function's thread.

    Each is told how the call ended: an exception if the function or a step has
    failed, an :exc:`Interrupt` if the function has not ended and is called
    again, and nothing if the function has returned.

    :param makers: return the context managers
    :raises errors.CallContextError: a maker or an ``__enter__`` raised
    """

    def __init__(self, environ: Environ, makers: t.Sequence[Maker]) -> None:
        self._managers = Managers()
        self._end: t.Optional[BaseException] = None
        # the server may reuse the environ for the next request before this call ends
        kept = dict(environ)
        try:
            self._made = [maker(kept) for maker in makers]
        except BaseException as exc:
            if failures.is_process_exit(exc):
                raise
            raise errors.CallContextError(exc) from exc

    def __enter__(self) -> "CallContext":
        for manager in self._made:
            try:
                self._managers.enter(manager)
            except BaseException as exc:
                self._managers.leave(exc, _log_raised)
                if failures.is_process_exit(exc):
                    raise
                raise errors.CallContextError(exc) from exc
        return self

    def ended(self, outcome: Outcome, error: t.Optional[BaseException]) -> None:
        """Note what the function ended in.

        :param error: the exception of the user's code that the outcome is about
        """
        self._end = error
        if error is None and not _has_returned(outcome):
            self._end = Interrupt()

    def __exit__(self, kind: t.Any, error: t.Optional[BaseException], trace: t.Any) -> None:
        # the function has run; its outcome is answered all the same
        self._managers.leave(self._end if error is None else error, _log_raised)


def _has_returned(outcome: Outcome) -> bool:
    """Tell whether an outcome is the value of a function."""
    if isinstance(outcome, StepsReported):
        # with the steps that could not be sent before
        return outcome.ops[-1].op == p.OP_RUN_COMPLETE
    return isinstance(outcome, Returned)


def _log_raised(exc: BaseException, told: t.Optional[BaseException]) -> t.Optional[BaseException]:
    log.error("call_context raised as it was left", exc_info=exc)
    return told
