"""Handle sleeps, and waits for events and for signals.

The machinery keeps the list of what is waited for. :func:`receive` and
:func:`signal` resume the steps that wait for an event or a signal.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ... import _protocol
from .._expressions.expression import (
    Expression,
    ExpressionError,
    UnsupportedExpression,
)
from .._model import state
from .._model.state import Event, RunState, utc
from .._run.items import Call, Timer
from .._run.machinery import Machinery
from .._run.memos import save
from .._run.parallel import leave_group, resume
from .._wire.canonical import normalised
from .._wire.outcomes import Op, local_failure, server_failure
from .._wire.times import LONGEST_SLEEP, parse_sleep
from .report import Handler, Report

_NOT_COMPILED = "Wait for event If expression failed to compile"
_CONFLICT = "Signal conflict; signal wait already exists for another run"


@dataclass(eq=False)
class Wait:
    """A step that waits for an event or a signal."""

    run: RunState
    step_id: str
    name: str
    race: bool
    group: str
    timer: Timer
    #: Name of the event, or of the signal.
    wanted: str
    expression: t.Optional[Expression] = None


def seconds_of(report: Report, op: Op, wanted: t.Any, what: str) -> t.Optional[float]:
    """Return the seconds of a duration or date in an op.

    :param what: names the option in the failure.
    :return: None if it cannot be read or is too long; that fails the run.
    """
    seconds = parse_sleep(wanted, report.machinery.app_now()) if isinstance(wanted, str) else None
    if seconds is None:
        report.machinery.fail(
            report.run,
            local_failure(
                f"{op.op} {op.display_name!r} has the {what} {wanted!r}, which a real server "
                "cannot read: it would retry 20 times and then leave the run hanging (W35)"
            ),
        )
        return None
    if seconds > LONGEST_SLEEP:
        report.machinery.fail(
            report.run,
            server_failure(
                f"the {what} of {op.display_name!r} is longer than 366 days",
                "InngestErrTimeoutTooLong",
            ),
        )
        return None
    return max(seconds, 0.0)


def _sleep(report: Report, op: Op) -> None:
    wanted = op.opts.get("duration")
    if wanted is None or wanted == "":
        wanted = op.name
    seconds = seconds_of(report, op, wanted, "duration")
    if seconds is None:
        return
    machinery, run = report.machinery, report.run
    due = machinery.now() + seconds

    def wake() -> None:
        machinery.note(run, state.WOKE, step=op.display_name)
        saved = save(machinery, run, op.id, None)
        if saved is None or (saved.waiting and not op.race):
            return
        # The call is part of the sleep's own job. Its configuration was read
        # before immediate execution was switched on again (W42).
        config = run.config
        leave_group(run, config)
        machinery.put(
            Call(run, machinery.now(), after=op.id, race=op.race, disable=config.disable)
        )

    if not machinery.put_once(op.id, Timer(run, due, wake)):
        report.note_repeated(op)
        return
    machinery.note(run, state.SLEEPING, step=op.display_name, op=op.op, until=utc(due))


def _wait(
    report: Report, op: Op, wanted: str, expression: t.Optional[Expression]
) -> t.Optional[Wait]:
    timeout = op.opts.get("timeout")
    # An empty text is treated as a missing timeout, and fails the run.
    seconds = seconds_of(report, op, timeout or None, "timeout")
    if seconds is None:
        return None
    machinery, run, race, group = report.machinery, report.run, op.race, report.group
    due = machinery.now() + seconds

    def timed_out() -> None:
        _forget(machinery, wait)
        machinery.note(run, state.WAIT_TIMED_OUT, step=op.display_name)
        resume(machinery, run, op.id, None, "timeout", race, group)

    timer = Timer(run, due, timed_out)
    wait = Wait(run, op.id, op.display_name, race, group, timer, wanted, expression)
    if not machinery.put_once(op.id, timer):
        report.note_repeated(op)
        return None
    detail = wanted if expression is None else f"{wanted} if {expression.text}"
    machinery.note(
        run, state.WAITING, step=op.display_name, op=op.op, until=utc(due), detail=detail
    )
    return wait


def _wait_for_event(report: Report, op: Op) -> None:
    machinery, run = report.machinery, report.run
    wanted = op.opts.get("event") or op.name
    if not isinstance(wanted, str) or not wanted:
        machinery.fail(
            run,
            local_failure(
                f"WaitForEvent {op.display_name!r} has no event name: a real server would "
                "retry the call, whatever number of retries is configured (W35)"
            ),
        )
        return
    text, expression = op.opts.get("if"), None
    if text is not None:
        try:
            if not isinstance(text, str):
                raise ExpressionError(f"{text!r} is not a string")
            expression = Expression(text)
        except UnsupportedExpression as error:
            machinery.fail(
                run,
                local_failure(
                    f"WaitForEvent {op.display_name!r} of {run.function.function_id}: "
                    f"the local server does not support the expression {text!r}: {error}"
                ),
            )
            return
        except ExpressionError as error:
            stack = f"error compiling expression {text!r} of {op.display_name!r}: {error}"
            machinery.fail(run, server_failure(_NOT_COMPILED, "InvalidExpression", stack=stack))
            return
    wait = _wait(report, op, wanted, expression)
    if wait is not None:
        machinery.waits.add(wait, run, wanted, expression, run.events[0].sent())


def _wait_for_signal(report: Report, op: Op) -> None:
    machinery, run = report.machinery, report.run
    wanted = op.opts.get("signal") or op.name
    if not isinstance(wanted, str) or not wanted:
        machinery.fail(run, local_failure(f"WaitForSignal {op.display_name!r} has no signal"))
        return
    conflict = op.opts.get("conflict") or "fail"
    if conflict not in ("fail", "replace"):
        machinery.fail(
            run,
            local_failure(
                f"WaitForSignal {op.display_name!r} has the unknown conflict {conflict!r}; "
                "use 'fail' or 'replace'"
            ),
        )
        return
    other = machinery.signals.get(wanted)
    own = other is not None and other.run is run and other.step_id == op.id
    if other is not None and not own and not other.run.ended and conflict == "fail":
        machinery.fail(run, server_failure(_CONFLICT, label=f"Error: {_CONFLICT}"))
        return
    wait = _wait(report, op, wanted, None)
    if wait is not None:
        machinery.signals[wanted] = wait


def _forget(machinery: Machinery, wait: Wait) -> None:
    machinery.drop(wait.timer)
    machinery.waits.remove(wait)
    if machinery.signals.get(wait.wanted) is wait:
        del machinery.signals[wait.wanted]


def receive(machinery: Machinery, event: Event) -> None:
    """Resume every step that waits for an event (W14)."""
    awaited = event.sent()
    for wait in machinery.waits.find(event.name, awaited):
        # It may be over because of one before it.
        if wait in machinery.waits and (
            wait.expression is None or wait.expression.matches(wait.run.events[0].sent(), awaited)
        ):
            _forget(machinery, wait)
            machinery.note(wait.run, state.EVENT_RECEIVED, step=wait.name, detail=event.name)
            _resume(machinery, wait, awaited)


def signal(machinery: Machinery, name: str, data: t.Any) -> t.Optional[RunState]:
    """Resume the step that waits for a signal (W38, W65).

    :return: its run, or None if no step waits for the signal.
    """
    wait: t.Optional[Wait] = machinery.signals.get(name)
    if wait is None:
        return None
    _forget(machinery, wait)
    if wait.run.ended:
        return None
    memo = {"data": {"signal": name, "data": normalised(data)}}
    machinery.note(wait.run, state.SIGNALLED, step=wait.name, detail=name)
    _resume(machinery, wait, memo)
    return wait.run


def _resume(machinery: Machinery, wait: Wait, memo: t.Any) -> None:
    resume(machinery, wait.run, wait.step_id, memo, "event", wait.race, wait.group)


HANDLERS: t.Dict[str, Handler] = {
    _protocol.OP_SLEEP: _sleep,
    _protocol.OP_WAIT_FOR_EVENT: _wait_for_event,
    _protocol.OP_WAIT_FOR_SIGNAL: _wait_for_signal,
}

#: Ops here that end later: all.
LATER = tuple(HANDLERS)
