"""Evaluate the ``key`` of a flow control setting."""

from __future__ import annotations

import typing as t

from .._expressions.expression import Expression
from .._model.functions import Function
from .._model.state import Event

#: A function's id and the value of a setting's key expression.
Key = t.Tuple[str, str]


def value_of(expression: t.Optional[Expression], event: Event) -> str:
    """Return the value of a key expression as text; empty without expression."""
    return "" if expression is None else expression.key(event.sent())


def key_of(function: Function, expression: t.Optional[Expression], event: Event) -> Key:
    """Return the key that a rule counts an event under."""
    return function.function_id, value_of(expression, event)


def exempt(expression: t.Optional[Expression], event: Event) -> bool:
    """Return True if the key of a rate limit, an idempotency or a singleton is
    false or has no value: then the rule does not apply to the event."""
    return expression is not None and expression.value(event.sent()) is False
