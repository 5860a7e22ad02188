"""Store the steps that an app reports while its call goes on (PROTOCOL section 9).

The order of the checks is a server's: it decides which of the steps of a
checkpoint that is refused are stored all the same (W46 to W48).
"""

from __future__ import annotations

import typing as t
import uuid
from dataclasses import dataclass

from ... import _protocol
from .._model import state
from .._model.state import RunState
from .._wire import ids
from .._wire.canonical import canonical, loads
from .._wire.outcomes import Op
from .._wire.reported import is_too_large, read_op
from .machinery import Machinery
from .memos import memo_of, store

#: Milliseconds after the start of a call in which no server asks if the call
#: is stale (W48).
FRESH_MS = 10_000

_STORED = (_protocol.OP_STEP, _protocol.OP_STEP_RUN)
#: Ops that change nothing here: the first only shows that a step runs.
_ACCEPTED = (_protocol.OP_STEP_PLANNED, "DeferAdd", "DeferAbort")
#: Ops that are refused after those before them were stored. All others are
#: refused before anything is stored.
_SYNCHRONOUS = (*_STORED, *_ACCEPTED, _protocol.OP_STEP_FAILED, _protocol.OP_RUN_COMPLETE)


class CheckpointRefused(Exception):
    """A checkpoint was not accepted.

    :ivar status: of the answer.
    :ivar data: of the answer.
    """

    def __init__(self, text: str, status: int = 400, run_id: t.Optional[str] = None) -> None:
        super().__init__(text)
        self.status = status
        self.data = None if run_id is None else {"run_id": run_id}


@dataclass(frozen=True)
class Checkpoint:
    """The body of a checkpoint request (W45)."""

    run_id: str
    queue_item: str
    generation: int
    #: Milliseconds since the epoch; 0 if the app did not say.
    request_started_at: int
    ops: t.List[Op]


def read(body: bytes) -> Checkpoint:
    """Read a request. The run id in its path does not count.

    :raise CheckpointRefused: it cannot be read.
    """
    try:
        value = loads(body)
        if not isinstance(value, dict):
            raise ValueError("it is not an object")
        run_id = value.get("run_id") or ""
        if not ids.is_ulid(run_id):
            raise ValueError("ulid: bad data size when unmarshaling")
        _check_uuid(value.get("fn_id"))
        return Checkpoint(
            run_id,
            _typed(value, "qi_id", str, ""),
            _typed(value, "generation_id", int, 0),
            _typed(value, "request_started_at", int, 0),
            [read_op(entry) for entry in _typed(value, "steps", list, [])],
        )
    except ValueError as error:
        raise CheckpointRefused(f"invalid request body: {error}") from None


def _check_uuid(value: t.Any) -> None:
    if value is None:
        return
    if not isinstance(value, str) or len(value) != 36:
        raise ValueError(f"invalid UUID length: {len(str(value))}")
    uuid.UUID(value)


def _typed(value: t.Dict[str, t.Any], key: str, kind: t.Type[t.Any], default: t.Any) -> t.Any:
    found = value.get(key)
    if found is None:
        return default
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ValueError(f"{key} is not of type {kind.__name__}")
    return found


def apply(
    machinery: Machinery, run: t.Optional[RunState], checkpoint: Checkpoint, detect_stale: bool
) -> None:
    """Store the steps of a checkpoint.

    :param run: None if the server does not know it.
    :param detect_stale: refuse checkpoints of calls that were made again.
    :raise CheckpointRefused: with some of the steps stored, or none.
    """
    run_id = checkpoint.run_id
    if run is None or run.ended:
        raise CheckpointRefused("run not found in state store", run_id=run_id)
    if any(op.op not in _SYNCHRONOUS for op in checkpoint.ops):
        raise CheckpointRefused("cannot checkpoint async steps", run_id=run_id)
    if detect_stale:
        _refuse_stale(machinery, run, checkpoint)
    total = sum(len(canonical(op.data)) for op in checkpoint.ops if op.op in _STORED)
    if run.memo_bytes + total > machinery.state_limit:
        raise CheckpointRefused("run state size limit exceeded: state is too large", 413, run_id)
    for op in checkpoint.ops:
        _store(machinery, run, op)
    job = ids.job_of(checkpoint.queue_item)
    if job and job not in run.generations:
        raise CheckpointRefused("queue item not found", run_id=run_id)


def _refuse_stale(machinery: Machinery, run: RunState, checkpoint: Checkpoint) -> None:
    age_ms = machinery.now() * 1000 - checkpoint.request_started_at
    if checkpoint.generation == 0 or 0 <= age_ms < FRESH_MS:
        return
    job = ids.job_of(checkpoint.queue_item)
    if not job:
        return
    generation = run.generations.get(job)
    if generation is None:
        raise CheckpointRefused("stale dispatch: queue item not found", 409, run.run_id)
    if generation != checkpoint.generation:
        raise CheckpointRefused(
            f"stale dispatch: dispatch generation {checkpoint.generation} does not match "
            f"queue item generation {generation}",
            409,
            run.run_id,
        )


def _store(machinery: Machinery, run: RunState, op: Op) -> None:
    if op.op in _ACCEPTED:
        return
    if op.op not in _STORED:
        raise CheckpointRefused(f"cannot checkpoint opcode: {op.op}", run_id=run.run_id)
    if is_too_large(op):
        raise CheckpointRefused(
            f"step {op.id} output too large: step output size is greater than the limit",
            413,
            run.run_id,
        )
    if op.id in run.memos:
        # the first value stays (W47)
        return
    run.names.setdefault(op.id, op.display_name)
    run.ops.setdefault(op.id, op.op)
    run.reports.setdefault(op.id, []).append(state.StepReport(machinery.now(), op))
    run.ended_at[op.id] = machinery.now()
    memo = memo_of(run, op)
    store(run, op.id, memo, len(canonical(memo)))
    machinery.note(
        run, state.STEP_RAN, step=op.display_name, attempt=0, op=op.op, detail="checkpointed"
    )
