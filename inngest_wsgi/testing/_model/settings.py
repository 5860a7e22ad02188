"""Read a function's settings from a registration, or refuse them.

What a real server refuses is refused with its messages (recording 55), which
do not name the setting. What only this server cannot read is kept as a fault
of the function, which then fails whenever it would run.
"""

from __future__ import annotations

import logging
import typing as t

from .._expressions.expression import (
    CHECKED,
    PARSED,
    RESTRICTED,
    UNCHECKED,
    Expression,
    ExpressionError,
    UnsupportedExpression,
)
from .._flow.cron import CronUnsupported, Schedule, is_cron
from .._wire.times import parse_duration
from .functions import (
    Batching,
    Cancelling,
    ConcurrencyLimit,
    Debounce,
    Rate,
    Singleton,
    Trigger,
)

logger = logging.getLogger("inngest_wsgi.testing")

_MOST_CANCELS = 5
_MOST_LIMITS = 2
_MOST_TRIGGERS = 10
_DAY = 86400.0
#: Seconds of a cron's jitter.
_MOST_JITTER = 300.0
#: Bytes of the name of an event that triggers.
_LONGEST_NAME = 255
#: The event of a deferred run.
_DEFERRED = "inngest/deferred.schedule"
_NOT_WITH_BATCHES = ("cancel", "debounce", "singleton", "priority")


class RegistrationRefused(Exception):
    """Raised if a registration is refused as a whole.

    :ivar body: the JSON body of the answer, a 400.
    """

    def __init__(self, body: t.Dict[str, t.Any]) -> None:
        super().__init__(body["error"])
        self.body = body


def invalid() -> RegistrationRefused:
    return RegistrationRefused(
        {"error": "At least one function is invalid", "data": None, "status": 400}
    )


def unreadable(why: str) -> RegistrationRefused:
    return RegistrationRefused({"error": f"Invalid request: {why}"})


def fold(fields: t.Any) -> t.Dict[str, t.Any]:
    """Return an object with its keys in lower case; servers ignore case (W54)."""
    if not isinstance(fields, dict):
        raise invalid()
    return {key.lower(): value for key, value in fields.items()}


