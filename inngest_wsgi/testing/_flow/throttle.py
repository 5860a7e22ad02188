"""Apply ``throttle``: delay the first call of runs that start too fast (W75)."""

from __future__ import annotations

import typing as t

from .._model.functions import Function
from .._model.state import Event
from .keys import Key, key_of


class Throttles:
    """The time at which each function has its full limit again, by function and key."""

    def __init__(self) -> None:
        self._free: t.Dict[Key, float] = {}

    def delay(self, function: Function, event: Event, now: float) -> float:
        """Return the seconds by which to delay the first call of a run.

        ``limit`` plus ``burst`` runs may start at once, and then one after
        each ``period / limit``.

        :param now: unix seconds by the server's clock.
        """
        rate = function.throttle
        if rate is None:
            return 0.0
        key = key_of(function, rate.key, event)
        interval = rate.period / rate.limit
        free = max(self._free.get(key, now), now) + interval
        self._free[key] = free
        return max(free - interval * (rate.limit + rate.burst) - now, 0.0)
