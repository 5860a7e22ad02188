"""Make the events that a server sends when a run ends (W67)."""

from __future__ import annotations

import typing as t

from ... import _protocol
from .._model import state
from .._model.state import Event, RunState
from .._wire import ids
from .._wire.canonical import normalised

NAMES = (
    _protocol.EVENT_FUNCTION_CANCELLED,
    _protocol.EVENT_FUNCTION_FAILED,
    _protocol.EVENT_FUNCTION_FINISHED,
)


def not_invoked_event(now: float, correlation_id: str, error: t.Dict[str, t.Any]) -> Event:
    """Return the ``inngest/function.finished`` of a function that does not exist (W76)."""
    milliseconds = int(now * 1000)
    event_id = ids.ulid(milliseconds)
    data = {
        "correlation_id": correlation_id,
        "error": error,
        "function_id": "",
        "run_id": "",
    }
    return Event(event_id, _protocol.EVENT_FUNCTION_FINISHED, data, event_id, milliseconds)


def lifecycle_events(run: RunState, now: float, extra: t.Dict[str, t.Any]) -> t.List[Event]:
    """Return ``inngest/function.finished``, and before it ``.failed`` or ``.cancelled``.

    :param extra: ``error`` and ``result``, if there are any.
    :raise ValueError: the result cannot go into an event.
    """
    data: t.Dict[str, t.Any] = {
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
    if run.status == state.FAILED:
        named.append((_protocol.EVENT_FUNCTION_FAILED, run.run_id))
    if run.status == state.CANCELLED:
        named.append((_protocol.EVENT_FUNCTION_CANCELLED, run.run_id))
    named.append((_protocol.EVENT_FUNCTION_FINISHED, ids.ulid(milliseconds)))
    return [
        Event(ids.ulid(milliseconds), name, data, event_id, milliseconds)
        for name, event_id in named
    ]
