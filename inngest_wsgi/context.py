"""What a function is given."""

from __future__ import annotations

import dataclasses
import threading
import typing as t

from ._execution.logger import Logger
from .event import Event
from .group import Group
from .step import Step


@dataclasses.dataclass
class Context:
    """The one argument of a function. A middleware may add attributes to it.

    :ivar attempt: how often this was tried before: 0 the first time. It
        counts for the step that is being tried, and begins at 0 with the next
    :ivar event: what the run was started by; the first of ``events``
    :ivar events: all events of a batch, in the server's order
    :ivar group: parallel groups
    :ivar job_id: the server's id of the job that this call is for, if it says
    :ivar logger: the client's logger, which is silent while memos are given
        back and has the run, the function and the attempt on every record
    :ivar request_id: the server's id of this call, if it says
    :ivar run_id: the run, the same in all its calls
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
    _disconnected: t.Optional[threading.Event] = dataclasses.field(default=None, repr=False)

    @property
    def disconnected(self) -> threading.Event:
        """Set when the client of a streamed call has gone, and nobody waits
        for what the function does: ``ctx.disconnected.is_set()``, or
        ``ctx.disconnected.wait(seconds)`` instead of a sleep. Never set for a
        call that is answered in one piece."""
        if self._disconnected is None:
            self._disconnected = threading.Event()
        return self._disconnected
