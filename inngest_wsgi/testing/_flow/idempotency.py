"""Apply ``idempotency``: skip events whose key was used in the last 24 hours."""

from __future__ import annotations

import typing as t

from .._model.functions import Function
from .._model.state import Event
from .keys import Key, exempt, key_of

#: Seconds for which an idempotency key holds.
_PERIOD = 86400.0


class IdempotencyKeys:
    """The time until which each key counts as used, by function and value."""

    def __init__(self) -> None:
        self._used: t.Dict[Key, float] = {}

    def refusal(self, function: Function, event: Event, now: float) -> t.Optional[str]:
        """Record the key of an event as used, or refuse the event.

        :param now: unix seconds by the server's clock.
        :return: why there is no run; None if the key was not in use.
        """
        if function.idempotency is None or exempt(function.idempotency, event):
            return None
        key = key_of(function, function.idempotency, event)
        if now < self._used.get(key, 0.0):
            return f"its idempotency key {key[1]} was used in the last 24 hours"
        self._used[key] = now + _PERIOD
        return None
