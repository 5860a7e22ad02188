"""Log the failures of functions and steps, each once."""

from __future__ import annotations

import logging

from .. import errors
from .._logs import log
from .._messages import Call, Failed, Outcome, StepsReported
from . import failures


def log_failure(call: Call, outcome: Outcome, exc: BaseException) -> None:
    """Log the exception that a call ended in, unless it asks for silence.

    It is a warning if the server tries again, and an error if not. A function
    that ends with the :exc:`StepError` of a step is not logged: the step's own
    failure was, in the call that ran it.
    """
    if failures.is_quiet(exc):
        return
    if isinstance(outcome, StepsReported):
        subject = f"Step {outcome.ops[0].id.user_id!r} of function {call.fn_id}"
    elif isinstance(exc, errors.StepError) and exc.was_logged:
        return
    else:
        subject = f"Function {call.fn_id}"
    attempt = str(call.attempt + 1)
    if call.max_attempts is not None:
        attempt += f" of {call.max_attempts}"
    log.log(
        logging.WARNING if _is_retried(call, outcome) else logging.ERROR,
        "%s failed, attempt %s (run %s)",
        subject,
        attempt,
        call.run_id,
        exc_info=exc,
    )


def _is_retried(call: Call, outcome: Outcome) -> bool:
    asked = isinstance(outcome, (Failed, StepsReported)) and bool(outcome.retriable)
    return asked and not call.is_last_attempt
