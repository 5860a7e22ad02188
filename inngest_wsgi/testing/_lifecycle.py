"""The events that a server makes when a run ends (W67).

Internal.
"""

from __future__ import annotations

from typing import Any, Dict, List

from .. import _protocol
from . import _ids, _state
from ._canonical import normalised
from ._state import Event, RunState

NAMES = (
    _protocol.EVENT_FUNCTION_CANCELLED,
    _protocol.EVENT_FUNCTION_FAILED,
    _protocol.EVENT_FUNCTION_FINISHED,
)


def not_invoked_event(now: float, correlation_id: str, error: Dict[str, Any]) -> Event:
    """The ``inngest/function.finished`` of a function that there is not (W76)."""
    milliseconds = int(now * 1000)
    event_id = _ids.ulid(milliseconds)
    data = {
        "correlation_id": correlation_id,
        "error": error,
        "function_id": "",
        "run_id": "",
    }
    return Event(event_id, _protocol.EVENT_FUNCTION_FINISHED, data, event_id, milliseconds)


def lifecycle_events(run: RunState, now: float, extra: Dict[str, Any]) -> List[Event]:
    """``inngest/function.failed`` or ``.cancelled`` if so, then ``.finished``.

    :param extra: ``error`` and ``result``, if there are any.
    :raise ValueError: the result cannot go into an event.
    """
    data: Dict[str, Any] = {
        "_inngest": {"status": run.status},
        "event": run.events[0].sent(),
        "events": [event.stored() for event in run.events],
        "function_id": run.function.function_id,
        "run_id": run.run_id,
    }
    if run.correlation_id is not None:
        data["correlation_id"] = run.correlation_id
    data = normalised({**data, **extra})
    milliseconds = int(now * 1000)
    named = []
    if run.status == _state.FAILED:
        named.append((_protocol.EVENT_FUNCTION_FAILED, run.run_id))
    if run.status == _state.CANCELLED:
        named.append((_protocol.EVENT_FUNCTION_CANCELLED, run.run_id))
    named.append((_protocol.EVENT_FUNCTION_FINISHED, _ids.ulid(milliseconds)))
    return [
        Event(_ids.ulid(milliseconds), name, data, event_id, milliseconds)
        for name, event_id in named
    ]
