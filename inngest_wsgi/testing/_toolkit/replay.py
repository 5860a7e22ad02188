"""Replay a recorded run against the code of today, and say what no longer matches.

The function is called as a server would call it at each moment of the recorded run: with
the results of no step, of the first one, and so on. Each time it has to come to the step
that ended next. No step runs meanwhile, because each call asks for a plan alone.
"""

from __future__ import annotations

import hashlib
import typing as t

from ... import _protocol
from .._model.functions import Function
from .._model.state import Config, RunState
from .._run.call import CallExchange
from .._run.items import Call
from .._run.request import build_call
from .._wire import ids
from .._wire.canonical import normalised
from .._wire.outcomes import Op, Outcome, Reported, Returned
from .injecting import FaultyStepper
from .recorded import Recorded
from .stubs import is_named
from .timeline import shown

#: So many bytes may a call have: no state is fetched, for no server has it.
_NO_LIMIT = 1 << 40


class Replay:
    """How a function of today takes a recorded run; its text says it in words.

    Each list has the ids of steps; of one that is gone the hashed id, if the recording has
    no names. A step is known by its id and by which use of the id it is, and not by its
    place in the code: one that was moved or renamed is another matter than one that does
    other work.

    :ivar found: recorded, and come to again.
    :ivar gone: recorded, and not come to any more.
    :ivar new: not recorded, and come to before the end of a run that had ended, or before
        steps that are recorded.
    :ivar unreached: recorded, and behind a new step, so that nobody can tell.
    :ivar moved: come to in another order.
    :ivar changed: come to as another kind of step.
    :ivar parallel: come to side by side, or no longer.
    :ivar error: what the function fails with; None if it does not, or did then.
    :ivar end: how its end is another one; None if it is not.
    :ivar next: the steps that the run would go on with, if it had not ended.
    """

    def __init__(self, function: str) -> None:
        self.function = function
        self.found: t.List[str] = []
        self.gone: t.List[str] = []
        self.new: t.List[str] = []
        self.unreached: t.List[str] = []
        self.moved: t.List[str] = []
        self.changed: t.List[str] = []
        self.parallel: t.List[str] = []
        self.error: t.Optional[str] = None
        self.end: t.Optional[str] = None
        self.next: t.List[str] = []
        #: A line for each thing that does not match.
        self.differences: t.List[str] = []

    @property
    def matches(self) -> bool:
        """True if a run like the recorded one can go on with the code of today."""
        return not self.differences

    def __bool__(self) -> bool:
        return self.matches

    def __str__(self) -> str:
        steps = f"{len(self.found)} recorded steps were found again"
        if self.matches:
            after = f"; it goes on with {_listed(self.next)}" if self.next else ""
            return f"{self.function} matches the recorded run: {steps}{after}"
        lines = [f"{self.function} does not match the recorded run; {steps}:"]
        return "\n".join([*lines, *(f"  - {line}" for line in self.differences)])

    __repr__ = __str__


class _Uses:
    """Watches one call for the steps that it comes to."""

    def __init__(self) -> None:
        self.steps: t.Dict[str, str] = {}

    def begin(self, exchange: CallExchange) -> None:
        """Do nothing."""

    def ran(self, step_id: str, index: int) -> None:
        """Do nothing."""

    def end(self, exchange: CallExchange, result: Outcome) -> None:
        """Do nothing."""

    def replayed(self, uses: t.Mapping[str, int], swallowed: bool) -> None:
        for name, count in uses.items():
            for use in range(count):
                text = f"{name}:{use}" if use else name
                self.steps[hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest()] = (
                    f"{name} (use {use})" if use else name
                )


class _Came(t.NamedTuple):
    """What a call came to.

    :ivar steps: all steps, the names by their hashed ids.
    :ivar ops: the steps without a result.
    """

    outcome: Outcome
    steps: t.Dict[str, str]
    ops: t.Dict[str, Op]


