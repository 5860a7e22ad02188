"""Define a registered function and its settings as frozen values.

``settings`` reads them from a registration; all times are seconds.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._expressions.expression import Expression
from .._flow.cron import Schedule


def patterns_of(name: str) -> t.List[str]:
    """Return all that a trigger may name for an event to start its function.

    ``shop/order.paid`` has ``shop/*`` and ``shop/order.*``: a star stands for
    all that follows a slash or a full stop, and for nothing else.

    :param name: of the event.
    """
    return [name] + [name[: at + 1] + "*" for at, sign in enumerate(name) if sign in "/."]


@dataclass(frozen=True)
class Trigger:
    """An event that starts the function."""

    #: Its name, or one with a star at the end: see :func:`patterns_of`.

    event: str
    expression: t.Optional[Expression] = None


@dataclass(frozen=True)
class Batching:
    """``batchEvents``: events are collected, and run together."""

    size: int
    timeout: float
    key: t.Optional[Expression] = None
    #: An event for which this is not true starts a run at once, alone.
    condition: t.Optional[Expression] = None


@dataclass(frozen=True)
class Cancelling:
    """One entry of ``cancel``."""

    event: str
    condition: t.Optional[Expression] = None
    #: Seconds since the run began; later events do not cancel it.
    timeout: t.Optional[float] = None


@dataclass(frozen=True)
class ConcurrencyLimit:
    """A limit of ``concurrency``: how many calls may be under way at once."""

    limit: int
    key: t.Optional[Expression] = None
    scope: str = "fn"


@dataclass(frozen=True)
class Singleton:
    """``singleton``: a second run is skipped, or cancels the first."""

    cancel: bool
    key: t.Optional[Expression] = None


@dataclass(frozen=True)
class Debounce:
    """``debounce``: only the last of a burst of events starts a run."""

    period: float
    key: t.Optional[Expression] = None
    #: The most seconds that the first event of a burst is put off.
    timeout: t.Optional[float] = None


@dataclass(frozen=True)
class Rate:
    """``rateLimit`` and ``throttle``: at most ``limit`` starts in a period."""

    limit: int
    period: float
    key: t.Optional[Expression] = None
    #: Of a throttle: how many more may start at once.
    burst: int = 1


@dataclass(frozen=True)
class Function:
    """A registered function, as far as this server acts on it."""

    function_id: str
    app_id: str
    name: str
    url: str
    retries: int
    triggers: t.Tuple[Trigger, ...] = ()
    crons: t.Tuple[Schedule, ...] = ()
    batching: t.Optional[Batching] = None
    cancelling: t.Tuple[Cancelling, ...] = ()
    concurrency: t.Tuple[ConcurrencyLimit, ...] = ()
    debounce: t.Optional[Debounce] = None
    idempotency: t.Optional[Expression] = None
    priority: t.Optional[Expression] = None
    rate_limit: t.Optional[Rate] = None
    singleton: t.Optional[Singleton] = None
    throttle: t.Optional[Rate] = None
    #: Until the first call, and until the end; a run that takes longer is
    #: cancelled.
    start_timeout: t.Optional[float] = None
    finish_timeout: t.Optional[float] = None
    #: Why this server cannot run it; a run of it fails at once.
    faults: t.Tuple[str, ...] = ()
    #: Options that have no effect here, and why.
    left_out: t.Tuple[str, ...] = ()

    @property
    def max_attempts(self) -> int:
        return self.retries + 1
