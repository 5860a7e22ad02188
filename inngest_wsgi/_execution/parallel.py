"""Calls the branches of a parallel group, and looks ahead for race groups. The
head of ``engine.py`` says why."""

from __future__ import annotations

import types
import typing as t

from .. import _protocol as p, errors
from .._messages import Call
from . import ending, failures, placement
from .hooks import Hooks
from .interrupt import Interrupt, stray_interrupt_error
from .state import LOOKING_AHEAD, CallState, ParallelGroup, StepRan, StepsToReport

_NOT_RUN = (
    "a branch is async def: it was called, but WSGI is synchronous and nothing would run it. "
    "Write it with def"
)

Branch = t.Callable[[], t.Any]


def call_branches(
    state: CallState, call: Call, hooks: Hooks, branches: t.Sequence[Branch], mode: str
) -> t.Tuple[t.Any, ...]:
    """Call the branches of a parallel group, each up to a step that is not
    remembered.

    :param mode: ``wait`` or ``race``
    :returns: what the branches returned, in their order
    :raises Interrupt: a branch came to a step that is not remembered
    :raises Exception: what the first of those branches raised that raised
        anything, once all have ended
    """
    placement.check(state, "a parallel group")
    if mode == p.PARALLEL_RACE:
        state.has_raced = True
    outer, group = state.group, ParallelGroup(state.group)
    values: t.List[t.Any] = []
    raised: t.List[BaseException] = []
    is_complete = True
    try:
        for number, branch in enumerate(branches):
            state.group = group
            group.begin(number)
            interrupted = _call_branch(state, hooks, branch, values, raised)
            if state.ending is not None:
                _look_ahead(state, call, hooks, interrupted)
            elif state.misuse is not None:
                raise state.misuse
            elif group.has_ended:
                is_complete = False
                state.swallowed = state.swallowed or not interrupted
    finally:
        state.group = outer
        if outer is None and state.phase is LOOKING_AHEAD:
            state.stop_looking_ahead()
            hooks.replaying(False)
    if state.ending is not None:
        if outer is not None:
            outer.has_ended = True
        raise Interrupt
    if not is_complete:
        raise _group_ended(state, call, group)
    if raised:
        raise raised[0]
    return tuple(values)


def _call_branch(
    state: CallState,
    hooks: Hooks,
    branch: Branch,
    values: t.List[t.Any],
    raised: t.List[BaseException],
) -> bool:
    """Call one branch, and append what it returned or raised.

    :returns: True if an interrupt left it
    :raises BaseException: only what ends the process
    """
    interrupted = False
    try:
        value = branch()
        if type(value) is types.CoroutineType:
            value.close()
            raise errors.StepConfigError("parallel", _NOT_RUN)
        values.append(value)
    except Interrupt as exc:
        interrupted = True
        if not state.is_interrupting:
            raised.append(stray_interrupt_error(exc))
    except BaseException as exc:
        if failures.is_process_exit(exc):
            if state.phase is LOOKING_AHEAD:
                hooks.replaying(False)
            state.exit(exc)
            raise
        raised.append(exc)
    if state.process_exit is not None:
        raise state.process_exit
    return interrupted


def _look_ahead(state: CallState, call: Call, hooks: Hooks, interrupted: bool) -> None:
    """Go on to the next branch, though the call has ended in this one, if a
    race group may be found there.

    :raises Interrupt: there is nothing to find
    """
    if state.phase is LOOKING_AHEAD:
        if state.has_raced:
            raise Interrupt
        return
    state.swallowed = state.swallowed or not interrupted
    has_run_target = isinstance(state.ending, StepRan) and call.target is not None
    if state.has_raced or not has_run_target:
        raise Interrupt
    state.look_ahead()
    hooks.replaying(True)


def _group_ended(state: CallState, call: Call, group: ParallelGroup) -> Interrupt:
    """End the call, or the branch of the outer group, at a group whose branches
    have come to steps."""
    if state.group is not None:
        # the outer group reports
        state.group.ops += group.ops
        return state.end_branch()
    if not group.ops:
        # a targeted call, whose step is in none of the branches
        found = "no branch of a parallel group came to it"
        is_awaited = not state.has_raced
        return state.end(ending.target_not_found(state, call, found, is_awaited))
    return state.end(StepsToReport(group.ops))
