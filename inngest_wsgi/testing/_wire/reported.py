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
        try:
            op = read_op(entry)
        except ValueError as error:
            return server_failure(f"error reading generator opcode response: {error}")
        failure = _fault(op)
        if failure is not None:
            return failure
        ops.append(op)
    return ops


def read_op(entry: t.Any) -> Op:
    """Read one op, whose data may be too large.

    :raise ValueError: it is not an object, its name is unknown, or its id is
        not a string.
    """
    if not isinstance(entry, dict):
        raise ValueError("an op is not an object")
    name = _OP_BY_LOWER_CASE.get(str(entry.get("op")).lower())
    if name is None:
        raise ValueError(f"{entry.get('op')} does not belong to Opcode values")
    if not isinstance(entry.get("id"), (str, type(None))):
        raise ValueError(f"the id of a {name} op is not a string")
    error = entry.get("error")
    if name in (_protocol.OP_STEP_ERROR, _protocol.OP_STEP_FAILED):
        if not isinstance(error, dict):
            raise ValueError(f"a {name} op without an error object (W26)")
    userland = entry.get("userland")
    userland = userland if isinstance(userland, dict) else {}
    named, index = userland.get("id"), userland.get("index")
    step_id = entry.get("id") or ""
    opts = entry.get("opts")
    return Op(
        op=name,
        id=step_id,
        name=_text(entry.get("name")),
        display_name=_text(entry.get("displayName") or named or entry.get("name")) or step_id,
        data=entry.get("data"),
        opts=opts if isinstance(opts, dict) else {},
        error=error if isinstance(error, dict) else {},
        index=index if isinstance(index, int) else 0,
    )


def is_too_large(op: Op) -> bool:
    """Return True if the output of a step is over :data:`STEP_LIMIT`.

    :raise ValueError: the output has no JCS form.
    """
    return len(canonical({"data": op.data})) > STEP_LIMIT


def _fault(op: Op) -> t.Optional[Failure]:
    try:
        too_large = is_too_large(op)
    except ValueError as error:
        return server_failure(f"the data of step {op.display_name!r}: {error}")
    if not too_large:
        return None
    return server_failure(
        f"error validating generator opcode {op.id}: step output size is greater than the limit"
    )


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else ""
