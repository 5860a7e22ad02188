"""What follows from the ops that an app reports: one handler an op.

Internal. To teach the server an op, add a handler to :data:`HANDLERS`.
"""
from __future__ import annotations

import time
from typing import Any, Callable, Dict, Optional

from .. import _protocol
from . import _state
from ._canonical import canonical, normalised
from ._outcomes import Failure, Op, Reported, server_failure
from ._queue import Call, Wake
from ._state import HistoryEntry, RunState, utc
from ._times import LONGEST_SLEEP, parse_sleep

_ERROR_FIELDS = ("name", "message", "stack", "data", "cause", "noRetry")

#: Most steps a run may have, and most bytes its memos may take together.
STEP_COUNT_LIMIT = 1000
STATE_LIMIT = 32 * 1024 * 1024


class Work:
    """What the handlers ask of the executor; it holds the lock meanwhile."""

    step_count_limit = STEP_COUNT_LIMIT
    state_limit = STATE_LIMIT

    def now(self) -> float:
        raise NotImplementedError

    def put(self, item: Any) -> None:
        raise NotImplementedError

    def note(self, run: RunState, kind: str, **fields: Any) -> HistoryEntry:
        raise NotImplementedError

    def fail(self, run: RunState, failure: Failure) -> None:
        raise NotImplementedError

    def retry_or_fail(self, call: Call, failure: Failure) -> None:
        raise NotImplementedError

    def retry(self, call: Call, wanted: Optional[float], name: Optional[str] = None) -> None:
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


def apply(work: Work, call: Call, reported: Reported, known: "frozenset[str]") -> None:
    """Act on a 206 answer.

    Where a real server would call for ever or leave the run hanging, the run
    is failed with a message that names the fact; that is this server's one
    deliberate departure here.

    :param known: ids of the steps whose memos the call carried.
    """
    fault = _fault(call, reported, known)
    if fault is not None:
        work.fail(call.run, fault)
        return
    for op in reported.ops:
        if op.op == _protocol.OP_STEP_NOT_FOUND:
            failure = server_failure(
                f"the app does not have the step {op.display_name!r} any more (StepNotFound)"
            )
            work.retry_or_fail(call, failure)
            return
    report = Report(work, call, reported)
    waiting = [op.id for op in reported.ops if op.op in _LEFT_PENDING]
    fresh = [step for step in waiting if step not in call.run.memos]
    planned_before = set(call.run.pending)
    call.run.pending.update(fresh)
    for op in reported.ops:
        if op.op in _LEFT_PENDING and (op.id in planned_before or op.id not in fresh):
            call.run.oddities.append(f"{op.op} of {op.display_name!r} came a second time")
            continue
        planned_before.add(op.id)
        HANDLERS[op.op](report, op)
        if call.run.ended:
            return


def _fault(call: Call, reported: Reported, known: "frozenset[str]") -> Optional[Failure]:
    """What in this answer would make a real server hang or loop."""
    if not reported.ops:
        return _local("206 with an empty list: a server would call again at once, for ever (W22)")
    for op in reported.ops:
        if op.op == "None":
            return _local("the op None ends a branch and leaves the run hanging (W22)")
        if op.op not in HANDLERS and op.op != _protocol.OP_STEP_NOT_FOUND:
            return _local(f"the local server does not know the op {op.op} yet")
        if op.id in known:
            return _local(
                f"{op.op} of step {op.display_name!r}, whose result was in the call: "
                "a server would leave the run hanging (W23)"
            )
    if call.targeted and all(op.id != call.step_id for op in reported.ops):
        wanted = call.name or call.step_id
        return _local(
            f"a call targeted at step {wanted!r} was answered without that step: "
            "a server would leave the run hanging (W23)"
        )
    return None


def _local(message: str) -> Failure:
    return server_failure(message, "LocalServerError")


def _step_run(report: Report, op: Op) -> None:
    memo = {"data": normalised(op.data)}
    _finish_step(report, op, memo, _state.STEP_RAN, None)


def _step_error(report: Report, op: Op) -> None:
    call, reported = report.call, report.reported
    attempts_left = call.attempt + 1 < report.run.function.max_attempts
    if not attempts_left or reported.no_retry:
        _step_failed(report, op)
        return
    report.work.note(
        report.run, _state.STEP_ERROR, step=op.display_name, attempt=call.attempt,
        op=op.op, detail=_describe(op.error),
    )
    report.work.retry(call, reported.retry_after, op.display_name)


