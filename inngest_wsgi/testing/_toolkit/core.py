"""The time and the work of a :class:`~.server.TestServer`, from its beginning to its end."""

from __future__ import annotations

import collections
import contextlib
import math
import random
import time
import typing as t
import weakref
from datetime import datetime

from .._acting import Acting
from .._http.front import Front
from .._model.state import RunState
from .._run.clock import TestClock
from .._run.exchange import Exchange
from .._run.request import CallRequest
from .._wire import randomness
from .app_time import AppTime
from .apps import AppCaller
from .binding import AppBinding
from .durations import Duration, Moment, seconds_of, unix_seconds_of, utc
from .faults import Faults
from .injecting import FaultyStepper
from .records import CallRecord
from .resolving import Resolver
from .stubs import Stubs
from .timeline import timeline
from .views import TestRun

#: The most things that are done at one moment of virtual time.
MOST_AT_ONCE = 100_000
#: The most virtual seconds that :meth:`Core.run_until_idle` goes on for.
_LONGEST = 2 * 366 * 86400.0
#: The most runs whose timelines a test that fails prints.
_MOST_SHOWN = 20
#: Seconds that a thread of the API may take to end.
_GRACE = 2.0

#: The servers of this process that something still refers to.
servers: "weakref.WeakSet[Core]" = weakref.WeakSet()


class _RecordingStepper(FaultyStepper):
    """A stepper that keeps each call and its answer."""

    def __init__(self, caller: AppCaller, *arguments: t.Any) -> None:
        super().__init__(caller, *arguments)
        self._app_caller = caller
        #: All calls, oldest first; and those of each run, by its id.
        self.calls: t.List[CallRecord] = []
        self.calls_of: t.DefaultDict[str, t.List[CallRecord]] = collections.defaultdict(list)

    def perform(self, exchange: Exchange) -> t.Any:
        request = getattr(exchange, "request", None)
        if not isinstance(request, CallRequest):
            return super().perform(exchange)
        at = self.clock.now()
        self._app_caller.last = None
        try:
            return super().perform(exchange)
        finally:
            run_id = exchange.item.run.run_id
            record = CallRecord(at, run_id, request, self._app_caller.last)
            self.calls.append(record)
            self.calls_of[run_id].append(record)


