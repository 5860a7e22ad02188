"""Apply ``debounce``: start one run for the last event of a burst."""

from __future__ import annotations

import typing as t

from .._model.functions import Debounce, Function
from .._model.state import Event
from .._run.items import Timer
from .._run.machinery import Machinery
from .held import Collected, HeldIds, Start
from .keys import Key, key_of

#: Why there is no run for an event of a burst that is not the last one.
REPLACED = "debounced: a later event replaced this one"


class Bursts:
    """The events that are delayed now, by function and key.

    :param held: gets the ids of the events that are delayed.
    :param start: called with the last event of each burst.
    :param skip: called with events that a later one replaced, and the reason.
    """

    def __init__(
        self,
        machinery: Machinery,
        held: HeldIds,
        start: Start,
        skip: t.Callable[[Function, t.List[Event], str], str],
    ) -> None:
        self._machinery = machinery
        self._held = held
        self._start = start
        self._skip = skip
        self._bursts: t.Dict[Key, Collected] = {}

    def put_off(self, function: Function, debounce: Debounce, event: Event) -> None:
        """Delay an event by the period, and replace an earlier one.

        A burst ends when the ``timeout`` since its first event is over, even
        if more events keep coming.
        """
        key = key_of(function, debounce.key, event)
        now = self._machinery.now()
        burst = self._bursts.pop(key, None)
        began = now if burst is None else burst.began
        if burst is not None:
            self._machinery.drop(burst.timer)
            self._held.remove(burst.events)
            self._skip(function, burst.events, REPLACED)
        due = now + debounce.period
        if debounce.timeout is not None:
            due = min(due, max(began + debounce.timeout, now))

        def over() -> None:
            events = self._bursts.pop(key).events
            self._held.remove(events)
            self._start(function, events)

        self._bursts[key] = Collected(began, [event], Timer(None, due, over))
        self._machinery.put(self._bursts[key].timer)
        self._held.add(event)
