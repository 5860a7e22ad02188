"""Apply ``singleton``: allow one run at a time, by function and key."""

from __future__ import annotations

import typing as t

from .._model.functions import Function
from .._model.state import Event
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
    for run in machinery.running(function):
        if value_of(singleton.key, run.events[0]) != value:
            continue
        if not singleton.cancel:
            return f"the function is a singleton, and its run {run.run_id} has not ended"
        machinery.cancel(run, "by a newer run of the singleton")
    return None
