"""The state of one call: its phase, and the data of each phase.

The head of ``engine.py`` says what the phases mean. A phase begins either in
``engine.py``, where the function, the ``before_execution`` hook or the work of
a step is called, or by one of the transitions of :class:`CallState`.
"""

from __future__ import annotations

import enum
import typing as t

from .. import errors
from .._messages import Op, Outcome, StepId
from .interrupt import Interrupt


class Phase(enum.Enum):
    """The phase of a call."""

    BEFORE = "the function has not been called"
    FUNCTION = "the function's own code runs"
    HOOK = "a middleware's before_execution() runs"
    STEP = "the work of a step runs"
    ENDED = "an ending is recorded; the interrupt is on its way out"
    LOOKING_AHEAD = "an ending is recorded; further branches are called to find a race"
    EXITING = "an exception that ends the process is on its way out"
    AFTER = "the function has returned or raised"


# the phases by name alone: an Enum looks its members up slowly before Python 3.12
BEFORE = Phase.BEFORE
FUNCTION = Phase.FUNCTION
HOOK = Phase.HOOK
STEP = Phase.STEP
ENDED = Phase.ENDED
LOOKING_AHEAD = Phase.LOOKING_AHEAD
EXITING = Phase.EXITING
AFTER = Phase.AFTER


class FunctionEnded(t.NamedTuple):
    """The ending of a call whose function returned or failed.

    :ivar value: what it returned
    :ivar error: what it raised
    """

    value: t.Any = None
    error: t.Optional[BaseException] = None


class StepRan(t.NamedTuple):
    """The ending of a call in which one step ran.

    :ivar opts: the ``opts`` of its op, or None
    :ivar timing: start in ns since the epoch, and duration in ns
    :ivar value: what it returned
    :ivar error: what it raised
    """

    step: StepId
    opts: t.Optional[t.Mapping[str, t.Any]]
    timing: t.Tuple[int, int]
    value: t.Any
    error: t.Optional[BaseException]


class StepsToReport(t.NamedTuple):
    """The ending of a call that came to steps which the server carries out,
    or is to call the function for.

    :ivar ops: at least one
    """

    ops: t.Sequence[Op]


class Concluded(t.NamedTuple):
    """The ending of a call whose outcome is known already, since its hooks
    were called after the step.

    :ivar exception: the exception of the user's code that the outcome is
        about, if any
    """

    outcome: Outcome
    exception: t.Optional[BaseException] = None


#: What a call ends in, before middleware sees it and before it is encoded.
Ending = t.Union[FunctionEnded, StepRan, StepsToReport, Concluded]

#: The ending of a call whose client has gone: nobody receives the answer.
CLIENT_GONE = FunctionEnded(error=errors.Error("The client of the call has gone."))


class ParallelGroup:
    """The steps that the branches of a group have come to.

    :param outer: the group in one of whose branches this one is
    :ivar ops: the ops to report, of all branches
    :ivar has_ended: True if the branch that is being called has come to a
        step, and is to return
    """

    __slots__ = ("outer", "ops", "has_ended", "_branch", "_steps", "_first_uses")

    def __init__(self, outer: t.Optional["ParallelGroup"]) -> None:
        self.outer: t.Optional[ParallelGroup] = outer
        self.ops: t.List[Op] = []
        self.has_ended: bool = False
        self._branch = 0
        self._steps = 0
        self._first_uses: t.Dict[str, t.Tuple[int, bool]] = {}

    def begin(self, branch: int) -> None:
        """Note that the next branch is called.

        :param branch: its number
        """
        self._branch, self._steps, self.has_ended = branch, 0, False

    def use(self, user_id: str) -> t.Optional[str]:
        """Count a use of a step's id in the current branch.

        The uses of one id are told apart by their order. Between branches
        there is no order, except that of the first step of each.

        :returns: why the id cannot be used here; None if it can
        """
        first = self._steps == 0
        self._steps += 1
        branch, was_first = self._first_uses.setdefault(user_id, (self._branch, first))
        if branch == self._branch:
            self._first_uses[user_id] = (branch, first)
        elif not (first and was_first):
            return (
                "another branch of its parallel group has a step of the same id; give each "
                "branch ids of its own"
            )
        return None if self.outer is None else self.outer.use(user_id)


