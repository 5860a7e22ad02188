"""The rule what a call ends in: from the ending that was recorded to the
outcome that is sent (PROTOCOL section 6)."""

from __future__ import annotations

import dataclasses
import typing as t

from .. import _protocol as p, errors
from .._codec import encode
from .._logs import printable
from .._messages import Call, Failed, Op, Returned, StepId, StepsReported
from . import failures, step_errors
from .hooks import Hooks
from .state import (
    CLIENT_GONE,
    CallState,
    Concluded,
    Ending,
    FunctionEnded,
    StepRan,
    StepsToReport,
)


def conclude(
    state: CallState, call: Call, hooks: Hooks, value: t.Any, error: t.Optional[BaseException]
) -> Concluded:
    """Tell the hooks what a call has ended in, and make the outcome.

    :param value: what the function returned
    :param error: what it raised
    """
    ending = state.ending
    if ending is None:
        ending = _of_function(state, call, value, error)
    if isinstance(ending, StepRan):
        return step_ran(ending, state, call, hooks)
    if isinstance(ending, Concluded):
        return ending
    if isinstance(ending, StepsToReport):
        return _steps_to_report(ending.ops, state, call, hooks)
    return _function_ended(ending, call, hooks)


def _of_function(
    state: CallState, call: Call, value: t.Any, error: t.Optional[BaseException]
) -> Ending:
    """Return the ending of a call in which none was recorded."""
    if state.misuse is not None:
        return FunctionEnded(error=state.misuse)
    if call.target is not None and (error is None or state.target_has_run):
        # a value would end the whole run
        return target_not_found(state, call, "the function ended without it")
    return FunctionEnded(value, error)


def target_not_found(state: CallState, call: Call, found: str, is_awaited: bool = False) -> Ending:
    """Return the ending of a call for one step that the function did not come
    to (W71), or that has run already.

    A call comes again if the server lost it after it had stored the step, and
    perhaps before it had queued what follows. So ask for that: the server
    queues the next call after a step once.

    :param found: what the function came to instead
    :param is_awaited: True if the step is of a group whose other steps the
        server waits for. To ask for the next call would then be too early, and
        it follows by itself
    """
    target = call.target
    assert target is not None
    if state.target_has_run:
        name = p.OP_NONE if is_awaited else p.OP_DISCOVERY_REQUEST
        return StepsToReport([Op(name, StepId(target, 0, target), target)])
    return FunctionEnded(
        error=errors.StepUnexpectedError(
            f"step {printable(target)} was to run, but {found}. Was it renamed or removed, or "
            "does the function take another path each time? Restore the step, or cancel the run "
            "and start it again"
        )
    )


def _function_ended(ending: FunctionEnded, call: Call, hooks: Hooks) -> Concluded:
    value, error = ending
    if ending is CLIENT_GONE and error is not None:
        # without the hooks, and not logged
        return Concluded(Failed(*failures.describe(error)))
    if hooks.has_middleware:
        try:
            if error is None:
                hooks.ended()
            error, value = hooks.output(error, value, None)
        except errors.MiddlewareError as exc:
            error = exc
    if error is None:
        try:
            return Concluded(Returned(encode.function_output(value, call.fn_id)))
        except Exception as exc:  # objects may raise anything
            error = exc
    return _failed(error)


def _failed(error: BaseException) -> Concluded:
    return Concluded(Failed(*failures.describe(error)), error)


def _steps_to_report(ops: t.Sequence[Op], state: CallState, call: Call, hooks: Hooks) -> Concluded:
    if state.has_raced:
        if call.target is None:
            ops = [_planned_if_repeatable(op) for op in ops]
        ops = [dataclasses.replace(op, opts=_racing(op.opts)) for op in ops]
    if state.is_replaying or not hooks.has_middleware:
        # where it is replaying, the step has run already, as all code up to here
        return Concluded(StepsReported(ops))
    try:
        hooks.ended()
        if len(ops) == 1:
            # there is no output yet to transform: the server has to carry it out
            hooks.output(None, None, ops[0])
    except errors.MiddlewareError as exc:
        return _failed(exc)
    return Concluded(StepsReported(ops))


def step_ran(ending: StepRan, state: CallState, call: Call, hooks: Hooks) -> Concluded:
    """Conclude a call in which one step ran.

    A step that failed is tried again, unless this was its last attempt or its
    error says otherwise. A function that failed is tried again by its error
    alone: the server counts its attempts.
    """
    step, opts, timing, value, error = ending
    if state.has_raced:
        opts = _racing(opts)
    if hooks.has_middleware:
        name = p.OP_STEP_RUN
        if error is not None:
            is_final = call.is_last_attempt or not failures.describe(error).retriable
            name = p.OP_STEP_FAILED if is_final else p.OP_STEP_ERROR
        try:
            hooks.ended()
            op = Op(name, step, step.user_id, opts, timing=timing)
            error, value = hooks.output(error, value, op)
        except errors.MiddlewareError as exc:
            return _failed(exc)
    if error is None:
        try:
            data = encode.step_output(value, call.fn_id, step.user_id)
            op = Op(p.OP_STEP_RUN, step, step.user_id, opts, data, None, timing)
            return Concluded(StepsReported([op]))
        except Exception as exc:  # objects may raise anything
            error = exc
    failure = failures.describe(error)
    is_final = call.is_last_attempt or not failure.retriable
    described = failure.error
    if is_final or call.max_attempts is None:
        # a later call can be given only what is kept of the last attempt
        described = described._replace(data=step_errors.details(error))
    op = Op(
        p.OP_STEP_FAILED if is_final else p.OP_STEP_ERROR,
        step,
        step.user_id,
        opts,
        error=described,
        timing=timing,
    )
    return Concluded(StepsReported([op], not is_final, failure.retry_after), error)


def succeeded(concluded: Concluded) -> t.Optional[Op]:
    """Return the op of a step that ran and succeeded; None for any other end."""
    outcome = concluded.outcome
    if concluded.exception is not None or not isinstance(outcome, StepsReported):
        return None
    return outcome.ops[0]


def _planned_if_repeatable(op: Op) -> Op:
    """Report a request that the server makes as a step that is planned.

    Several calls that a race group causes may report one op. The server makes
    the request for each such report, while it counts a plan once.
    """
    if op.op not in (p.OP_GATEWAY, p.OP_AI_GATEWAY):
        return op
    kind = (op.opts or {}).get("type")
    return dataclasses.replace(
        op, op=p.OP_STEP_PLANNED, opts=None if kind is None else {"type": kind}
    )


def _racing(opts: t.Optional[t.Mapping[str, t.Any]]) -> t.Mapping[str, t.Any]:
    """Mark an op of a run that has come to a race group, so that the server
    waits for no other step (W69).

    Also the op of a step before the race group is marked: a late call may plan
    again what has ended, and then nothing else makes the server call.
    """
    return dict(opts or {}, parallelMode=p.PARALLEL_RACE)
