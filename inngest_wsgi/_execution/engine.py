"""Replays a function, and decides what one call of it ends in.

Theory of operation
===================

**A replay.** The server calls a function again and again, each time from its
first line, until it returns or fails (PROTOCOL section 6). With each call come
the memos: what the server remembers of the steps that have ended, by the hash
of the step's id. A step that is remembered gives its result back. The first
step that is not remembered ends the call: it runs, or it is reported for the
server to carry out, and the function is called again once it has ended. So
each call gets one step further, and each step runs once.

Code before the last memo has run in an earlier call: this is *replaying*. New
code begins when the last memo has been given back or a step is not
remembered; if neither happens, when the function returns or raises. In a
targeted call (see below) it begins at the target.

**How a call ends.** At a step, the engine records the ending in the
:class:`~.state.CallState` and only then raises :exc:`Interrupt`, which is to
leave the function. Code that catches everything may swallow the interrupt and
go on. It cannot turn an unfinished run into a finished one: what was recorded
is the answer, each further step raises the interrupt again, and that it was
swallowed is logged. If an interrupt comes although this call has recorded no
ending, user code has kept it from another call; that is an error of that code.

**The phases of a call** (:class:`~.state.Phase`), and what a step does that is
called in each:

=============  =====================================  ========================
phase          a step that is called                  next
=============  =====================================  ========================
BEFORE         is refused                             FUNCTION
FUNCTION       is decided on (see below)              HOOK STEP ENDED EXITING
                                                      AFTER
HOOK           is refused                             FUNCTION ENDED
STEP           is refused, and fails the running one  ENDED EXITING
ENDED          raises the interrupt again             LOOKING_AHEAD EXITING
                                                      AFTER
LOOKING_AHEAD  is given back, or ends its branch      ENDED EXITING
EXITING        raises again what ends the process     AFTER
AFTER          is refused                             (none)
=============  =====================================  ========================

In a parallel group, a branch that has come to a step has ended, while the call
is still in the phase FUNCTION: further steps of that branch raise the
interrupt again, and then the next branch is called.

**The three rules**, each in a module of its own:

- ``placement.py``: where can a step be? A step in a wrong place is *misuse*.
  Its error is recorded too, because the code around the step may catch the
  error, or be a thread that nobody watches. The step that runs then fails with
  it; if none runs, the function does.
- ``decision.py``: which step may run? What is remembered is given back. With
  *edited input*, the memo is not a result but arguments with which the user
  wants the step to run. A *targeted* call is for one step: only that one runs.
  A *plan-only* call runs no step: it reports new ones, and the server makes a
  targeted call for each. In every other call, too, steps in a parallel group
  and after a race group are reported in this way.
- ``ending.py``: what does the call end in? The recorded ending, the error of a
  misuse, or what the function returned or raised; and from that, after the
  middleware has seen it, the outcome.

**Parallel groups.** All branches are called one after another, each up to a
step that is not remembered, and their steps are reported together. When no
branch comes to such a step any more, the group has ended and the function goes
on. In a targeted call, a branch that comes to another step than the target
ends too, and the next one is called: the target may be in there. A group in a
branch of another group leaves it to the outermost group to report.

**Race groups.** With ``ParallelMode.RACE`` the server calls the function
whenever one branch's step has ended, so several calls of a run may be under
way at once. Therefore steps after a race group are only planned, never run at
once (W68), and every op is marked as racing, or the run could stop for ever
(W69): also the op of a step that stands beside a race group, in another branch
of the same parallel group. Requests that the server makes are only planned,
too, because it makes them as often as they are reported. When a targeted call has run such a
step, the race group may be in a branch that was not called yet, so the engine
*looks ahead*: it calls the remaining branches until one of them comes to a
race group. Meanwhile no step runs, nothing is reported, nothing is logged, and
whatever these branches raise is dropped.

**What can go wrong.** If a targeted call does not come to its step, it ends in
an error that is tried again, never in a value (W71): a value would end the
run. If the step has run already, because the server lost the first call, the
call asks for the next one. If the *client* of a streamed call *has gone*, no further step runs,
because the server makes the call again and the step would run twice. An
exception that ends the process (:func:`failures.is_process_exit`) passes
through; if the function catches it, the next step raises it again, and so does
the engine at the end. An exception of a ``before_execution`` hook ends the
call as a step does, for it is raised in the midst of the user's code.

Nothing here does I/O or reads a clock of its own.
"""

from __future__ import annotations

import contextlib
import types
import typing as t
from threading import get_ident

