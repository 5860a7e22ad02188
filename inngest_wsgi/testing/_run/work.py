"""What the handlers of ops have in common: the executor as they see it, and
the answer that is being worked through.

Internal.
"""

from __future__ import annotations

import hashlib
import typing as t

from .._http.caller import Caller
from .._model.state import Config, Event, HistoryEntry, RunState
from .._wire.outcomes import Failure, Op, Reported
from .queue import Call, Item, RunItem

#: Most steps a run may have, and most bytes its memos may take together.
STEP_COUNT_LIMIT = 1000
STATE_LIMIT = 32 * 1024 * 1024


class Work:
    """What the handlers ask of the executor; the lock is held meanwhile."""

    step_count_limit = STEP_COUNT_LIMIT
    state_limit = STATE_LIMIT

    def __init__(self) -> None:
        #: Steps that wait for an event.
        self.waits: t.List[t.Any] = []
        #: The newest wait for a signal, by the signal's name.
        self.signals: t.Dict[str, t.Any] = {}
        #: Steps that wait for the end of a run, by the id of that run.
        self.invokes: t.Dict[str, t.Any] = {}

    def now(self) -> float:
        raise NotImplementedError

    def put(self, item: Item) -> None:
        raise NotImplementedError

    def put_once(self, job: str, item: Item) -> bool:
        """Queue an item of a run unless the run has had one of that name.

        :return: whether it was queued.
        """
        assert item.run is not None
        if job in item.run.jobs:
            return False
        item.run.jobs.add(job)
        self.put(item)
        return True

    def drop(self, item: Item) -> None:
        raise NotImplementedError

    def note(self, run: RunState, kind: str, **fields: t.Any) -> HistoryEntry:
        raise NotImplementedError

    def publish(self, event: Event) -> None:
        """Send an event that the server makes."""
        raise NotImplementedError

    def complete(self, run: RunState, output: t.Any) -> None:
        raise NotImplementedError

    def fail(self, run: RunState, failure: Failure) -> None:
        raise NotImplementedError

    def fail_if_stuck(self, run: RunState) -> None:
        raise NotImplementedError

    def retry_or_fail(self, call: Call, failure: Failure) -> None:
        raise NotImplementedError

    def retry(self, call: Call, wanted: t.Optional[float], name: t.Optional[str] = None) -> None:
        raise NotImplementedError

    def invoke(self, function_id: str, event: Event, correlation_id: str) -> t.Any:
        """Start a run of a function: the run, or a text that says why not.

        :raise LookupError: there is no such function.
        """
        raise NotImplementedError


class Exchange:
    """A request that was built, and what to do with its answer."""

    @property
    def item(self) -> RunItem:
        """The item of the queue that it belongs to."""
        raise NotImplementedError

    def perform(self, caller: Caller) -> t.Any:
        """Make the request; without the lock.

        :return: what to give to :meth:`settle`.
        :raise CallFailed: the caller was told to give up.
        """
        raise NotImplementedError

    def settle(self, result: t.Any) -> None:
        """Act on the answer; with the lock, and in a run that has not ended."""
        raise NotImplementedError


class Report:
    """One 206 answer while it is being worked through.

    :param config: what the call's request was built with.
    """

    def __init__(self, work: Work, call: Call, config: Config, reported: Reported) -> None:
        self.work = work
        self.call = call
        self.config = config
        self.run = call.run
        self.reported = reported
        #: Name of the group that is reported; empty if it is none. The same
        #: steps reported again are the same group.
        self.group = ""

    def begin_group(self, step_ids: t.Set[str]) -> None:
        """Wait for these steps from now on, and for no others.

        So it is with request version 2. Whether they have ended meanwhile is
        not looked at: a call that was answered late makes the run wait for
        steps that will not end a second time (W69).
        """
        names = "\0".join(sorted(step_ids))
        self.group = hashlib.sha1(names.encode("utf-8", "surrogatepass")).hexdigest()
        self.run.pending = step_ids

    def came_again(self, op: Op) -> None:
        """Note that an op did nothing, for the case that the run hangs."""
        self.run.oddities.append(f"{op.op} of {op.display_name!r} came a second time")

    def try_again(self, op: Op) -> None:
        """A step ended in two ways; the call that was later is made again."""
        self.came_again(op)
        if self.call.attempt + 1 < self.run.function.max_attempts:
            self.work.retry(self.call, None, op.display_name)


Handler = t.Callable[[Report, Op], None]
