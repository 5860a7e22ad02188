"""Fire the cron schedules of functions.

By real time a schedule fires whenever it is due. Virtual time jumps over
schedules, because otherwise a schedule would keep it going for ever: they fire
only while a test moves the time to a moment that it names.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ... import _protocol
from .._model.functions import Function
from .._model.state import Event
from .._run.clock import Clock, VirtualClock
from .._run.items import Item, Timer
from .._wire import ids
from .cron import Schedule

#: Starts a run of a function, unless one of its settings forbids it.
Fire = t.Callable[[Function, Event], t.Any]


class Schedules:
    """The schedules of all registered functions.

    :param put: queues an item.
    :param functions: called for the functions that are registered now.
    :param fire: called with a function that is due, and its event.
    """

    def __init__(
        self,
        clock: Clock,
        put: t.Callable[[Item], None],
        functions: t.Callable[[], t.List[Function]],
        fire: Fire,
    ) -> None:
        self._clock = clock
        self._put = put
        self._functions = functions
        self._fire = fire
        self._virtual = isinstance(clock, VirtualClock)
        #: Up to which moment each schedule was queued, by function and text.
        self._queued: t.Dict[t.Tuple[str, str], float] = {}

    def registered(self) -> None:
        """Begin with new schedules, and forget those that are gone."""
        now, before = self._clock.now(), self._queued
        self._queued = {}
        for function, schedule in self._all():
            key = (function.function_id, schedule.text)
            self._queued[key] = before.get(key, now)
            if key not in before and not self._virtual:
                self._queue_next(function.function_id, schedule)

    def move_to(self, moment: float) -> None:
        """Queue what fires until a moment to which virtual time is moved."""
        for function, schedule in self._all():
            key = (function.function_id, schedule.text)
            since = max(self._queued[key], self._clock.now())
            due = schedule.after(since)
            while due is not None and due <= moment:
                self._queue(key[0], schedule, due)
                due = schedule.after(due)
            self._queued[key] = max(since, moment)

    def _all(self) -> t.List[t.Tuple[Function, Schedule]]:
        return [
            (function, schedule) for function in self._functions() for schedule in function.crons
        ]

    def _queue_next(self, function_id: str, schedule: Schedule) -> None:
        due = schedule.after(self._clock.now())
        if due is not None:
            self._queue(function_id, schedule, due)

    def _queue(self, function_id: str, schedule: Schedule, due: float) -> None:
        def fire() -> None:
            for function, wanted in self._all():
                if (function.function_id, wanted.text) == (function_id, schedule.text):
                    self._fire(function, cron_event(schedule.text, due))
                    if not self._virtual:
                        self._queue_next(function_id, schedule)

        self._put(Timer(None, due, fire))


def cron_event(cron: str, moment: float) -> Event:
    """Return the event of a run that a cron expression starts (W9).

    :param moment: unix seconds; their fraction is left out.
    """
    text = datetime.fromtimestamp(int(moment), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    milliseconds = int(moment) * 1000
    return Event(
        internal_id=ids.ulid(milliseconds),
        name=_protocol.EVENT_SCHEDULED_TIMER,
        data={"cron": cron, "fireAt": text, "scheduledAt": text},
        id=text,
        ts=milliseconds,
    )
