"""What the handlers of ops have in common: the executor as they see it, and
the answer that is being worked through.

Internal.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from ._outcomes import Failure, Op, Reported
from ._queue import Call, Item
from ._state import Event, HistoryEntry, RunState

#: Most steps a run may have, and most bytes its memos may take together.
STEP_COUNT_LIMIT = 1000
STATE_LIMIT = 32 * 1024 * 1024


class Work:
    """What the handlers ask of the executor; the lock is held meanwhile."""

    step_count_limit = STEP_COUNT_LIMIT
    state_limit = STATE_LIMIT

    def __init__(self) -> None:
        #: Steps that wait for an event.
        self.waits: List[Any] = []
        #: The newest wait for a signal, by the signal's name.
        self.signals: Dict[str, Any] = {}
        #: Steps that wait for the end of a run, by the id of that run.
        self.invokes: Dict[str, Any] = {}

    def now(self) -> float:
        raise NotImplementedError

    def put(self, item: Item) -> None:
        raise NotImplementedError

    def drop(self, item: Item) -> None:
        raise NotImplementedError

    def note(self, run: RunState, kind: str, **fields: Any) -> HistoryEntry:
        raise NotImplementedError

    def complete(self, run: RunState, output: Any) -> None:
        raise NotImplementedError

    def fail(self, run: RunState, failure: Failure) -> None:
        raise NotImplementedError

    def fail_if_stuck(self, run: RunState) -> None:
        raise NotImplementedError

    def retry_or_fail(self, call: Call, failure: Failure) -> None:
        raise NotImplementedError

    def retry(self, call: Call, wanted: Optional[float], name: Optional[str] = None) -> None:
        raise NotImplementedError

    def invoke(self, function_id: str, event: Event, correlation_id: str) -> Any:
        """Start a run of a function: the run, or a text that says why not.

        :raise LookupError: there is no such function.
        """
        raise NotImplementedError


class Report:
    """One 206 answer while it is being worked through."""

    def __init__(self, work: Work, call: Call, reported: Reported) -> None:
        self.work = work
        self.call = call
        self.run = call.run
        self.reported = reported
        run = self.run
        if run.version < 0:
            run.version = max(reported.version, 0)
        group = len(reported.ops) > 1
        if group and run.version < 2:
            run.stays_planned = True
        #: For everything that comes of this answer (W41, W42): a lone step
        #: switches immediate execution on again, unless the version is old.
        self.disable = group or run.stays_planned


Handler = Callable[[Report, Op], None]
