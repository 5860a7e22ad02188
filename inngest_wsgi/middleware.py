"""Middleware: hooks around calls of functions and around sending events.

The order of calls is the official SDK's: the client's middleware before the
function's, each in the order of its list. The hooks ``after_execution``,
``transform_output``, ``after_send_events`` and ``close`` are called in reverse
order.
"""

from __future__ import annotations

import typing as t

from . import _protocol as p
from .context import Context
from .event import Event
from .function import Function


class Client(t.Protocol):
    """The parts of :class:`inngest_wsgi.Inngest` that a middleware can use.
    The client's own module imports this one."""

    logger: t.Any

    @property
    def app_id(self) -> str: ...

    @property
    def app_version(self) -> t.Optional[str]: ...

    @property
    def env(self) -> t.Optional[str]: ...

    @property
    def api_origin(self) -> str: ...

    @property
    def event_api_origin(self) -> str: ...

    @property
    def event_key(self) -> t.Optional[str]: ...

    @property
    def signing_key(self) -> t.Optional[str]: ...

    def send(
        self, events: t.Union[Event, t.Sequence[Event]], *, skip_middleware: bool = False
    ) -> t.List[str]: ...


class SendEventsResult:
    """The result of sending events.

    :ivar ids: the ids of the events that were accepted
    :ivar error: why the others were not; None if all were
    """

    def __init__(self, ids: t.Sequence[str] = (), error: t.Optional[str] = None) -> None:
        self.ids = list(ids)
        self.error = error


class TransformOutputStepInfo(t.NamedTuple):
    """The step of an output.

    :ivar id: as the function's code has it
    :ivar op: the opcode, for example ``"StepRun"``
    :ivar opts: the op's options
    """

    id: str
    op: str
    opts: t.Optional[t.Mapping[str, t.Any]]


class TransformOutputResult:
    """The result of a function or a step. Its fields may be assigned.

    :ivar error: the exception that it raised, or None
    :ivar output: the value that it returned, after the serializer
    :ivar step: the step; None for the function's own result
    """

    def has_output(self) -> bool:
        """Return True if the function or step returned. A step that the
        server carries out, such as a sleep, has no output here."""
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
    """The memo of one step.

    :ivar error: the step's error as JSON, or None; may be assigned
    """

    __slots__ = ("_memos", "_hashed")

    def __init__(self, memos: t.Dict[str, t.Any], hashed: str) -> None:
        self._memos = memos
        self._hashed = hashed

    @property
    def data(self) -> t.Any:
        """The value that the step returned, or the event that it waited for;
        None if there is neither. May be assigned."""
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
    # an event has data too, and a name
    return isinstance(memo, dict) and "data" in memo and "name" not in memo


class StepMemos:
    """The memos of a run's steps, for ``transform_input``."""

    def __init__(self, memos: t.Dict[str, t.Any]) -> None:
        self._memos = memos

    @property
    def size(self) -> int:
        """The number of memos."""
        return len(self._memos)

    def pop(self, hashed_id: str) -> t.Any:
        """Remove a memo, and return it as JSON; None if there is none."""
        return self._memos.pop(hashed_id, None)

    def values(self) -> t.Iterator[StepMemo]:
        """Iterate over the memos."""
        for hashed in list(self._memos):
            yield StepMemo(self._memos, hashed)


class Middleware:
    """Base class of middleware. A new object is made for each call of a
    function, and for each ``send`` outside of a call.

    If a hook raises, the call fails with an error that names the hook.

    :param client: the client
    :param raw_request: the WSGI environ of the call; None outside of a call
    """

    def __init__(self, client: Client, raw_request: t.Any) -> None:
        self._client = client
        self._raw_request = raw_request

    @property
    def client(self) -> Client:
        """The client."""
        return self._client

    @property
    def raw_request(self) -> t.Any:
        """The WSGI environ of the call; None outside of a call."""
        return self._raw_request

    def transform_input(self, ctx: Context, function: Function[t.Any], steps: StepMemos) -> None:
        """Called before the function. May assign to ``ctx``, new attributes
        too, and to the memos."""

    def before_execution(self) -> None:
        """Called once, where code begins that has not run before: when the
        last memo has been used, or at a step without a memo."""

    def after_execution(self) -> None:
        """Called when the function has returned, or a step has ended the
        call. Not called when the function raised."""

    def transform_output(self, result: TransformOutputResult) -> None:
        """Called before the output of a function or a step is encoded. May
        assign to ``result``. Not called when several steps are reported at
        once."""

    def before_response(self) -> None:
        """Called before the call is answered, whether or not the function
        raised. Not called if a ``transform_input`` raised."""

    def before_send_events(self, events: t.List[Event]) -> None:
        """Called before events are sent. May change the list and the events."""

    def after_send_events(self, result: SendEventsResult) -> None:
        """Called after events were sent, or could not be sent."""

    def close(self) -> None:
        """Called last, to release resources that other hooks acquired. Called
        in reverse order, even if a hook raised or the process is about to
        exit. An exception in it is only logged."""


#: The official SDK's name for the synchronous class; there is no other.
MiddlewareSync = Middleware

Factory = t.Callable[..., Middleware]
