"""Decide when a parallel step is planned, and when the function is called again.

A real server does these in single transactions: it records which steps are
waited for (here), refuses a second memo of a step (:func:`.memos.save`), and
refuses a second job of one name (:meth:`.Machinery.put_once`). The plan itself
is queued in ``_ops/steps.py``.
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

    :param job: name of the job, see :func:`job_after`; if the run has had a
        job of that name, the function is not called again.
    :param config: what the call that reported the step was built with.
    :param waiting: whether there are steps that are still waited for.
    :param race: whether the step is of a group in race mode.
    """
    if waiting and not race:
        return
    leave_group(call.run, config)
    machinery.put_once(job, call)


def job_after(step: str, race: bool, group: str) -> str:
    """Return the name of the job that calls the function after a step: one for
    a whole group, but one for each step in race mode.

    :param step: the step's id, or a name made of it.
    :param race: whether the step was reported as one of a group in race mode.
    :param group: name of the group that it was reported in, or empty.
    """
    return f"{group}-discover" if group and not race else step


def leave_group(run: RunState, config: Config) -> None:
    """Allow immediate execution of new steps again (W42).

    :param config: as the caller read it, perhaps before the run's changed. If
        it allows immediate execution, the run is left as it is.
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
        job = job_after(f"{step_id}-{how}", race, group)
        call = Call(run, machinery.now(), after=step_id)
        discover(machinery, job, call, run.config, saved.waiting, race)
    machinery.fail_if_stuck(run)