class CallState:
    """The state of one call.

    :ivar thread: the id of the thread in which steps may be called
    :ivar target_has_run: True if the call is for one step and that one has run
        already, because the same call came twice. Never changed
    :ivar step: the step that runs, in the phase STEP
    :ivar ending: set in the phases ENDED and LOOKING_AHEAD, and never changed
    :ivar process_exit: set in the phase EXITING
    :ivar group: the innermost parallel group whose branches are being called
    :ivar unread: how many memos have not been given back
    :ivar is_replaying: True until code runs for the first time
    :ivar has_raced: True once a race group was called
    :ivar misuse: the error of a step that cannot be where it was called. The
        running step fails with it, or else the function
    :ivar swallowed: True once the function caught an interrupt and went on
    :ivar uses: how often each id of a step was used
    :ivar watch: told of the ending before the interrupt is raised, while the
        ``with`` blocks of the function are still entered; None if nobody asks
    """

    __slots__ = (
        "thread",
        "target_has_run",
        "phase",
        "step",
        "ending",
        "process_exit",
        "group",
        "unread",
        "is_replaying",
        "has_raced",
        "misuse",
        "swallowed",
        "uses",
        "watch",
    )

    def __init__(self, thread: int, target_has_run: bool = False) -> None:
        self.thread: int = thread
        self.target_has_run: bool = target_has_run
        self.phase: Phase = BEFORE
        self.step: t.Optional[StepId] = None
        self.ending: t.Optional[Ending] = None
        self.process_exit: t.Optional[BaseException] = None
        self.group: t.Optional[ParallelGroup] = None
        self.unread: int = 0
        self.is_replaying: bool = True
        self.has_raced: bool = False
        self.misuse: t.Optional[errors.StepConfigError] = None
        self.swallowed: bool = False
        self.uses: t.Dict[str, int] = {}
        self.watch: t.Optional[t.Callable[[Ending], None]] = None

    @property
    def is_interrupting(self) -> bool:
        """True if an interrupt of this call, or of the branch that is being
        called, is on its way out."""
        return self.ending is not None or (self.group is not None and self.group.has_ended)

    def end(self, ending: Ending) -> Interrupt:
        """From FUNCTION, HOOK or STEP to ENDED.

        Recorded before anything is raised: whatever the function does with
        the interrupt, the call ends in this.

        :returns: the interrupt to raise
        """
        self.phase = ENDED
        self.ending = ending
        if self.watch is not None:
            self.watch(ending)
        return Interrupt()

    def go_on(self) -> None:
        """From STEP or HOOK back to FUNCTION, after a step: what follows is as
        in the next call, in which the step's memo is the last one."""
        self.phase = FUNCTION
        self.is_replaying = True

    def report(self, op: Op) -> Interrupt:
        """End at a step that is reported: in a parallel group the branch,
        whose group reports it later, else the call.

        :returns: the interrupt to raise
        """
        if self.group is None:
            return self.end(StepsToReport([op]))
        self.group.ops.append(op)
        if self.watch is not None:
            self.watch(StepsToReport([op]))
        return self.end_branch()

    def end_branch(self) -> Interrupt:
        """Record that the branch that is being called has come to a step. The
        phase stays: the next branch is called.

        :returns: the interrupt to raise
        """
        assert self.group is not None
        self.group.has_ended = True
        return Interrupt()

    def look_ahead(self) -> None:
        """From ENDED to LOOKING_AHEAD."""
        self.phase = LOOKING_AHEAD

    def stop_looking_ahead(self) -> None:
        """From LOOKING_AHEAD back to ENDED."""
        self.phase = ENDED

    def exit(self, process_exit: BaseException) -> None:
        """From any phase to EXITING."""
        self.phase = EXITING
        self.process_exit = process_exit
