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

    def full(self, wanted: Slots) -> bool:
        """Return True if a limit is reached."""
        return any(self._under_way.get(name, 0) >= limit for name, limit in wanted)

    def enter(self, wanted: Slots) -> bool:
        """Count a call, unless a limit is reached."""
        if self.full(wanted):
            return False
        for name, _ in wanted:
            self._under_way[name] = self._under_way.get(name, 0) + 1
        return True

    def leave(self, held: Slots) -> None:
        for name, _ in held:
            self._under_way[name] -= 1