def _step_failed(report: Report, op: Op) -> None:
    error = {field: op.error[field] for field in _ERROR_FIELDS if field in op.error}
    error.setdefault("name", "")
    error.setdefault("message", "")
    if not error.get("stack"):
        error.pop("stack", None)
    if op.op == _protocol.OP_STEP_ERROR and report.reported.no_retry:
        error["noRetry"] = True
    memo = {"error": normalised(error)}
    _finish_step(report, op, memo, _state.STEP_FAILED, _describe(error))


def _step_planned(report: Report, op: Op) -> None:
    report.work.note(report.run, _state.STEP_PLANNED, step=op.display_name, op=op.op)
    report.work.put(
        Call(
            report.run, report.work.now(), op.id, op.display_name,
            disable_immediate_execution=report.disable,
        )
    )


def _sleep(report: Report, op: Op) -> None:
    wanted = op.opts.get("duration")
    if wanted is None or wanted == "":
        wanted = op.name
    seconds = parse_sleep(wanted, time.time()) if isinstance(wanted, str) else None
    if seconds is None:
        report.work.fail(report.run, _local(
            f"Sleep {op.display_name!r} with the duration {wanted!r}, which a server "
            "cannot read: it would retry 20 times and then hang (W35)"
        ))
        return
    if seconds > LONGEST_SLEEP:
        report.work.fail(report.run, server_failure(
            f"the sleep {op.display_name!r} is longer than 366 days", "InngestErrTimeoutTooLong"
        ))
        return
    due = report.work.now() + max(seconds, 0.0)
    report.work.note(
        report.run, _state.SLEEPING, step=op.display_name, op=op.op, until=utc(due)
    )
    report.work.put(Wake(report.run, due, op.id, op.display_name, report.disable))


Handler = Callable[[Report, Op], None]

HANDLERS: Dict[str, Handler] = {
    _protocol.OP_STEP_RUN: _step_run,
    _protocol.OP_STEP_ERROR: _step_error,
    _protocol.OP_STEP_FAILED: _step_failed,
    _protocol.OP_STEP_PLANNED: _step_planned,
    _protocol.OP_SLEEP: _sleep,
}

#: Ops that a memo follows on later; until then their group is not finished.
_LEFT_PENDING = (_protocol.OP_STEP_PLANNED, _protocol.OP_SLEEP)


def wake(work: Work, item: Wake) -> None:
    """A sleep is over: store its memo, a bare null, and go on."""
    work.note(item.run, _state.WOKE, step=item.name)
    if store(work, item.run, item.step_id, None):
        discover(work, item.run, item.step_id, item.disable_immediate_execution)


def store(work: Work, run: RunState, step_id: str, memo: Any) -> bool:
    """Keep a memo; False if that overflowed and so ended the run (W39)."""
    size = len(canonical(memo))
    if len(run.memos) + 1 >= work.step_count_limit:
        work.fail(run, server_failure(
            f"The function run exceeded the step limit of {work.step_count_limit} steps.",
            "InngestErrFunctionOverflowed",
        ))
        return False
    if run.memo_bytes + size > work.state_limit:
        work.fail(run, server_failure(
            "The function run exceeded the state size limit of "
            f"{work.state_limit} bytes.",
            "InngestErrStateOverflowed",
        ))
        return False
    run.memo_bytes += size
    run.memos[step_id] = memo
    run.stack.append(step_id)
    return True


def discover(work: Work, run: RunState, step_id: str, disable: bool) -> None:
    """After a finished step: call the function again if it is time.

    With request version 2 that is when the whole group is finished, with an
    older one after every step (W41).
    """
    run.pending.discard(step_id)
    if run.version < 2 or not run.pending:
        work.put(Call(run, work.now(), disable_immediate_execution=disable))


def _finish_step(report: Report, op: Op, memo: Any, kind: str, detail: Optional[str]) -> None:
    run = report.run
    if op.id in run.memos:
        # Two calls at once ran the same step; the first value stays.
        run.oddities.append(f"{op.op} of {op.display_name!r} came a second time")
        return
    report.work.note(
        run, kind, step=op.display_name, attempt=report.call.attempt, op=op.op, detail=detail
    )
    if store(report.work, run, op.id, memo):
        discover(report.work, run, op.id, report.disable)


def _describe(error: Dict[str, Any]) -> str:
    return f"{error.get('name') or 'Error'}: {error.get('message') or ''}"
