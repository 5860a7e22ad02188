"""Declare the faults of a test, and count what they wait for."""

from __future__ import annotations

import typing as t

from .durations import Duration, readable, seconds_of
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

_MESSAGES = (CALL, ANSWER, CHECKPOINT)
#: What each fault may happen to.
_MAY = {
    DROP: (*_MESSAGES, CHECKPOINT_ANSWER),
    DUPLICATE: _MESSAGES,
    DELAY: _MESSAGES,
    TRUNCATE: _MESSAGES,
}
_DONE = {DROP: "dropped", DUPLICATE: "duplicated", TRUNCATE: "cut off in the middle"}
#: The moments of :meth:`Faults.kill`, in words.
_KILLED = {
    BEFORE: "before its code began",
    INSIDE: "inside its code",
    AFTER: "after its code had ended",
}


class UnusedFaultError(AssertionError):
    """Raised at the end of a test if one of its faults did not happen."""


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
        self.uses = 0
        self.optional = optional
        self.explored = explored
        self.values = values
        self.costs_attempt = verb == KILL or (
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


class Faults:
    """The faults of a test, at :attr:`TestServer.faults`::

        server.faults.drop("answer", nth=2)
        server.faults.kill("charge", when="inside")
        server.faults.fail_api(503, times=3)

    Each is counted by itself, from the moment when it is declared: the second
    answer, for example, or with ``function`` or ``step`` the second one of
    those. A fault that does not happen fails the test, unless it is
    ``optional``. Those that happen stand in the timelines of the runs.

    Common to all of them:

    :param nth: to which one it happens, from 1.
    :param times: to how many in a row.
    :param function: only to those of this function, its id with the app's or without.
    :param step: only to answers and checkpoints that report this step.
    :param optional: whether the test may end without it.
    """

    def __init__(self) -> None:
        self._faults: t.List[Fault] = []
        #: How many there were of each thing that a fault may happen to.
        self.counts: t.Dict[str, int] = {}
        #: Those that have happened, with a text for each, in their order.
        self.happened: t.List[t.Tuple[Fault, str]] = []

    def drop(self, of: str, **options: t.Any) -> Fault:
        """Drop a message.

        :param of: ``call``: the app does not get it, as if nothing listened there.
            ``answer``: the app has done its work, and the connection breaks before it
            answers. Both are failed attempts to the server, which tries again (W32).
            ``checkpoint``: the server does not get it. ``checkpoint answer``: the
            server has stored it, and the app does not hear of it.
        """
        return self._add(DROP, of, options)

    def duplicate(self, of: str, **options: t.Any) -> Fault:
        """Let a message arrive twice.

        :param of: ``call``: the app is called twice with the same request, and the
            server gets the second answer. ``answer``: the server acts on it, and does the
            same job once more 30 seconds later, because its worker was lost before the job
            had left the queue. ``checkpoint``: the server gets it twice.
        """
        return self._add(DUPLICATE, of, options)

    def delay(self, of: str, by: Duration, **options: t.Any) -> Fault:
        """Let a message arrive late, with all else going on meanwhile.

        :param of: ``call``, ``answer``, or ``checkpoint``: the app stops waiting for that,
            and the server gets it later.
        :param by: how late, as for :meth:`TestServer.advance`. A call that takes two
            hours has failed (W39).
        """
        return self._add(DELAY, of, options, by=seconds_of(by))

    def truncate(self, of: str, **options: t.Any) -> Fault:
        """Let only the first half of a message arrive, before the connection breaks.

        :param of: ``call``, ``answer`` or ``checkpoint``. A truncated answer is a failed
            attempt.
        """
        return self._add(TRUNCATE, of, options)

    def lose_worker(self, when: str = AFTER, **options: t.Any) -> Fault:
        """Stop the part of the server that makes a call, as a restart of it does.

        The server makes the same call again 30 seconds later. That is no new attempt.

        :param when: ``before`` the app is called, or ``after`` it has done its work, so
            that nobody gets its answer.
        """
        _check("when", when, (BEFORE, AFTER))
        return self._add(LOSE, WORKER, options, when=when)

    def kill(
        self, step: t.Optional[str] = None, when: str = INSIDE, line: int = 2, **options: t.Any
    ) -> Fault:
        """Kill the app's process at a step that runs; nothing is answered.

        The code is left by an exception, :exc:`Killed`, that derives from
        ``SystemExit``. So transactions are rolled back, as they are when a process is
        killed. But unlike then, ``finally`` blocks and context managers run.

        :param step: at which step; at any if None.
        :param when: ``before`` its code, ``inside`` it, or ``after`` it has ended and
            before its result is sent.
        :param line: with ``inside``: before which line that the step's own function
            comes to, from 1; after its end if it comes to fewer.
        """
        _check("when", when, (BEFORE, INSIDE, AFTER))
        values = {"when": when, **({"line": line} if when == INSIDE else {})}
        return self._add(KILL, STEP, {**options, "step": step}, **values)

    def fail_api(
        self,
        status: t.Optional[int] = 500,
        *,
        path: t.Optional[str] = None,
        done: bool = False,
        **options: t.Any,
    ) -> Fault:
        """Let requests of the app to the server fail: events, signals, checkpoints,
        and the state of large runs.

        The library tries again by itself, so one failure may not be seen at all.

        :param status: of the answer; None if the connection breaks.
        :param path: the beginning of the path, such as ``/e/`` for events.
        :param done: whether the server carries the request out all the same.
        """
        return self._add(FAIL, REQUEST, options, status=status, path=path, done=done)

    def _add(self, verb: str, of: str, options: t.Dict[str, t.Any], **values: t.Any) -> Fault:
        if verb in _MAY:
            _check("the first argument", of, _MAY[verb])
        unknown = set(options) - {"nth", "times", "function", "step", "optional"}
        if unknown:
            raise TypeError(f"{verb}() has no argument {sorted(unknown)[0]!r}")
        if options.get("step") is not None and of in (CALL, WORKER, REQUEST):
            raise ValueError(
                f"step= does not go with a {of}: before the app has answered, nobody knows which "
                "step it comes to. Use nth=, or a fault of the answer"
            )
        fault = Fault(verb, of, **options, **values)
        self._faults.append(fault)
        return fault

    def add(self, fault: Fault) -> None:
        """Add a fault that was made elsewhere."""
        self._faults.append(fault)

    def meet(
        self,
        of: str,
        function: t.Any = None,
        steps: t.Collection[str] = (),
        path: str = "",
        may_cost: bool = True,
    ) -> t.Optional[Fault]:
        """Count something that a fault may happen to; return the fault that happens now.

        The parameters are those of :meth:`Fault.meets`.
        """
        self.counts[of] = self.counts.get(of, 0) + 1
        met = [fault for fault in self._faults if fault.meets(of, function, steps, path, may_cost)]
        for fault in met[1:]:
            # only one can happen
            fault.uses -= 1
        return met[0] if met else None

    def check_used(self) -> None:
        """Require that each has happened.

        :raise UnusedFaultError: names those that have not.
        """
        unused = [fault for fault in self._faults if not fault.uses and not fault.optional]
        if unused:
            asked = {fault.of for fault in unused}
            counts = ", ".join(f"{of}: {self.counts.get(of, 0)}" for of in sorted(asked))
            raise UnusedFaultError(
                f"{', '.join(map(repr, unused))} did not happen. In the whole test there were "
                f"({counts}). Correct nth=, step= or function=, or give the fault optional=True"
            )


def _check(name: str, value: t.Any, known: t.Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, not {value!r}")
