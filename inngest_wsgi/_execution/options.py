"""Check the options of a step, and name the step and the option in the error."""

from __future__ import annotations

import contextvars
import time as _time
import typing as t

from .. import errors
from .._codec import durations, json as _json, validate

#: Returns the present time by the server's clock, in seconds since the epoch;
#: None where that is the system's, and so everywhere but in tests.
clock: "contextvars.ContextVar[t.Optional[t.Callable[[], float]]]" = contextvars.ContextVar(
    "inngest_wsgi_clock", default=None
)


def no_function(step_id: object, given: object) -> errors.StepConfigError:
    """Make the error of a step that was not given a function to run."""
    return errors.StepConfigError(
        step_id,
        "it was given a value of type "
        f"{type(given).__name__} where the function to run belongs. Give it the function and its "
        "arguments, f, x, and not what the function returns, f(x): that would run in each call",
    )


def text(step_id: str, name: str, value: t.Any) -> str:
    """Return an option that is text.

    :raises errors.StepConfigError: not text, or empty
    """
    if not validate.is_text(value):
        raise errors.StepConfigError(step_id, f"{name} must be text, and not empty")
    return t.cast(str, value)


def expression(step_id: str, name: str, value: t.Any) -> str:
    """Return an option that is a CEL expression.

    :raises errors.StepConfigError: not text, empty, or its quotes or brackets
        do not close
    """
    try:
        return validate.expression(text(step_id, name, value))
    except ValueError as problem:
        raise errors.StepConfigError(step_id, f"{name} {problem}") from None


def time(step_id: str, name: str, value: durations.Time) -> str:
    """Return a duration or a point in time as the wire writes it.

    :raises errors.StepConfigError: no such, or more than 366 days ahead
    """
    try:
        return durations.within_a_year(value, (clock.get() or _time.time)())
    except ValueError as problem:
        raise errors.StepConfigError(step_id, f"{name}: {problem}") from None


def json(step_id: str, name: str, value: t.Any) -> t.Any:
    """Return an option that is sent as JSON.

    :raises errors.StepConfigError: it cannot be JSON; with the path to what
        cannot
    """
    try:
        _json.dumps(value)
    except errors.OutputError as problem:
        raise errors.StepConfigError(step_id, f"{name}: {problem}") from None
    return value


def json_object(
    step_id: str, name: str, value: t.Optional[t.Mapping[str, t.Any]]
) -> t.Dict[str, t.Any]:
    """Return a copy of an option that is sent as a JSON object; empty for None.

    :raises errors.StepConfigError: no mapping, or it cannot be JSON
    """
    if value is not None and not isinstance(value, t.Mapping):
        raise errors.StepConfigError(step_id, f"{name} must be a dict")
    found: t.Dict[str, t.Any] = json(step_id, name, dict(value or {}))
    return found
