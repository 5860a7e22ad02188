"""Declare what the rules and the handlers of ops may ask of the run machinery."""

from __future__ import annotations

import typing as t

from .._expressions.listeners import Listeners
from .._model.functions import Function
from .._model.state import Event, HistoryEntry, RunState
from .._wire.outcomes import Failure, Op
from .items import Item


class Machinery(t.Protocol):
    """The runs of a server as flow control, retries and ops see them.

    :class:`~.runs.Runs` is the implementation. The server's lock is held
    during every call.
    """

    #: The most steps a run may have.
    step_count_limit: int
    #: The most bytes that the memos of a run may take together.
    state_limit: int
    #: Seconds between attempts; None for the backoff of a real server.
    retry_interval: t.Optional[float]
    #: Steps that wait for an event.
    waits: Listeners[t.Any]
    #: The runs that events cancel, each with the number of the entry of ``cancel``.
    cancellations: Listeners[t.Tuple[RunState, int]]
    #: The runs that have not ended, for the functions that are singletons.
    singletons: t.Any
    #: The newest wait for a signal, by the signal's name.
    signals: t.Dict[str, t.Any]
    #: Steps that wait for the end of a run, by the id of that run.
    invokes: t.Dict[str, t.Any]

    #: Carries out an op, in place of its handler, if it returns True.
    @property
    def intercept(self) -> t.Callable[[t.Any, Op], bool]: ...

    #: The functions that are paused, and their calls.
    pauses: t.Any

    def now(self) -> float:
        """Return unix seconds by the server's clock."""
        ...

    def app_now(self) -> float:
        """Return unix seconds by the clock by which apps make dates."""
        ...

    def put(self, item: Item) -> None:
        """Queue an item."""

    def put_once(self, job: str, item: Item) -> bool:
        """Queue an item unless its run has had a job of that name.

        :return: True if it was queued.
        """
        ...

    def drop(self, item: Item) -> None:
        """Remove an item from the queue; harmless if it was taken already."""

    def note(self, run: RunState, kind: str, **fields: t.Any) -> HistoryEntry:
        """Add an entry to the history of a run."""
        ...

    def publish(self, event: Event) -> None:
        """Send an event that the server makes."""

    def begin(
        self,
        function: Function,
        events: t.List[Event],
        delay: float = 0.0,
        correlation_id: t.Optional[str] = None,
    ) -> RunState:
        """Start a run and queue its first call.

        :param delay: seconds until that call.
        """
        ...

    def invoke(
        self, function_id: str, event: Event, correlation_id: str
    ) -> t.Union[RunState, str]:
        """Start a run of a function for a step that invokes it.

        :return: the run, or the reason why there is none.
        :raise LookupError: there is no such function.
        """
        ...

    def running(self, function: t.Optional[Function] = None) -> t.List[RunState]:
        """Return the runs that have not ended: of a function, or all of them."""
        ...

    def complete(self, run: RunState, output: t.Any) -> None:
        """End a run as completed."""

    def fail(self, run: RunState, failure: Failure) -> None:
        """End a run with a failure, unless it has ended."""

    def cancel(self, run: RunState, reason: str) -> bool:
        """Cancel a run; return False if it had ended already."""
        ...

    def fail_if_stuck(self, run: RunState) -> None:
        """Fail a run if nothing is queued for it any more."""
