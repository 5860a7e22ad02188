"""Go on after a step that has succeeded, as the next call would."""

from __future__ import annotations

import typing as t

from .. import errors
from .._codec import jcs
from .._messages import Call, Failed
from . import ending, failures
from .hooks import Checkpointer, Hooks
from .interrupt import Interrupt
from .state import HOOK, CallState, Concluded, StepRan

Memos = t.Dict[str, t.Any]


def go_on(
    ended: StepRan,
    state: CallState,
    call: Call,
    hooks: Hooks,
    memos: Memos,
    checkpoint: Checkpointer,
) -> t.Tuple[Memos, t.Any]:
    """Send a step that has succeeded to the server, and begin what would be the
    next call.

    :param memos: those of the call so far
    :returns: the memos of the next call, and that of the step
    :raises Interrupt: the call ends here
    """
    state.phase = HOOK
    concluded = Concluded(Failed(*failures.describe(errors.Error("The call was broken off."))))
    try:
        concluded = ending.step_ran(ended, state, call, hooks)
        op = ending.succeeded(concluded)
        if op is None:
            raise state.end(concluded)
        try:
            memo = {"data": jcs.reread(op.data)}
        except ValueError:
            # no call could carry it: as the server says then
            raise state.end(concluded)
        hooks.answered()
        outcome = checkpoint.add(op)
        if outcome is not None:
            raise state.end(Concluded(outcome))
        memos = hooks.called_again(memos, op.id.hashed, memo)
    except errors.MiddlewareError as exc:
        raise state.end(Concluded(Failed(*failures.describe(exc)), exc))
    except BaseException as exc:
        if failures.is_process_exit(exc):
            state.exit(exc)
        elif not isinstance(exc, Interrupt):
            # a timeout of gevent's, say: the step has run all the same
            state.end(concluded)
        raise
    state.go_on()
    return memos, memos.get(op.id.hashed, memo)
