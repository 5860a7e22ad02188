"""Decide when a parallel step is planned, and when the function is called again.

Each function here does what a server's state store and queue do in one
transaction: which steps are waited for, whether a step had
ended before, and whether a job of that name was queued before.
"""

from __future__ import annotations

import hashlib
import typing as t

from .._model.state import Config, RunState
from .._wire.outcomes import Reported
from .items import Call
from .machinery import Machinery
from .memos import save


def plan_group(run: RunState, config: Config, reported: Reported, later: t.Collection[str]) -> str:
    """Apply what an answer as a whole changes in its run (W5, W41, W42).

    After two or more ops at once, new steps are planned before they run. If
    one of the ops ends later, they are a group: with request version 2, the
    function is called again when all of them have ended.

    :param config: what the call's request was built with.
    :param later: names of the ops that end later.
    :return: name of the group that was reported; empty if there is none. The
        same steps reported again are the same group.
    """
    ops = reported.ops
    version = max(reported.version, 0)
    if config.version == -1:
        run.config = Config(config.disable, version)
    if len(ops) < 2:
        return ""
    if not config.disable:
        run.config = Config(True, version)
    current = version if config.version == -1 else config.version
    if current < 2 or not any(op.op in later for op in ops):
        return ""
    # The run waits for these steps from now on, and for no others. Whether
    # they have ended meanwhile is not checked: a call that was answered late
    # makes the run wait for steps that will not end a second time (W69).
    run.pending = {op.id for op in ops}
    names = "\0".join(sorted(run.pending))
    return hashlib.sha1(names.encode("utf-8", "surrogatepass")).hexdigest()


def discover(
    machinery: Machinery, job: str, call: Call, config: Config, waiting: bool, race: bool
) -> None:
    """Call the function again after a step has ended, if its group allows it.

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
    machinery.put_once(job, call)


def leave_group(run: RunState, config: Config) -> None:
    """Allow immediate execution of new steps again (W42).

    :param config: as the caller knows it. It may be out of date, and then
        nothing changes.
    """
    if config.version >= 2 and config.disable:
        run.config = Config(False, config.version)


def resume(
    machinery: Machinery,
    run: RunState,
    step_id: str,
    memo: t.Any,
    how: str,
    race: bool,
    group: str,
) -> None:
    """Store the memo of a step that the app did not run, and continue the run.

    :param how: ``event`` or ``timeout``.
    :param race: whether the step was reported as one of a group in race mode.
    :param group: name of the group that it was reported in, or empty.
    """
    saved = save(machinery, run, step_id, memo)
    if saved is None:
        return
    if saved.kept:
        job = f"{group}-discover" if group and not race else f"{step_id}-{how}"
        call = Call(run, machinery.now(), after=step_id)
        discover(machinery, job, call, run.config, saved.waiting, race)
    machinery.fail_if_stuck(run)