class Core:
    """The part of a :class:`~.server.TestServer` that works.

    The arguments are those of :class:`~.server.TestServer`.
    """

    #: The number of the newest server.
    latest: t.ClassVar[int] = 0

    def __init__(
        self,
        start: t.Optional[Moment],
        seed: int,
        freeze_app_time: bool,
        retry_interval: t.Optional[float],
        allow_network: bool,
        body_limit: int,
    ) -> None:
        self._start = None if start is None else unix_seconds_of(start)
        self._seed = seed
        self._freeze = freeze_app_time
        self._retry_interval = retry_interval
        self._allow_network = allow_network
        self._body_limit = body_limit
        self._front: t.Optional[Front] = None
        self._closed = False
        self._begin()
        Core.latest += 1
        #: Tells servers apart, by their age.
        self.number: int = Core.latest
        servers.add(self)

    def _begin(self) -> None:
        """Begin with nothing."""
        self._random = random.Random(self._seed)
        self._busy = False
        self._stubs = Stubs()
        self._caller = AppCaller(self._allow_network)
        # whole seconds read better, and no fraction of a millisecond gets lost
        start = math.floor(time.time()) if self._start is None else self._start
        self._clock = TestClock(start)
        self._stepper = _RecordingStepper(
            self._caller, self._clock, self._retry_interval, self._body_limit
        )
        self._store = self._stepper.store
        self._store.runs.intercept = Resolver(self._stubs, self._allow_network)
        self._acting = Acting(self._store)
        self._binding = AppBinding(self._stepper, self._stubs, self._drawing)
        self._caller.binding = self._binding
        self._app_time = AppTime(self._clock) if self._freeze else None

    def _end(self) -> None:
        app_time, self._app_time = self._app_time, None
        front, self._front = self._front, None
        # each is done, whatever the one before it raises
        with contextlib.ExitStack() as ends:
            if front is not None:
                ends.callback(front.stop, _GRACE)
            if app_time is not None:
                ends.callback(app_time.stop)
            ends.callback(self._binding.unbind)

    # -- the end -------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """True until :meth:`close`."""
        return not self._closed

    def close(self, check_stubs: bool = True) -> None:
        """Unbind the apps, so that all is as before; harmless a second time.

        :param check_stubs: whether a stub or a fault that was not used is an error.
        :raise UnusedStubError: a stub was not used.
        :raise UnusedFaultError: a fault did not happen.
        """
        if self._closed:
            return
        self._closed = True
        self._end()
        if check_stubs:
            self.check_used()

    def reset(self, check_stubs: bool = True) -> None:
        """Begin anew: forget apps, runs, events and stubs; time is as at first.

        :param check_stubs: whether a stub or a fault that was not used is an error.
        :raise UnusedStubError: a stub was not used.
        :raise UnusedFaultError: a fault did not happen.
        """
        seen, stubs, faults = self._seen_steps(), self._stubs, self.faults
        was_open = self.is_open
        self._restart()
        if check_stubs and was_open:
            stubs.check_used(seen)
            faults.check_used()

    def check_used(self) -> None:
        """Require that each stub was used, and that each fault happened.

        :raise UnusedStubError: a stub was not used.
        :raise UnusedFaultError: a fault did not happen.
        """
        self._stubs.check_used(self._seen_steps())
        self.faults.check_used()

    @property
    def faults(self) -> Faults:
        """Declares faults: ``server.faults.drop("answer", nth=2)``."""
        return self._stepper.faults

    @property
    def stepper(self) -> FaultyStepper:
        """Return what carries out the calls; for this package alone."""
        return self._stepper

    @contextlib.contextmanager
    def explored(self) -> t.Generator[None, None, None]:
        """Let :meth:`begin_exploring` begin anew as often as it wants meanwhile.

        If all was well, nothing is left of that."""
        before = self._start, self._seed
        self._start = self._clock.now()
        try:
            yield
        finally:
            self._start, self._seed = before
        self._restart()

    def begin_exploring(self, seed: int) -> FaultyStepper:
        """Begin anew with another seed."""
        self._seed = seed
        self._restart()
        return self._stepper

    def _restart(self) -> None:
        try:
            self._end()
        finally:
            self._closed = False
            self._begin()

    def _seen_steps(self) -> t.List[str]:
        return [name for run in self._store.runs.by_id.values() for name in run.names.values()]

    # -- time --------------------------------------------------------------------

    def now(self) -> datetime:
        """Return the present moment of virtual time (UTC)."""
        return utc(self._clock.now())

    def advance(self, duration: Duration) -> None:
        """Let time pass, and do all that is due meanwhile, each thing at its time.

        Within a step, only time passes: so long did the step take.

        :param duration: seconds, a ``timedelta``, or a text such as ``"3d"``,
            ``"1h30m"`` or ``"500ms"``.
        :raise ValueError: it is not a duration, or negative.
        """
        until = self._clock.now() + seconds_of(duration)
        self._settle()
        self._store.schedules.move_to(until)
        while not self._busy and self._stepper.pass_time(until):
            self._settle()
        self._clock.move(until)
        self._settle()

    def run_until_idle(self) -> None:
        """Let time pass until no run is going on and no event waits for one.

        :raise RuntimeError: that takes longer than two years of virtual time.
        """
        until = self._clock.now() + _LONGEST
        self._settle()
        while self._store.runs.busy():
            if not self._stepper.pass_time(until):
                raise RuntimeError(
                    "after two years of virtual time runs are still going on:\n"
                    + "\n".join(timeline(run) for run in self._store.runs.running())
                )
            self._settle()

    def on_time(self, follower: t.Callable[[datetime], t.Any]) -> None:
        """Call a function with the present moment, now and whenever time moves.

        So the clock of the app follows the server's by freezegun::

            with freezegun.freeze_time() as frozen:
                server.on_time(frozen.move_to)

        :param follower: given a ``datetime`` in UTC, without a time zone.
        """

        def follow(now: float) -> None:
            follower(utc(now).replace(tzinfo=None))

        self._clock.followers.append(follow)
        follow(self._clock.now())

    # -- work --------------------------------------------------------------------

    @contextlib.contextmanager
    def _drawing(self) -> t.Generator[None, None, None]:
        """Draw what is random from the test's seed meanwhile."""
        token = randomness.source.set(self._random)
        try:
            yield
        finally:
            randomness.source.reset(token)

    def _settle(self) -> None:
        """Do all that is due at the present moment.

        Not within a call: what a function sends is due when its call has ended.
        """
        if self._busy or self._closed:
            return
        self._busy = True
        try:
            with self._drawing():
                for _ in range(MOST_AT_ONCE):
                    if not self._stepper.run_next():
                        return
        finally:
            self._busy = False
        raise RuntimeError(
            f"{MOST_AT_ONCE} things were done at {self.now()} and more are due: do functions "
            f"start each other without end? The newest run:\n{list(self._all())[-1]}"
        )

    def _all(self) -> t.Iterator[TestRun]:
        return self._views(self._store.runs.by_id.values())

    def _views(self, runs: t.Iterable[RunState]) -> t.Iterator[TestRun]:
        calls_of = self._stepper.calls_of
        return (TestRun(run, calls_of[run.run_id], self.rerun) for run in runs)

    def rerun(
        self,
        run: t.Union[TestRun, str],
        from_step: t.Optional[str] = None,
        input: t.Optional[t.List[t.Any]] = None,
    ) -> TestRun:
        """Start a run like an old one; see :meth:`TestRun.rerun`.

        :param run: a run, or its id.
        :return: the new run.
        """
        run_id = run if isinstance(run, str) else run.id
        with self._drawing():
            new_id = self._acting.rerun(run_id, from_step, input)
        self._settle()
        return next(self._views([self._store.runs.by_id[new_id]]))

    def describe(self) -> str:
        """Return the timelines of the last runs as a text, and what the apps have raised; a
        test that fails has it in its report."""
        runs = list(self._store.runs.by_id.values())
        left_out = len(runs) - _MOST_SHOWN
        told = list(map(str, self._views(runs[-_MOST_SHOWN:])))
        if left_out > 0:
            told.insert(
                0, f"The last {_MOST_SHOWN} of {len(runs)} runs; {left_out} began before these."
            )
        return "\n\n".join([*told, *self._caller.raised.described()])
