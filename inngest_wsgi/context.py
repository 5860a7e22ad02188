"""What a function is given."""

from __future__ import annotations

import dataclasses
import logging
import typing as t

from .event import Event
from .step import Step

Logger = t.Union[logging.Logger, "logging.LoggerAdapter[logging.Logger]"]


@dataclasses.dataclass(frozen=True)
class Context:
    """The one argument of a function.

    :ivar event: what the run was started by; the first of ``events``
    :ivar events: all events of a batch, in the server's order
    :ivar run_id: the run, the same in all its calls
    :ivar attempt: how often this was tried before: 0 the first time. It
        counts for the step that is being tried, and begins at 0 with the next
    :ivar logger: the client's logger
    :ivar step: the steps
    """

    attempt: int
    event: Event
    events: t.List[Event]
    logger: Logger
    run_id: str
    step: Step