class Settings:
    """The settings of one function; each method reads one of them.

    :param fields: the registered function, folded.
    :raise RegistrationRefused: raised by every method.
    """

    def __init__(self, fields: t.Dict[str, t.Any]) -> None:
        self._fields = fields
        #: Why the function cannot run here.
        self.faults: t.List[str] = []
        #: Options that have no effect here, and why.
        self.left_out: t.List[str] = []

    def triggers(self) -> t.Tuple[t.Tuple[Trigger, ...], t.Tuple[Schedule, ...]]:
        """Return the triggering events and the cron schedules."""
        events: t.List[Trigger] = []
        crons: t.List[Schedule] = []
        listed = self._list(self._fields.get("triggers"), _MOST_TRIGGERS)
        self._refuse_repeated(listed)
        for fields in listed:
            event, cron = fields.get("event"), fields.get("cron")
            if isinstance(event, str) and event:
                if len(event.encode("utf-8", "replace")) > _LONGEST_NAME:
                    raise invalid()
                if event == _DEFERRED:
                    self.left_out.append(f"trigger {event!r}: defer() is not supported")
                if "*" in event and not event.endswith(("/*", ".*")):
                    self.left_out.append(
                        f"trigger {event!r}: a server knows * at the end, after / or . only"
                    )
                expression = self._expression("a trigger", fields.get("expression"))
                events.append(Trigger(event, expression))
            elif isinstance(cron, str) and cron:
                if not is_cron(cron):
                    raise invalid()
                self._check_jitter(fields.get("jitter"))
                crons += self._schedule(cron)
            else:
                raise invalid()
        return tuple(events), tuple(crons)

    def _refuse_repeated(self, listed: t.List[t.Dict[str, t.Any]]) -> None:
        """Refuse triggers that are the same, and crons that differ in the jitter only."""
        seen = [str(fields.get("cron") or sorted(fields.items())) for fields in listed]
        if len(set(seen)) < len(seen):
            raise invalid()

    def _check_jitter(self, jitter: t.Any) -> None:
        if not isinstance(jitter, str) or not jitter.strip():
            return
        seconds = parse_duration(jitter)
        if seconds is None or not (seconds == 0 or 1 <= seconds <= _MOST_JITTER):
            raise invalid()
        if seconds:
            self.left_out.append("jitter: a cron fires at its exact time")

    def _schedule(self, cron: str) -> t.List[Schedule]:
        try:
            return [Schedule(cron)]
        except CronUnsupported as error:
            self.faults.append(f"the cron expression {cron!r}: {error}")
            return []

    def batching(self) -> t.Optional[Batching]:
        fields = self._one("batchevents")
        if fields is None:
            return None
        if any(self._fields.get(other) for other in _NOT_WITH_BATCHES):
            raise invalid()
        size, seconds = self._count(fields.get("maxsize")), fields.get("timeout")
        timeout = parse_duration(seconds) if isinstance(seconds, str) else None
        # These durations know no days and weeks.
        if size < 2 or timeout is None or timeout < 1 or set(str(seconds)) & set("dw"):
            raise invalid()
        return Batching(
            size,
            timeout,
            self._expression("batchEvents", fields.get("key")),
            self._expression("batchEvents", fields.get("if")),
        )

    def cancelling(self) -> t.Tuple[Cancelling, ...]:
        found = []
        for fields in self._list(self._fields.get("cancel"), _MOST_CANCELS):
            if not isinstance(fields.get("event"), str) or not fields["event"]:
                raise invalid()
            condition = self._expression("cancel", fields.get("if"), RESTRICTED)
            found.append(
                Cancelling(fields["event"], condition, self._maybe(fields.get("timeout")))
            )
        return tuple(found)

    def checkpoint(self) -> None:
        """Check ``checkpoint``. It has no effect: the app knows its own setting."""
        fields = self._one("checkpoint") or {}
        self._maybe(fields.get("batch_interval"))
        self._maybe(fields.get("max_runtime"))
        steps = fields.get("batch_steps", 0)
        if not isinstance(steps, int) or isinstance(steps, bool):
            raise unreadable("batch_steps is not a number")

    def concurrency(self) -> t.Tuple[ConcurrencyLimit, ...]:
        value = self._fields.get("concurrency")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = [{"limit": value}]
        if isinstance(value, dict) and "fn" in fold(value):
            self.left_out.append("concurrency.fn: a run counts only while it is called")
        if isinstance(value, dict):
            value = fold(value).get("step")
        found = []
        for fields in self._list(value, _MOST_LIMITS):
            scope = fields.get("scope", "fn")
            if scope not in ("fn", "env", "account"):
                raise unreadable(f"{scope or ''} does not belong to ConcurrencyScope values")
            key = self._expression("concurrency", fields.get("key"), PARSED)
            if scope != "fn" and fields.get("key") is None:
                raise invalid()
            limit = fields.get("limit")
            if not isinstance(limit, int) or isinstance(limit, bool):
                raise invalid()
            # To a server, a limit of 0 or less is no limit.
            if limit > 0:
                found.append(ConcurrencyLimit(limit, key, scope))
        return tuple(found)

    def debounce(self) -> t.Optional[Debounce]:
        fields = self._one("debounce")
        if fields is None:
            return None
        period = self._seconds(fields.get("period"))
        if not 1 <= period <= 7 * _DAY:
            raise invalid()
        key = self._expression("debounce", fields.get("key"))
        return Debounce(period, key, self._maybe(fields.get("timeout")))

    def idempotency(self) -> t.Optional[Expression]:
        return self._expression("idempotency", self._fields.get("idempotency"))

    def priority(self) -> t.Optional[Expression]:
        fields = self._one("priority")
        return None if fields is None else self._expression("priority", fields.get("run"), PARSED)

    def rate(self, setting: str) -> t.Optional[Rate]:
        """Read ``rateLimit`` or ``throttle``."""
        fields = self._one(setting.lower())
        if fields is None:
            return None
        period = self._seconds(fields.get("period"))
        if period <= 0 or (setting == "rateLimit" and period > _DAY):
            raise invalid()
        check = UNCHECKED if setting == "throttle" else CHECKED
        key = self._expression(setting, fields.get("key"), check)
        burst = fields.get("burst")
        if burst is None:
            burst = 1
        if not isinstance(burst, int) or isinstance(burst, bool) or burst < 0:
            raise invalid()
        return Rate(self._count(fields.get("limit")), period, key, burst)

    def singleton(self) -> t.Optional[Singleton]:
        fields = self._one("singleton")
        if fields is None:
            return None
        mode = fields.get("mode")
        if mode not in ("skip", "cancel"):
            raise unreadable(f"{mode or ''} does not belong to SingletonMode values")
        return Singleton(
            mode == "cancel", self._expression("singleton", fields.get("key"), UNCHECKED)
        )

    def timeouts(self) -> t.Tuple[t.Optional[float], t.Optional[float]]:
        """Read ``start`` and ``finish``. A server accepts invalid values here (W55)."""
        fields = self._one("timeouts") or {}
        found = []
        for name in ("start", "finish"):
            text = fields.get(name)
            seconds = parse_duration(text) if isinstance(text, str) and text else None
            if text and seconds is None:
                self.left_out.append(f"timeouts.{name}: {text!r} is no duration")
            found.append(seconds)
        return found[0], found[1]

    # -- parts -------------------------------------------------------------------

    def _one(self, setting: str) -> t.Optional[t.Dict[str, t.Any]]:
        value = self._fields.get(setting)
        return fold(value) if value else None

    @staticmethod
    def _list(value: t.Any, most: int) -> t.List[t.Dict[str, t.Any]]:
        if not value:
            return []
        if not isinstance(value, list) or len(value) > most:
            raise invalid()
        return [fold(entry) for entry in value]

    @staticmethod
    def _count(value: t.Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise invalid()
        return value

    @staticmethod
    def _seconds(value: t.Any) -> float:
        seconds = parse_duration(value) if isinstance(value, str) else None
        if seconds is None:
            raise unreadable(f'time: invalid duration "{value}"')
        return seconds

    def _maybe(self, value: t.Any) -> t.Optional[float]:
        return None if value is None or value == "" else self._seconds(value)

    def _expression(self, where: str, text: t.Any, check: int = CHECKED) -> t.Optional[Expression]:
        if text is None or text == "":
            return None
        if not isinstance(text, str):
            raise invalid()
        try:
            return Expression(text, check)
        except UnsupportedExpression as error:
            self.faults.append(f"the expression {text!r} of {where}: {error}")
            return None
        except ExpressionError as error:
            logger.warning("the expression %r of %s is refused: %s", text, where, error)
            raise invalid() from None
