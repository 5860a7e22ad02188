"""Declare the faults of a test, and count what they wait for."""

from __future__ import annotations

import typing as t

from . import fault as f
from .durations import Duration, seconds_of
from .fault import Fault

_MESSAGES = (f.CALL, f.ANSWER, f.CHECKPOINT)
#: What each fault may happen to.
_MAY = {
    f.DROP: (*_MESSAGES, f.CHECKPOINT_ANSWER),
    f.DUPLICATE: _MESSAGES,
    f.DELAY: _MESSAGES,
    f.TRUNCATE: _MESSAGES,
}


class UnusedFaultError(AssertionError):
    """Raised at the end of a test if one of its faults did not happen."""


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
        return self._add(f.DROP, of, options)

    def duplicate(self, of: str, reads: int = 2, **options: t.Any) -> Fault:
        """Let a message arrive twice.

        :param of: ``call``: the app is called twice with the same request. ``answer``: the
            server acts on it, and does the same job once more 30 seconds later, because its
            worker was lost before the job had left the queue. ``checkpoint``: the server
            gets it twice.
        :param reads: which of the two answers to a call the server gets, 1 or 2.
        """
        _check("reads", reads, (1, 2))
        values = {"reads": reads} if of == f.CALL else {}
        return self._add(f.DUPLICATE, of, options, **values)

    def delay(self, of: str, by: Duration, **options: t.Any) -> Fault:
        """Let a message arrive late, with all else going on meanwhile.

        :param of: ``call``, ``answer``, or ``checkpoint``: the app stops waiting for that,
            and the server gets it later.
        :param by: how late, as for :meth:`TestServer.advance`. A call that takes two
            hours has failed (W39).
        """
        return self._add(f.DELAY, of, options, by=seconds_of(by))

    def truncate(self, of: str, **options: t.Any) -> Fault:
        """Let only the first half of a message arrive, before the connection breaks.

        :param of: ``call``, ``answer`` or ``checkpoint``. A truncated answer is a failed
            attempt.
        """
        return self._add(f.TRUNCATE, of, options)

    def lose_worker(self, when: str = f.AFTER, **options: t.Any) -> Fault:
        """Stop the part of the server that makes a call, as a restart of it does.

        The server makes the same call again 30 seconds later. That is no new attempt.

        :param when: ``before`` the app is called, or ``after`` it has done its work, so
            that nobody gets its answer.
        """
        _check("when", when, (f.BEFORE, f.AFTER))
        return self._add(f.LOSE, f.WORKER, options, when=when)

    def kill(
        self, step: t.Optional[str] = None, when: str = f.INSIDE, line: int = 2, **options: t.Any
    ) -> Fault:
        """Kill the app's process at a step that runs; nothing is answered.

        The code is left by an exception, :exc:`Killed`, that derives from
        ``SystemExit``. So transactions are rolled back, as they are when a process is
        killed. But unlike then, ``finally`` blocks and context managers run. The app has to
        be in the test's process.

        :param step: at which step; at any if None.
        :param when: ``before`` its code, ``inside`` it, or ``after`` it has ended and
            before its result is sent.
        :param line: with ``inside``: before which line that the step's own function
            comes to, from 1; after its end if it comes to fewer.
        """
        _check("when", when, (f.BEFORE, f.INSIDE, f.AFTER))
        values = {"when": when, **({"line": line} if when == f.INSIDE else {})}
        return self._add(f.KILL, f.STEP, {**options, "step": step}, **values)

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
        return self._add(f.FAIL, f.REQUEST, options, status=status, path=path, done=done)

    def _add(self, verb: str, of: str, options: t.Dict[str, t.Any], **values: t.Any) -> Fault:
        if verb in _MAY:
            _check("the first argument", of, _MAY[verb])
        unknown = set(options) - {"nth", "times", "function", "step", "optional"}
        if unknown:
            raise TypeError(f"{verb}() has no argument {sorted(unknown)[0]!r}")
        if options.get("step") is not None and of in (f.CALL, f.WORKER, f.REQUEST):
            raise ValueError(
                f"step= does not go with a {of}: before the app has answered, nobody knows which "
                "step it comes to. Use nth=, or a fault of the answer"
            )
        fault = Fault(verb, of, **options, **values)
        self._faults.append(fault)
        return fault

    def __bool__(self) -> bool:
        return bool(self._faults)

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


def _check(name: str, value: t.Any, known: t.Sequence[t.Any]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, not {value!r}")
