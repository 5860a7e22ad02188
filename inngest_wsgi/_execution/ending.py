"""The rule what a call ends in: from the ending that was recorded to the
outcome that is sent (PROTOCOL section 6)."""

from __future__ import annotations

import typing as t

from .. import _protocol as p, errors
from .._codec import encode
from .._messages import Call, Failed, Op, Outcome, Returned, StepsReported
from . import failures
from .hooks import Hooks
from .state import CLIENT_GONE, CallState, FunctionEnded, StepRan, StepsToReport

#: An outcome, and the exception of the user's code that it is about, if any.
Conclusion = t.Tuple[Outcome, t.Optional[BaseException]]


def conclude(
    state: CallState, call: Call, hooks: Hooks, value: t.Any, error: t.Optional[BaseException]
) -> Conclusion:
    """Tell the hooks what a call has ended in, and make the outcome.

    :param value: what the function returned
    :param error: what it raised
    """
    ending = state.ending
    if ending is None:
        ending = _of_function(state, call, value, error)
    if isinstance(ending, StepRan):
        return _step_ran(ending, state, call, hooks)
    if isinstance(ending, StepsToReport):
        return _steps_to_report(ending.ops, state, hooks)
    return _function_ended(ending, call, hooks)


def _of_function(
    state: CallState, call: Call, value: t.Any, error: t.Optional[BaseException]
) -> FunctionEnded:
    """Return the ending of a call in which none was recorded."""
    if state.misuse is not None:
        return FunctionEnded(error=state.misuse)
    if error is None and call.target is not None and not state.target_has_run:
        # a value would end the whole run
        return target_not_found(state, call, "the function ended without it")
    return FunctionEnded(value, error)


def target_not_found(state: CallState, call: Call, found: str) -> FunctionEnded:
    """Return the ending of a call for one step that the function did not come
    to (W71).

    :param found: what it came to instead
    """
    if state.target_has_run:
        # what the first of the two calls led to may be under way
        problem = "has run already, and {}".format(found)
    else:
        problem = (
            "was to run, and {}. Has it been renamed or removed, or is the way to it another "
            "one each time? Bring it back; or cancel the run and start it again".format(found)
        )
    error = errors.StepUnexpectedError("step {} {}".format(call.target, problem))
    return FunctionEnded(error=error)


def _function_ended(ending: FunctionEnded, call: Call, hooks: Hooks) -> Conclusion:
    value, error = ending
    if ending is CLIENT_GONE and error is not None:
        # without the hooks, and not logged
        return Failed(*failures.describe(error)), None
    try:
        if error is None:
            hooks.ended()
        error, value = hooks.output(error, value, None)
    except errors.MiddlewareError as exc:
        error = exc
    if error is None:
        try:
            what = "function {}".format(call.fn_id)
            return Returned(encode.function_output(value, what)), None
        except Exception as exc:  # objects may raise anything
            error = exc
    return _failed(error)


def _failed(error: BaseException) -> Conclusion:
    return Failed(*failures.describe(error)), error


def _steps_to_report(ops: t.Sequence[Op], state: CallState, hooks: Hooks) -> Conclusion:
    if state.has_raced:
        ops = [op._replace(opts=_racing(op.opts)) for op in ops]
    try:
        hooks.ended()
        if len(ops) == 1:
            # there is no output yet to transform: the server has to carry it out
            hooks.output(None, None, ops[0])
    except errors.MiddlewareError as exc:
        return _failed(exc)
    return StepsReported(ops), None


def _step_ran(ending: StepRan, state: CallState, call: Call, hooks: Hooks) -> Conclusion:
    """Conclude a call in which one step ran.

    A step that failed is tried again, unless this was its last attempt or its
    error says otherwise. A function that failed is tried again by its error
    alone: the server counts its attempts.
    """
    step, opts, timing, value, error = ending
    if state.has_raced:
        opts = _racing(opts)
    name = p.OP_STEP_RUN if error is None else p.OP_STEP_ERROR
    try:
        hooks.ended()
        op = Op(name, step, step.user_id, opts, timing=timing)
        error, value = hooks.output(error, value, op)
    except errors.MiddlewareError as exc:
        return _failed(exc)
    if error is None:
        try:
            what = "step {!r} of function {}".format(step.user_id, call.fn_id)
            data = encode.step_output(value, what)
            op = Op(p.OP_STEP_RUN, step, step.user_id, opts, data, timing=timing)
            return StepsReported([op]), None
        except Exception as exc:  # objects may raise anything
            error = exc
    failure = failures.describe(error)
    is_final = call.is_last_attempt or not failure.retriable
    op = Op(
        p.OP_STEP_FAILED if is_final else p.OP_STEP_ERROR,
        step,
        step.user_id,
        opts,
        error=failure.error,
        timing=timing,
    )
    return StepsReported([op], not is_final, failure.retry_after), error


def _racing(opts: t.Optional[t.Mapping[str, t.Any]]) -> t.Mapping[str, t.Any]:
    """Mark an op of a run that has come to a race group, so that the server
    waits for no other step (W69).

    Also the op of a step before the race group is marked: a late call may plan
    again what has ended, and then nothing else makes the server call.
    """
    return dict(opts or {}, parallelMode=p.PARALLEL_RACE)
