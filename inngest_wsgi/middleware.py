"""Hooks around a call and around sending events.

The order is the official SDK's: the client's middleware before the
function's, each in the order of its list; the hooks that come after what they
are about (``after_execution``, ``transform_output``, ``after_send_events``)
in reverse.
"""

from __future__ import annotations

import inspect
import logging
import typing as t

from . import _protocol as p, errors
from ._execution import failures
from .event import Event
from .function import Function

if t.TYPE_CHECKING:
    from .client import Inngest
    from .context import Context

_log = logging.getLogger("inngest_wsgi")


class SendEventsResult:
    """What came of sending events.

    :ivar ids: of those that were accepted
    :ivar error: why the others were not, or None
    """

    def __init__(self, ids: t.Sequence[str] = (), error: t.Optional[str] = None) -> None:
        self.ids = list(ids)
        self.error = error


class TransformOutputStepInfo(t.NamedTuple):
    """The step that an output is of.

    :ivar id: as the function wrote it
    :ivar op: the opcode, for example ``"StepRun"``
    :ivar opts: of the op
    """

    id: str
    op: str
    opts: t.Optional[t.Mapping[str, t.Any]]


class TransformOutputResult:
    """What a function or a step ended in. Its fields may be assigned.

    :ivar error: what it raised, or None
    :ivar output: what it returned, after the serializer
    :ivar step: the step, or None if it is the function's
    """

    def has_output(self) -> bool:
        """Whether something was returned: not where it raised, nor where the
        step is one that the server carries out."""
        ran = self.step is None or self.step.op == p.OP_STEP_RUN
        return ran and self.error is None

    def __init__(
        self,
        error: t.Optional[BaseException],
        output: t.Any,
        step: t.Optional[TransformOutputStepInfo],
    ) -> None:
        self.error = error
        self.output = output
        self.step = step


class StepMemo:
    """What is remembered of one step.

    :ivar error: the step's error as JSON, or None; may be assigned
    """

    __slots__ = ("_memos", "_hashed")

    def __init__(self, memos: t.Dict[str, t.Any], hashed: str) -> None:
        self._memos = memos
        self._hashed = hashed

    @property
    def data(self) -> t.Any:
        """What the step returned; the event, for an event that was waited
        for; None where there is nothing. May be assigned."""
        memo = self._memos[self._hashed]
        return memo["data"] if _has_result(memo) else memo

    @data.setter
    def data(self, value: t.Any) -> None:
        wrapped = _has_result(self._memos[self._hashed])
        self._memos[self._hashed] = {"data": value} if wrapped else value

    @property
    def error(self) -> t.Any:
        memo = self._memos[self._hashed]
        return memo.get("error") if isinstance(memo, dict) else None

    @error.setter
    def error(self, value: t.Any) -> None:
        self._memos[self._hashed] = {"error": value}


def _has_result(memo: t.Any) -> bool:
    # an event has data too, and a name beside it
    return isinstance(memo, dict) and "data" in memo and "name" not in memo


class StepMemos:
    """What is remembered of a run's steps, for ``transform_input``."""

    def __init__(self, memos: t.Dict[str, t.Any]) -> None:
        self._memos = memos

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._memos)

    def pop(self, hashed_id: str) -> t.Any:
        """Forget one, and give what it was as JSON; None if there is none."""
        return self._memos.pop(hashed_id, None)

    def values(self) -> t.Iterator[StepMemo]:
        """Each of them."""
        for hashed in list(self._memos):
            yield StepMemo(self._memos, hashed)


