"""Check values that a user gave: text, whole numbers, durations, expressions.

Each check returns the value and raises :exc:`ValueError` with a message that
begins with "must be", to follow the name of the argument. Callers put the name
in front and raise an error class of their own::

    try:
        validate.text(value)
    except ValueError as problem:
        raise errors.SettingsError("app_id", str(problem)) from None
"""

from __future__ import annotations

import typing as t

from . import durations


def is_text(value: object) -> bool:
    """Return True for a string that is neither empty nor only white space."""
    return isinstance(value, str) and bool(value.strip())


def is_whole_number(value: object) -> bool:
    """Return True for an integer. A bool is none, though Python says so."""
    return isinstance(value, int) and not isinstance(value, bool)


def text(value: t.Any) -> str:
    """Return a string that is not empty.

    :raises ValueError: not a string, or nothing but white space
    """
    if not is_text(value):
        raise ValueError("must be text, and not empty")
    return t.cast(str, value)


def expression(value: t.Any, lifted: bool = False) -> str:
    """Return a CEL expression. It is not parsed, but what no server can read
    is refused, because the server refuses it without saying why.

    :param lifted: see :func:`inngest_wsgi._checks.expressions.check`
    :raises ValueError: not a string, nothing but white space, or its quotes or
        brackets do not close
    """
    if not is_text(value):
        raise ValueError(f"must be a CEL expression, not {value!r}")
    # few applications have one
    from .._checks import expressions

    expressions.check(value, lifted)
    return t.cast(str, value)


def cron(value: t.Any) -> str:
    """Return a cron expression that a server can read.

    :raises ValueError: not a string, or none that a server can read
    """
    # as above
    from .._checks import cron as checks

    checks.check(text(value))
    return t.cast(str, value)


def whole_number(value: t.Any, least: int, most: t.Optional[int] = None) -> int:
    """Return an integer between two limits, both included.

    :raises ValueError: not an integer, or beyond a limit
    """
    if not is_whole_number(value) or value < least or (most is not None and value > most):
        if most is None:
            raise ValueError(f"must be a whole number, {least} or more")
        raise ValueError(f"must be a whole number from {least} to {most}")
    return t.cast(int, value)


def one_of(value: t.Any, *known: str) -> str:
    """Return one of the values that are known.

    :raises ValueError: another
    """
    # not a set: the value need not be hashable
    if value not in known:
        raise ValueError("must be one of {}, not {!r}".format(", ".join(known), value))
    return t.cast(str, value)


def milliseconds(value: t.Any, least: int = 0, most: t.Optional[int] = None) -> int:
    """Return a duration in milliseconds.

    :param value: milliseconds (``int``), a ``timedelta`` or a time string
    :param least: the shortest duration, in milliseconds
    :param most: the longest, in milliseconds
    :raises ValueError: not a duration, or beyond a limit. The message for a
        value that is no duration begins with the value or "a duration"
    """
    found = durations.milliseconds(value)
    if found < least or (most is not None and found > most):
        shortest = durations.to_timestr(least)
        if most is None:
            raise ValueError(f"must be {shortest} or more")
        raise ValueError(f"must be from {shortest} to {durations.to_timestr(most)}")
    return found
