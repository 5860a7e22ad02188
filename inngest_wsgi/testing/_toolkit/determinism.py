"""See in each call of a function if it takes the same way each time.

A function is called again and again, and its code outside of steps runs in every
call. With the same results remembered it has to come to the same steps.
"""

from __future__ import annotations

import hashlib
import typing as t
from collections import Counter

from .._run.call import CallExchange
from .._wire.canonical import canonical
from .._wire.outcomes import Failure, Op, Outcome, Reported
from .timeline import shown

#: A step: its id, and which use of the id it is.
_Step = t.Tuple[str, int]

DIFFERENT_STEPS = "different steps"
DIFFERENT_ARGUMENTS = "different arguments"
SWALLOWED = "swallowed interrupt"

#: So many of the last observations of a run is a new one compared with.
_COMPARED = 40

_SAME = (
    "Something outside of its steps is not the same in each call: the time, a random number or "
    "id, the order of a set, a global variable, ctx.attempt, or data that is read there. Read it "
    "in a step (ctx.step.run), whose result is remembered, and use that result"
)
_RACE = (
    ". In a race, do not note in a variable which branch was first: each call sees all the "
    "branches that have ended by then. Decide once, in a step after the group"
)


class WrongFunction(AssertionError):
    """Raised when a function does what no function may do.

    :ivar kind: what that is, in two words.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class _Seen(t.NamedTuple):
    """What a call of a function came to.

    :ivar call: its number in the run, from 1.
    :ivar steps: the steps that it came to, their names by their hashed ids.
    :ivar needs: hashed ids of the steps whose results are enough to come to these.
    :ivar knows: hashed ids of the steps whose results it had for certain.
    :ivar whole: True if it went on until it came to a step without a result, or ended.
    """

    call: int
    steps: t.Dict[str, str]
    needs: t.FrozenSet[str]
    knows: t.FrozenSet[str]
    whole: bool

    def contradicts(self, other: "_Seen") -> bool:
        """Return True if the other one knew enough, and did not come to these steps."""
        return (
            other.whole
            and self.needs <= other.knows
            and not self.steps.keys() <= other.steps.keys()
        )


class Determinism:
    """Watches all calls; implements :class:`~.injecting.Watcher`.

    :ivar runs_of_steps: how often the code of each step ran, by the run's id, the step's
        id and which use of that it is.
    :ivar calls: how often each run was called.
    :ivar found: what was wrong first; None if nothing was.
    """

    def __init__(self) -> None:
        self.runs_of_steps: "Counter[t.Tuple[str, str, int]]" = Counter()
        self.calls: "Counter[str]" = Counter()
        #: The highest number of an attempt, by the id of the function.
        self.attempts: t.Dict[str, int] = {}
        self.found: t.Optional[WrongFunction] = None
        self._seen: t.Dict[str, t.List[_Seen]] = {}
        self._inputs: t.Dict[t.Tuple[str, str], t.Tuple[int, t.Any]] = {}
        self._races: t.Set[str] = set()
        self._run_id = ""
        self._ran: t.List[_Step] = []
        self._uses: t.Optional[t.Dict[str, int]] = None
        self._swallowed = False

    # -- what a stepper calls ------------------------------------------------------

    def begin(self, exchange: CallExchange) -> None:
        call = exchange.item
        function_id = call.run.function.function_id
        self._run_id = call.run.run_id
        self._ran, self._uses, self._swallowed = [], None, False
        self.calls[self._run_id] += 1
        self.attempts[function_id] = max(call.attempt, self.attempts.get(function_id, 0))

    def ran(self, step_id: str, index: int) -> None:
        self._ran.append((step_id, index))
        self.runs_of_steps[(self._run_id, step_id, index)] += 1

    def replayed(self, uses: t.Mapping[str, int], swallowed: bool) -> None:
        self._uses = dict(uses)
        self._swallowed = self._swallowed or swallowed

    def end(self, exchange: CallExchange, result: Outcome) -> None:
        if self._uses is None:
            # it was not called, or is no app of this package
            return
        function_id = exchange.item.run.function.function_id
        if self._swallowed:
            self._wrong(
                SWALLOWED,
                f"{function_id} went on after a step had ended its call. Something in it catches "
                "everything: an except without a class, except BaseException, a finally that "
                "returns, or a context manager that suppresses. What it does then, it does in "
                "every call. Let BaseException pass: catch Exception, or inngest.StepError",
            )
        ops = result.ops if isinstance(result, Reported) else []
        if any(op.race for op in ops):
            self._races.add(self._run_id)
        self._compare_inputs(function_id, ops)
        whole = not isinstance(result, Failure) and not exchange.item.targeted
        self._compare_steps(exchange, whole)

    # -- what has to be ------------------------------------------------------------

    def _wrong(self, kind: str, text: str) -> t.NoReturn:
        self.found = self.found or WrongFunction(kind, text)
        raise self.found

    def _compare_inputs(self, function_id: str, ops: t.Sequence[Op]) -> None:
        """Require that a step has the same arguments in each call that comes to it."""
        number = self.calls[self._run_id]
        for op in ops:
            if "input" not in op.opts:
                continue
            given = op.opts["input"]
            before = self._inputs.setdefault((self._run_id, op.id), (number, given))
            if canonical(before[1]) != canonical(given):
                self._wrong(
                    DIFFERENT_ARGUMENTS,
                    f"{function_id} gave step {op.display_name!r} the arguments "
                    f"{shown(before[1])} in call {before[0]}, and {shown(given)} in call "
                    f"{number}. {_SAME}",
                )

    def _compare_steps(self, exchange: CallExchange, whole: bool) -> None:
        """Require that a call that knows more comes to the same steps, and further."""
        new = self._seen_now(exchange.request.known, whole)
        earlier = self._seen.setdefault(self._run_id, [])
        for before in earlier[-_COMPARED:]:
            for now in new:
                # a call may come late, with fewer results than the one before it
                for one, other in ((before, now), (now, before)):
                    if one.contradicts(other):
                        self._wrong(DIFFERENT_STEPS, self._told(exchange, one, other))
        earlier += new

    def _seen_now(self, known: t.FrozenSet[str], whole: bool) -> t.List[_Seen]:
        """Return what the call came to: up to each step that ran, and in all."""
        assert self._uses is not None
        number, order = self.calls[self._run_id], list(self._uses)
        ran = [_hashed(step) for step in self._ran]
        found = []
        for position, (step_id, index) in enumerate(self._ran):
            if step_id not in self._uses:
                continue
            steps = [(name, 0) for name in order[: order.index(step_id)]]
            steps += [(step_id, use) for use in range(index + 1)]
            needs = known | set(ran[:position])
            found.append(_Seen(number, _by_hash(steps), needs, needs, False))
        steps = [(name, use) for name, uses in self._uses.items() for use in range(uses)]
        needs, knows = known | set(ran), known | set(ran[:-1])
        found.append(_Seen(number, _by_hash(steps), needs, knows, whole))
        return found

    def _told(self, exchange: CallExchange, one: _Seen, other: _Seen) -> str:
        missing = [name for key, name in one.steps.items() if key not in other.steps]
        instead = [name for key, name in other.steps.items() if key not in one.steps]
        came = f", and came to step {instead[0]!r} instead" if instead else ""
        return (
            f"{exchange.item.run.function.function_id} does not take the same way each time it is "
            f"called. Call {one.call} came to step {missing[0]!r}; call {other.call} had the same "
            f"results and did not{came}. {_SAME}{_RACE if self._run_id in self._races else ''}"
        )


def _by_hash(steps: t.Iterable[_Step]) -> t.Dict[str, str]:
    return {_hashed(step): step[0] for step in steps}


def _hashed(step: _Step) -> str:
    """Return the hashed id of a step (W12)."""
    step_id, index = step
    text = f"{step_id}:{index}" if index else step_id
    return hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest()
