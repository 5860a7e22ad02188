"""Middleware: hooks around calls of functions and around sending events.

The order of calls is the official SDK's: the client's middleware before the
function's, each in the order of its list. The hooks ``after_execution``,
``transform_output``, ``after_send_events`` and ``close`` are called in reverse
order.
"""

from __future__ import annotations

import dataclasses
import enum
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

    @property
    def signing_key_fallback(self) -> t.Optional[str]: ...

    @property
    def is_production(self) -> bool: ...

    def send(
        self, events: t.Union[Event, t.Sequence[Event]], *, skip_middleware: bool = False
    ) -> t.List[str]: ...


@dataclasses.dataclass
class SendEventsResult:
    """The result of sending events.

    :ivar ids: the ids of the events that were accepted
    :ivar error: why the others were not; None if all were
    """

    ids: t.List[str] = dataclasses.field(default_factory=list)
    error: t.Optional[str] = None


class Opcode(str, enum.Enum):
    """The kinds of steps, as ``result.step.op`` in ``transform_output``. Each
    is equal to its value, too."""

    AI_GATEWAY = p.OP_AI_GATEWAY
    DISCOVERY_REQUEST = p.OP_DISCOVERY_REQUEST
    GATEWAY = p.OP_GATEWAY
    INVOKE = p.OP_INVOKE_FUNCTION
    NONE = p.OP_NONE
    PLANNED = p.OP_STEP_PLANNED
    SLEEP = p.OP_SLEEP
    STEP_ERROR = p.OP_STEP_ERROR
    STEP_FAILED = p.OP_STEP_FAILED
    STEP_RUN = p.OP_STEP_RUN
    WAIT_FOR_EVENT = p.OP_WAIT_FOR_EVENT
    WAIT_FOR_SIGNAL = p.OP_WAIT_FOR_SIGNAL

    # without these, one Python writes the name and the next one the value

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


@dataclasses.dataclass
class TransformOutputStepInfo:
    """The step of an output.

    :ivar id: as the function's code has it
    :ivar op: the kind of step
    :ivar opts: the op's options
    """

    id: str
    op: Opcode
    opts: t.Optional[t.Dict[str, t.Any]]


@dataclasses.dataclass
class TransformOutputResult:
    """The result of a function or a step. Its fields may be assigned.

    :ivar error: the exception that it raised, or None
    :ivar output: the value that it returned, after the serializer
    :ivar step: the step; None for the function's own result
    """

    error: t.Optional[BaseException]
    output: t.Any
    step: t.Optional[TransformOutputStepInfo]

    def __post_init__(self) -> None:
        self._function_raised = self.step is None and self.error is not None

    def has_output(self) -> bool:
        """Return False if the function raised, and nobody has assigned an
        output since. As in the official SDK, every step has an output, None
        if it raised or is carried out by the server; ``error`` and
        ``step.op`` tell these apart."""
        return self.output is not None or not self._function_raised


class _Field:
    """An attribute of :class:`StepMemoError`, which is one of the JSON."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, memo_error: t.Optional["StepMemoError"], owner: type) -> t.Any:
        return self if memo_error is None else memo_error._wire.get(self._name)

    def __set__(self, memo_error: "StepMemoError", value: t.Any) -> None:
        memo_error._wire[self._name] = value


class StepMemoError:
    """The error of a step that failed, as it is remembered. Its attributes
    may be assigned.

    :ivar message: its message
    :ivar name: the class name of the exception
    :ivar stack: its traceback, or None
    """

    message: t.Any = _Field()
    name: t.Any = _Field()
    stack: t.Any = _Field()

    def __init__(self, wire: t.Dict[str, t.Any]) -> None:
        self._wire = wire

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._wire!r}>"


class StepMemo:
    """The memo of one step."""

    __slots__ = ("_memos", "_hashed")

    def __init__(self, memos: t.Dict[str, t.Any], hashed: str) -> None:
        self._memos = memos
        self._hashed = hashed

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._memos[self._hashed]!r}>"

    @property
    def data(self) -> t.Any:
        """The value that the step returned, or the event that it waited for;
        None if there is neither. May be assigned."""
        memo = self._memos[self._hashed]
        if _has_result(memo):
            return memo["data"]
        return None if self.error is not None else memo

    @data.setter
    def data(self, value: t.Any) -> None:
        wrapped = _has_result(self._memos[self._hashed])
        self._memos[self._hashed] = {"data": value} if wrapped else value

    @property
    def error(self) -> t.Optional[StepMemoError]:
        """The step's error; None if it did not fail. May be assigned: None, a
        dict with ``message``, ``name`` and ``stack``, or the error of another
        memo."""
        memo = self._memos[self._hashed]
        found = memo.get("error") if isinstance(memo, dict) and "name" not in memo else None
        return StepMemoError(found) if isinstance(found, dict) else None

    @error.setter
    def error(self, value: t.Union[StepMemoError, t.Dict[str, t.Any], None]) -> None:
        if isinstance(value, StepMemoError):
            value = value._wire
        if value is not None:
            self._memos[self._hashed] = {"error": value}
        elif self.error is not None:
            self._memos[self._hashed] = {"data": None}


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

    @classmethod
    def from_raw(cls, raw: t.Dict[str, t.Any]) -> "StepMemos":
        """Make one of the memos of a call, as JSON."""
        return cls(raw)

    def pop(self, hashed_id: str) -> t.Optional[StepMemo]:
        """Remove a memo, and return it; None if there is none."""
        if hashed_id not in self._memos:
            return None
        return StepMemo({hashed_id: self._memos.pop(hashed_id)}, hashed_id)

    def values(self) -> t.Iterator[StepMemo]:
        """Iterate over the memos."""
        for hashed in list(self._memos):
            yield StepMemo(self._memos, hashed)


class Middleware:
    """Base class of middleware. A new object is made for each call of a
    function, and for each ``send`` outside of a call.

    If a hook raises, the call fails with an error that names the hook.

    :ivar client: the client
    :ivar raw_request: the WSGI environ of the call; None outside of a call
    """

    def __init__(self, client: Client, raw_request: t.Any) -> None:
        # plain attributes: subclasses assign to them
        self.client = client
        self.raw_request = raw_request

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
