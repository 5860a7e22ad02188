"""Apply ``singleton``: allow one run at a time, by function and key."""

from __future__ import annotations

import typing as t

from .._model.functions import Function, Singleton
from .._model.state import Event, RunState
from .._run.machinery import Machinery
from .keys import exempt, value_of


def cancel_or_refuse(machinery: Machinery, function: Function, event: Event) -> t.Optional[str]:
    """Cancel the runs that a new one replaces, if the mode is ``cancel``.

    :return: why there is no new run, if the mode is ``skip`` and another run
        with the same key has not ended; else None.
    """
    singleton = function.singleton
    if singleton is None or exempt(singleton.key, event):
        return None
    value = value_of(singleton.key, event)
    for run in machinery.singletons.others(function, singleton, value):
        if not singleton.cancel:
            return f"the function is a singleton, and its run {run.run_id} has not ended"
        machinery.cancel(run, "by a newer run of the singleton")
    return None


class Singletons:
    """The runs that have not ended, by function and the value of the singleton's key."""

    def __init__(self) -> None:
        #: By function, by the key as it was registered when the run began, and
        #: by value. In the order in which the runs began.
        self._runs: t.Dict[str, t.Dict[str, t.Dict[str, t.Dict[RunState, None]]]] = {}

    def enter(self, run: RunState) -> None:
        """Add a run that begins."""
        text, value = _key(run)
        by_text = self._runs.setdefault(run.function.function_id, {})
        by_text.setdefault(text, {}).setdefault(value, {})[run] = None

    def leave(self, run: RunState) -> None:
        """Remove a run that has ended."""
        text, value = _key(run)
        function_id = run.function.function_id
        by_text = self._runs[function_id]
        del by_text[text][value][run]
        if not by_text[text][value]:
            del by_text[text][value]
        if not by_text[text]:
            del by_text[text]
        if not by_text:
            del self._runs[function_id]

    def others(self, function: Function, singleton: Singleton, value: str) -> t.List[RunState]:
        """Return the runs of a function that have a value now.

        :param singleton: the function's, which may have been registered with
            another key when some of the runs began.
        """
        found: t.List[RunState] = []
        for text, by_value in self._runs.get(function.function_id, {}).items():
            if text == _text(singleton):
                found.extend(by_value.get(value, ()))
            else:
                found.extend(
                    run
                    for runs in by_value.values()
                    for run in runs
                    if value_of(singleton.key, run.events[0]) == value
                )
        return found


def _text(singleton: t.Optional[Singleton]) -> str:
    return "" if singleton is None or singleton.key is None else singleton.key.text


def _key(run: RunState) -> t.Tuple[str, str]:
    singleton = run.function.singleton
    key = None if singleton is None else singleton.key
    return _text(singleton), value_of(key, run.events[0])
