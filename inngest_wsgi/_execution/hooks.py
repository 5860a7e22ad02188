"""The interface by which a replay tells the middleware and the logger how far
it is."""

from __future__ import annotations

import typing as t

from .._messages import Op


class Hooks(t.Protocol):
    """Receives what happens in one call.

    A hook that raises :exc:`~inngest_wsgi.errors.MiddlewareError` fails the
    call with that error.
    """

    #: False if there is no middleware; ``ended`` and ``output`` are not
    #: called then
    has_middleware: bool

    def is_lost(self) -> bool:
        """Return True if the client has gone, so that nobody receives the
        answer. Never raises."""

    def new_code(self) -> None:
        """Note that the code that follows runs for the first time."""

    def replaying(self, on: bool) -> None:
        """Note that the code that follows has run before (``on``), or that
        this is over. Never raises."""

    def ended(self) -> None:
        """Note that the function returned, or was ended at a step. Not called
        if the function raised."""

    def output(
        self, error: t.Optional[BaseException], value: t.Any, op: t.Optional[Op]
    ) -> t.Tuple[t.Optional[BaseException], t.Any]:
        """Transform what a function or a step raised or returned.

        :param op: the step's op; None for the function itself
        :returns: the error and the value to send instead
        """
