"""Keep the memos of steps, within the limits of a run (W39)."""

from __future__ import annotations

import typing as t

from ... import _protocol
from .._model.state import RunState
from .._wire.canonical import canonical, normalised, transformed
from .._wire.outcomes import Op, server_failure
from .machinery import Machinery

#: The most steps a run may have.
STEP_COUNT_LIMIT = 1000
#: The most bytes that the memos of a run may take together.
STATE_LIMIT = 32 * 1024 * 1024


class Saved(t.NamedTuple):
    """The result of saving a memo."""

    #: True if the step has this memo now. It has another one if two calls ran
    #: the step, because the first one stays.
    kept: bool
    #: True if the run still waits for steps of a group.
    waiting: bool


def save(machinery: Machinery, run: RunState, step_id: str, memo: t.Any) -> t.Optional[Saved]:
    """Keep the memo of a step, unless it has one.

    :return: None if the memo overflowed the run and so ended it (W39).
    """
    encoded = canonical(memo)
    if step_id in run.memos:
        # The step stays in the group that the run waits for (W69).
        same = canonical(run.memos[step_id]) == encoded
        return Saved(same, same and bool(run.pending))
    if len(run.memos) + 1 >= machinery.step_count_limit:
        machinery.fail(
            run,
            server_failure(
                f"The function run exceeded the step limit of {machinery.step_count_limit} steps.",
                "InngestErrFunctionOverflowed",
            ),
        )
        return None
    if run.memo_bytes + len(encoded) > machinery.state_limit:
        machinery.fail(
            run,
            server_failure(
                "The function run exceeded the state size limit of "
                f"{machinery.state_limit} bytes.",
                "InngestErrStateOverflowed",
            ),
        )
        return None
    run.ended_at[step_id] = machinery.now()
    store(run, step_id, memo, len(encoded))
    run.encoded[step_id] = encoded
    return Saved(True, bool(run.pending))


def store(run: RunState, step_id: str, memo: t.Any, size: int) -> None:
    """Keep the memo of a step that has none, whatever the limits.

    :param size: its bytes in JCS form.
    """
    run.memo_bytes += size
    run.memos[step_id] = memo
    run.inputs.pop(step_id, None)
    run.stack.append(step_id)
    run.discoveries = 0
    run.pending.discard(step_id)


def memo_of(run: RunState, op: Op) -> t.Any:
    """Return the memo of a step that the app has run, as later calls carry it."""
    data = op.data
    try:
        data = transformed(data)
    except ValueError as error:
        # The memo is kept, but no call can carry it (W70).
        run.unsendable = f"error transforming request with JCS: {error}"
    memo = normalised(data)
    return memo if op.op == _protocol.OP_STEP else {"data": memo}
