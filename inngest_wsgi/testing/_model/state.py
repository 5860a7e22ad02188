"""Hold the state of runs and their history.

:class:`Run` and :class:`HistoryEntry` are public and frozen; the rest is
internal, and touched only with the server's lock held.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .._wire import ids, randomness
from .._wire.canonical import canonical
from .._wire.outcomes import Op
from .functions import Function

RUNNING = "Running"
COMPLETED = "Completed"
FAILED = "Failed"
CANCELLED = "Cancelled"

#: ``kind`` of a :class:`HistoryEntry`.
STARTED = "started"
STEP_PLANNED = "step planned"
STEP_RAN = "step ran"
STEP_ERROR = "step error"
STEP_FAILED = "step failed"
SLEEPING = "sleeping"
WOKE = "woke"
WAITING = "waiting"
EVENT_RECEIVED = "event received"
SIGNALLED = "signalled"
WAIT_TIMED_OUT = "wait timed out"
INVOKING = "invoking"
INVOKED = "invoked"
INVOKE_FAILED = "invoke failed"
REQUESTING = "requesting"
REQUESTED = "requested"
FUNCTION_ERROR = "function error"
RETRY_SCHEDULED = "retry scheduled"
RUN_COMPLETED = "completed"
RUN_FAILED = "failed"
RUN_CANCELLED = "cancelled"
FAULT = "fault"


@dataclass(frozen=True)
class HistoryEntry:
    """One thing that happened in a run."""

    #: Milliseconds since the run began, by the server's clock.
    at: int
    #: What happened to a run: ``started``, ``function error``, ``retry
    #: scheduled``, ``completed``, ``failed`` or ``cancelled``; ``fault`` for one that a
    #: test asked for, see :class:`~inngest_wsgi.testing.Faults`. To a step:
    #: ``step planned``, ``step ran``, ``step error`` (to be retried), ``step
    #: failed`` (for good). To a sleep: ``sleeping``, ``woke``. To a wait for
    #: an event or a signal: ``waiting``, and then ``event received``,
    #: ``signalled`` or ``wait timed out``. To an invoke: ``invoking``, and
    #: then ``invoked`` or ``invoke failed`` (it failed, was cancelled, timed
    #: out, or there is no such function). To a request that the server makes
    #: for the app: ``requesting``, and then ``requested``, or ``step error``
    #: and ``step failed``.
    kind: str
    #: Display name of the step, where there is one.
    step: t.Optional[str] = None
    #: Number of the attempt, from 0, where there is one; for ``retry
    #: scheduled`` that of the attempt to come.
    attempt: t.Optional[int] = None
    #: Name of the op that was answered, where there is one.
    op: t.Optional[str] = None
    #: A readable text: an error's name and message, or a reason.
    detail: t.Optional[str] = None
    #: Seconds until the next attempt, for ``retry scheduled``.
    retry_in: t.Optional[float] = None
    #: When it goes on at the latest (UTC, by the server's clock), for
    #: ``sleeping``, ``waiting``, ``invoking`` and ``retry scheduled``.
    until: t.Optional[datetime] = None
    #: Id of the run that was invoked, for ``invoking`` and what follows it.
    child: t.Optional[str] = None


@dataclass(frozen=True)
class Run:
    """A snapshot of a run; it does not change later."""

    #: The run's id, a ULID.
    run_id: str
    #: Full id of the function, ``<app>-<function>``.
    function_id: str
    #: ``Running``, ``Completed``, ``Failed`` or ``Cancelled``.
    status: str
    #: What the function returned; for a failed run, the error. None before
    #: the end, and for a cancelled run.
    output: t.Any
    #: The events that triggered the run, as the app gets them.
    events: t.Tuple[t.Dict[str, t.Any], ...]
    #: The memos by hashed step id, as the app gets them: ``{"data": ...}``,
    #: ``{"error": ...}``, None for a sleep that is over or a wait that timed
    #: out, the bare event for one that did not (PROTOCOL section 6).
    steps: t.Dict[str, t.Any]
    #: What happened, oldest first.
    history: t.Tuple[HistoryEntry, ...]

    @property
    def event(self) -> t.Dict[str, t.Any]:
        """Return the first of the triggering events."""
        return self.events[0]

    @property
    def ended(self) -> bool:
        """Return True if the run has ended, with any status."""
        return self.status != RUNNING


@dataclass
class Event:
    """An accepted event."""

    #: Id given by the server; what the event API answers.
    internal_id: str
    name: str
    data: t.Dict[str, t.Any]
    #: Id given by the sender, or the internal one.
    id: str
    ts: int
    user: t.Optional[t.Dict[str, t.Any]] = None
    v: t.Optional[str] = None
    _encoded: t.Optional[bytes] = field(default=None, repr=False, compare=False)

    def stored(self) -> t.Dict[str, t.Any]:
        """Return the form of ``/batch`` and of nested ``events``: no empty user (W8)."""
        form: t.Dict[str, t.Any] = {
            "name": self.name,
            "data": self.data,
            "id": self.id,
            "ts": self.ts,
        }
        if self.user:
            form["user"] = self.user
        if self.v is not None:
            form["v"] = self.v
        return form

    def sent(self) -> t.Dict[str, t.Any]:
        """Return the form of a call's ``event``: with a user, if only ``{}`` (W8)."""
        form = self.stored()
        form["user"] = self.user or {}
        return form

    def encoded(self) -> bytes:
        """Return :meth:`sent` in JCS form, as each call contains it."""
        if self._encoded is None:
            self._encoded = canonical(self.sent())
        return self._encoded


