"""Apply ``rateLimit``: skip events while a function has started often enough.

As on a server, the limit is spread over the period: of ``limit 20, period 60s``
three events may start runs at once, a tenth of the limit and one, and then one
after each three seconds.
"""

from __future__ import annotations

import typing as t

from .._model.functions import Function
from .._model.state import Event
from .keys import Key, exempt, key_of


class RateLimits:
    """The time until which each function has used its limit, by function and key."""

    def __init__(self) -> None:
        self._used: t.Dict[Key, float] = {}

    def refusal(self, function: Function, event: Event, now: float) -> t.Optional[str]:
        """Count a start, unless the limit is reached.

        :param now: unix seconds by the server's clock.
        :return: why there is no run; None if there may be one.
        """
        rate = function.rate_limit
        if rate is None or exempt(rate.key, event):
            return None
        key = key_of(function, rate.key, event)
        interval = rate.period / rate.limit
        used = max(self._used.get(key, now), now) + interval
        if used - interval * (rate.limit // 10 + 1) > now:
            return "the function's rate limit is reached"
        self._used[key] = used
        return None
