"""Pause functions: start no runs of them, and hold back the calls of those they have."""

from __future__ import annotations

import dataclasses
import typing as t

from .._model.functions import Function
from .._run.items import Call


class Pauses:
    """The functions that are paused, and the calls that wait for that to end."""

    def __init__(self) -> None:
        self._held: t.Dict[str, t.List[Call]] = {}

    def pause(self, function: Function) -> None:
        """Pause a function; harmless if it is paused."""
        self._held.setdefault(function.function_id, [])

    def unpause(self, function: Function, now: float) -> t.List[Call]:
        """Return the calls that may be made again, to be queued."""
        calls = self._held.pop(function.function_id, [])
        for call in calls:
            call.run.open_items -= 1
        return [dataclasses.replace(call, due=now) for call in calls if not call.run.ended]

    def paused(self, function: Function) -> bool:
        return function.function_id in self._held

    def hold(self, call: Call) -> bool:
        """Keep a call if its function is paused; its run is not stuck meanwhile.

        :return: True if it was kept, and must not be made now.
        """
        held = self._held.get(call.run.function.function_id)
        if held is None:
            return False
        call.run.open_items += 1
        held.append(call)
        return True
