"""Keep the events that wait for a batch or a debounce to start a run."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._model.functions import Function
from .._model.state import Event, RunState
from .._run.items import Timer

#: Starts a function with the events that were held back for it.
Start = t.Callable[[Function, t.List[Event]], t.Union[RunState, str]]


@dataclass
class Collected:
    """Events of one key that wait for a batch or a debounce to end."""

    #: When the first of them came, in unix seconds by the server's clock.
    began: float
    events: t.List[Event]
    timer: Timer


@dataclass
class HeldIds:
    """The ids of all events that are held back, for every function."""

    _ids: t.Set[str] = field(default_factory=set)

    def add(self, event: Event) -> None:
        """Remember an event by both of its ids."""
        self._ids.update((event.id, event.internal_id))

    def remove(self, events: t.List[Event]) -> None:
        """Remove events that do not wait any more."""
        for event in events:
            self._ids.difference_update((event.id, event.internal_id))

    def __bool__(self) -> bool:
        return bool(self._ids)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._ids
