"""The steps that the app runs, and what follows a finished step of any kind.

Internal.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from .. import _protocol
from . import _state
from ._canonical import canonical, normalised
from ._outcomes import Op, local_failure, server_failure
from ._queue import Call
from ._state import RunState
from ._work import Handler, Report, Work

_ERROR_FIELDS = ("name", "message", "stack", "data", "cause", "noRetry")
_MOST_DISCOVERIES = 20


def store(work: Work, run: RunState, step_id: str, memo: Any) -> bool:
    """Keep a memo; False if that overflowed and so ended the run (W39)."""
    size = len(canonical(memo))
    if len(run.memos) + 1 >= work.step_count_limit:
        work.fail(
            run,
            server_failure(
                f"The function run exceeded the step limit of {work.step_count_limit} steps.",
                "InngestErrFunctionOverflowed",
            ),
        )
        return False
    if run.memo_bytes + size > work.state_limit:
        work.fail(
            run,
            server_failure(
                f"The function run exceeded the state size limit of {work.state_limit} bytes.",
                "InngestErrStateOverflowed",
            ),
        )
        return False
    run.memo_bytes += size
    run.memos[step_id] = memo
    run.inputs.pop(step_id, None)
    run.stack.append(step_id)
    run.discoveries = 0
    return True


def discover(work: Work, run: RunState, step_id: str, disable: bool) -> None:
    """After a finished step: call the function again if it is time.

    With request version 2 that is when the whole group is finished; with an
    older one, and in race mode, after every step (W41, W43).
    """
    racing = step_id in run.racing
    run.racing.discard(step_id)
    run.pending.discard(step_id)
    if racing or run.version < 2 or not run.pending:
        work.put(Call(run, work.now(), disable_immediate_execution=disable))


def settle(work: Work, run: RunState, step_id: str, memo: Any, disable: bool) -> None:
    """Something from outside has finished a step: keep its memo, go on."""
    if store(work, run, step_id, memo):
        discover(work, run, step_id, disable)
        work.fail_if_stuck(run)


def describe(error: Dict[str, Any]) -> str:
    return f"{error.get('name') or 'Error'}: {error.get('message') or ''}"


def finish(report: Report, op: Op, memo: Any, kind: str, detail: Optional[str] = None) -> None:
    """The answer itself has finished a step."""
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


def _step_run(report: Report, op: Op) -> None:
    finish(report, op, {"data": normalised(op.data)}, _state.STEP_RAN)


def _legacy_step(report: Report, op: Op) -> None:
    finish(report, op, normalised(op.data), _state.STEP_RAN)


def _step_error(report: Report, op: Op) -> None:
    call, reported = report.call, report.reported
    attempts_left = call.attempt + 1 < report.run.function.max_attempts
    if not attempts_left or reported.no_retry:
        _step_failed(report, op)
        return
    report.work.note(
        report.run,
        _state.STEP_ERROR,
        step=op.display_name,
        attempt=call.attempt,
        op=op.op,
        detail=describe(op.error),
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
    finish(report, op, {"error": normalised(error)}, _state.STEP_FAILED, describe(error))


def _step_planned(report: Report, op: Op) -> None:
    report.work.note(report.run, _state.STEP_PLANNED, step=op.display_name, op=op.op)
    report.work.put(
        Call(
            report.run,
            report.work.now(),
            op.id,
            op.display_name,
            disable_immediate_execution=report.disable,
        )
    )


def _run_complete(report: Report, op: Op) -> None:
    report.work.complete(report.run, normalised(op.data))


def _discovery_request(report: Report, op: Op) -> None:
    run = report.run
    run.discoveries += 1
    if run.discoveries > _MOST_DISCOVERIES:
        report.work.fail(
            run,
            local_failure(
                f"{_MOST_DISCOVERIES} times DiscoveryRequest with no step in between: "
                "a server would call again for ever (W34)"
            ),
        )
        return
    report.work.put(Call(run, report.work.now(), disable_immediate_execution=report.disable))


HANDLERS: Dict[str, Handler] = {
    _protocol.OP_STEP_RUN: _step_run,
    _protocol.OP_STEP: _legacy_step,
    _protocol.OP_STEP_ERROR: _step_error,
    _protocol.OP_STEP_FAILED: _step_failed,
    _protocol.OP_STEP_PLANNED: _step_planned,
    _protocol.OP_RUN_COMPLETE: _run_complete,
    _protocol.OP_DISCOVERY_REQUEST: _discovery_request,
}

#: Ops here whose memo comes later; until then their group is not finished.
PENDING = (_protocol.OP_STEP_PLANNED,)
