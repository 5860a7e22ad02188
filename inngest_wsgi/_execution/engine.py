"""Every decision of a replay (PROTOCOL section 6).

A function is called again and again, each time from its first line. A step
that is remembered gives its result back; the first that is not ends the call.
What the call ends in is recorded *before* the interrupt is raised, so that
code which swallows the interrupt cannot turn an unfinished run into a
finished one: whatever it does next, what was recorded is the answer.

Nothing here does I/O or reads a clock of its own.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import typing as t

from .. import _protocol as p, errors
from .._codec import encode
from .._messages import Call, Failed, Op, Outcome, Returned, StepId, StepsReported
from . import failures, memos
from .parallel import ParallelGroup


class Interrupt(BaseException):
    """Ends the function's call at a step, or one branch of a parallel group.
    Not an :exc:`Exception`, so that ``except Exception`` in a function does
    not catch it. It never leaves the endpoint."""

    def __str__(self) -> str:
        return "ends the call of a function at a step; let it pass, and keep none"


def misused(interrupt: Interrupt) -> errors.NonRetriableError:
    """Make the error of an interrupt that came where none of this call can
    come from: it was kept from another call, and raised again."""
    problem = errors.NonRetriableError(
        "an exception that ended another call was raised again; let BaseException pass, and "
        "keep none"
    )
    problem.__cause__ = interrupt
    return problem


#: Why no step can be called, save while the function runs.
_BEFORE = (
    "it is called before the function is, in a middleware's transform_input() or alike. Call it "
    "in the function"
)
_IN_HOOK = "it is called in a middleware's before_execution(). Call it in the function"
_AFTER = "the call that ctx.step belongs to has ended; do not keep it"


class Hooks(t.Protocol):
    """What the engine tells the middleware. Each may raise; the call then
    fails with what it raised."""

    def is_lost(self) -> bool:
        """Whether nobody waits for the answer any more."""

    def new_code(self) -> None:
        """The code that follows runs for the first time."""

    def replaying(self, on: bool) -> None:
        """The code that follows runs once more, or no longer does."""

    def ended(self) -> None:
        """The function returned, or came to a step."""

    def output(
        self, error: t.Optional[BaseException], value: t.Any, op: t.Optional[Op]
    ) -> t.Tuple[t.Optional[BaseException], t.Any]:
        """What a function, or a step, raised or returned; gives what to send
        instead."""


class _End(t.NamedTuple):
    """What a call has come to, before it is put into the form that is sent.

    :ivar ops: the steps to report; none if the function itself has ended
    :ivar value: what the function, or the one step that ran, gave
    :ivar error: what it raised instead
    """

    ops: t.Sequence[Op] = ()
    value: t.Any = None
    error: t.Optional[BaseException] = None


#: Nobody is told.
_CLIENT_GONE = errors.Error("The client of the call has gone.")


class Engine:
    """One replay of one call.

    :param call: with its events and steps
    :param clock: gives the time in ns since the epoch, for the steps' timing
    """

    def __init__(self, call: Call, clock: t.Callable[[], int], hooks: Hooks) -> None:
        self._call = call
        self._clock = clock
        self._hooks = hooks
        self._memos: t.Dict[str, t.Any] = call.steps or {}
        self._target = call.target
        self._plan_only = call.plan_only
        #: whether the step that alone may run has run: the call came twice
        self._target_done = (
            self._target in self._memos and memos.edited_input(self._memos[self._target]) is None
        )
        self._unread = 0
        self._uses: t.Dict[str, int] = {}
        self._thread = threading.get_ident()
        self._replaying = True
        self._running: t.Optional[StepId] = None
        self._group: t.Optional[ParallelGroup] = None
        #: whether a race group was come to, in this call of the function
        self._raced = False
        #: whether branches are called only to find out whether they race
        self._looking_ahead = False
        self._misuse: t.Optional[errors.StepConfigError] = None
        self._end: t.Optional[_End] = None
        self._process_exit: t.Optional[BaseException] = None
        #: why no step can be called now; None while the function runs
        self._no_step: t.Optional[str] = _BEFORE
        #: whether the call was ended because nobody waits for its answer
        self._lost = False
        #: the exception of the user's code that the outcome is about
        self.exception: t.Optional[BaseException] = None
        #: whether the function went on after an interrupt
        self.swallowed = False

    # -- the function ----------------------------------------------------

    def replay(self, function: t.Callable[[t.Any], t.Any], context: t.Any) -> Outcome:
        """Call the function, and say what the call ended in.

        What ends a process passes through: :func:`failures.is_process_exit`.

        :param function: gives the output, serialized
        """
        self._no_step = None
        try:
            end = self._called(function, context)
        finally:
            self._no_step = _AFTER
        if self._lost:
            return Failed(*failures.describe(_CLIENT_GONE))
        if self._raced:
            # also on what was come to before the race group: a late call may
            # plan again what has ended, and then nothing else calls (W69)
            end = end._replace(ops=[_racing(op) for op in end.ops])
        try:
            if end.ops or end.error is None:
                self._hooks.ended()
            end = self._transformed(end)
        except errors.MiddlewareError as exc:
            end = _End(error=exc)
        return self._outcome(end)

    def _called(self, function: t.Callable[[t.Any], t.Any], context: t.Any) -> _End:
        value: t.Any = None
        error: t.Optional[BaseException] = None
        interrupted = False
        # now, for middleware may have taken some out
        self._unread = len(self._memos)
        try:
            if self._unread == 0 and self._target is None:
                self._new_code()
            value = function(context)
        except Interrupt as exc:
            interrupted = True
            error = self._foreign(exc)
        except BaseException as exc:
            if failures.is_process_exit(exc):
                raise
            error = exc
        if self._process_exit is not None:
            # somebody held up what was to end this process
            self.swallowed = True
            raise self._process_exit
        if self._end is not None:
            self.swallowed = self.swallowed or not interrupted
            return self._end
        if self._misuse is not None:
            return _End(error=self._misuse)
        if self._replaying and self._target is None:
            # a step that is remembered is not in the code any more
            try:
                self._new_code()
            except Interrupt:
                assert self._end is not None
                return self._end
        if error is None and self._target is not None and not self._target_done:
            # a 200 to a targeted call would end the whole run
            return self._target_not_found("the function ended without it")
        return _End(value=value, error=error)

    def _foreign(self, exc: Interrupt) -> t.Optional[errors.Error]:
        """The error of an interrupt that is not of this call; None where it
        is."""
        if self._end is not None or (self._group is not None and self._group.ended):
            return None
        return misused(exc)

    def _new_code(self) -> None:
        if self._replaying:
            self._replaying = False
            self._no_step = _IN_HOOK
            try:
                self._hooks.new_code()
            except errors.MiddlewareError as exc:
                # recorded, for it is raised in the midst of the user's code
                self._finish(_End(error=exc))
            finally:
                self._no_step = None

    # -- steps -----------------------------------------------------------

    def run(
        self,
        user_id: str,
        kind: str,
        work: t.Callable[..., t.Any],
        args: t.Tuple[t.Any, ...],
    ) -> t.Any:
        """A step that runs in this process.

        :param kind: ``opts.type`` of the op
        :param work: gives the step's output, serialized
        :returns: what is remembered of it
        :raises errors.StepError: what is remembered is that it failed
        """
        step = self._next(user_id)
        if step.hashed in self._memos:
            memo = self._memos[step.hashed]
            edited = memos.edited_input(memo)
            if edited is None:
                self._read()
                return memos.result(memo)
            args = tuple(edited)
        self._skip_if_looking_ahead()
        if self._hooks.is_lost():
            # the server calls again, and would have it run twice
            self._lost = True
            self._finish(_End(error=_CLIENT_GONE))
        self._check_target(step)
        self._new_code()
        if self._target is None and self._must_plan():
            self._report(Op(p.OP_STEP_PLANNED, step, user_id, _run_opts(kind, args)))
        self._finish(self._run_now(step, kind, work, args))

    def ask(
        self,
        user_id: str,
        describe: t.Callable[[StepId], Op],
        describe_edited: t.Optional[t.Callable[[StepId, t.List[t.Any]], Op]] = None,
    ) -> t.Any:
        """A step that the server carries out.

        :param describe: makes the op, when it has to be reported
        :param describe_edited: the same with the input that a user edited,
            for a kind of step that has input
        :returns: the memo, in whatever form this kind of step has
        :raises errors.StepError: what is remembered is that it failed
        """
        step = self._next(user_id)
        edited = None
        if step.hashed in self._memos:
            memo = self._memos[step.hashed]
            edited = memos.edited_input(memo)
            if edited is None:
                self._read()
                memos.raise_error(memo)
                return memo
        self._skip_if_looking_ahead()
        if edited is None or describe_edited is None:
            op = describe(step)
        else:
            op = describe_edited(step, edited)
        self._check_target(step)
        self._new_code()
        self._report(op)

    def parallel(
        self, branches: t.Sequence[t.Callable[[], t.Any]], mode: str
    ) -> t.Tuple[t.Any, ...]:
        """Branches that the server runs side by side.

        All are called, each up to a step that is not remembered; what they
        came to is reported at once. When none comes to such a step any more,
        the group has ended.

        :param mode: ``wait`` or ``race``
        :returns: what the branches returned, in their order
        :raises Exception: what the first of those raised that did, once all
            have ended
        """
        self._check_place("a parallel group")
        if mode == p.PARALLEL_RACE:
            self._raced = True
        outer, group = self._group, ParallelGroup(mode, self._group)
        values: t.List[t.Any] = []
        raised: t.List[BaseException] = []
        complete = True
        try:
            for number, branch in enumerate(branches):
                self._group = group
                group.begin(number)
                interrupted = False
                try:
                    values.append(branch())
                except Interrupt as exc:
                    interrupted = True
                    foreign = self._foreign(exc)
                    if foreign is not None:
                        raised.append(foreign)
                except BaseException as exc:
                    if failures.is_process_exit(exc):
                        self._process_exit = exc
                        raise
                    raised.append(exc)
                if self._process_exit is not None:
                    raise self._process_exit
                if self._end is not None:
                    self._look_ahead(interrupted)
                    continue
                if self._misuse is not None:
                    raise self._misuse
                if group.ended:
                    complete = False
                    self.swallowed = self.swallowed or not interrupted
        finally:
            self._group = outer
            if self._looking_ahead and outer is None:
                self._looking_ahead = False
                self._hooks.replaying(False)
        if self._end is not None:
            if outer is not None:
                outer.ended = True
            raise Interrupt
        if not complete:
            self._end_group(group)
        if raised:
            raise raised[0]
        return tuple(values)

    def _look_ahead(self, interrupted: bool) -> None:
        """Go on to the next branch, though the call has ended in this one, if
        that may tell that the group races: the op of the step that ran must
        say so (W69), and the race may be in a branch that is still to come.

        :raises Interrupt: there is nothing to be found out
        """
        if not self._looking_ahead:
            self.swallowed = self.swallowed or not interrupted
            ran = self._end is not None and bool(self._end.ops)
            if self._raced or not ran or self._target is None:
                raise Interrupt
            self._looking_ahead = True
            self._hooks.replaying(True)
        elif self._raced:
            raise Interrupt

    def _end_group(self, group: ParallelGroup) -> t.NoReturn:
        if self._group is not None:
            # a group in a branch of another: the outer one reports
            self._group.ops += group.ops
            self._group.ended = True
            raise Interrupt
        if not group.ops:
            # of a targeted call, whose step is in none of the branches
            self._finish(self._target_not_found("no branch of a parallel group came to it"))
        self._finish(_End(ops=group.ops))

    # -- on the way to a step --------------------------------------------

    @property
    def running(self) -> StepId:
        """The step that is running, for the work that it does."""
        assert self._running is not None
        return self._running

    def _next(self, user_id: str) -> StepId:
        self._check_place(user_id)
        if not isinstance(user_id, str) or not user_id:
            raise errors.StepConfigError(user_id, "the id must be text, and not empty")
        if self._group is not None:
            problem = self._group.use(user_id)
            if problem is not None:
                self._refuse(user_id, problem)
        repeat = self._uses.get(user_id, 0)
        text = "{}:{}".format(user_id, repeat) if repeat else user_id
        if repeat or ":" in user_id:
            self._check_text(user_id, repeat, text)
        self._uses[user_id] = repeat + 1
        hashed = hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest()
        return StepId(user_id, repeat, hashed)

    def _check_text(self, user_id: str, repeat: int, text: str) -> None:
        """Refuse a use whose hash another use has: the one would be given
        what is remembered of the other."""
        if repeat:
            other, taken = text, text in self._uses
        else:
            other, _, number = user_id.rpartition(":")
            # as repeats are numbered: no sign, no leading zero
            counted = number.isascii() and number.isdigit() and number[0] != "0"
            taken = counted and len(number) < 10 and self._uses.get(other, 0) > int(number)
        if taken:
            self._refuse(
                user_id,
                "its use {} has the same hash as a use of step {!r}, for a repeated id is counted "
                "as {!r}. Rename one of the two".format(repeat + 1, other, text),
            )

    def _check_place(self, user_id: str) -> None:
        """Whether a step can be where it is called."""
        if self._no_step is not None:
            raise errors.StepConfigError(user_id, self._no_step)
        if threading.get_ident() != self._thread:
            self._refuse(
                user_id,
                "it is called in another thread than the function. To run steps side by "
                "side use ctx.group.parallel()",
            )
        self._stop_if_over()
        if self._misuse is not None and self._running is None:
            raise self._misuse
        if self._running is not None:
            self._refuse(
                user_id,
                "it is inside step {!r}. A step cannot contain another: it would be repeated "
                "with it. Call it before or after".format(self._running.user_id),
            )

    def _refuse(self, user_id: str, message: str) -> t.NoReturn:
        """Recorded too: where this is raised nobody may be listening."""
        self._misuse = errors.StepConfigError(user_id, message)
        raise self._misuse

    def _stop_if_over(self) -> None:
        if self._process_exit is not None:
            raise self._process_exit
        if self._is_over():
            # on its way out, the interrupt may come through a finally with a
            # step in it; past that, somebody has swallowed it
            if not isinstance(sys.exc_info()[1], Interrupt):
                self.swallowed = True
            raise Interrupt

    def _is_over(self) -> bool:
        """Whether the call has ended, or the branch that is being called."""
        ended = self._end is not None and not self._looking_ahead
        return ended or (self._group is not None and self._group.ended)

    def _must_plan(self) -> bool:
        """Whether a new step is to be reported, and run in a call of its own.

        After a race group too: each of its branches that ends makes the
        server call again, and whatever those calls run, runs as often (W68).
        """
        return self._group is not None or self._raced or self._plan_only

    def _skip_if_looking_ahead(self) -> None:
        if self._looking_ahead:
            assert self._group is not None
            self._group.ended = True
            raise Interrupt

    def _read(self) -> None:
        """A memo was given back."""
        self._unread -= 1
        if self._unread == 0 and self._target is None:
            self._new_code()

    def _check_target(self, step: StepId) -> None:
        if self._target in (None, step.hashed):
            return
        if self._group is not None:
            # the target may be in another branch
            self._group.ended = True
            raise Interrupt
        found = "the function came to step {!r} instead".format(step.user_id)
        self._finish(self._target_not_found(found))

    def _report(self, op: Op) -> t.NoReturn:
        if self._group is None:
            self._finish(_End(ops=[op]))
        self._group.ops.append(op)
        self._group.ended = True
        raise Interrupt

    def _finish(self, end: _End) -> t.NoReturn:
        self._end = end
        raise Interrupt

    def _run_now(
        self,
        step: StepId,
        kind: str,
        work: t.Callable[..., t.Any],
        args: t.Tuple[t.Any, ...],
    ) -> _End:
        value: t.Any = None
        error: t.Optional[BaseException] = None
        # now, before the step can change what it is given
        opts = _run_opts(kind, args)
        self._running = step
        start = self._clock()
        try:
            value = work(*args)
        except Interrupt as exc:
            error = misused(exc)
        except BaseException as exc:
            if failures.is_process_exit(exc):
                self._process_exit = exc
                raise
            error = exc
        self._running = None
        timing = (start, self._clock() - start)
        if self._misuse is not None:
            value, error, self._misuse = None, self._misuse, None
        name = p.OP_STEP_RUN if error is None else p.OP_STEP_ERROR
        op = Op(name, step, step.user_id, opts, timing=timing)
        return _End(ops=[op], value=value, error=error)

    def _target_not_found(self, found: str) -> _End:
        """The end of a call for a step that is not there (W71)."""
        if self._target_done:
            # what the first of the two calls led to may be under way
            problem = "has run already, and {}".format(found)
        else:
            problem = (
                "was to run, and {}. Has it been renamed or removed, or is the way to it another "
                "one each time? Bring it back; or cancel the run and start it again".format(found)
            )
        return _End(error=errors.StepUnexpectedError("step {} {}".format(self._target, problem)))

    # -- what is sent ----------------------------------------------------

    def _transformed(self, end: _End) -> _End:
        if len(end.ops) > 1:
            return end
        op = end.ops[0] if end.ops else None
        error, value = self._hooks.output(end.error, end.value, op)
        if op is not None and op.op not in (p.OP_STEP_RUN, p.OP_STEP_ERROR):
            # the output of what the server carries out is not here yet
            return end
        return end._replace(error=error, value=value)

    def _outcome(self, end: _End) -> Outcome:
        if not end.ops:
            return self._function_outcome(end)
        first, *more = end.ops
        if more or first.op not in (p.OP_STEP_RUN, p.OP_STEP_ERROR):
            return StepsReported(end.ops)
        return self._step_outcome(end, first)

    def _function_outcome(self, end: _End) -> Outcome:
        error = end.error
        if error is None:
            try:
                what = "function {}".format(self._call.fn_id)
                return Returned(encode.function_output(end.value, what))
            except Exception as exc:  # objects may raise anything
                error = exc
        self.exception = error
        return Failed(*failures.describe(error))

    def _step_outcome(self, end: _End, op: Op) -> StepsReported:
        error = end.error
        if error is None:
            try:
                what = "step {!r} of function {}".format(op.id.user_id, self._call.fn_id)
                data = encode.step_output(end.value, what)
                return StepsReported([op._replace(op=p.OP_STEP_RUN, data=data)])
            except Exception as exc:
                error = exc
        self.exception = error
        failure = failures.describe(error)
        final = self._call.is_last_attempt or not failure.retriable
        name = p.OP_STEP_FAILED if final else p.OP_STEP_ERROR
        return StepsReported(
            [op._replace(op=name, error=failure.error)], not final, failure.retry_after
        )


def _racing(op: Op) -> Op:
    """The op, saying that the server need wait for no other (W69)."""
    return op._replace(opts=dict(op.opts or {}, parallelMode=p.PARALLEL_RACE))


def _run_opts(kind: str, args: t.Tuple[t.Any, ...]) -> t.Mapping[str, t.Any]:
    """The ``opts`` of a step that runs here: what it is, and its arguments,
    for a person to see and edit."""
    shown = encode.step_input(args) if args else None
    return {"type": kind} if shown is None else {"type": kind, "input": shown}