def find_function(
    functions: t.Sequence[Function], wanted: t.Optional[str], recorded: t.Optional[str]
) -> Function:
    """Return the function that a recorded run is of.

    :raise LookupError: there is no such function, or several and none was named.
    """
    name = wanted or recorded
    known = ", ".join(function.function_id for function in functions) or "none"
    found = [
        function
        for function in functions
        if name is None or is_named(name, function.function_id, function.app_id)
    ]
    if len(found) == 1:
        return found[0]
    if name is None:
        raise LookupError(
            f"the recording does not say of which function it is: name it. The functions are: "
            f"{known}"
        )
    raise LookupError(f"no function {name!r} is registered. The functions are: {known}")


class Replayer:
    """Replays one recorded run."""

    def __init__(self, stepper: FaultyStepper, function: Function, recorded: Recorded) -> None:
        self._stepper = stepper
        self._function = function
        self._recorded = recorded
        self._names = dict(recorded.names)
        #: The call in which each step was come to first, by its number.
        self._first: t.Dict[str, int] = {}
        self._report = Replay(function.function_id)

    def replay(self) -> Replay:
        """Return how the function of today takes the run."""
        recorded, report = self._recorded, self._report
        order = recorded.order
        early = self._in_order(order) if order is not None else self._in_any_order()
        last = self._call(list(recorded.memos))
        self._names.update(last.steps)
        came_to = set(self._first) | set(last.steps)
        blocked = bool(last.ops)
        for step in order if order is not None else recorded.memos:
            name = self._name(step)
            if step in came_to:
                report.found.append(name)
                if step in early:
                    report.moved.append(name)
                    self._differ(f"step {name!r} is come to in another order: {early[step]}")
            elif blocked:
                report.unreached.append(name)
            else:
                report.gone.append(name)
                self._differ(f"step {name!r} is gone: {early.get(step, 'it is not in the code')}")
        following = [self._name(step) for step in last.ops]
        if blocked and (recorded.status is not None or report.unreached):
            report.new = following
            new, missed = _listed(following), _listed(report.unreached)
            text = f"{new} is new, before {missed}" if report.unreached else f"{new} is new"
            if recorded.status is None:
                # a step that goes on has no result that could be recorded
                text += f"; or {missed} is gone, if the run is at {new} now"
            self._differ(text)
        elif blocked:
            report.next = following
        self._compare_groups()
        self._compare_end(last)
        return report

    # -- calls -------------------------------------------------------------------

    def _in_order(self, order: t.Sequence[str]) -> t.Dict[str, str]:
        """Call the function at each moment; return what it came to in place of the steps
        that it did not come to in time."""
        early: t.Dict[str, str] = {}
        for position, step in enumerate(order):
            came = self._call(order[:position])
            self._note(came, position)
            if step in self._first or step in came.steps:
                continue
            after = f"after {position} steps the function"
            if isinstance(came.outcome, Reported):
                names = [self._name(each) for each in came.ops]
                early[step] = f"{after} comes to {_listed(names)} instead"
            elif isinstance(came.outcome, Returned):
                early[step] = f"{after} returns {shown(came.outcome.output)}"
            else:
                early[step] = f"{after} fails: {came.outcome.text}"
        return early

    def _in_any_order(self) -> t.Dict[str, str]:
        """Call the function with the results that it has asked for, until it wants no more."""
        known: t.List[str] = []
        while True:
            came = self._call(known)
            self._note(came, len(known))
            wanted = [step for step in came.ops if step in self._recorded.memos]
            wanted = [step for step in wanted if step not in known]
            if not wanted:
                return {}
            known += wanted

    def _call(self, known: t.Sequence[str]) -> _Came:
        """Call the function with some of the results, for what it comes to."""
        runs, recorded = self._stepper.store.runs, self._recorded
        run_id = recorded.run_id if ids.is_ulid(recorded.run_id) else ""
        run = RunState(self._function, list(recorded.events), runs.now(), run_id)
        run.memos = {step: recorded.memos[step] for step in known}
        run.stack = list(known)
        run.config = Config(disable=True, version=2)
        call = Call(run, runs.now())
        request = build_call(call, runs.now(), _NO_LIMIT, None)
        uses = _Uses()
        outcome = self._stepper.ask(CallExchange(runs, call, request, None), uses)
        ops = outcome.ops if isinstance(outcome, Reported) else []
        names = {**uses.steps, **{op.id: op.display_name for op in ops if op.id not in uses.steps}}
        return _Came(outcome, names, {op.id: op for op in ops})

    def _note(self, came: _Came, number: int) -> None:
        report = self._report
        self._names.update(came.steps)
        for step, op in came.ops.items():
            first = step not in self._first
            self._first.setdefault(step, number)
            if (
                first
                and step in self._recorded.memos
                and not _fits(op, self._recorded.memos[step])
            ):
                report.changed.append(self._name(step))
                self._differ(
                    f"step {self._name(step)!r} is of another kind: {_kind(op)}, and its recorded "
                    f"result is {shown(self._recorded.memos[step])}"
                )

    # -- what does not match ---------------------------------------------------------

    def _compare_groups(self) -> None:
        """Compare which steps are come to side by side, if that was recorded."""
        together, memos = self._recorded.together, self._recorded.memos
        if together is None:
            return
        steps = [step for step in self._first if step in memos]
        for at, one in enumerate(steps):
            for other in steps[at + 1 :]:
                if self._first[one] != self._first[other] or frozenset((one, other)) in together:
                    continue
                self._differ_group(one, other, "side by side, and were one after the other")
        for pair in sorted(map(sorted, together)):
            if not all(step in self._first for step in pair):
                continue
            for one, other in (pair, pair[::-1]):
                if one not in self._call([step for step in memos if step != other]).steps:
                    self._differ_group(other, one, "one after the other, and were side by side")
                    break

    def _differ_group(self, one: str, other: str, how: str) -> None:
        names = [self._name(one), self._name(other)]
        self._report.parallel += [name for name in names if name not in self._report.parallel]
        self._differ(f"{_listed(names)} are come to {how}")

    def _compare_end(self, last: _Came) -> None:
        recorded, report, outcome = self._recorded, self._report, last.outcome
        if isinstance(outcome, Reported):
            return
        if isinstance(outcome, Returned):
            status, end = "Completed", outcome.output
            told = f"the function returns {shown(end)}"
        else:
            status = "Failed"
            end = outcome.output.get("name") if isinstance(outcome.output, dict) else None
            told = f"the function fails: {outcome.text}"
            if recorded.status != status and not self._is_of_a_step(outcome.output):
                report.error = outcome.text
        if recorded.status is None:
            if report.error is not None:
                self._differ(told)
        elif recorded.has_end and (status, normalised(end)) != (recorded.status, recorded.end):
            then = "returned" if recorded.status == "Completed" else "failed with"
            report.end = f"{told}; the recorded run {then} {shown(recorded.end)}"
            self._differ(report.end)

    def _is_of_a_step(self, output: t.Any) -> bool:
        """Return True if an error is one that a recorded step failed with."""
        if self._recorded.status is not None or not isinstance(output, dict):
            return False
        wanted = output.get("name"), output.get("message")
        errors = [m["error"] for m in self._recorded.memos.values() if _has_error(m)]
        return any((error.get("name"), error.get("message")) == wanted for error in errors)

    def _differ(self, line: str) -> None:
        self._report.differences.append(line)

    def _name(self, step: str) -> str:
        return self._names.get(step, step)


def _listed(names: t.Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "no step"


def _kind(op: Op) -> str:
    return "a step of the app" if op.op == _protocol.OP_STEP_PLANNED else op.op


def _has_error(memo: t.Any) -> bool:
    return isinstance(memo, dict) and isinstance(memo.get("error"), dict)


def _fits(op: Op, memo: t.Any) -> bool:
    """Return False if a result cannot be one of this kind of step (W13 to W17)."""
    is_event = isinstance(memo, dict) and "name" in memo and "ts" in memo
    has_result = isinstance(memo, dict) and bool(memo.keys() & {"data", "error", "input"})
    if op.op == _protocol.OP_SLEEP:
        return memo is None
    if op.op == _protocol.OP_WAIT_FOR_EVENT:
        return memo is None or is_event
    if op.op == _protocol.OP_WAIT_FOR_SIGNAL:
        return memo is None or (has_result and not is_event)
    if op.op == _protocol.OP_INVOKE_FUNCTION:
        return has_result
    return has_result and not is_event
