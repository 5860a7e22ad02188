"""What is remembered of a step, and what it means to the kind of step that
asks (PROTOCOL section 6, W12 to W17)."""

from __future__ import annotations

import typing as t

from .. import _protocol as p, errors


def edited_input(memo: t.Any) -> t.Optional[t.List[t.Any]]:
    """The step's arguments, where the memo is not a result but the input that
    a user edited."""
    if not isinstance(memo, dict) or "data" in memo or "error" in memo:
        return None
    edited = memo.get("input")
    return edited if isinstance(edited, list) else None


def result(memo: t.Any) -> t.Any:
    """What a step returned.

    :raises errors.StepError: it failed
    """
    raise_error(memo)
    return unwrapped(memo)


def unwrapped(memo: t.Any) -> t.Any:
    """What is remembered, without the wrapper that most kinds of step have.
    A sleep is ``null``, and an event that was waited for is bare."""
    return memo["data"] if isinstance(memo, dict) and "data" in memo else memo


def is_cancelled(memo: t.Any) -> bool:
    """Whether the memo of an invoked function says that it was cancelled: it
    is then the event of its end, and everything else is wrapped."""
    return isinstance(memo, dict) and memo.get("name") == p.EVENT_FUNCTION_FINISHED


def raise_error(memo: t.Any) -> None:
    """:raises errors.StepError: what is remembered is that the step failed"""
    problem = memo.get("error") if isinstance(memo, dict) else None
    if problem is None:
        return
    if not isinstance(problem, dict):
        raise errors.StepError(str(problem), "Error")
    stack, cause = problem.get("stack"), problem.get("cause")
    raise errors.StepError(
        message=str(problem.get("message") or ""),
        name=str(problem.get("name") or "Error"),
        stack=stack if isinstance(stack, str) else None,
        cause=cause if isinstance(cause, dict) else None,
    )
