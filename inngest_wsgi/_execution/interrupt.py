"""The exception that ends the call of a function at a step."""

from __future__ import annotations

from .. import errors


class Interrupt(BaseException):
    """Ends the function's call at a step, or one branch of a parallel group.

    Not an :exc:`Exception`, so that ``except Exception`` in a function does
    not catch it. It never leaves the endpoint. A context manager around steps
    is told of it when the call ends there, although nothing has failed; do not
    catch it, raise it, or keep it.
    """

    def __str__(self) -> str:
        return "ends the call of a function at a step; do not catch it, and do not keep it"


def stray_interrupt_error(interrupt: Interrupt) -> errors.NonRetriableError:
    """Make the error for an interrupt that this call did not raise: it was
    kept from another call, and raised again."""
    problem = errors.NonRetriableError(
        "an exception that ended another call was raised again; do not catch BaseException, and "
        "do not keep what ends a call"
    )
    problem.__cause__ = interrupt
    return problem
