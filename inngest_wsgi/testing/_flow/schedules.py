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

#: The id of a function, and the text of a schedule.
_Key = t.Tuple[str, str]


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
        #: What is registered now, by the function's id and the schedule's text.
        self._known: t.Dict[_Key, t.Tuple[Function, Schedule]] = {}
        #: Up to which moment each schedule was queued; by real time, that at which
        #: it fires next.
        self._queued: t.Dict[_Key, float] = {}

    def registered(self) -> None:
        """Begin with new schedules, and forget those that are gone."""
        now, before = self._clock.now(), self._queued
        self._known = {
            (function.function_id, schedule.text): (function, schedule)
            for function in self._functions()
            for schedule in function.crons
        }
        self._queued = {key: before.get(key, now) for key in self._known}
        for key in self._known:
            if key not in before and not self._virtual:
                self._queue_next(key)

    def restart(self) -> None:
        """Begin again after the queue was cleared: nothing is queued any more."""
        self._queued = {}
        self.registered()

    def move_to(self, moment: float) -> None:
        """Queue what fires until a moment to which virtual time is moved."""
        for key, (_, schedule) in self._known.items():
            since = max(self._queued[key], self._clock.now())
            due = schedule.after(since)
            while due is not None and due <= moment:
                self._queue(key, due)
                due = schedule.after(due)
            self._queued[key] = max(since, moment)

    def _queue_next(self, key: _Key) -> None:
        due = self._known[key][1].after(self._clock.now())
        if due is not None:
            self._queued[key] = due
            self._queue(key, due)

    def _queue(self, key: _Key, due: float) -> None:
        def fire() -> None:
            # It may be gone; or be queued twice, if it was gone for a while.
            if key in self._known and (self._virtual or self._queued[key] == due):
                function, schedule = self._known[key]
                self._fire(function, cron_event(schedule.text, due))
                if not self._virtual:
                    self._queue_next(key)

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
