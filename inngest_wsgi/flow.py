"""Flow control: limit and order the runs of a function.

Each class is one option of ``create_function``. It makes the checks that the
server makes too (PROTOCOL section 5), so that a mistake is an error where the
function is declared, and not a sync that fails without saying why.

A ``key`` is a CEL expression on ``event``, for example ``"event.data.user"``;
the option applies to each of its values separately. A duration is milliseconds
(``int``), a ``timedelta`` or a time string (``"1h30m"``).
"""

from __future__ import annotations

import dataclasses
import typing as t

from ._codec import durations, validate
from ._codec.durations import Duration

_DAY_MS = 86400 * 1000
_SECOND_MS = 1000

Wire = t.Dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Start one run for several events.

    :param max_size: the most events of a run
    :param timeout: start the run after this time, with the events that there
        are
    :param if_exp: a CEL expression on ``event``; only events for which it is
        true are batched
    :raises ValueError: names the field and says what is wrong
    """

    max_size: int
    timeout: t.Optional[Duration] = None
    key: t.Optional[str] = None
    if_exp: t.Optional[str] = None

    def __post_init__(self) -> None:
        _check(self, "max_size", validate.whole_number, 1)
        _check_if_set(self, "timeout", validate.milliseconds)
        _check_if_set(self, "key", validate.expression)
        _check_if_set(self, "if_exp", validate.expression)

    def to_wire(self) -> Wire:
        return _without_none(
            {
                "maxSize": self.max_size,
                "timeout": durations.optional_in_hours(self.timeout),
                "key": self.key,
                "if": self.if_exp,
            }
        )


@dataclasses.dataclass(frozen=True)
class Cancel:
    """Cancel a run when an event arrives.

    :param event: the event's name
    :param if_exp: a CEL expression that must be true: ``event`` is the event
        that started the run, ``async`` the one that may cancel it
    :param timeout: the time after the start of a run in which it can be
        cancelled
    :raises ValueError: names the field and says what is wrong
    """

    event: str
    if_exp: t.Optional[str] = None
    timeout: t.Optional[Duration] = None

    def __post_init__(self) -> None:
        if not validate.is_text(self.event):
            raise ValueError("event of a Cancel must be the name of an event")
        _check_if_set(self, "timeout", validate.milliseconds)
        _check_if_set(self, "if_exp", validate.expression)

    def to_wire(self) -> Wire:
        return _without_none(
            {
                "event": self.event,
                "if": self.if_exp,
                "timeout": durations.optional(self.timeout),
            }
        )


@dataclasses.dataclass(frozen=True)
class Concurrency:
    """Limit the steps that run at the same time.

    :param limit: the most steps; 0 for no limit but the account's
    :param scope: the functions that share the limit: ``"fn"`` for this one
        alone, ``"env"`` or ``"account"`` for all with the same ``key``, which
        is then needed
    :raises ValueError: names the field and says what is wrong
    """

    limit: int
    key: t.Optional[str] = None
    scope: t.Optional[t.Literal["fn", "env", "account"]] = None

    def __post_init__(self) -> None:
        _check(self, "limit", validate.whole_number, 0)
        _check_if_set(self, "key", validate.expression, True)
        _check_if_set(self, "scope", validate.one_of, "fn", "env", "account")
        if self.scope in ("env", "account") and self.key is None:
            raise ValueError(
                f"key of a Concurrency is missing; scope {self.scope!r} needs one, which the "
                "functions have in common"
            )

    def to_wire(self) -> Wire:
        return _without_none({"limit": self.limit, "key": self.key, "scope": self.scope})


@dataclasses.dataclass(frozen=True)
class Debounce:
    """Start a run with the last event, once no other has arrived for a period.

    :param period: that period, from 1 second to 7 days
    :param timeout: start the run after this time even if events keep arriving
    :raises ValueError: names the field and says what is wrong
    """

    period: Duration
    key: t.Optional[str] = None
    timeout: t.Optional[Duration] = None

    def __post_init__(self) -> None:
        _check(self, "period", validate.milliseconds, _SECOND_MS, 7 * _DAY_MS)
        _check_if_set(self, "timeout", validate.milliseconds)
        _check_if_set(self, "key", validate.expression)

    def to_wire(self) -> Wire:
        return _without_none(
            {
                "period": durations.to_timestr(self.period),
                "key": self.key,
                "timeout": durations.optional(self.timeout),
            }
        )


@dataclasses.dataclass(frozen=True)
class Priority:
    """Order the runs that wait.

    :param run: a CEL expression on ``event``, for example
        ``"event.data.vip ? 100 : 0"``: the number of seconds by which a run
        goes ahead of others, or behind them if it is negative
    :raises ValueError: it is empty
    """

    run: str

    def __post_init__(self) -> None:
        _check(self, "run", validate.expression)

    def to_wire(self) -> Wire:
        return {"run": self.run}


@dataclasses.dataclass(frozen=True)
class RateLimit:
    """Limit the runs that start in a period. Further events are dropped.

    The server spreads the limit over the period: a tenth of it and one more
    may start at the same moment, and then one each ``period / limit``.

    :param limit: the most runs
    :param period: from 1 second to 24 hours
    :raises ValueError: names the field and says what is wrong
    """

    limit: int
    period: Duration
    key: t.Optional[str] = None

    def __post_init__(self) -> None:
        _check(self, "limit", validate.whole_number, 1)
        _check(self, "period", validate.milliseconds, _SECOND_MS, _DAY_MS)
        _check_if_set(self, "key", validate.expression)

    def to_wire(self) -> Wire:
        period = durations.to_timestr(self.period)
        return _without_none({"limit": self.limit, "period": period, "key": self.key})


@dataclasses.dataclass(frozen=True)
class Singleton:
    """Allow one run at a time.

    :param mode: the effect of an event during a run: ``"skip"`` to drop it,
        ``"cancel"`` to cancel the run and start another
    :raises ValueError: names the field and says what is wrong
    """

    mode: t.Literal["skip", "cancel"]
    key: t.Optional[str] = None

    def __post_init__(self) -> None:
        _check(self, "mode", validate.one_of, "skip", "cancel")
        _check_if_set(self, "key", validate.expression, True)

    def to_wire(self) -> Wire:
        return _without_none({"mode": self.mode, "key": self.key})


@dataclasses.dataclass(frozen=True)
class Throttle:
    """Limit the runs that start in a period. Further events wait.

    :param limit: the most runs
    :param period: from 1 second to 7 days
    :param burst: so many may start at the same moment in addition to
        ``limit``; after that, one each ``period / limit`` (W75)
    :raises ValueError: names the field and says what is wrong
    """

    limit: int
    period: Duration
    key: t.Optional[str] = None
    burst: t.Optional[int] = 1

    def __post_init__(self) -> None:
        _check(self, "limit", validate.whole_number, 1)
        _check(self, "period", validate.milliseconds, _SECOND_MS, 7 * _DAY_MS)
        _check_if_set(self, "key", validate.expression, True)
        _check_if_set(self, "burst", validate.whole_number, 1)

    def to_wire(self) -> Wire:
        return _without_none(
            {
                "limit": self.limit,
                "period": durations.to_timestr(self.period),
                "key": self.key,
                "burst": self.burst,
            }
        )


@dataclasses.dataclass(frozen=True)
class Timeouts:
    """Cancel runs that wait or run for too long.

    :param start: the longest time until a run starts
    :param finish: the longest time from its start to its end
    :raises ValueError: names the field and says what is wrong
    """

    start: t.Optional[Duration] = None
    finish: t.Optional[Duration] = None

    def __post_init__(self) -> None:
        _check_if_set(self, "start", validate.milliseconds)
        _check_if_set(self, "finish", validate.milliseconds)

    def to_wire(self) -> Wire:
        return _without_none(
            {"start": durations.optional(self.start), "finish": durations.optional(self.finish)}
        )


def _check(owner: object, field: str, check: t.Callable[..., t.Any], *args: t.Any) -> None:
    """Call a check of :mod:`~inngest_wsgi._codec.validate` on a field."""
    try:
        check(getattr(owner, field), *args)
    except ValueError as problem:
        name = f"{field} of a {type(owner).__name__}"
        separator = " " if str(problem).startswith("must be") else ": "
        raise ValueError(f"{name}{separator}{problem}") from None


def _check_if_set(owner: object, field: str, check: t.Callable[..., t.Any], *args: t.Any) -> None:
    if getattr(owner, field) is not None:
        _check(owner, field, check, *args)


def _without_none(fields: t.Mapping[str, t.Any]) -> Wire:
    return {name: value for name, value in fields.items() if value is not None}
