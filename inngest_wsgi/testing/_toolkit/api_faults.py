"""Carry out the requests of apps to the server's API, with faults."""

from __future__ import annotations

import json
import socket
import typing as t

from ... import _protocol
from .._wire.answers import Answer
from . import fault as f
from .injecting import FaultyStepper

Send = t.Callable[[bytes], Answer]

_CHECKPOINT = _protocol.PATH_CHECKPOINT.partition("{")[0]
_JSON = {"content-type": "application/json"}


def carry_out(stepper: FaultyStepper, path: str, body: bytes, send: Send) -> Answer:
    """Carry out a request.

    :param send: gives the server a body, and returns its answer.
    :raise OSError: the app gets no answer.
    """
    if stepper.is_plain:
        return send(body)
    called, faults = stepper.called, stepper.faults
    function = None if called is None else called.function
    fault: t.Optional[f.Fault] = None
    if path.startswith(_CHECKPOINT):
        steps = _steps_in(body)
        fault = faults.meet(f.CHECKPOINT, function, steps)
        lost = faults.meet(f.CHECKPOINT_ANSWER, function, steps)
        fault = fault or lost
    fault = faults.meet(f.REQUEST, function, path=path) or fault
    if fault is None:
        return send(body)
    stepper.note(fault, called)
    if fault.verb == f.FAIL:
        return _fail(fault, send, body)
    if fault.verb == f.DUPLICATE:
        send(body)
        return send(body)
    if fault.verb == f.DELAY:
        stepper.later(fault.values["by"], lambda: send(body))
        raise socket.timeout("no answer came in time")
    if fault.verb == f.TRUNCATE:
        return send(body[: len(body) // 2])
    if fault.of == f.CHECKPOINT_ANSWER:
        send(body)
    raise ConnectionResetError("the connection was broken off")


def _fail(fault: f.Fault, send: Send, body: bytes) -> Answer:
    if fault.values["done"]:
        send(body)
    status = fault.values["status"]
    if status is None:
        raise ConnectionResetError("the connection was broken off")
    text = {"error": "a fault of the test", "status": status}
    return Answer(status, dict(_JSON), json.dumps(text).encode("ascii"))


def _steps_in(body: bytes) -> t.List[str]:
    """Return the ids of the steps of a checkpoint, as the function has them."""
    try:
        return [str((op.get("userland") or {}).get("id")) for op in json.loads(body)["steps"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
