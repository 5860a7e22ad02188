"""What follows from the ops that an app reports: one handler an op.

Internal. To teach the server an op, add a handler to the room it belongs in.
"""

from __future__ import annotations

from typing import Dict, Optional

from .. import _protocol
from . import _gateway, _invokes, _steps, _waits
from ._outcomes import Failure, Reported, local_failure, server_failure
from ._queue import Call
from ._work import Handler, Report, Work

HANDLERS: Dict[str, Handler] = {
    **_steps.HANDLERS,
    **_waits.HANDLERS,
    **_invokes.HANDLERS,
    **_gateway.HANDLERS,
}

#: Ops that a memo follows on later; until then their group is not finished.
_PENDING = _steps.PENDING + _waits.PENDING + _invokes.PENDING + _gateway.PENDING


def apply(work: Work, call: Call, reported: Reported, known: "frozenset[str]") -> None:
    """Act on a 206 answer.

    Where a real server would call for ever or leave the run hanging, the run
    is failed with a message that names the fact; that is this server's one
    deliberate departure here.

    :param known: ids of the steps whose memos the call carried.
    """
    run = call.run
    fault = _fault(call, reported, known)
    if fault is not None:
        work.fail(run, fault)
        return
    for op in reported.ops:
        if op.op == _protocol.OP_STEP_NOT_FOUND:
            failure = server_failure(
                f"the app does not have the step {op.display_name!r} any more (StepNotFound)"
            )
            work.retry_or_fail(call, failure)
            return
    report = Report(work, call, reported)
    accepted, again = [], []
    reported_before = run.pending | run.racing
    for op in reported.ops:
        run.names.setdefault(op.id, op.display_name)
        if op.op not in _PENDING:
            accepted.append(op)
        elif op.id in reported_before or op.id in run.memos:
            again.append(op)
        else:
            reported_before.add(op.id)
            race = op.opts.get("parallelMode") == _protocol.PARALLEL_RACE
            (run.racing if race else run.pending).add(op.id)
            accepted.append(op)
    for op in again:
        run.oddities.append(f"{op.op} of {op.display_name!r} came a second time")
    # The end of the run last, whatever stands next to it (W33).
    accepted.sort(key=lambda op: op.op == _protocol.OP_RUN_COMPLETE)
    for op in accepted:
        HANDLERS[op.op](report, op)
        if run.ended:
            return


def _fault(call: Call, reported: Reported, known: "frozenset[str]") -> Optional[Failure]:
    """What in this answer would make a real server hang or loop."""
    if not reported.ops:
        return local_failure(
            "206 with an empty list: a server would call again at once, for ever (W22)"
        )
    for op in reported.ops:
        if op.op == "None":
            return local_failure("the op None ends a branch and leaves the run hanging (W22)")
        if op.op not in HANDLERS and op.op != _protocol.OP_STEP_NOT_FOUND:
            return local_failure(f"the local server does not know the op {op.op} yet")
        if op.id in known:
            return local_failure(
                f"{op.op} of step {op.display_name!r}, whose result was in the call: "
                "a server would leave the run hanging (W23)"
            )
    over = any(op.op == _protocol.OP_RUN_COMPLETE for op in reported.ops)
    if call.targeted and not over and all(op.id != call.step_id for op in reported.ops):
        wanted = call.name or call.step_id
        return local_failure(
            f"a call targeted at step {wanted!r} was answered without that step: "
            "a server would leave the run hanging (W23)"
        )
    return None
