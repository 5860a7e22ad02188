"""Make the middleware of a call, and call its hooks in order."""

from __future__ import annotations

import inspect
import typing as t

from .. import errors
from .._logs import log
from ..middleware import Client, Factory, Middleware
from . import failures

#: The names of the methods that a middleware may define.
HOOKS = [name for name, member in vars(Middleware).items() if inspect.isfunction(member)]


def checked_middleware(
    owner: str, factories: t.Optional[t.Sequence[Factory]]
) -> t.Tuple[Factory, ...]:
    """Check the value of a ``middleware`` option.

    :param owner: the client or function that has the option, for the message
    :raises errors.SettingsError: it is not a list of classes or other
        callables
    """
    if factories is None:
        return ()
    if not isinstance(factories, (list, tuple)) or not all(map(callable, factories)):
        raise errors.SettingsError(
            "middleware", f"of {owner} must be a list of Middleware classes"
        )
    for factory in factories:
        for name in HOOKS:
            if inspect.iscoroutinefunction(getattr(factory, name, None)):
                raise errors.SettingsError(
                    "middleware",
                    "of {}: {}.{}() is async def, and would never run. Write it with def".format(
                        owner, getattr(factory, "__name__", factory), name
                    ),
                )
    return tuple(factories)


class Stack:
    """The middleware objects of one call or one ``send``.

    :ivar entries: the objects, outermost first
    """

    __slots__ = ("entries", "_factories", "_client", "_raw_request")

    def __init__(self, factories: t.Sequence[Factory], client: Client, raw_request: t.Any) -> None:
        self.entries: t.List[Middleware] = []
        self._factories = factories
        self._client = client
        self._raw_request = raw_request
        self.enter()

    def enter(self) -> None:
        """Make the objects, in the place of those that were closed.

        :raises errors.MiddlewareError: one cannot be made
        """
        for factory in self._factories:
            try:
                self.entries.append(factory(self._client, self._raw_request))
            except BaseException as exc:
                self.close()
                if failures.is_process_exit(exc):
                    raise
                raise errors.MiddlewareError(_name(factory), exc) from exc

    def uses(self, hook: str) -> bool:
        """Return False if no object has a hook of its own of this name, nor
        will one that is made later: objects of a class are alike."""
        for factory, entry in zip(self._factories, self.entries):
            method = getattr(entry, hook, None)
            inherited = getattr(method, "__func__", None) is getattr(Middleware, hook)
            if not inherited or not isinstance(factory, type):
                return True
        return False

    def forward(self, hook: str, *args: t.Any) -> None:
        """Call a hook of each object.

        :raises errors.MiddlewareError: a hook raised
        """
        self._call(hook, self.entries, args)

    def backward(self, hook: str, *args: t.Any) -> None:
        """Call a hook of each object, in reverse order; otherwise as
        :meth:`forward`."""
        self._call(hook, self.entries[::-1], args)

    def close(self) -> None:
        """Call ``close`` of each object that has it, even if another one
        raises. The official SDK's base class has none."""
        process_exit = None
        entries, self.entries = self.entries, []
        for entry in reversed(entries):
            try:
                close = getattr(entry, "close", None)
                if callable(close):
                    close()
            except BaseException as exc:
                if failures.is_process_exit(exc):
                    process_exit = exc
                else:
                    log.exception("close() of middleware %s raised", type(entry).__name__)
        if process_exit is not None:
            raise process_exit

    def _call(self, hook: str, stack: t.Sequence[Middleware], args: t.Tuple[t.Any, ...]) -> None:
        for entry in stack:
            try:
                found = getattr(entry, hook)(*args)
                if inspect.iscoroutine(found):
                    found.close()
                    raise TypeError("it is async def, and would never run")
            except BaseException as exc:
                if failures.is_process_exit(exc):
                    raise
                raise errors.MiddlewareError(f"{type(entry).__name__}.{hook}()", exc) from exc


def _name(factory: Factory) -> str:
    return "{}()".format(getattr(factory, "__name__", repr(factory)))
