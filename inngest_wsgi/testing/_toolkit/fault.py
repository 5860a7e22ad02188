"""Define a fault: what happens, to what, and when."""

from __future__ import annotations

import typing as t

from .durations import readable
from .stubs import is_named

#: What a fault may happen to.
CALL = "call"
ANSWER = "answer"
CHECKPOINT = "checkpoint"
CHECKPOINT_ANSWER = "checkpoint answer"
WORKER = "worker"
STEP = "step"
REQUEST = "request"

#: What happens to it.
DROP = "drop"
DUPLICATE = "duplicate"
DELAY = "delay"
TRUNCATE = "truncate"
LOSE = "lose"
KILL = "kill"
FAIL = "fail"

BEFORE = "before"
INSIDE = "inside"
AFTER = "after"

#: Seconds a call may take (W39).
_LONGEST = 7200.0

_DONE = {DROP: "dropped", DUPLICATE: "duplicated", TRUNCATE: "cut off in the middle"}
#: The moments of :meth:`Faults.kill`, in words.
_KILLED = {
    BEFORE: "before its code began",
    INSIDE: "inside its code",
    AFTER: "after its code had ended",
}


class Killed(SystemExit):
    """Ends a call of the app as if its process were killed, see :meth:`Faults.kill`."""

    def __str__(self) -> str:
        return "the process was killed by a fault of the test"


class Fault:
    """A fault that was declared.

    :ivar verb: what happens, such as ``drop``.
    :ivar of: to what it happens, such as ``answer``.
    :ivar uses: how often it has happened.
    :ivar values: the options that only some faults have.
    :ivar costs_attempt: True if the server counts it as a failed attempt.
    :ivar explored: True if it must not be why a run fails, and not hit what the test
        itself does.
    """

    def __init__(
        self,
        verb: str,
        of: str,
        nth: int = 1,
        times: int = 1,
        function: t.Optional[str] = None,
        step: t.Optional[str] = None,
        optional: bool = False,
        explored: bool = False,
        **values: t.Any,
    ) -> None:
        for name, number in (("nth", nth), ("times", times)):
            if type(number) is not int or number < 1:
                raise ValueError(f"{name} must be a number from 1 on, not {number!r}")
        self.verb = verb
        self.of = of
        self.uses: int = 0
        self.optional = optional
        self.explored = explored
        self.values = values
        self.costs_attempt: bool = verb == KILL or (
            of in (CALL, ANSWER) and (verb in (DROP, TRUNCATE) or values.get("by", 0) >= _LONGEST)
        )
        self._nth = nth
        self._times = times
        self._function = function
        self._step = step
        self._seen = 0

    def meets(
        self, of: str, function: t.Any, steps: t.Collection[str], path: str, may_cost: bool
    ) -> bool:
        """Count something that it may happen to; return True if it happens now.

        :param function: the registered function that is called, if any.
        :param steps: ids of the steps that it is about.
        :param path: of a request to the server's API.
        :param may_cost: whether the call has an attempt to spare.
        """
        if (
            of != self.of
            or (self.explored and (function is None or (self.costs_attempt and not may_cost)))
            or (self._step is not None and self._step not in steps)
            or not path.startswith(self.values.get("path") or "")
            or (
                self._function is not None
                and (
                    function is None
                    or not is_named(self._function, function.function_id, function.app_id)
                )
            )
        ):
            return False
        self._seen += 1
        happens = self._nth <= self._seen < self._nth + self._times
        self.uses += happens
        return happens

    def __repr__(self) -> str:
        """Return it as it is written in a test."""
        name, first = self.verb, [repr(self.of)]
        if self.verb == KILL:
            first = [] if self._step is None else [repr(self._step)]
        elif self.verb == FAIL:
            name, first = "fail_api", [repr(self.values["status"])]
        elif self.verb == LOSE:
            name, first = "lose_worker", []
        options = {
            "nth": None if self._nth == 1 else self._nth,
            "times": None if self._times == 1 else self._times,
            "function": self._function,
            "step": None if self.verb == KILL else self._step,
            "by": readable_or_none(self.values.get("by")),
            "when": self.values.get("when"),
            "line": self.values.get("line"),
            "reads": 1 if self.values.get("reads") == 1 else None,
            "path": self.values.get("path"),
            "done": self.values.get("done") or None,
        }
        given = [f"{key}={value!r}" for key, value in options.items() if value is not None]
        return f"faults.{name}({', '.join(first + given)})"

    def told(self, step: t.Optional[str] = None) -> str:
        """Return a text for the timeline of a run.

        :param step: the one that it is about, if known.
        """
        if self.verb == KILL:
            return f"the app's process is killed at step {step!r} {_KILLED[self.values['when']]}"
        if self.verb == FAIL:
            status = self.values["status"]
            text = "is lost" if status is None else f"is answered {status}"
            kept = " after it was carried out" if self.values["done"] else ""
            return f"a request of the app to the server {text}{kept}"
        if self.verb == LOSE:
            return f"the server's worker is lost {self.values['when']} the call"
        of = self.of if step is None else f"{self.of} of step {step!r}"
        if self.verb == DELAY:
            return f"the {of} is delayed by {readable(self.values['by'])}"
        return f"the {of} is {_DONE[self.verb]}"


def readable_or_none(seconds: t.Optional[float]) -> t.Optional[str]:
    """Return a duration as a test writes it; None if there is none."""
    return None if seconds is None else readable(seconds).replace(" ", "")
