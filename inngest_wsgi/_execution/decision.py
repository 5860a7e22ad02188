"""The rule which step may run (PROTOCOL section 6)."""

from __future__ import annotations

import enum
import typing as t

from .._messages import Call, StepId
from . import memos as _memos
from .state import LOOKING_AHEAD, CallState


class Decision(enum.Enum):
    """The fate of a step that the function has come to."""

    GIVE_BACK = "its result is remembered"
    PASS_OVER = "nothing runs while looking ahead"
    NOT_TARGETED = "the call is for another step alone"
    PLAN = "it is only reported: as planned, or as the op that the server carries out"
    CARRY_OUT = "it runs now, or is reported if the server carries it out"


# by name alone, as the phases are
GIVE_BACK = Decision.GIVE_BACK
PASS_OVER = Decision.PASS_OVER
NOT_TARGETED = Decision.NOT_TARGETED
PLAN = Decision.PLAN
CARRY_OUT = Decision.CARRY_OUT


def decide(
    state: CallState, call: Call, memos: t.Mapping[str, t.Any], step: StepId
) -> t.Tuple[Decision, t.Any]:
    """Decide what becomes of a step.

    :returns: the decision; with GIVE_BACK the memo, otherwise the arguments
        that a user edited in place of the step's own, or None
    """
    edited = None
    if step.hashed in memos:
        memo = memos[step.hashed]
        edited = _memos.edited_input(memo)
        if edited is None:
            return GIVE_BACK, memo
    if state.phase is LOOKING_AHEAD:
        return PASS_OVER, None
    if call.target is not None:
        targeted = call.target == step.hashed
        return (CARRY_OUT if targeted else NOT_TARGETED), edited
    # after a race group too: each of its branches that ends makes the server
    # call again, and whatever those calls run, runs as often (W68)
    if state.group is not None or state.has_raced or call.plan_only:
        return PLAN, edited
    return CARRY_OUT, edited


def has_target_run(call: Call) -> bool:
    """Tell whether the one step that may run has run already, because the same
    call came twice."""
    steps = call.steps or {}
    return call.target in steps and _memos.edited_input(steps[call.target]) is None