from .. import _protocol as p, errors
from .._codec import encode
from .._messages import Call, Op, Outcome, StepId
from . import ending, failures, going_on, memos, placement
from .decision import GIVE_BACK, NOT_TARGETED, PASS_OVER, PLAN, decide, has_target_run
from .hooks import Checkpointer, Hooks
from .interrupt import Interrupt, stray_interrupt_error
from .parallel import call_branches
from .state import (
    AFTER,
    CLIENT_GONE,
    FUNCTION,
    HOOK,
    STEP,
    CallState,
    FunctionEnded,
    StepRan,
)

Body = t.Callable[..., t.Any]

#: The kinds of steps whose work is the user's own code.
_OF_USER = (None, p.TYPE_AI_WRAP)


class Engine:
    """One replay of one call.

    :param call: with its events and steps
    :param clock: returns the time in ns since the epoch, for the steps' timing
    :param hooks: told how far the call is
    :param checkpoint: told of each step that succeeds; None if the call is to
        end at its first step
    :ivar state: changes during the call
    :ivar memos: what is remembered of each step, by its hashed id
    :ivar exception: the exception of the user's code that the outcome is
        about, once :meth:`replay` has returned
    :ivar swallowed: True if the function went on after an interrupt, once
        :meth:`replay` has returned or raised
    """

    def __init__(
        self,
        call: Call,
        clock: t.Callable[[], int],
        hooks: Hooks,
        checkpoint: t.Optional[Checkpointer] = None,
    ) -> None:
        self._call = call
        self._clock = clock
        self._hooks = hooks
        self._checkpoint = checkpoint
        #: returns what a test wants to be called in place of a step's code; None
        #: outside of tests
        self.replace: t.Optional[t.Callable[[StepId, Body], Body]] = None
        #: runs the work of a step within context managers; None if there are none
        self.around: t.Optional[t.Callable[[StepId, Body, t.Tuple[t.Any, ...]], t.Any]] = None
        self.memos: t.Dict[str, t.Any] = {} if call.steps is None else call.steps
        target_has_run = call.target is not None and has_target_run(call)
        self.state: CallState = CallState(get_ident(), target_has_run)
        self.exception: t.Optional[BaseException] = None
        self.swallowed: bool = False

    # -- the function ----------------------------------------------------

    def replay(self, function: t.Callable[[t.Any], t.Any], context: t.Any) -> Outcome:
        """Call the function, and return what the call ended in.

        :param function: returns its output, serialized
        :raises BaseException: only what ends the process
        """
        state = self.state
        value: t.Any = None
        error: t.Optional[BaseException] = None
        interrupted = False
        # now, for middleware may have taken some memos out
        state.unread = len(self.memos)
        state.phase = FUNCTION
        try:
            try:
                if state.unread == 0 and self._call.target is None:
                    self._begin_new_code()
                value = function(context)
            except Interrupt as exc:
                interrupted = True
                error = None if state.ending is not None else stray_interrupt_error(exc)
            except BaseException as exc:
                if failures.is_process_exit(exc):
                    raise
                error = exc
            if state.process_exit is not None:
                state.swallowed = True
                raise state.process_exit
            if state.ending is not None:
                state.swallowed = state.swallowed or not interrupted
            elif state.is_replaying and state.misuse is None and self._call.target is None:
                # a step that is remembered is not in the code any more
                with contextlib.suppress(Interrupt):
                    self._begin_new_code()
        finally:
            state.phase = AFTER
            self.swallowed = state.swallowed
        outcome, self.exception = ending.conclude(state, self._call, self._hooks, value, error)
        if self._checkpoint is None:
            return outcome
        answer = self._checkpoint.finish(outcome)
        if answer is not outcome:
            # whatever was raised comes again, with the next call
            self.exception = None
        return answer

    def _begin_new_code(self) -> None:
        """Tell the hooks, once, that code runs for the first time.

        :raises Interrupt: a hook raised, which ends the call
        """
        state = self.state
        if not state.is_replaying:
            return
        state.is_replaying = False
        state.phase = HOOK
        try:
            self._hooks.new_code()
        except errors.MiddlewareError as exc:
            raise state.end(FunctionEnded(error=exc))
        finally:
            if state.phase is HOOK:
                state.phase = FUNCTION

    # -- steps -----------------------------------------------------------

    def run(
        self,
        user_id: str,
        kind: t.Optional[str],
        work: t.Callable[..., t.Any],
        args: t.Tuple[t.Any, ...],
    ) -> t.Any:
        """Call a step that runs in this process.

        :param kind: ``opts.type`` of the op; None for a plain step, whose op
            has no ``opts`` unless there is input (W74)
        :param work: returns the step's output, serialized
        :returns: what is remembered of it
        :raises errors.StepError: the step has failed for good
        """
        state, checkpoint = self.state, self._checkpoint
        step = placement.enter(state, user_id)
        decision, found = decide(state, self._call, self.memos, step)
        if decision is GIVE_BACK:
            self._note_memo()
            return memos.result(found, user_id)
        if decision is PASS_OVER:
            raise state.end_branch()
        if self._hooks.is_lost():
            raise state.end(CLIENT_GONE)
        if decision is NOT_TARGETED:
            raise self._skipped(step)
        if state.is_replaying:
            self._begin_new_code()
        if found is not None:
            args = tuple(found)
            # the next call has a result in the place of this memo
            state.unread -= 1
        opts: t.Dict[str, t.Any] = {} if kind is None else {"type": kind}
        # now, before the step can change what it is given
        shown = encode.step_input(args) if args else None
        if shown is not None:
            opts["input"] = shown
        if decision is PLAN or (checkpoint is not None and checkpoint.is_over):
            raise state.report(Op(p.OP_STEP_PLANNED, step, user_id, opts or None))
        value: t.Any = None
        error: t.Optional[BaseException] = None
        state.phase, state.step = STEP, step
        start = self._clock()
        try:
            if self.around is None or kind not in _OF_USER:
                value = work(*args)
            else:
                value = self.around(step, work, args)
            if type(value) is types.CoroutineType:
                raise failures.not_run(value)
        except Interrupt as exc:
            error = stray_interrupt_error(exc)
        except BaseException as exc:
            if failures.is_process_exit(exc):
                state.exit(exc)
                raise
            error = exc
        timing = (start, self._clock() - start)
        if state.misuse is not None:
            value, error, state.misuse = None, state.misuse, None
        ended = StepRan(step, opts or None, timing, value, error)
        if checkpoint is None or error is not None:
            raise state.end(ended)
        return memos.result(self._go_on(ended, checkpoint), user_id)

    def _go_on(self, ended: StepRan, checkpoint: Checkpointer) -> t.Any:
        """Go on after a step that has succeeded; return its memo, as the next
        call would have it.

        :raises Interrupt: the call ends here
        """
        self.memos, memo = going_on.go_on(
            ended, self.state, self._call, self._hooks, self.memos, checkpoint
        )
        if self.state.unread == 0:
            self._begin_new_code()
        return memo

    def replaced(self, body: Body) -> Body:
        """Return the code of a step, or what a test wants to be called in its
        place, which it is asked for when the step runs."""
        replace = self.replace
        if replace is None:
            return body

        def called(*args: t.Any, **kwargs: t.Any) -> t.Any:
            return replace(self.running, body)(*args, **kwargs)

        return called

    @property
    def running(self) -> StepId:
        """The id of the running step, for use by the step's own work."""
        assert self.state.step is not None
        return self.state.step

    def ask(
        self,
        user_id: str,
        describe: t.Callable[[StepId], Op],
        describe_edited: t.Optional[t.Callable[[StepId, t.List[t.Any]], Op]] = None,
    ) -> t.Any:
        """Call a step that the server carries out.

        :param describe: makes the op, if it has to be reported
        :param describe_edited: the same with the input that a user edited,
            for a kind of step that has input
        :returns: the memo, in whatever form this kind of step has
        :raises errors.StepError: the step has failed for good
        """
        state = self.state
        step = placement.enter(state, user_id)
        decision, found = decide(state, self._call, self.memos, step)
        if decision is GIVE_BACK:
            self._note_memo()
            memos.raise_error(found, user_id)
            return found
        if decision is PASS_OVER:
            raise state.end_branch()
        if found is None or describe_edited is None:
            op = describe(step)
        else:
            op = describe_edited(step, found)
        if decision is NOT_TARGETED:
            raise self._skipped(step)
        self._begin_new_code()
        raise state.report(op)

    def _note_memo(self) -> None:
        """Count a memo that is given back."""
        self.state.unread -= 1
        if self.state.unread == 0:
            self.note_all_read()

    def note_all_read(self) -> None:
        """Note that the last memo is given back: new code begins, except in a
        call for one step.

        :raises Interrupt: a hook raised, which ends the call
        """
        if self._call.target is None:
            self._begin_new_code()

    def _skipped(self, step: StepId) -> Interrupt:
        """End the branch, or the call, at a step that is not the target."""
        if self.state.group is not None:
            # the target may be in another branch
            return self.state.end_branch()
        found = f"the function came to step {step.user_id!r} instead"
        return self.state.end(ending.target_not_found(self.state, self._call, found))

    # -- parallel groups -------------------------------------------------

    def parallel(
        self, branches: t.Sequence[t.Callable[[], t.Any]], mode: str
    ) -> t.Tuple[t.Any, ...]:
        """Call the branches of a parallel group, each up to a step that is not
        remembered.

        :param mode: ``wait`` or ``race``
        :returns: what the branches returned, in their order
        :raises Exception: the exception of the first branch that raised one,
            once all branches have ended
        """
        return call_branches(self.state, self._call, self._hooks, branches, mode)
