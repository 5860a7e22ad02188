"""The interfaces by which a replay tells the middleware, the logger and the
server how far it is."""

from __future__ import annotations

import typing as t

from .._messages import Op, Outcome


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
        ...

    def new_code(self) -> None:
        """Note that the code that follows runs for the first time."""

    def replaying(self, on: bool) -> None:
        """Note that the code that follows has run before (``on``), or that
        this is over. Never raises."""

    def ended(self) -> None:
        """Note that the function returned, or was ended at a step. Not called
        if the function raised."""

    def answered(self) -> None:
        """Note that the server is told of a step, and that the function goes
        on all the same: to the middleware this is the end of the call."""

    def called_again(
        self, memos: t.Dict[str, t.Any], hashed_id: str, memo: t.Any
    ) -> t.Dict[str, t.Any]:
        """Note that what follows is to the middleware the next call, in which
        one more step has a memo.

        :param memos: those of the call so far
        :returns: those of the next call, as the middleware has transformed them
        """
        ...

    def output(
        self, error: t.Optional[BaseException], value: t.Any, op: t.Optional[Op]
    ) -> t.Tuple[t.Optional[BaseException], t.Any]:
        """Transform what a function or a step raised or returned.

        :param op: the step's op; None for the function itself
        :returns: the error and the value to send instead
        """
        ...


class Checkpointer(t.Protocol):
    """Sends the steps of one call to the server while the call goes on."""

    @property
    def is_over(self) -> bool:
        """True if a step has run in this call, and no other one is to."""
        ...

    def add(self, op: Op) -> t.Optional[Outcome]:
        """Take a step that has succeeded.

        :returns: None if the call may go on, else what it ends in
        """

    def finish(self, outcome: Outcome) -> Outcome:
        """Return the answer to the call.

        :param outcome: what the call has ended in
        """
        ...
