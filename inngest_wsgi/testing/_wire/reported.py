"""Read the list of ops in a 206.

What follows from the ops is decided in ``_ops``.
"""

from __future__ import annotations

import typing as t

from ... import _protocol
from .canonical import canonical, loads
from .outcomes import Failure, Op, server_failure

#: The largest output of one step in bytes, as it is stored.
STEP_LIMIT = 4 * 1024 * 1024

#: Every op name a server knows; any other fails the attempt (W21, W71).
KNOWN_OPS = (
    "None",
    "Step",
    "StepRun",
    "StepError",
    "StepFailed",
    "StepPlanned",
    "Sleep",
    "WaitForEvent",
    "WaitForSignal",
    "InvokeFunction",
    "AIGateway",
    "Gateway",
    "RunComplete",
    "DiscoveryRequest",
    "DeferAdd",
    "DeferAbort",
)
_OP_BY_LOWER_CASE = {name.lower(): name for name in KNOWN_OPS}


def read_ops(text: str) -> t.Union[t.List[Op], Failure]:
    """Return the ops in the body of a 206, or the failure of the attempt."""
    try:
        value = loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return server_failure(
            "error reading generator opcode response: expected JSON object or array"
        )
    ops = []
    for entry in value:
        op = _read_op(entry)
        if isinstance(op, Failure):
            return op
        ops.append(op)
    return ops


def _read_op(entry: t.Any) -> t.Union[Op, Failure]:
    if not isinstance(entry, dict):
        return server_failure("an op in a 206 is not an object")
    name = _OP_BY_LOWER_CASE.get(str(entry.get("op")).lower())
    if name is None:
        return server_failure(
            f"error reading generator opcode response: {entry.get('op')} does not belong to "
            "Opcode values"
        )
    if not isinstance(entry.get("id"), (str, type(None))):
        return server_failure(f"the id of a {name} op is not a string")
    error = entry.get("error")
    if name in (_protocol.OP_STEP_ERROR, _protocol.OP_STEP_FAILED):
        if not isinstance(error, dict):
            return server_failure(f"a {name} op without an error object (W26)")
    userland = entry.get("userland")
    named = userland.get("id") if isinstance(userland, dict) else None
    step_id = entry.get("id") or ""
    opts = entry.get("opts")
    op = Op(
        op=name,
        id=step_id,
        name=_text(entry.get("name")),
        display_name=_text(entry.get("displayName") or named or entry.get("name")) or step_id,
        data=entry.get("data"),
        opts=opts if isinstance(opts, dict) else {},
        error=error if isinstance(error, dict) else {},
    )
    return _check_data(op)


def _check_data(op: Op) -> t.Union[Op, Failure]:
    try:
        size = len(canonical({"data": op.data}))
    except ValueError as error:
        return server_failure(f"the data of step {op.display_name!r}: {error}")
    if size > STEP_LIMIT:
        return server_failure(
            f"error validating generator opcode {op.id}: "
            "step output size is greater than the limit"
        )
    return op


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else ""
