"""Invoke functions, and resume the invoking steps when they have ended."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ... import _protocol
from .._model import state
from .._model.state import Event, RunState, utc
from .._run.items import Timer
from .._run.lifecycle import not_invoked_event
from .._run.machinery import Machinery
from .._run.parallel import resume
from .._wire import ids, randomness
from .._wire.canonical import normalised
from .._wire.outcomes import Op, local_failure
from .report import Handler, Report
from .waits import seconds_of

#: Seconds that an invoke without a timeout has: a year.
_LONGEST = 365 * 86400.0
_TIMEOUT_NAME = "InngestInvokeTimeoutError"
_TIMEOUT_TEXT = "Timed out waiting for invoked function to complete"


@dataclass(eq=False)
class Invoke:
    """A step that waits for the end of a run."""

    run: RunState
    step_id: str
    name: str
    race: bool
    group: str
    timer: Timer


def _invoke_function(report: Report, op: Op) -> None:
    machinery, run, race, group = report.machinery, report.run, op.race, report.group
    payload = op.opts.get("payload")
    fault = _fault(op, payload)
    if fault is not None:
        machinery.fail(run, local_failure(f"InvokeFunction {op.display_name!r} {fault}"))
        return
    timeout = op.opts.get("timeout")
    seconds: t.Optional[float] = _LONGEST
    if timeout is not None and timeout != "":
        seconds = seconds_of(report, op, timeout, "timeout")
    if seconds is None:
        return
    if op.id in run.jobs:
        report.note_repeated(op)
        return
    run.jobs.add(op.id)
    due = machinery.now() + seconds
    function_id = op.opts["function_id"]
    correlation_id = f"{run.run_id}.{op.id}"
    event = _event(report, op, payload or {}, correlation_id, due)

    def refuse(error: t.Dict[str, t.Any], how: str, child: t.Optional[str] = None) -> None:
        machinery.note(
            run,
            state.INVOKE_FAILED,
            step=op.display_name,
            op=op.op,
            child=child,
            detail=f"{error['name']}: {error['message']}",
        )
        resume(machinery, run, op.id, {"error": error}, how, race, group)

    try:
        child = machinery.invoke(function_id, event, correlation_id)
    except LookupError:
        message = f"could not find function with ID: {function_id}"
        error = {"message": message, "name": "Error"}
        refuse(error, "event")
        machinery.publish(not_invoked_event(machinery.now(), correlation_id, error))
        return
    if isinstance(child, str):
        refuse(
            {"message": f"the function {function_id} was not started: {child}", "name": "Error"},
            "event",
        )
        return

    def timed_out() -> None:
        machinery.invokes.pop(child.run_id, None)
        label = f"{_TIMEOUT_NAME}: {_TIMEOUT_TEXT}"
        error = {"error": label, "message": _TIMEOUT_TEXT, "name": _TIMEOUT_NAME}
        refuse(error, "timeout", child.run_id)

    timer = Timer(run, due, timed_out)
    invoke = Invoke(run, op.id, op.display_name, race, group, timer)
    machinery.invokes[child.run_id] = invoke
    machinery.note(
        run,
        state.INVOKING,
        step=op.display_name,
        op=op.op,
        until=utc(due),
        child=child.run_id,
        detail=function_id,
    )
    machinery.put(invoke.timer)


def _fault(op: Op, payload: t.Any) -> t.Optional[str]:
    if not isinstance(op.opts.get("function_id"), str) or not op.opts["function_id"]:
        return "has no function_id"
    if payload is None:
        return "has no payload: a real server would leave the run hanging (W23)"
    data = payload.get("data") if isinstance(payload, dict) else payload
    if data is not None and not isinstance(data, dict):
        return (
            "has data that is not an object: a real server would retry the call, whatever "
            "number of retries is configured (W35)"
        )
    return None


def _event(
    report: Report, op: Op, payload: t.Dict[str, t.Any], correlation_id: str, due: float
) -> Event:
    """Return the event ``inngest/function.invoked`` with the payload's data (W10).

    What a server has in ``_inngest`` for tracing is left out.
    """
    now = int(report.machinery.now() * 1000)
    inngest = {
        "correlation_id": correlation_id,
        "expire": int(due * 1000),
        "fn_id": op.opts["function_id"],
        "gid": randomness.uuid4(),
        "name": op.display_name,
        "source_app_id": ids.app_uuid(report.run.function.app_id),
        "source_fn_id": ids.function_uuid(report.run.function.function_id),
        "source_fn_v": 1,
    }
    version = payload.get("v")
    internal_id = ids.ulid(now)
    return Event(
        internal_id=internal_id,
        name=_protocol.EVENT_FUNCTION_INVOKED,
        data={**normalised(payload.get("data") or {}), "_inngest": inngest},
        id=internal_id,
        ts=now,
        v=version if isinstance(version, str) and version else None,
    )


def child_ended(machinery: Machinery, child: RunState, finished: Event) -> None:
    """Resume the step that invoked a run, now that the run has ended (W15).

    :param finished: the child's ``inngest/function.finished``.
    """
    invoke: t.Optional[Invoke] = machinery.invokes.pop(child.run_id, None)
    if invoke is None:
        return
    machinery.drop(invoke.timer)
    if invoke.run.ended:
        return
    kind, memo = state.INVOKE_FAILED, None
    if child.status == state.COMPLETED:
        kind, memo = state.INVOKED, {"data": child.output}
    elif child.status == state.FAILED:
        memo = {"error": child.error}
    else:
        memo = finished.sent()
    machinery.note(
        invoke.run,
        kind,
        step=invoke.name,
        child=child.run_id,
        detail=f"{child.function.function_id} {child.status}",
    )
    resume(machinery, invoke.run, invoke.step_id, memo, "event", invoke.race, invoke.group)


HANDLERS: t.Dict[str, Handler] = {_protocol.OP_INVOKE_FUNCTION: _invoke_function}
LATER = tuple(HANDLERS)
