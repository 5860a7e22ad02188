"""Every decision of a replay (PROTOCOL section 6).

A function is called again and again, each time from its first line. A step
that is remembered gives its result back; the first that is not ends the call.
What the call ends in is recorded *before* the interrupt is raised, so that
code which swallows the interrupt cannot turn an unfinished run into a
finished one: whatever it does next, the recorded outcome is the answer.

Nothing here does I/O or reads a clock of its own.
"""

from __future__ import annotations

import hashlib
import typing as t

from . import _encode, _failure, errors
from . import _protocol as p
from ._messages import Call, Op, StepId
from ._outcome import Failed, Outcome, Returned, StepsReported


class Interrupt(BaseException):
    """Ends the function's call at a step. Not an :exc:`Exception`, so that
    ``except Exception`` in a function does not catch it."""


class Engine:
    """One replay of one call.

    :param call: with its events and steps
    :param clock: gives the time in ns since the epoch, for the steps' timing
    """

    def __init__(self, call: Call, clock: t.Callable[[], int]) -> None:
        self._call = call
        self._clock = clock
        self._memos: t.Dict[str, t.Any] = call.steps or {}
        self._uses: t.Dict[str, int] = {}
        self._running: t.Optional[StepId] = None
        self._outcome: t.Optional[Outcome] = None
        #: the exception of the user's code that the outcome is about
        self.exception: t.Optional[BaseException] = None
        #: whether the function went on after an interrupt
        self.swallowed = False

    # -- the function ----------------------------------------------------

    def replay(self, function: t.Callable[[t.Any], t.Any], context: t.Any) -> Outcome:
        """Call the function, and say what the call ended in.

        ``SystemExit``, ``KeyboardInterrupt`` and whatever else is neither an
        :exc:`Exception` nor ours passes through.
        """
        try:
            value = function(context)
        except Interrupt:
            pass
        except Exception as exc:
            if self._outcome is None:
                return self._failed(exc)
            self.swallowed = True
        else:
            if self._outcome is None:
                return self._returned(value)
            self.swallowed = True
        assert self._outcome is not None, "an interrupt without an outcome"
        return self._outcome

    def _returned(self, value: t.Any) -> Outcome:
        if self._call.target is not None:
            # a 200 to a targeted call would end the whole run
            return self._target_not_found()
        try:
            return Returned(_encode.function_output(value, "function " + self._call.fn_id))
        except errors.OutputError as exc:
            return self._failed(exc)

    def _failed(self, exc: Exception) -> Failed:
        self.exception = exc
        return Failed(*_failure.describe(exc))

    # -- steps -----------------------------------------------------------

    def run(
        self,
        user_id: str,
        opts: t.Mapping[str, t.Any],
        work: t.Callable[..., t.Any],
        args: t.Tuple[t.Any, ...],
    ) -> t.Any:
        """A step that runs in this process.

        :param opts: of the op
        :returns: what is remembered of it
        :raises errors.StepError: what is remembered is that it failed
        """
        step = self._next(user_id)
        if step.hashed in self._memos:
            memo = self._memos[step.hashed]
            edited = _edited_input(memo)
            if edited is None:
                return _result(memo)
            args = tuple(edited)
        self._check_target(step)
        if self._call.plan_only and self._call.target is None:
            self._end(StepsReported([Op(p.OP_STEP_PLANNED, step, user_id, opts)]))
        self._run_now(step, opts, work, args)

    def ask(self, user_id: str, describe: t.Callable[[StepId], Op]) -> t.Any:
        """A step that the server carries out.

        :param describe: makes the op, when it has to be reported
        :returns: the memo, in whatever form this kind of step has
        :raises errors.StepError: what is remembered is that it failed
        """
        step = self._next(user_id)
        if step.hashed in self._memos:
            memo = self._memos[step.hashed]
            _raise_error(memo)
            return memo
        self._check_target(step)
        self._end(StepsReported([describe(step)]))

    def _next(self, user_id: str) -> StepId:
        if self._outcome is not None:
            raise Interrupt
        if not isinstance(user_id, str) or not user_id:
            raise errors.StepConfigError(user_id, "the id must be text, and not empty")
        if self._running is not None:
            raise errors.StepConfigError(
                user_id,
                "it is inside step {!r}. A step cannot contain another; call it before "
                "or after".format(self._running.user_id),
            )
        repeat = self._uses.get(user_id, 0)
        self._uses[user_id] = repeat + 1
        text = "{}:{}".format(user_id, repeat) if repeat else user_id
        hashed = hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest()
        return StepId(user_id, repeat, hashed)

    def _check_target(self, step: StepId) -> None:
        if self._call.target not in (None, step.hashed):
            self._end(self._target_not_found())

    def _run_now(
        self,
        step: StepId,
        opts: t.Mapping[str, t.Any],
        work: t.Callable[..., t.Any],
        args: t.Tuple[t.Any, ...],
    ) -> t.NoReturn:
        self._running = step
        start = self._clock()
        try:
            value = work(*args)
            what = "step {!r} of function {}".format(step.user_id, self._call.fn_id)
            data = _encode.step_output(value, what)
        except Exception as exc:
            self.exception = exc
            self._end(self._step_failed(step, opts, exc, (start, self._clock() - start)))
        finally:
            self._running = None
        timing = (start, self._clock() - start)
        self._end(
            StepsReported([Op(p.OP_STEP_RUN, step, step.user_id, opts, data, timing=timing)])
        )

    def _step_failed(
        self,
        step: StepId,
        opts: t.Mapping[str, t.Any],
        exc: Exception,
        timing: t.Tuple[int, int],
    ) -> StepsReported:
        failure = _failure.describe(exc)
        call = self._call
        last = call.max_attempts is not None and call.attempt + 1 >= call.max_attempts
        final = last or not failure.retriable
        op = Op(
            p.OP_STEP_FAILED if final else p.OP_STEP_ERROR,
            step,
            step.user_id,
            opts,
            error=failure.error,
            timing=timing,
        )
        return StepsReported([op], retriable=not final, retry_after=failure.retry_after)

    def _target_not_found(self) -> StepsReported:
        target = self._call.target
        assert target is not None
        return StepsReported([Op(p.OP_STEP_NOT_FOUND, StepId(target, 0, target), target)])

    def _end(self, outcome: Outcome) -> t.NoReturn:
        self._outcome = outcome
        raise Interrupt


def _edited_input(memo: t.Any) -> t.Optional[t.List[t.Any]]:
    """The step's arguments, where the memo is not a result but the input that
    a user edited."""
    if not isinstance(memo, dict) or "data" in memo or "error" in memo:
        return None
    edited = memo.get("input")
    return edited if isinstance(edited, list) else None


def _result(memo: t.Any) -> t.Any:
    _raise_error(memo)
    if isinstance(memo, dict) and "data" in memo:
        return memo["data"]
    return memo


def _raise_error(memo: t.Any) -> None:
    problem = memo.get("error") if isinstance(memo, dict) else None
    if problem is None:
        return
    if not isinstance(problem, dict):
        raise errors.StepError(str(problem), "Error")
    stack = problem.get("stack")
    raise errors.StepError(
        message=str(problem.get("message") or ""),
        name=str(problem.get("name") or "Error"),
        stack=stack if isinstance(stack, str) else None,
    )
