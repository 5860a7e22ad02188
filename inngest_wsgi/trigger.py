"""Triggers: the events and schedules that start runs."""

from __future__ import annotations

import dataclasses
import typing as t

from ._codec import durations, validate


@dataclasses.dataclass(frozen=True)
class TriggerEvent:
    """Starts a run when an event is sent.

    :param event: the event's name
    :param expression: a CEL expression on ``event`` that must be true, for
        example ``"event.data.total > 100"``
    :raises ValueError: the name or the expression is empty, or no server can
        read the expression
    """

    event: str
    expression: t.Optional[str] = None

    def __post_init__(self) -> None:
        _check(self, "event", validate.text)
        if self.expression is not None:
            _check(self, "expression", validate.text)
            _check(self, "expression", validate.expression)

    def to_wire(self) -> t.Dict[str, t.Any]:
        wire: t.Dict[str, t.Any] = {"event": self.event}
        if self.expression is not None:
            wire["expression"] = self.expression
        return wire


@dataclasses.dataclass(frozen=True)
class TriggerCron:
    """Starts a run on a schedule.

    :param cron: five fields, for the minute, the hour, the day of the month,
        the month and the day of the week (0 for Sunday, to 6), in UTC unless
        it begins with a time zone: ``"TZ=Europe/Berlin 0 9 * * 1-5"``. The
        server reads no words such as ``@daily``
    :param jitter: the longest random delay of a run, as milliseconds
        (``int``), a ``timedelta`` or a time string
    :raises ValueError: the server cannot read the expression, or the jitter is
        not a duration
    """

    cron: str
    jitter: t.Optional[durations.Duration] = None

    def __post_init__(self) -> None:
        _check(self, "cron", validate.cron)
        durations.optional(self.jitter)

    def to_wire(self) -> t.Dict[str, t.Any]:
        wire: t.Dict[str, t.Any] = {"cron": self.cron}
        if self.jitter is not None:
            wire["jitter"] = durations.to_timestr(self.jitter)
        return wire


Trigger = t.Union[TriggerEvent, TriggerCron]


def _check(owner: object, field: str, check: t.Callable[[t.Any], t.Any]) -> None:
    """Call a check of :mod:`~inngest_wsgi._codec.validate` on a field."""
    try:
        check(getattr(owner, field))
    except ValueError as problem:
        raise ValueError(f"{field} of a {type(owner).__name__} {problem}") from None
