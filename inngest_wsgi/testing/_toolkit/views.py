"""Look at runs, their steps, and the requests of a server; all of it live."""

from __future__ import annotations

import typing as t
from datetime import datetime

from ... import _protocol
from .._model import state
from .._model.state import HistoryEntry, RunState, StepReport
from .durations import utc
from .failed import RunFailed, StepFailed, step_failed
from .recorded import exported
from .records import CallRecord, SentEvent, sent_event
from .stubs import is_named
from .timeline import error_of, timeline

#: ``kind`` of a step, by the op that the app reports.
_KINDS = {
    _protocol.OP_STEP_RUN: "run",
    _protocol.OP_STEP: "run",
    _protocol.OP_STEP_ERROR: "run",
    _protocol.OP_STEP_FAILED: "run",
    _protocol.OP_STEP_PLANNED: "run",
    _protocol.OP_SLEEP: "sleep",
    _protocol.OP_WAIT_FOR_EVENT: "wait_for_event",
    _protocol.OP_WAIT_FOR_SIGNAL: "wait_for_signal",
    _protocol.OP_INVOKE_FUNCTION: "invoke",
    _protocol.OP_GATEWAY: "fetch",
    _protocol.OP_AI_GATEWAY: "ai.infer",
}
_NO_STEP = (_protocol.OP_RUN_COMPLETE, _protocol.OP_DISCOVERY_REQUEST, _protocol.OP_NONE)


class TestStep:
    """A step of a run, as it is now."""

    __test__ = False

    def __init__(self, run: RunState, hashed: str) -> None:
        self._run = run
        self._hashed = hashed

    @property
    def _ops(self) -> t.Sequence[StepReport]:
        return self._run.reports[self._hashed]

    @property
    def _tries(self) -> t.List[StepReport]:
        """The reports of the step's own work, and not of a plan."""
        return [report for report in self._ops if report.op.op != _protocol.OP_STEP_PLANNED]

    @property
    def _memo(self) -> t.Any:
        return self._run.memos.get(self._hashed)

    @property
    def id(self) -> str:
        """The step's id, as the function has it."""
        return self._run.names[self._hashed]

    @property
    def index(self) -> int:
        """Which use of the id it is, from 0."""
        return self._ops[0].op.index

    @property
    def kind(self) -> str:
        """``run``, ``sleep``, ``wait_for_event``, ``wait_for_signal``, ``invoke``,
        ``fetch`` or ``ai.infer``; for a step that sends or calls an AI model in the
        app ``step.sendEvent``, ``step.sendSignal`` or ``step.ai.wrap``."""
        op = self._ops[-1].op
        kind = op.opts.get("type")
        if isinstance(kind, str) and _KINDS[op.op] == "run":
            return kind
        return _KINDS[op.op]

    @property
    def status(self) -> str:
        """``Completed``, ``Failed``, or ``Running`` before its end."""
        if self._hashed not in self._run.memos:
            return state.RUNNING
        return state.FAILED if self._error() is not None else state.COMPLETED

    @property
    def input(self) -> t.Any:
        """The arguments of a step that the app runs, as a list; of other steps,
        their options as the server gets them."""
        op = self._ops[-1].op
        if _KINDS[op.op] == "run":
            return op.opts.get("input", [])
        return dict(op.opts)

    @property
    def output(self) -> t.Any:
        """The result of the step, as JSON has it; None before its end."""
        memo = self._memo
        if self.kind == "wait_for_event":
            return memo
        return memo.get("data") if isinstance(memo, dict) else memo

    @property
    def error(self) -> t.Optional[StepFailed]:
        """The error of the step, if it failed for good, else the one of its last
        attempt; None if that succeeded."""
        found = self._error()
        return None if found is None else step_failed(found)

    def _error(self) -> t.Optional[t.Dict[str, t.Any]]:
        memo = self._memo
        if self.kind == "wait_for_event":
            return None
        if isinstance(memo, dict):
            return memo.get("error")
        if self._hashed in self._run.memos or not self._tries:
            return None
        return self._tries[-1][1].error or self._run.errors.get(self._hashed)

    @property
    def attempts(self) -> int:
        """How often the step was carried out."""
        return len(self._tries)

    @property
    def began(self) -> datetime:
        """When the server first heard of it."""
        return utc(self._ops[0].at)

    @property
    def ended(self) -> t.Optional[datetime]:
        """When it ended; None before."""
        at = self._run.ended_at.get(self._hashed)
        return None if at is None else utc(at)

    @property
    def times(self) -> t.Tuple[datetime, ...]:
        """When each attempt was made."""
        return tuple(utc(at) for at, _ in self._tries)

    def __repr__(self) -> str:
        use = f" (use {self.index})" if self.index else ""
        return f"<step {self.id!r}{use}: {self.status}, {self.attempts} attempts>"


