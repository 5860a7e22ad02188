"""Give back the result of a step that is remembered, by the shortest way.

Each call comes to all steps of the earlier ones again, and a function of many
steps spends its time on these. So :meth:`Step.run` asks here first. This
decides nothing of its own: where a step is anything but a use of a plain id
with a result, :meth:`~.engine.Engine.run` decides, and the rules are there.
"""

from __future__ import annotations

import typing as t
from threading import get_ident

from . import placement
from .engine import Engine
from .placement import HASHES, REPEATED
from .state import FUNCTION

#: There is no result to give back without further ado.
NOT_RECALLED: t.Any = object()


def recall(engine: Engine, user_id: str) -> t.Any:
    """Return the result of a step that ran in this process.

    :returns: :data:`NOT_RECALLED` if :meth:`~.engine.Engine.run` has to decide
    :raises errors.StepConfigError: the id cannot be used in this branch of a
        parallel group
    """
    state = engine.state
    if state.phase is not FUNCTION or state.misuse is not None or get_ident() != state.thread:
        return NOT_RECALLED
    if type(user_id) is not str:
        # it is no text, or a subclass, which may be equal to another text
        return NOT_RECALLED
    uses, group, repeat = state.uses, state.group, 0
    try:
        if group is None and user_id not in uses:
            memo = engine.memos[HASHES[user_id]]
        elif ":" in user_id or (group is not None and group.has_ended):
            return NOT_RECALLED
        else:
            repeat = uses.get(user_id, 0)
            text = f"{user_id}:{repeat}"
            if text in uses:
                # that is the id of another step
                return NOT_RECALLED
            memo = engine.memos[REPEATED[text] if repeat else HASHES[user_id]]
    except KeyError:
        # no memo, or an id that was not come to before
        return NOT_RECALLED
    # an error, a user's input in place of the step's, a memo without a wrapper
    if type(memo) is not dict or len(memo) != 1 or "data" not in memo:
        return NOT_RECALLED
    if group is not None:
        problem = group.use(user_id)
        if problem is not None:
            raise placement.refusal(state, user_id, problem)
    uses[user_id] = repeat + 1
    state.unread -= 1
    if state.unread == 0:
        engine.note_all_read()
    return memo["data"]
