"""Keeping the memo of a step, and when the function is called again for it.

Internal. What is done here one after the other is what a server's state store
and queue do in single transactions: which steps are waited for, whether a
step had ended before, and whether a job of that name was queued before.
"""

from __future__ import annotations

import typing as t

from .._model.state import Config, RunState
from .._wire.canonical import canonical
from .._wire.outcomes import server_failure
from .queue import Call
from .work import Work


class Saved(t.NamedTuple):
    """What became of a memo."""

    #: Whether the step has this memo now. It has another one if two calls ran
    #: the step, for the first one stays.
    kept: bool
    #: Whether there are steps that are still waited for.
    waiting: bool


def save(work: Work, run: RunState, step_id: str, memo: t.Any) -> t.Optional[Saved]:
    """Keep the memo of a step, unless it has one.

    :return: None if the memo overflowed the run and so ended it (W39).
    """
    encoded = canonical(memo)
    if step_id in run.memos:
        # Nothing is removed from what is waited for.
        same = canonical(run.memos[step_id]) == encoded
        return Saved(same, same and bool(run.pending))
    if len(run.memos) + 1 >= work.step_count_limit:
        work.fail(
            run,
            server_failure(
                f"The function run exceeded the step limit of {work.step_count_limit} steps.",
                "InngestErrFunctionOverflowed",
            ),
        )
        return None
    if run.memo_bytes + len(encoded) > work.state_limit:
        work.fail(
            run,
            server_failure(
                f"The function run exceeded the state size limit of {work.state_limit} bytes.",
                "InngestErrStateOverflowed",
            ),
        )
        return None
    run.memo_bytes += len(encoded)
    run.memos[step_id] = memo
    run.inputs.pop(step_id, None)
    run.stack.append(step_id)
    run.discoveries = 0
    run.pending.discard(step_id)
    return Saved(True, bool(run.pending))


def discover(work: Work, job: str, call: Call, config: Config, waiting: bool, race: bool) -> None:
    """Call the function again, after a step has ended, if it is time.

    With request version 2 it is when nothing is waited for any more, and in
    race mode it is after every step (W41, W43). With an older version nothing
    is ever waited for.

    :param job: name of the job; if there was one of that name, the call that
        it stood for is the one to be made.
    :param config: what the call that reported the step was built with.
    :param waiting: whether there are steps that are still waited for.
    :param race: whether the step is of a group in race mode.
    """
    if waiting and not race:
        return
    leave_group(call.run, config)
    work.put_once(job, call)


def leave_group(run: RunState, config: Config) -> None:
    """Let steps run at once again (W42).

    :param config: as known to whoever says so. It may be out of date, and
        then nothing changes.
    """
    if config.version >= 2 and config.disable:
        run.config = Config(False, config.version)


def resume(
    work: Work, run: RunState, step_id: str, memo: t.Any, how: str, race: bool, group: str
) -> None:
    """Something from outside has ended a step: keep its memo, go on.

    :param how: ``event`` or ``timeout``.
    :param race: whether the step was reported as one of a group in race mode.
    :param group: name of the group that it was reported in, or empty.
    """
    saved = save(work, run, step_id, memo)
    if saved is None:
        return
    if saved.kept:
        job = f"{group}-discover" if group and not race else f"{step_id}-{how}"
        call = Call(run, work.now(), after=step_id)
        discover(work, job, call, run.config, saved.waiting, race)
    work.fail_if_stuck(run)