class TestRun:
    """A run, as it is now."""

    __test__ = False

    def __init__(
        self,
        run: RunState,
        calls: t.Sequence[CallRecord],
        rerun: t.Callable[..., "TestRun"],
    ) -> None:
        self._run = run
        self._calls = calls
        self._rerun = rerun

    @property
    def id(self) -> str:
        """The run's id."""
        return self._run.run_id

    @property
    def function_id(self) -> str:
        """The full id of the function, ``<app>-<function>``."""
        return self._run.function.function_id

    def is_of(self, function: str) -> bool:
        """Return True if it is a run of a function, by its id with the app's or without."""
        return is_named(function, self.function_id, self._run.function.app_id)

    @property
    def status(self) -> str:
        """``Running``, ``Completed``, ``Failed`` or ``Cancelled``."""
        return self._run.status

    @property
    def is_over(self) -> bool:
        """True once the run has ended, with any status."""
        return self._run.ended

    @property
    def output(self) -> t.Any:
        """The output of the function, as JSON has it; of a failed run, the error
        as the app sent it; None before the end."""
        return self._run.output

    @property
    def error(self) -> t.Optional[RunFailed]:
        """The error that failed the run; None if it has not failed."""
        if self._run.status != state.FAILED:
            return None
        found = error_of(self._run)
        return RunFailed(found["name"], found["message"], found["stack"])

    @property
    def events(self) -> t.List[SentEvent]:
        """The events that triggered the run."""
        return [sent_event(event) for event in self._run.events]

    @property
    def event(self) -> SentEvent:
        """The first of the events that triggered the run."""
        return sent_event(self._run.events[0])

    @property
    def began(self) -> datetime:
        """When the run began, by the server's clock (UTC)."""
        return utc(self._run.began)

    @property
    def ended(self) -> t.Optional[datetime]:
        """When the run ended; None before."""
        return None if self._run.finished is None else utc(self._run.finished)

    @property
    def steps(self) -> t.List[TestStep]:
        """The steps, in the order in which the server heard of them."""
        return [
            TestStep(self._run, hashed)
            for hashed, reports in self._run.reports.items()
            if any(op.op not in _NO_STEP for _, op in reports)
        ]

    def step(self, step_id: str, index: int = 0) -> TestStep:
        """Return a step.

        :param step_id: as the function has it.
        :param index: which use of the id, from 0.
        :raise LookupError: there is no such step; names those that there are.
        """
        for step in self.steps:
            if step.id == step_id and step.index == index:
                return step
        use = f" a use {index}" if index else ""
        known = ", ".join(repr(step.id) for step in self.steps) or "none"
        raise LookupError(
            f"run {self.id} of {self.function_id} has no step {step_id!r}{use} so far; its steps "
            f"are: {known}"
        )

    @property
    def timeline(self) -> t.List[HistoryEntry]:
        """What happened, oldest first; ``str(run)`` shows it."""
        return list(self._run.history)

    @property
    def calls(self) -> t.List[CallRecord]:
        """The calls of the function that the server made for the run."""
        return list(self._calls)

    def rerun(
        self, from_step: t.Optional[str] = None, input: t.Optional[t.List[t.Any]] = None
    ) -> "TestRun":
        """Start a run like this one, with the same events, and do all that is due.

        :param from_step: the step to begin with; the results of those before it are
            taken over. All of the run if None.
        :param input: arguments for that step in place of its own.
        :return: the new run.
        :raise LookupError: the run had no such step.
        :raise ValueError: an input without a step, or one that is not JSON.
        """
        return self._rerun(self, from_step, input)

    def to_json(self) -> t.Dict[str, t.Any]:
        """Return the run as JSON values, with its events and the results of its steps.

        Stored in a file, it can be given to :meth:`TestServer.replay` later.
        """
        return exported(self._run, self.calls)

    def result(self) -> t.Any:
        """Return the output of the function.

        :raise RunFailed: the run failed, was cancelled, or has not ended.
        """
        if self._run.status == state.COMPLETED:
            return self._run.output
        error = self.error
        if error is not None:
            raise error
        what = "was cancelled"
        if not self._run.ended:
            what = "has not ended; advance() and run_until_idle() let time pass"
        raise RunFailed(self._run.status, f"run {self.id} of {self.function_id} {what}\n{self}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TestRun) and other._run is self._run

    def __hash__(self) -> int:
        return hash(self._run.run_id)

    def __str__(self) -> str:
        return timeline(self._run)

    def __repr__(self) -> str:
        error = f" by {self.error}" if self.error is not None else ""
        return f"<run {self.id} of {self.function_id}: {self.status}{error}>"
