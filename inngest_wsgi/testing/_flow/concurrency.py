"""Apply ``concurrency``: limit the calls that are under way at once.

As on a server, a run counts while it is being called, and not
while it sleeps or waits.
"""

from __future__ import annotations

import typing as t

from .._model.functions import Function

Slots = t.Tuple[t.Tuple[str, int], ...]


def slots(function: Function, event: t.Any) -> Slots:
    """Return the limits that the calls of a run count against.

    :param event: the run's first event, as the app gets it.
    """
    found = []
    for number, limit in enumerate(function.concurrency):
        value = "" if limit.key is None else limit.key.key(event)
        if limit.scope == "fn":
            name = f"fn {function.function_id} {number} {value}"
        else:
            # Shared by all functions that have the same key expression.
            name = f"{limit.scope} {limit.key and limit.key.text} {value}"
        found.append((name, limit.limit))
    return tuple(found)


class Gate:
    """Counts the calls that are under way, by limit."""

    def __init__(self) -> None:
        self._under_way: t.Dict[str, int] = {}

    def room(self, name: str, limit: int) -> bool:
        """Return True if a limit is not reached."""
        return self._under_way.get(name, 0) < limit

    def full(self, wanted: Slots) -> t.Optional[t.Tuple[str, int]]:
        """Return the first limit that is reached; None if there is none."""
        for name, limit in wanted:
            if not self.room(name, limit):
                return name, limit
        return None

    def enter(self, wanted: Slots) -> None:
        """Count a call, whether or not there is room for it."""
        for name, _ in wanted:
            self._under_way[name] = self._under_way.get(name, 0) + 1

    def leave(self, held: Slots) -> None:
        """Take back what :meth:`enter` counted."""
        for name, _ in held:
            left = self._under_way[name] - 1
            if left:
                self._under_way[name] = left
            else:
                del self._under_way[name]
