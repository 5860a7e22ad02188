"""Act on the ops of an answer, by one handler for each op.

To support another op, add a handler to the module it belongs in.
"""

from __future__ import annotations

import typing as t

from ... import _protocol
from .._model.state import StepReport
from .._run.items import Call
from .._run.machinery import Machinery
from .._run.parallel import plan_group
from .._run.request import CallRequest
from .._wire.outcomes import Failure, Reported, local_failure
from . import gateway, invokes, steps, waits
from .report import Handler, Report

HANDLERS: t.Dict[str, Handler] = {
    **steps.HANDLERS,
    **waits.HANDLERS,
    **invokes.HANDLERS,
    **gateway.HANDLERS,
}

#: Ops that end later; two or more reported together, with one of these among
#: them, are a group.
_LATER = steps.LATER + waits.LATER + invokes.LATER + gateway.LATER


def apply(machinery: Machinery, call: Call, request: CallRequest, reported: Reported) -> None:
    """Carry out the ops of a 206 answer.

    Where a real server would call the app without end, the run fails with a
    message that says so. Where the answer leaves a real server with nothing to
    do, this one has nothing to do either, and the run fails as stuck.

    :param request: the request that was answered.
    """
    run = call.run
    fault = _fault(reported)
    if fault is not None:
        machinery.fail(run, fault)
        return
    group = plan_group(run, request.config, reported, _LATER)
    report = Report(machinery, call, request.config, reported, group)
    for op in reported.ops:
        run.names.setdefault(op.id, op.display_name)
        if run.ops.get(op.id) != _protocol.OP_STEP_PLANNED:
            run.ops[op.id] = op.op
        run.reports.setdefault(op.id, []).append(StepReport(machinery.now(), op))
    _note_stuck_reasons(report, request)
    # Waits for events first, because another op may cause the event; the end
    # of the run last, whatever its position (W33).
    order = {_protocol.OP_WAIT_FOR_EVENT: 0, _protocol.OP_RUN_COMPLETE: 2}
    for op in sorted(reported.ops, key=lambda op: order.get(op.op, 1)):
        if not machinery.intercept(report, op):
            HANDLERS[op.op](report, op)
        if run.ended:
            return


def _note_stuck_reasons(report: Report, request: CallRequest) -> None:
    """Record reasons to name in the error if the run has nothing left to do."""
    call, ops = report.call, report.reported.ops
    for op in ops:
        if op.op == _protocol.OP_NONE:
            report.run.stuck_reasons.append(
                "the app reported the op None, and no op after it (W22)"
            )
        if op.id in request.known:
            report.run.stuck_reasons.append(
                f"the app reported {op.op} for step {op.display_name!r}, although the call "
                "contained the result of that step (W23)"
            )
    over = any(op.op == _protocol.OP_RUN_COMPLETE for op in ops)
    if call.targeted and not over and all(op.id != call.step_id for op in ops):
        report.run.stuck_reasons.append(
            f"the call was for step {call.name or call.step_id!r} only, and the app's answer "
            "does not report that step (W23)"
        )


def _fault(reported: Reported) -> t.Optional[Failure]:
    """Return a failure if a real server would loop, or this one does not support an op."""
    if not reported.ops:
        return local_failure(
            "the app answered 206 with an empty list of ops: a real server would call it again "
            "at once, without end (W22)"
        )
    for op in reported.ops:
        if op.op not in HANDLERS:
            return local_failure(
                f"the app reported the op {op.op}, which the local server does not support"
            )
    return None
