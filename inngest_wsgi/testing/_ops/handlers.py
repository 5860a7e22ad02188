"""Act on the ops of an answer, by one handler for each op.

To support another op, add a handler to the module it belongs in.
"""

from __future__ import annotations

import typing as t

from ... import _protocol
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
    """Act on a 206 answer.

    Where a real server would call for ever, the run is failed with a message
    that names the fact. Where the answer leaves a real server with nothing to
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
    _note_oddities(report, request)
    # Waits for events first, because another op may cause the event; the end
    # of the run last, whatever its position (W33).
    order = {_protocol.OP_WAIT_FOR_EVENT: 0, _protocol.OP_RUN_COMPLETE: 2}
    for op in sorted(reported.ops, key=lambda op: order.get(op.op, 1)):
        HANDLERS[op.op](report, op)
        if run.ended:
            return


def _note_oddities(report: Report, request: CallRequest) -> None:
    """Remember what would explain it if the run hangs."""
    call, ops = report.call, report.reported.ops
    for op in ops:
        if op.op == _protocol.OP_NONE:
            report.run.oddities.append("the op None ended a branch, and nothing followed (W22)")
        if op.id in request.known:
            report.run.oddities.append(
                f"{op.op} of step {op.display_name!r}, whose result was in the call (W23)"
            )
    over = any(op.op == _protocol.OP_RUN_COMPLETE for op in ops)
    if call.targeted and not over and all(op.id != call.step_id for op in ops):
        report.run.oddities.append(
            f"a call targeted at step {call.name or call.step_id!r} was answered without "
            "that step (W23)"
        )


def _fault(reported: Reported) -> t.Optional[Failure]:
    """Return a failure if a real server would loop, or this one lacks an op."""
    if not reported.ops:
        return local_failure(
            "206 with an empty list: a server would call again at once, for ever (W22)"
        )
    for op in reported.ops:
        if op.op not in HANDLERS:
            return local_failure(f"the local server does not know the op {op.op} yet")
    return None
