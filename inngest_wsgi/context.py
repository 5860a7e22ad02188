"""The argument of a function."""

from __future__ import annotations

import dataclasses
import functools
import threading
import typing as t

from ._execution.logger import Logger
from .event import Event
from .group import Group
from .step import Step


class State:
    """The attributes that middleware adds to a call, as ``ctx.state``. It begins empty, and
    any name may be assigned."""

    # hidden from the interpreter, which finds attributes by itself
    if t.TYPE_CHECKING:

        def __getattr__(self, name: str) -> t.Any: ...
        def __setattr__(self, name: str, value: t.Any) -> None: ...

    else:

        def __getattr__(self, name):
            """Say where a name that is missing comes from."""
            raise AttributeError(
                f"ctx.state has no attribute {name!r}. Assign it in transform_input of a "
                f"middleware, as ctx.state.{name} = ..., and give the client that middleware",
            )

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"


#: The attributes of a call's context that are made when they are asked for.
LAZY = frozenset(["group", "logger"])


@dataclasses.dataclass
class Context:
    """The one argument of a function. A middleware may add attributes to its ``state``.

    :ivar attempt: how often the current step, or the function outside of
        steps, was tried before: 0 the first time
    :ivar event: the event that started the run; the first of ``events``
    :ivar events: all events of a batch, in the server's order
    :ivar group: parallel groups
    :ivar job_id: the server's id of the job that this call is for; None if
        the server does not send one
    :ivar logger: the client's logger, which is silent while memos are given
        back and has the run, the function and the attempt on every record
    :ivar max_attempts: how often the current step, or the function outside of
        steps, is tried at the most: ``retries`` + 1; None if the server does
        not say
    :ivar request_id: the server's id of this call; None if the server does not
        send one
    :ivar run_id: the id of the run, the same in all its calls
    :ivar step: the steps
    """

    attempt: int
    event: Event
    events: t.List[Event]
    group: Group
    job_id: t.Optional[str]
    logger: Logger
    request_id: t.Optional[str]
    run_id: str
    step: Step
    max_attempts: t.Optional[int] = None
    _disconnected: t.Optional[threading.Event] = dataclasses.field(default=None, repr=False)
    #: makes the attributes of :data:`LAZY`; None where they were given
    _make: t.Optional[t.Callable[[str], t.Any]] = dataclasses.field(
        default=None, init=False, repr=False, compare=False
    )

    # hidden from type checkers, which would take any name for an attribute then
    if not t.TYPE_CHECKING:

        def __getattr__(self, name):
            """Make the group or the logger of a call when it is asked for: most
            functions use neither."""
            if self._make is None or name not in LAZY:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            # another thread may be as quick, and all are to have one object
            return vars(self).setdefault(name, self._make(name))

    @functools.cached_property
    def state(self) -> State:
        """The attributes that middleware adds, such as a database session: in
        ``transform_input``, assign ``ctx.state.session``."""
        # another thread may be as quick, and all are to have one object
        found: State = vars(self).setdefault("state", State())
        return found

    @property
    def disconnected(self) -> threading.Event:
        """An event that is set once the client of a streamed call has gone, so
        that nobody receives the answer. Ask ``ctx.disconnected.is_set()``, or
        use ``ctx.disconnected.wait(seconds)`` instead of ``time.sleep()``. For
        a call that is not streamed, it is never set."""
        if self._disconnected is None:
            self._disconnected = threading.Event()
        return self._disconnected