class Middleware:
    """Base of a middleware. A new object is made for each call of a function,
    and for each ``send`` outside of one.

    A hook that raises fails the call, with its own name in the message.

    :param client: the client
    :param raw_request: the WSGI environ of the call; None outside of one
    """

    def __init__(self, client: "Inngest", raw_request: t.Any) -> None:
        self._client = client
        self._raw_request = raw_request

    @property
    def client(self) -> "Inngest":
        """The client."""
        return self._client

    @property
    def raw_request(self) -> t.Any:
        """The WSGI environ of the call; None outside of one."""
        return self._raw_request

    def transform_input(self, ctx: "Context", function: Function[t.Any], steps: StepMemos) -> None:
        """Before the function is called. May assign to ``ctx``, also
        attributes of its own, and to the memos."""

    def before_execution(self) -> None:
        """Once, where new code begins: when the last memo has been given
        back, or a step is reached that is not remembered."""

    def after_execution(self) -> None:
        """After new code: the function returned, or a step ended the call.
        Not when the function raised."""

    def transform_output(self, result: TransformOutputResult) -> None:
        """Before the output of a function or a step is sent. May assign to
        ``result``. Not called where several steps are reported at once."""

    def before_response(self) -> None:
        """Before the call is answered, however the function ended; not where
        a ``transform_input`` raised."""

    def before_send_events(self, events: t.List[Event]) -> None:
        """Before events are sent. May change the list and the events."""

    def after_send_events(self, result: SendEventsResult) -> None:
        """After events were sent, or could not be."""

    def close(self) -> None:
        """Last of all, whatever happened: the place to give back what the
        others took. Called in reverse order, also where a hook raised or the
        process is about to end; what it raises is logged."""


HOOKS = [name for name, member in vars(Middleware).items() if inspect.isfunction(member)]

#: The official SDK's name for the synchronous form, which is the only one.
MiddlewareSync = Middleware

Factory = t.Callable[..., Middleware]


def checked(what: str, factories: t.Optional[t.Sequence[Factory]]) -> t.Tuple[Factory, ...]:
    """What the ``middleware`` option is given.

    :param what: the owner's name, for the message
    :raises errors.SettingsError: not a list of classes or other callables
    """
    if factories is None:
        return ()
    if not isinstance(factories, (list, tuple)) or not all(map(callable, factories)):
        raise errors.SettingsError(
            "middleware", "of {} must be a list of Middleware classes".format(what)
        )
    for factory in factories:
        for name in HOOKS:
            if inspect.iscoroutinefunction(getattr(factory, name, None)):
                raise errors.SettingsError(
                    "middleware",
                    "of {}: {}.{}() is async def, which nothing would run. Write it with "
                    "def".format(what, getattr(factory, "__name__", factory), name),
                )
    return tuple(factories)


class Stack:
    """The middleware of one call or one ``send``, and the order of it.

    :ivar entries: the objects, outermost first
    """

    __slots__ = ("entries",)

    def __init__(
        self, factories: t.Sequence[Factory], client: "Inngest", raw_request: t.Any
    ) -> None:
        self.entries: t.List[Middleware] = []
        for factory in factories:
            try:
                self.entries.append(factory(client, raw_request))
            except BaseException as exc:
                self.close()
                if failures.is_process_exit(exc):
                    raise
                raise errors.MiddlewareError(_name(factory), exc) from exc

    def forward(self, hook: str, *args: t.Any) -> None:
        """Call a hook of each.

        :raises errors.MiddlewareError: one raised
        """
        self._call(hook, self.entries, args)

    def backward(self, hook: str, *args: t.Any) -> None:
        """Call a hook of each, in reverse order; otherwise as
        :meth:`forward`."""
        self._call(hook, self.entries[::-1], args)

    def close(self) -> None:
        """Call ``close`` of each, whatever it raises."""
        process_exit = None
        for one in reversed(self.entries):
            try:
                one.close()
            except BaseException as exc:
                if failures.is_process_exit(exc):
                    process_exit = exc
                else:
                    _log.exception("close() of middleware %s raised", type(one).__name__)
        if process_exit is not None:
            raise process_exit

    def _call(self, hook: str, stack: t.Sequence[Middleware], args: t.Tuple[t.Any, ...]) -> None:
        for one in stack:
            try:
                found = getattr(one, hook)(*args)
                if inspect.iscoroutine(found):
                    found.close()
                    raise TypeError("it is async def, which nothing would run")
            except BaseException as exc:
                if failures.is_process_exit(exc):
                    raise
                raise errors.MiddlewareError(
                    "{}.{}()".format(type(one).__name__, hook), exc
                ) from exc


def _name(factory: Factory) -> str:
    return "{}()".format(getattr(factory, "__name__", repr(factory)))
