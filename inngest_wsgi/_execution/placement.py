"""The rule where a step can be, and which use of its id it is.

A step can be in the function's own code: not before the function is called or
after it has ended, not in a hook, not in another thread, and not inside
another step.
"""

from __future__ import annotations

import hashlib
import sys
import typing as t
from threading import get_ident

from .. import errors
from .._messages import StepId
from .interrupt import Interrupt
from .state import AFTER, BEFORE, ENDED, EXITING, FUNCTION, HOOK, STEP, CallState

#: The longest id whose hash is remembered, in characters, and how many are.
MAX_REMEMBERED = 200
MAX_HASHES = 4096
#: The hashes of the ids that this process has come to, and of their repeated
#: uses with the ids that could be taken for such: all that have a colon. By
#: what is hashed; only :func:`hash_of` writes them.
HASHES: t.Dict[str, str] = {}
REPEATED: t.Dict[str, str] = {}

#: Why no step can be called while the function's code does not run.
_OUTSIDE = {
    BEFORE: (
        "it is called before the function is, for example in a middleware's transform_input(). "
        "Call it in the function"
    ),
    HOOK: "it is called in a middleware's before_execution(). Call it in the function",
    AFTER: "the call that ctx.step belongs to has ended; do not keep it",
}


def check(state: CallState, user_id: str) -> None:
    """Check that a step, or a parallel group, can be called here and now.

    :param user_id: for the message
    :raises errors.StepConfigError: it cannot
    :raises Interrupt: the call, or the branch that is being called, has ended
    :raises BaseException: the exception that is ending the process, again
    """
    phase, is_own_thread = state.phase, get_ident() == state.thread
    # another thread may come while a hook runs, or while a step is sent
    in_hook = phase is HOOK and is_own_thread
    if phase is BEFORE or phase is AFTER or in_hook:
        raise errors.StepConfigError(user_id, _OUTSIDE[phase])
    if not is_own_thread:
        raise refusal(
            state,
            user_id,
            "it is called in another thread than the function. To run steps side by side use "
            "ctx.group.parallel()",
        )
    if phase is EXITING and state.process_exit is not None:
        raise state.process_exit
    if phase is ENDED or (state.group is not None and state.group.has_ended):
        # on its way out, the interrupt may come through a finally with a step
        # in it; in any other place, somebody has swallowed it
        if not isinstance(sys.exc_info()[1], Interrupt):
            state.swallowed = True
        raise Interrupt
    if phase is STEP:
        assert state.step is not None
        raise refusal(
            state,
            user_id,
            f"it is inside step {state.step.user_id!r}. A step cannot contain another: it would "
            "be repeated with it. Call it before or after",
        )
    if state.misuse is not None:
        raise state.misuse


def enter(state: CallState, user_id: str) -> StepId:
    """Check that a step can be here, and count the use of its id.

    :returns: the id of this use
    :raises errors.StepConfigError: it cannot be here, or the id cannot be used
    """
    if (
        state.phase is not FUNCTION
        or state.group is not None
        or state.misuse is not None
        or get_ident() != state.thread
    ):
        # else nothing is to be said against it, as with nearly each step
        check(state, user_id)
    if not isinstance(user_id, str) or not user_id:
        raise errors.StepConfigError(user_id, "the id must be text, and not empty")
    if type(user_id) is not str:
        # it may be equal to other texts, and an Enum is formatted in another way
        # since Python 3.11; what the server gets is the text itself
        user_id = str.__str__(user_id)
    if state.group is not None:
        problem = state.group.use(user_id)
        if problem is not None:
            raise refusal(state, user_id, problem)
    repeat = state.uses.get(user_id, 0)
    text = f"{user_id}:{repeat}" if repeat else user_id
    if repeat or ":" in user_id:
        _check_hash(state, user_id, repeat, text)
    state.uses[user_id] = repeat + 1
    return StepId(user_id, repeat, hash_of(text))


def hash_of(text: str) -> str:
    """Return the hash of a use of a step's id (PROTOCOL section 6). A function
    has the same steps in each call, so the last ones are remembered.

    :param text: no subclass of ``str``, which may be equal to other texts
    """
    table = REPEATED if ":" in text else HASHES
    hashed = table.get(text)
    if hashed is None:
        hashed = hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest()
        if len(text) <= MAX_REMEMBERED:
            if len(table) >= MAX_HASHES:
                # in one go: to find the oldest would take longer than to hash
                table.clear()
            table[text] = hashed
    return hashed


def refusal(state: CallState, user_id: str, message: str) -> errors.StepConfigError:
    """Record and return an error. It is recorded because the code that calls
    the step may catch it, or run in a thread where nobody sees it."""
    state.misuse = errors.StepConfigError(user_id, message)
    return state.misuse


def _check_hash(state: CallState, user_id: str, repeat: int, text: str) -> None:
    """Refuse a use with the same hash as an earlier one: one step would be
    given the memo of the other.

    :param text: what is hashed
    """
    if repeat:
        other, taken = text, text in state.uses
    else:
        other, _, number = user_id.rpartition(":")
        # as repeats are numbered: no sign, no leading zero
        counted = number.isascii() and number.isdigit() and number[0] != "0"
        taken = counted and len(number) < 10 and state.uses.get(other, 0) > int(number)
    if taken:
        raise refusal(
            state,
            user_id,
            f"its use {repeat + 1} is counted as {text!r}, and so is a use of step {other!r}: "
            "the server cannot tell them apart. Rename one of the two steps",
        )
