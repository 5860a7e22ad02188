"""Apply ``priority``: move the calls of a run forward or back in the queue.

A server puts a call into the queue at the time at which its run began, minus
the run's priority. So the calls of an older run come first, a greater number
overtakes the runs of so many seconds before, and a negative one waits.
"""

from __future__ import annotations

import typing as t

from .._model.functions import Function
from .._run.items import Call

#: The greatest shift in seconds, either way: twelve hours.
_MOST = 43200


def priority_of(function: Function, event: t.Any) -> int:
    """Return the priority of a run in seconds; 0 if the value is no whole number.

    :param event: the run's first event, as the app gets it.
    """
    if function.priority is None:
        return 0
    value = function.priority.value(event)
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return max(-_MOST, min(value, _MOST))


def turn(call: Call, now: float) -> float:
    """Return the place of a call in the queue, as unix seconds.

    :param now: by the server's clock. A call that is due later keeps its time.
    """
    return call.due if call.due > now else call.run.began - call.run.priority
