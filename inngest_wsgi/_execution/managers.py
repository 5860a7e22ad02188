"""Enter context managers together, and tell each how it ended."""

from __future__ import annotations

import typing as t

from . import failures

#: Given what a manager raised as it was left, and what the managers are told;
#: returns what the ones outside of it are told.
Raised = t.Callable[[BaseException, t.Optional[BaseException]], t.Optional[BaseException]]


class Managers:
    """Context managers that are left in the reverse order.

    Not an :class:`contextlib.ExitStack`: there, one that suppresses an
    exception hides it from the others.
    """

    __slots__ = ("_entered",)

    def __init__(self) -> None:
        self._entered: t.List[t.Tuple[t.Callable[..., t.Any], t.Any]] = []

    def enter(self, manager: t.Any) -> None:
        """Enter a context manager.

        :raises TypeError: it is none
        """
        kind = type(manager)
        try:
            enter, leave = kind.__enter__, kind.__exit__
        except AttributeError:
            raise TypeError(f"{manager!r} is not a context manager") from None
        enter(manager)
        self._entered.append((leave, manager))

    def leave(self, error: t.Optional[BaseException], raised: Raised) -> t.Optional[BaseException]:
        """Leave all. What a manager returns has no effect: it can suppress nothing.

        :param error: what they are told; None if all went well
        :param raised: asked when one raises, except what it was told
        :returns: what the outermost was told, or what it raised
        :raises BaseException: one raised what ends the process; the others are
            left all the same
        """
        process_exit: t.Optional[BaseException] = None
        while self._entered:
            leave, manager = self._entered.pop()
            trace = None if error is None else error.__traceback__
            try:
                leave(manager, None if error is None else type(error), error, trace)
            except BaseException as exc:
                if exc is error:
                    continue
                if failures.is_process_exit(exc):
                    error = process_exit = exc
                else:
                    error = raised(exc, error)
        if process_exit is not None:
            raise process_exit
        return error
