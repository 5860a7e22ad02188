"""What runs a function."""

from __future__ import annotations

import dataclasses
import typing as t

from ._codec import durations


@dataclasses.dataclass(frozen=True)
class TriggerEvent:
    """Runs the function when an event is sent.

    :param event: the event's name
    :param expression: a CEL expression on ``event`` that must hold too, for
        example ``"event.data.total > 100"``
    :raises ValueError: the name or the expression is empty
    """

    event: str
    expression: t.Optional[str] = None

    def __post_init__(self) -> None:
        _require_text(self, "event")
        if self.expression is not None:
            _require_text(self, "expression")

    def to_wire(self) -> t.Dict[str, t.Any]:
        wire: t.Dict[str, t.Any] = {"event": self.event}
        if self.expression is not None:
            wire["expression"] = self.expression
        return wire


@dataclasses.dataclass(frozen=True)
class TriggerCron:
    """Runs the function on a schedule.

    :param cron: a cron expression, with a time zone in front if not UTC:
        ``"TZ=Europe/Berlin 0 9 * * 1-5"``
    :param jitter: start up to this much later, a different time for each run:
        milliseconds (``int``), a ``timedelta`` or a time string
    :raises ValueError: the expression is empty, or the jitter no duration
    """

    cron: str
    jitter: t.Optional[durations.Duration] = None

    def __post_init__(self) -> None:
        _require_text(self, "cron")
        durations.optional(self.jitter)

    def to_wire(self) -> t.Dict[str, t.Any]:
        wire: t.Dict[str, t.Any] = {"cron": self.cron}
        if self.jitter is not None:
            wire["jitter"] = durations.to_timestr(self.jitter)
        return wire


Trigger = t.Union[TriggerEvent, TriggerCron]


def _require_text(owner: object, field: str) -> None:
    value = getattr(owner, field)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(
            "{} of a {} must be text, and not empty".format(field, type(owner).__name__)
        )
