"""Read the memo of a step: what the server remembers of it. How a memo is to be
read depends on the kind of step (PROTOCOL section 6, W12 to W17)."""

from __future__ import annotations

import typing as t

from .. import _protocol as p
from .step_errors import step_error


def edited_input(memo: t.Any) -> t.Optional[t.List[t.Any]]:
    """Return the arguments that a user edited; None if the memo is a result
    (W16)."""
    if not isinstance(memo, dict) or "data" in memo or "error" in memo:
        return None
    edited = memo.get("input")
    return edited if isinstance(edited, list) else None


def result(memo: t.Any, step_id: str) -> t.Any:
    """Return the result of a step that ran in this app.

    :raises errors.StepError: the step failed
    """
    raise_error(memo, step_id, ran_here=True)
    return unwrapped(memo)


def unwrapped(memo: t.Any) -> t.Any:
    """Return a memo without the wrapper that most kinds of step have. A sleep
    and a wait that timed out have none, and are None."""
    return memo["data"] if isinstance(memo, dict) and "data" in memo else memo


def is_cancelled(memo: t.Any) -> bool:
    """Tell whether an invoked function was cancelled. Its memo is then the bare
    event of its end; every other memo of an invoke is wrapped."""
    return isinstance(memo, dict) and memo.get("name") == p.EVENT_FUNCTION_FINISHED


def raise_error(memo: t.Any, step_id: str, ran_here: bool = False) -> None:
    """Raise the error of a step that failed.

    :param ran_here: True if the step ran in this app
    :raises errors.StepError: the memo is an error
    """
    problem = memo.get("error") if isinstance(memo, dict) else None
    if problem is not None:
        raise step_error(problem, step_id, ran_here)
