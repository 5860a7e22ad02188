"""Flow control: when, how often, and how many at once, a function runs.

Each class is one option of ``create_function``, with the checks that the
server makes of it (PROTOCOL section 5): a mistake is an error where the
function is declared, not a sync that fails without saying why.

A ``key`` is a CEL expression on ``event``, for example ``"event.data.user"``;
what it limits is limited for each of its values. A duration is milliseconds
(``int``), a ``timedelta`` or a time string (``"1h30m"``).
"""

from __future__ import annotations

import dataclasses
import typing as t

from ._codec import durations
from ._codec.durations import Duration

_DAY_MS = 86400 * 1000
_SECOND_MS = 1000

Wire = t.Dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Batch:
    """One run for many events.

    :param max_size: how many events at the most
    :param timeout: run after this long, with however many there are
    :param if_exp: only events for which this holds are batched
    :raises ValueError: names the field and what is wrong with it
    """

    max_size: int
    timeout: t.Optional[Duration] = None
    key: t.Optional[str] = None
    if_exp: t.Optional[str] = None

    def __post_init__(self) -> None:
        _whole(self, "max_size", least=1)
        _duration(self, "timeout")
        _expressions(self, "key", "if_exp")

    def to_wire(self) -> Wire:
        return _without_none(
            {
                "maxSize": self.max_size,
                "timeout": durations.optional(self.timeout),
                "key": self.key,
                "if": self.if_exp,
            }
        )


@dataclasses.dataclass(frozen=True)
class Cancel:
    """An event that cancels a run.

    :param event: the event's name
    :param if_exp: a CEL expression that must hold: ``event`` is what the run
        was started by, ``async`` what may cancel it
    :param timeout: how long after its start a run can be cancelled so
    :raises ValueError: names the field and what is wrong with it
    """

    event: str
    if_exp: t.Optional[str] = None
    timeout: t.Optional[Duration] = None

    def __post_init__(self) -> None:
        if not isinstance(self.event, str) or not self.event.strip():
            raise ValueError("event of a Cancel must be the name of an event")
        _duration(self, "timeout")
        _expressions(self, "if_exp")

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
    """How many steps of the function may run at the same time.

    :param limit: how many; 0 leaves it to the account's limit
    :param scope: ``"fn"``, ``"env"`` or ``"account"``: among what the limit
        is shared; the last two need a ``key``
    :raises ValueError: names the field and what is wrong with it
    """

    limit: int
    key: t.Optional[str] = None
    scope: t.Optional[str] = None

    def __post_init__(self) -> None:
        _whole(self, "limit", least=0)
        _expressions(self, "key")
        _one_of(self, "scope", "fn", "env", "account")
        if self.scope in ("env", "account") and self.key is None:
            raise ValueError(
                "key of a Concurrency is missing; with scope {!r} it says what the functions "
                "have in common".format(self.scope)
            )

    def to_wire(self) -> Wire:
        return _without_none({"limit": self.limit, "key": self.key, "scope": self.scope})


@dataclasses.dataclass(frozen=True)
class Debounce:
    """Run once no event has come for a while, with the last one.

    :param period: how long that is, from 1 second to 7 days
    :param timeout: run after this long although events keep coming
    :raises ValueError: names the field and what is wrong with it
    """

    period: Duration
    key: t.Optional[str] = None
    timeout: t.Optional[Duration] = None

    def __post_init__(self) -> None:
        _duration(self, "period", least=_SECOND_MS, most=7 * _DAY_MS)
        _duration(self, "timeout")
        _expressions(self, "key")

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
    """Which run goes first.

    :param run: a CEL expression whose value, in seconds, a run is put ahead
        (or, negative, behind), for example ``"event.data.vip ? 100 : 0"``
    :raises ValueError: it is empty
    """

    run: str

    def __post_init__(self) -> None:
        if self.run is None:
            raise ValueError("run of a Priority must be an expression")
        _expressions(self, "run")

    def to_wire(self) -> Wire:
        return {"run": self.run}


