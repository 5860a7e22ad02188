"""Keep what the apps of a test have raised, for the report of a test that fails.

A server is answered 500 in its place, so that the test goes on; and a log may be
switched off, as by the settings of an application.
"""

from __future__ import annotations

import traceback
import typing as t

#: The most that are kept; a call that is retried raises the same again.
_MOST = 3


class Raised:
    """The exceptions that apps have raised instead of giving an answer.

    :ivar last: the exception in the last request; None if there was none.
    """

    def __init__(self) -> None:
        self.last: t.Optional[Exception] = None
        self._count = 0
        #: The newest, as texts.
        self._kept: t.List[str] = []

    def add(self, method: str, url: str, error: Exception) -> None:
        """Keep the exception of a request."""
        self.last = error
        self._count += 1
        trace = traceback.format_exception(type(error), error, error.__traceback__)
        told = f"The application raised, instead of answering {method} {url}:\n{''.join(trace)}"
        self._kept = [*self._kept, told.rstrip()][-_MOST:]

    def described(self) -> t.List[str]:
        """Return the newest, each as a text with its traceback."""
        if self._count <= _MOST:
            return self._kept
        return [f"The last {_MOST} of {self._count} requests that raised:", *self._kept]
