"""Apply ``rateLimit``: skip events once a function has started often enough."""

from __future__ import annotations

import typing as t

from .._model.functions import Function
from .._model.state import Event
from .keys import Key, exempt, key_of


class RateLimits:
    """The starts within the last period, by function and key."""

    def __init__(self) -> None:
        self._starts: t.Dict[Key, t.List[float]] = {}

    def refusal(self, function: Function, event: Event, now: float) -> t.Optional[str]:
        """Count a start, unless the limit is reached.

        :param now: unix seconds by the server's clock.
        :return: why there is no run; None if there may be one.
        """
        rate = function.rate_limit
        if rate is None or exempt(rate.key, event):
            return None
        key = key_of(function, rate.key, event)
        starts = [start for start in self._starts.get(key, ()) if start > now - rate.period]
        self._starts[key] = starts
        if len(starts) >= rate.limit:
            return "the function's rate limit is reached"
        starts.append(now)
        return None
