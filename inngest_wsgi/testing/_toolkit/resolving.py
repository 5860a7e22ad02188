"""End the steps that the server carries out as a test's stubs want it.

A step that the app runs meets its stub in the app, see ``binding.py``.
"""

from __future__ import annotations

import json
import time
import typing as t
import warnings
from dataclasses import replace

from ... import _protocol
from .._http.caller import Caller
from .._model import state
from .._ops import gateway, waits
from .._ops.report import Report
from .._run.items import Timer
from .._run.parallel import resume
from .._wire import ids
from .._wire.canonical import normalised
from .._wire.outcomes import Op, local_failure
from .._wire.times import parse_date
from .durations import utc
from .stubs import FOR_REAL, TIMEOUT, Stubs

_REQUESTS = (_protocol.OP_GATEWAY, _protocol.OP_AI_GATEWAY)
_WAITS = (_protocol.OP_WAIT_FOR_EVENT, _protocol.OP_WAIT_FOR_SIGNAL)
_RESOLVED = (_protocol.OP_SLEEP, _protocol.OP_INVOKE_FUNCTION, *_WAITS, *_REQUESTS)
_INVOKE_TIMEOUT = {
    "error": "InngestInvokeTimeoutError: Timed out waiting for invoked function to complete",
    "message": "Timed out waiting for invoked function to complete",
    "name": "InngestInvokeTimeoutError",
}


def _for_real(opts: t.Any) -> t.Any:
    """Return what says that no stub has an answer."""
    return FOR_REAL


class Resolver:
    """Ends ops that have a stub.

    :param allow_network: whether the server may make requests for the app.
    """

    def __init__(self, stubs: Stubs, allow_network: bool) -> None:
        self._stubs = stubs
        self._allow_network = allow_network

    def __call__(self, report: Report, op: Op) -> bool:
        """End an op; return False if it is to be carried out for real."""
        if op.op not in _RESOLVED:
            return False
        _warn_of_another_clock(report, op)
        function = report.run.function
        stub = self._stubs.find(function.function_id, function.app_id, op.display_name, op.index)
        if stub is not None:
            key = (report.run.run_id, op.id)
            error: t.Optional[Exception] = None
            value: t.Any = None
            try:
                value = stub.act(key, _for_real, (op.opts,))
            except Exception as problem:
                error = problem
            if value is not FOR_REAL:
                self._end(report, op, value, error)
                return True
        if op.op in _REQUESTS and not self._allow_network:
            _fail(
                report,
                op,
                "is a request to another server, and a test makes none: stub the step with "
                f"server.stub({op.display_name!r}, ...), or create the server with "
                "allow_network=True",
            )
            return True
        return False

    def _end(self, report: Report, op: Op, value: t.Any, error: t.Optional[Exception]) -> None:
        try:
            if op.op in _REQUESTS:
                _answer(report, op, value, error)
            elif op.op == _protocol.OP_INVOKE_FUNCTION:
                _invoked(report, op, value, error)
            elif error is not None:
                _fail(report, op, f"cannot fail on any server, and its stub does: {error!r}")
            elif op.op == _protocol.OP_SLEEP:
                waits.HANDLERS[op.op](report, replace(op, opts={**op.opts, "duration": "0s"}))
            elif value is TIMEOUT or (value is None and op.op == _protocol.OP_WAIT_FOR_EVENT):
                waits.HANDLERS[op.op](report, replace(op, opts={**op.opts, "timeout": "0s"}))
            elif op.op == _protocol.OP_WAIT_FOR_EVENT:
                _resume(report, op, _event(report, op, value), state.EVENT_RECEIVED, "event")
            else:
                memo = {"data": {"signal": op.opts.get("signal"), "data": _json(value)}}
                _resume(report, op, memo, state.SIGNALLED, "event")
        except (TypeError, ValueError) as problem:
            _fail(report, op, f"has a stub whose value cannot be used: {problem}")


class _StubbedRequest(gateway.Request):
    """A request that is not made."""

    def __init__(self, report: Report, op: Op, memo: t.Dict[str, t.Any]) -> None:
        super().__init__(report, op, "GET", str(op.opts.get("url")), {}, b"")
        self._memo = memo

    def perform(self, caller: Caller) -> t.Dict[str, t.Any]:
        return self._memo


