"""Handle steps that the app runs, and the other ops about the app's own calls."""

from __future__ import annotations

import typing as t

from ... import _protocol
from .._model import state
from .._run.items import Call
from .._run.memos import Saved, memo_of, save
from .._run.parallel import discover, job_after
from .._run.retries import may_retry, retry
from .._wire.canonical import normalised
from .._wire.outcomes import Op, local_failure
from .report import Handler, Report

_ERROR_FIELDS = ("name", "message", "stack", "data", "cause", "noRetry")
_MOST_DISCOVERIES = 20


def describe(error: t.Dict[str, t.Any]) -> str:
    return f"{error.get('name') or 'Error'}: {error.get('message') or ''}"


def _finish(
    report: Report, op: Op, memo: t.Any, kind: str, detail: t.Optional[str] = None
) -> t.Optional[Saved]:
    """Keep the memo of a step that the answer has ended; see :func:`save`."""
    if op.id not in report.run.memos:
        report.machinery.note(
            report.run,
            kind,
            step=op.display_name,
            attempt=report.call.attempt,
            op=op.op,
            detail=detail,
        )
    return save(report.machinery, report.run, op.id, memo)


def _step_run(report: Report, op: Op) -> None:
    saved = _finish(report, op, memo_of(report.run, op), state.STEP_RAN)
    if saved is None:
        return
    job = job_after(op.id, op.race, report.call.group)
    call = Call(report.run, report.machinery.now(), after=op.id, race=op.race)
    discover(report.machinery, job, call, report.config, saved.waiting, op.race)


def _step_error(report: Report, op: Op) -> None:
    call, reported = report.call, report.reported
    if not may_retry(call, not reported.no_retry):
        _step_failed(report, op)
        return
    report.machinery.note(
        report.run,
        state.STEP_ERROR,
        step=op.display_name,
        attempt=call.attempt,
        op=op.op,
        detail=describe(op.error),
    )
    retry(report.machinery, call, reported.retry_after, op.display_name)


def _step_failed(report: Report, op: Op) -> None:
    error = {field: op.error[field] for field in _ERROR_FIELDS if field in op.error}
    error.setdefault("name", "")
    error.setdefault("message", "")
    if not error.get("stack"):
        error.pop("stack", None)
    if op.op == _protocol.OP_STEP_ERROR and report.reported.no_retry:
        error["noRetry"] = True
    memo = {"error": normalised(error)}
    saved = _finish(report, op, memo, state.STEP_FAILED, describe(error))
    if saved is None:
        return
    if not saved.kept:
        report.retry_conflict(op)
        return
    # Unlike after a step that has run, the race mode is that of the call that
    # reported the step, and each step of a group leads to a call of its own.
    call = Call(report.run, report.machinery.now(), after=op.id, race=op.race)
    discover(
        report.machinery, f"{op.id}-failure", call, report.config, saved.waiting, report.call.race
    )


def _step_planned(report: Report, op: Op) -> None:
    call = Call(
        report.run,
        report.machinery.now(),
        op.id,
        op.display_name,
        after=report.call.after,
        race=op.race,
        group=report.group,
    )
    if report.machinery.put_once(f"{op.id}-plan", call):
        report.machinery.note(report.run, state.STEP_PLANNED, step=op.display_name, op=op.op)
    else:
        report.note_repeated(op)


def _run_complete(report: Report, op: Op) -> None:
    report.machinery.complete(report.run, normalised(op.data))


def _discovery_request(report: Report, op: Op) -> None:
    run = report.run
    run.discoveries += 1
    if run.discoveries > _MOST_DISCOVERIES:
        report.machinery.fail(
            run,
            local_failure(
                f"the app reported DiscoveryRequest more than {_MOST_DISCOVERIES} times in a row "
                "with no step in between: a real server would call it without end (W34)"
            ),
        )
        return
    job = job_after(op.id, op.race, report.call.group)
    call = Call(run, report.machinery.now(), after=op.id, race=op.race)
    discover(report.machinery, job, call, report.config, False, op.race)


def _nothing(report: Report, op: Op) -> None:
    """End the call. If nothing else is queued, the run fails as stuck (W22)."""


HANDLERS: t.Dict[str, Handler] = {
    _protocol.OP_NONE: _nothing,
    _protocol.OP_STEP_RUN: _step_run,
    _protocol.OP_STEP: _step_run,
    _protocol.OP_STEP_ERROR: _step_error,
    _protocol.OP_STEP_FAILED: _step_failed,
    _protocol.OP_STEP_PLANNED: _step_planned,
    _protocol.OP_RUN_COMPLETE: _run_complete,
    _protocol.OP_DISCOVERY_REQUEST: _discovery_request,
}

#: Ops here that end later; two or more reported together are a group.
LATER = (_protocol.OP_STEP_PLANNED,)