@dataclasses.dataclass(frozen=True)
class RateLimit:
    """How many runs may start in a while; an event beyond that is dropped.

    :param limit: how many
    :param period: how long that is, from 1 second to 24 hours
    :raises ValueError: names the field and what is wrong with it
    """

    limit: int
    period: Duration
    key: t.Optional[str] = None

    def __post_init__(self) -> None:
        _whole(self, "limit", least=1)
        _duration(self, "period", least=_SECOND_MS, most=_DAY_MS)
        _expressions(self, "key")

    def to_wire(self) -> Wire:
        period = durations.to_timestr(self.period)
        return _without_none({"limit": self.limit, "period": period, "key": self.key})


@dataclasses.dataclass(frozen=True)
class Singleton:
    """One run at a time.

    :param mode: ``"skip"``: an event during a run starts none; ``"cancel"``:
        it cancels that run and starts another
    :raises ValueError: names the field and what is wrong with it
    """

    mode: str
    key: t.Optional[str] = None

    def __post_init__(self) -> None:
        if self.mode is None:
            raise ValueError('mode of a Singleton must be "skip" or "cancel"')
        _one_of(self, "mode", "skip", "cancel")
        _expressions(self, "key")

    def to_wire(self) -> Wire:
        return _without_none({"mode": self.mode, "key": self.key})


@dataclasses.dataclass(frozen=True)
class Throttle:
    """How many runs may start in a while; an event beyond that waits.

    :param limit: how many
    :param period: how long that is, from 1 second to 7 days
    :param burst: how many of them may start at the same moment
    :raises ValueError: names the field and what is wrong with it
    """

    limit: int
    period: Duration
    key: t.Optional[str] = None
    burst: t.Optional[int] = 1

    def __post_init__(self) -> None:
        _whole(self, "limit", least=1)
        _duration(self, "period", least=_SECOND_MS, most=7 * _DAY_MS)
        _expressions(self, "key")
        if self.burst is not None:
            _whole(self, "burst", least=1)

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
    """When a run is cancelled for taking too long.

    :param start: how long it may wait to be started
    :param finish: how long it may take from its start
    :raises ValueError: names the field and what is wrong with it
    """

    start: t.Optional[Duration] = None
    finish: t.Optional[Duration] = None

    def __post_init__(self) -> None:
        _duration(self, "start")
        _duration(self, "finish")

    def to_wire(self) -> Wire:
        return _without_none(
            {"start": durations.optional(self.start), "finish": durations.optional(self.finish)}
        )


def _name(owner: object, field: str) -> str:
    return "{} of a {}".format(field, type(owner).__name__)


def _whole(owner: object, field: str, least: int) -> None:
    value = getattr(owner, field)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(
            "{} must be a whole number, {} or more".format(_name(owner, field), least)
        )


def _duration(owner: object, field: str, least: int = 0, most: t.Optional[int] = None) -> None:
    value = getattr(owner, field)
    if value is None and most is None:
        return
    try:
        ms = durations.milliseconds(value)
    except ValueError as error:
        raise ValueError("{}: {}".format(_name(owner, field), error)) from None
    if ms < least or (most is not None and ms > most):
        raise ValueError(
            "{} must be from {} to {}".format(
                _name(owner, field), durations.to_timestr(least), durations.to_timestr(most or 0)
            )
        )


def _expressions(owner: object, *fields: str) -> None:
    """The server refuses an empty expression, without a word why."""
    for field in fields:
        value = getattr(owner, field)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise ValueError(
                "{} must be a CEL expression, not {!r}".format(_name(owner, field), value)
            )


def _one_of(owner: object, field: str, *known: str) -> None:
    value = getattr(owner, field)
    if value is not None and value not in known:
        raise ValueError(
            "{} must be one of {}, not {!r}".format(_name(owner, field), ", ".join(known), value)
        )


def _without_none(fields: t.Mapping[str, t.Any]) -> Wire:
    return {name: value for name, value in fields.items() if value is not None}
