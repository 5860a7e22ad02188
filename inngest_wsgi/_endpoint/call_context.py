"""Context managers entered around each function call, for state that lives in
thread-locals."""

from __future__ import annotations

import contextlib
import typing as t

from .. import errors
from .._execution import failures
from .._logs import log as _log
from .._messages import Environ

#: Called with the environ in the request's thread. The context manager that it
#: returns is entered in the thread in which the function runs.
Maker = t.Callable[[Environ], t.ContextManager[t.Any]]


class CallContext:
    """The context managers of one call. Made in the request's thread, and
    entered in the function's thread.

    :param makers: return the context managers
    :raises errors.CallContextError: a maker or an ``__enter__`` raised
    """

    def __init__(self, environ: Environ, makers: t.Sequence[Maker]) -> None:
        self._stack = contextlib.ExitStack()
        # the server may reuse the environ for the next request before this call ends
        kept = dict(environ)
        try:
            self._managers = [maker(kept) for maker in makers]
        except BaseException as exc:
            if failures.is_process_exit(exc):
                raise
            raise errors.CallContextError(exc) from exc

    def __enter__(self) -> None:
        for manager in self._managers:
            try:
                self._stack.enter_context(manager)
            except BaseException as exc:
                # without the error: a manager that was entered might suppress
                # it, and the function would run without the others
                self._leave()
                if failures.is_process_exit(exc):
                    raise
                raise errors.CallContextError(exc) from exc

    def __exit__(self, *exc_info: t.Any) -> None:
        self._leave(*exc_info)

    def _leave(self, *exc_info: t.Any) -> None:
        try:
            self._stack.__exit__(*(exc_info or (None, None, None)))
        except BaseException as exc:
            if failures.is_process_exit(exc):
                raise
            # the function has run; its outcome is answered all the same
            _log.exception("call_context raised as it was left")