def _warn_of_another_clock(report: Report, op: Op) -> None:
    """Warn of a date that has passed in virtual time, and not by this process's clock."""
    wanted = op.opts.get("duration" if op.op == _protocol.OP_SLEEP else "timeout")
    moment = parse_date(wanted) if isinstance(wanted, str) else None
    if moment is None or not time.time() < moment.timestamp() <= report.machinery.now():
        return
    warnings.warn(
        f"the step {op.display_name!r} of {report.run.function.function_id} waits until {wanted}. "
        f"That has passed in virtual time, where it is {utc(report.machinery.now())}, and has not "
        "by the clock of this process. If the app made the date by its own clock, have that "
        "follow: TestServer(freeze_app_time=True), or server.on_time() with freezegun",
        stacklevel=2,
    )


def _answer(report: Report, op: Op, value: t.Any, error: t.Optional[Exception]) -> None:
    memo: t.Dict[str, t.Any]
    if error is not None:
        memo = {"error": _error(error)}
    elif op.op == _protocol.OP_AI_GATEWAY:
        memo = {"data": _json(value)}
    else:
        memo = {"data": _fetched(op, value)}
    report.machinery.note(
        report.run,
        state.REQUESTING,
        step=op.display_name,
        attempt=report.call.attempt,
        op=op.op,
        detail="stubbed",
    )
    report.machinery.put(_StubbedRequest(report, op, memo))


def _fetched(op: Op, value: t.Any) -> t.Dict[str, t.Any]:
    """Return what the app gets for a response: a status, a body, or both."""
    status, body, headers = 200, value, {}
    if hasattr(value, "status") and hasattr(value, "body"):
        status, body, headers = value.status, value.body, dict(value.headers)
    elif isinstance(value, tuple):
        status, body, headers = value if len(value) == 3 else (*value, {})
    elif isinstance(value, int) and not isinstance(value, bool):
        status, body = value, ""
    if not isinstance(body, str):
        headers = {"Content-Type": "application/json", **headers}
        body = json.dumps(body, allow_nan=False)
    return {"status_code": status, "body": body, "headers": headers, "url": op.opts.get("url")}


def _invoked(report: Report, op: Op, value: t.Any, error: t.Optional[Exception]) -> None:
    memo: t.Dict[str, t.Any] = {}
    if error is not None:
        memo["error"] = _error(error)
    elif value is TIMEOUT:
        memo["error"] = dict(_INVOKE_TIMEOUT)
    else:
        memo["data"] = _json(value)
    kind = state.INVOKE_FAILED if "error" in memo else state.INVOKED
    _resume(report, op, memo, kind, "timeout" if value is TIMEOUT else "event")


def _resume(report: Report, op: Op, memo: t.Any, kind: str, how: str) -> None:
    """End a step at once, as its event or its function would."""
    machinery, run, race, group = report.machinery, report.run, op.race, report.group

    def end() -> None:
        machinery.note(run, kind, step=op.display_name, op=op.op, detail="stubbed")
        resume(machinery, run, op.id, memo, how, race, group)

    if not machinery.put_once(op.id, Timer(run, machinery.now(), end)):
        report.note_repeated(op)


def _event(report: Report, op: Op, value: t.Any) -> t.Dict[str, t.Any]:
    """Return the event that a step has waited for.

    :param value: an event, or its data.
    """
    now = int(report.machinery.now() * 1000)
    wanted = op.opts.get("event") or op.name
    event: t.Dict[str, t.Any] = {"name": wanted, "id": ids.ulid(now), "ts": now, "user": {}}
    if hasattr(value, "name") and hasattr(value, "data"):
        given = {name: getattr(value, name, None) for name in ("name", "data", "id", "ts", "v")}
    elif isinstance(value, dict) and "name" in value and "data" in value:
        given = value
    elif isinstance(value, dict):
        given = {"data": value}
    else:
        raise TypeError(f"{value!r} is neither an event nor the data of one, which is a dict")
    event.update((name, item) for name, item in given.items() if item or name == "data")
    return t.cast(t.Dict[str, t.Any], _json(event))


def _error(error: Exception) -> t.Dict[str, t.Any]:
    name, message = type(error).__name__, str(error)
    return {"name": name, "message": message, "error": f"{name}: {message}"}


def _json(value: t.Any) -> t.Any:
    """Return a value as JSON has it.

    :raise TypeError: it is not JSON; also a ValueError
    """
    return normalised(json.loads(json.dumps(value, allow_nan=False)))


def _fail(report: Report, op: Op, text: str) -> None:
    message = f"the step {op.display_name!r} of {report.run.function.function_id} {text}"
    report.machinery.fail(report.run, local_failure(message))
