"""Context managers entered around each run of a step's function."""

from __future__ import annotations

import types
import typing as t

from .. import errors
from .._codec import encode
from .._logs import log
from .._messages import Call, RunningStep, StepId, StepsReported
from . import failures
from .interrupt import Interrupt, stray_interrupt_error
from .managers import Managers
from .state import CallState, Concluded, Ending, StepRan, StepsToReport

#: Called with the step, in the thread in which it is about to run. The context
#: manager that it returns is entered around the step's function.
Maker = t.Callable[[RunningStep], t.ContextManager[t.Any]]
_Look = t.Callable[[], t.Optional[str]]

_LEFT = (
    "Step %r of function %s had failed, and a manager of step_context raised as it was left (run "
    "%s). The step keeps its own error."
)
_AROUND = (
    "Function %s has %s open around its steps, as was seen at step %r. When the call ends at a "
    "step, that is rolled back, with the rows of each step in it, while the step is recorded and "
    "does not run again. Let each step have a transaction of its own: see docs/transactions.md. "
    "This is logged once for each function."
)


def checked_makers(makers: t.Sequence[Maker]) -> t.Tuple[Maker, ...]:
    """Check the value of ``step_context``.

    :raises errors.SettingsError: it is not a list of functions
    """
    if not isinstance(makers, (list, tuple)) or not all(map(callable, makers)):
        raise errors.SettingsError(
            "step_context",
            "must be a list of functions that take the step and give a context manager",
        )
    return tuple(makers)


class StepContexts:
    """The context managers of the steps of one endpoint.

    A maker may have a method ``open_transaction()``. It returns a description
    of the transaction that the code outside of steps has open in this thread,
    or None; the description continues "the function has". A maker with a true
    attribute ``only_looks`` has that method alone.

    :param makers: return the context managers
    :ivar surround: False if no maker makes any
    """

    def __init__(self, makers: t.Sequence[Maker]) -> None:
        self._makers = [maker for maker in makers if not getattr(maker, "only_looks", False)]
        self.surround: bool = bool(self._makers)
        asked = [getattr(maker, "open_transaction", None) for maker in makers]
        self._open = [t.cast(_Look, look) for look in asked if callable(look)]
        self._warned: t.Set[str] = set()

    def run(
        self,
        call: Call,
        state: CallState,
        has_middleware: bool,
        step: StepId,
        work: t.Callable[..., t.Any],
        args: t.Tuple[t.Any, ...],
    ) -> t.Any:
        """Run a step's function within the context managers.

        They are left before anything is reported of the step. Each is told of
        the exception by which the step has failed, or of none: an output that
        cannot be sent and a step within the step are failures too. What one
        raises when it is made, entered, or left after a success fails the step.

        :param has_middleware: True if ``transform_output`` may yet make
            something that can be sent of an output that cannot
        :returns: what the function returned
        """
        self._look(call, step.user_id)
        key = f"{call.run_id}-{step.hashed}"
        running = RunningStep(call.fn_id, call.run_id, step.user_id, call.attempt, key)
        managers = Managers()
        value: t.Any = None
        error: t.Optional[BaseException] = None
        try:
            for maker in self._makers:
                managers.enter(maker(running))
            value = work(*args)
            if type(value) is types.CoroutineType:
                raise failures.not_run(value)
            if not has_middleware:
                encode.step_output(value, call.fn_id, step.user_id)
            if state.misuse is not None:
                raise state.misuse
        except Interrupt as exc:
            error = stray_interrupt_error(exc)
        except BaseException as exc:
            error = exc

        def raised(
            exc: BaseException, told: t.Optional[BaseException]
        ) -> t.Optional[BaseException]:
            if told is None:
                return stray_interrupt_error(exc) if isinstance(exc, Interrupt) else exc
            log.error(_LEFT, step.user_id, call.fn_id, call.run_id, exc_info=exc)
            return told

        error = managers.leave(error, raised)
        if error is not None:
            try:
                raise error
            finally:
                # the traceback has this frame
                error = None
        return value

    def watch(self, call: Call) -> t.Optional[t.Callable[[Ending], None]]:
        """Return a function that looks for open transactions when a call is
        about to end at a step; None if no maker can tell."""
        return (lambda ending: self._look(call, _step_of(ending))) if self._open else None

    def _look(self, call: Call, user_id: t.Optional[str]) -> None:
        """Warn of a transaction that the function has open around its steps.

        :param user_id: the step's, or None to do nothing
        """
        if user_id is None or call.fn_id in self._warned:
            return
        for is_open in self._open:
            try:
                found = is_open()
            except Exception:
                log.exception("open_transaction() of step_context raised")
                continue
            if found is not None:
                self._warned.add(call.fn_id)
                log.warning(_AROUND, call.fn_id, found, user_id)
                return


def _step_of(ending: Ending) -> t.Optional[str]:
    """Return the id of the step that a call ends at; None if it ends otherwise."""
    if isinstance(ending, StepRan):
        return ending.step.user_id
    if isinstance(ending, StepsToReport):
        return ending.ops[0].id.user_id
    if isinstance(ending, Concluded) and isinstance(ending.outcome, StepsReported):
        return ending.outcome.ops[0].id.user_id
    return None