class Config(t.NamedTuple):
    """The configuration of a run's calls.

    A call and its answer use the values that were set when the request was
    built, even if they have changed since.
    """

    #: ``ctx.disable_immediate_execution``: new steps are to be planned.
    disable: bool = False
    #: Request version: -1 until the first 206 says otherwise (W5).
    version: int = -1


class StepReport(t.NamedTuple):
    """One report of a step, in an answer or a checkpoint."""

    #: Unix seconds by the server's clock.
    at: float
    op: Op


@dataclass(eq=False)
class RunState:
    """A run while the server works on it."""

    function: Function
    events: t.List[Event]
    #: Unix seconds by the server's clock.
    began: float
    run_id: str = ""
    status: str = RUNNING
    output: t.Any = None
    finished: t.Optional[float] = None
    #: Memos by hashed step id, in the form that calls carry.
    memos: t.Dict[str, t.Any] = field(default_factory=dict)
    #: Those of the memos in JCS form that a call has contained, by step.
    encoded: t.Dict[str, bytes] = field(default_factory=dict)
    #: Bytes of all memos together.
    memo_bytes: int = 0
    #: Edited inputs of steps that have not run yet, in the form of memos (W16).
    inputs: t.Dict[str, t.Any] = field(default_factory=dict)
    #: Display names of steps by hashed id, in the order they were reported.
    names: t.Dict[str, str] = field(default_factory=dict)
    #: Hashed ids of finished steps, in order of completion.
    stack: t.List[str] = field(default_factory=list)
    #: Steps of the group that was reported last, without those that got a
    #: memo since. One that had a memo already stays in it for ever (W69).
    pending: t.Set[str] = field(default_factory=set)
    #: Names of all jobs this run ever had in the queue; each name is good for
    #: one. A real server forgets them an hour after they were done (dev) or
    #: twelve, which no recording shows.
    jobs: t.Set[str] = field(default_factory=set)
    config: Config = Config()
    #: Why no call can be made any more; None if calls can be made (W70).
    unsendable: t.Optional[str] = None
    #: The op that each step was reported with; of a step that was planned,
    #: that one.
    ops: t.Dict[str, str] = field(default_factory=dict)
    #: Queue items of this run that are waiting or being worked on.
    open_items: int = 0
    #: True once a call was made for it.
    called: bool = False
    #: The jobs of its calls that are queued or under way, and the generation
    #: of each (W6).
    generations: t.Dict[str, int] = field(default_factory=dict)
    #: How many times in a row another call was asked for, and nothing else.
    discoveries: int = 0
    #: Seconds by which its calls come forward in the queue, or back if negative.
    priority: int = 0
    #: The concurrency limits that its calls count against.
    slots: t.Tuple[t.Tuple[str, int], ...] = ()
    #: ``error`` of its lifecycle events, if it failed.
    error: t.Optional[t.Dict[str, t.Any]] = None
    #: Links the events of an invoked run to the step that invoked it.
    correlation_id: t.Optional[str] = None
    #: Unusual answers, named in the error if the run has nothing left to do.
    stuck_reasons: t.List[str] = field(default_factory=list)
    history: t.List[HistoryEntry] = field(default_factory=list)
    #: The ops that the app reported for each step, oldest first, by its hashed id.
    reports: t.Dict[str, t.List[StepReport]] = field(default_factory=dict)
    #: The error of the last attempt of each request that the server makes for a step
    #: and that failed, by the step's hashed id.
    errors: t.Dict[str, t.Dict[str, t.Any]] = field(default_factory=dict)
    #: When each step got its memo, in unix seconds, by its hashed id.
    ended_at: t.Dict[str, float] = field(default_factory=dict)
    trace_id: str = field(default_factory=lambda: randomness.token_hex(16))
    _snapshot: t.Optional[Run] = field(default=None, init=False, repr=False)
    #: What the snapshot shows.
    _stage: t.Optional[t.Tuple[int, int, str]] = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.run_id = self.run_id or ids.ulid(int(self.began * 1000))

    @property
    def ended(self) -> bool:
        return self.status != RUNNING

    @property
    def steps(self) -> t.Dict[str, t.Any]:
        """Return the memos and inputs of steps that a call contains."""
        return {**self.inputs, **self.memos}

    def encoded_steps(self) -> t.Dict[str, bytes]:
        """Return :attr:`steps`, each in JCS form."""
        found = {step: canonical(value) for step, value in self.inputs.items()}
        encoded = self.encoded
        for step, memo in self.memos.items():
            if step not in encoded:
                encoded[step] = canonical(memo)
        found.update(encoded)
        return found

    def snapshot(self) -> Run:
        # Whatever changes here is followed or preceded by an entry of the
        # history, under the same lock: a waiting thread asks far more often.
        stage = len(self.history), len(self.memos), self.status
        if self._snapshot is None or self._stage != stage:
            self._stage = stage
            self._snapshot = Run(
                run_id=self.run_id,
                function_id=self.function.function_id,
                status=self.status,
                output=self.output,
                events=tuple(event.sent() for event in self.events),
                steps=self.steps,
                history=tuple(self.history),
            )
        return self._snapshot


def utc(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, timezone.utc)
