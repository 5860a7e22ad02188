"""Write what happened in a run as a text for people."""

from __future__ import annotations

import json
import typing as t

from .._model import state
from .._model.state import HistoryEntry, RunState
from .durations import readable, utc

#: The longest text of one value.
_MOST = 200

_KINDS = {
    state.STARTED: "started",
    state.STEP_PLANNED: "{step}: planned",
    state.STEP_RAN: "{step}: attempt {attempt} succeeded",
    state.STEP_ERROR: "{step}: attempt {attempt} failed",
    state.STEP_FAILED: "{step}: attempt {attempt} failed for good",
    state.SLEEPING: "{step}: sleeps",
    state.WOKE: "{step}: woke",
    state.WAITING: "{step}: waits",
    state.EVENT_RECEIVED: "{step}: received the event",
    state.SIGNALLED: "{step}: received the signal",
    state.WAIT_TIMED_OUT: "{step}: timed out",
    state.INVOKING: "{step}: invoked",
    state.INVOKED: "{step}: the invoked function returned",
    state.INVOKE_FAILED: "{step}: the invoked function failed",
    state.REQUESTING: "{step}: the server makes a request",
    state.REQUESTED: "{step}: the server got the response",
    state.FUNCTION_ERROR: "the function failed at attempt {attempt}",
    state.RETRY_SCHEDULED: "{step}: attempt {attempt} follows",
    state.RUN_COMPLETED: "completed",
    state.RUN_FAILED: "failed",
    state.RUN_CANCELLED: "cancelled",
    state.FAULT: "fault",
}


def timeline(run: RunState) -> str:
    """Return the history of a run: one line each, with virtual and relative times."""
    ended = "" if run.finished is None else f" after {readable(run.finished - run.began)}"
    lines = [f"{run.function.function_id} {run.run_id}: {run.status}{ended}"]
    for event in run.events:
        lines.append(f"  event   {event.name} {shown(event.data)}")
    lines += [f"  {_moment(run, entry)}  {_told(entry)}" for entry in run.history]
    if run.status == state.COMPLETED:
        lines.append(f"  output  {shown(run.output)}")
    elif run.error is not None:
        error = error_of(run)
        lines.append(f"  error   {error['name']}: {error['message']}")
    return "\n".join(lines)


def error_of(run: RunState) -> t.Dict[str, str]:
    """Return name, message and stack of what failed a run."""
    found = run.output
    if isinstance(found, dict) and isinstance(found.get("error"), dict):
        # of what the server says itself (W28)
        found = found["error"]
    if not isinstance(found, dict) or "message" not in found:
        found = run.error or {}
    defaults = {"name": "Error", "message": "", "stack": ""}
    return {name: str(found.get(name) or default) for name, default in defaults.items()}


def shown(value: t.Any) -> str:
    """Return a value as short JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST else f"{text[:_MOST]}... ({len(text)} characters)"


def _moment(run: RunState, entry: HistoryEntry) -> str:
    at = run.began + entry.at / 1000
    return f"{utc(at):%Y-%m-%d %H:%M:%S}  {'+' + readable(entry.at / 1000):<12}"


def _told(entry: HistoryEntry) -> str:
    attempt = None if entry.attempt is None else entry.attempt + 1
    step = "the function" if entry.step is None else entry.step
    text = _KINDS.get(entry.kind, entry.kind).format(step=step, attempt=attempt)
    if entry.detail is not None:
        text += f": {entry.detail}"
    if entry.retry_in is not None:
        text += f" in {readable(entry.retry_in)}"
    elif entry.until is not None:
        # a sleep ends then, and what else waits may end earlier
        latest = "" if entry.kind == "sleeping" else " at the latest"
        text += f" (until {entry.until:%Y-%m-%d %H:%M:%S}{latest})"
    return text
