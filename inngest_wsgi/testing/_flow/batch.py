"""Apply ``batchEvents``: collect events and start one run with all of them."""

from __future__ import annotations

import typing as t

from .._model.functions import Batching, Function
from .._model.state import Event
from .._run.items import Timer
from .._run.machinery import Machinery
from .held import Collected, HeldIds, Start
from .keys import Key, key_of


class Batches:
    """The batches that are open, by function and key.

    :param held: gets the ids of the events that are collected.
    :param start: called with the events of each batch that is full or has
        been open for its ``timeout``.
    """

    def __init__(self, machinery: Machinery, held: HeldIds, start: Start) -> None:
        self._machinery = machinery
        self._held = held
        self._start = start
        self._open: t.Dict[Key, Collected] = {}

    def collect(self, function: Function, batching: Batching, event: Event) -> None:
        """Add an event to its batch. If it does not match ``if``, start it alone."""
        if batching.condition is not None and not batching.condition.matches(event.sent()):
            self._start(function, [event])
            return
        key = key_of(function, batching.key, event)
        now = self._machinery.now()
        batch = self._open.get(key)
        if batch is None:
            timer = Timer(None, now + batching.timeout, lambda: self._close(function, key))
            batch = self._open[key] = Collected(now, [], timer)
            self._machinery.put(timer)
        batch.events.append(event)
        self._held.add(event)
        if len(batch.events) >= batching.size:
            self._close(function, key)

    def _close(self, function: Function, key: Key) -> None:
        batch = self._open.pop(key)
        self._machinery.drop(batch.timer)
        self._held.remove(batch.events)
        self._start(function, batch.events)
