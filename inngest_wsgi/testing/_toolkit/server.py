"""Provide :class:`TestServer`, the class that tests use."""

from __future__ import annotations

import contextlib
import json
import random
import typing as t
import weakref
from datetime import datetime
from types import TracebackType

from .._acting import Acting
from .._http.caller import Caller
from .._http.front import Front
from .._http.sync import SYNC_TIMEOUT, SyncError, sync
from .._model.state import RunState
from .._run.clock import TestClock
from .._run.exchange import Exchange
from .._run.request import BODY_LIMIT
from .._stepping import Stepper
from .._wire import randomness
from .app_time import AppTime
from .apps import AppCaller
from .binding import AppBinding
from .durations import Duration, Moment, seconds_of, unix_seconds_of, utc
from .resolving import Resolver
from .stubs import NOT_GIVEN, Stub, Stubs, is_named
from .timeline import timeline
from .views import CallRecord, Sent, SentEvent, TestRun

#: The most things that are done at one moment of virtual time.
MOST_AT_ONCE = 100_000
#: The most virtual seconds that :meth:`TestServer.run_until_idle` goes on for.
_LONGEST = 2 * 366 * 86400.0

_GRACE = 2.0

#: The servers of this process that something still refers to.
servers: "weakref.WeakSet[TestServer]" = weakref.WeakSet()


class _RecordingStepper(Stepper):
    """A stepper that keeps each call and its answer."""

    def __init__(self, caller: AppCaller, *arguments: t.Any) -> None:
        super().__init__(caller, *arguments)
        self.app_caller = caller
        self.calls: t.List[CallRecord] = []

    def perform(self, exchange: Exchange) -> t.Any:
        request = getattr(exchange, "request", None)
        if request is None:
            return super().perform(exchange)
        at = self.clock.now()
        self.app_caller.last = None
        try:
            return super().perform(exchange)
        finally:
            last = self.app_caller.last
            self.calls.append(
                CallRecord(
                    at,
                    exchange.item.run.run_id,
                    "POST",
                    request.url,
                    request.headers,
                    request.body,
                    None if last is None else last.status,
                    {} if last is None else last.headers,
                    b"" if last is None else last.body,
                )
            )


class TestServer:
    """An Inngest server for tests: in the test's own thread, and in virtual time::

        with TestServer() as server:
            server.serve(shop.application)
            run = server.send("shop/order.placed", {"id": 1}).run("fulfil-order")
            server.advance("3d")
            assert run.status == "Cancelled", run

    With pytest, the fixture ``inngest_server`` is one; with unittest, use
    :class:`InngestTestMixin`.

    **Time** stands still, except in :meth:`advance` and :meth:`run_until_idle`.
    All that is due at the present moment has been done whenever a method of
    the server returns. An event that the app or the test sends by
    ``client.send()`` is accepted at once; what it leads to is done by the next
    call of a method of the server, and so not in the midst of the app's code.

    **The app** is called in the test's thread, without a socket, whatever its
    settings and the environment are: its mode, its keys, and the addresses of
    the server. That its client sends comes here too, until :meth:`close`.

    **The same** start, seed and actions lead to the same history, ids and the
    delays before retries included.

    :param start: the moment at which time stands at first: a ``datetime``, unix
        seconds, or a text such as ``"2030-01-31"``; the real time if None.
    :param seed: what is random follows from it.
    :param freeze_app_time: set the clock of this process to the server's, by
        the package time-machine.
    :param retry_interval: seconds between attempts; None for the schedule of a
        real server, which begins at 15 to 45 seconds.
    :param allow_network: whether the server makes the requests of
        ``step.fetch`` and ``step.ai.infer`` that have no stub.
    :param body_limit: bytes a call's body may have before the app has to
        fetch the state itself.
    :raise RuntimeError: ``freeze_app_time`` without time-machine.
    """

    __test__ = False

    #: The number of the newest server.
    latest: t.ClassVar[int] = 0

    def __init__(
        self,
        *,
        start: t.Optional[Moment] = None,
        seed: int = 0,
        freeze_app_time: bool = False,
        retry_interval: t.Optional[float] = None,
        allow_network: bool = False,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self._start = None if start is None else unix_seconds_of(start)
        self._seed = seed
        self._freeze = freeze_app_time
        self._options = (retry_interval, body_limit)
        self._allow_network = allow_network
        self._front: t.Optional[Front] = None
        self._closed = False
        self._begin()
        TestServer.latest += 1
        #: Tells servers apart, by their age.
        self.number = TestServer.latest
        servers.add(self)

    def _begin(self) -> None:
        """Begin with nothing."""
        self._random = random.Random(self._seed)
        self._busy = False
        self._stubs = Stubs()
        self._callers = AppCaller(self._allow_network)
        clock = TestClock(self._start)
        self._stepper = _RecordingStepper(self._callers, clock, *self._options)
        self._binding = AppBinding(
            self._stepper.store, self._stepper.api, self._stubs, self._drawing
        )
        self._callers.binding = self._binding
        self._store = self._stepper.store
        self._acting = Acting(self._store)
        self._store.runs.intercept = Resolver(self._stubs, self._allow_network)
        self._app_time = AppTime(clock) if self._freeze else None

    # -- the beginning and the end -------------------------------------------------

    def close(self, check_stubs: bool = True) -> None:
        """Unbind the apps, so that all is as before; harmless a second time.

        :param check_stubs: whether a stub that was not used is an error.
        :raise UnusedStubError: a stub was not used.
        """
        if self._closed:
            return
        self._closed = True
        self._end()
        if check_stubs:
            self._stubs.check_used(self._seen_steps())

    @property
    def is_open(self) -> bool:
        """True until :meth:`close`."""
        return not self._closed

    def _end(self) -> None:
        self._binding.unbind()
        if self._app_time is not None:
            self._app_time.stop()
            self._app_time = None
        if self._front is not None:
            self._front.stop(_GRACE)
            self._front = None

    def reset(self, check_stubs: bool = True) -> None:
        """Begin anew: forget apps, runs, events and stubs; time is as at first.

        :raise UnusedStubError: a stub was not used.
        """
        seen, stubs = self._seen_steps(), self._stubs
        self._end()
        self._closed = False
        self._begin()
        if check_stubs:
            stubs.check_used(seen)

    def __enter__(self) -> "TestServer":
        return self

    def __exit__(
        self,
        kind: t.Optional[t.Type[BaseException]],
        error: t.Optional[BaseException],
        trace: t.Optional[TracebackType],
    ) -> None:
        self.close(check_stubs=error is None)

    # -- apps ------------------------------------------------------------------

    def serve(
        self, app: t.Any, path: str = "/api/inngest", base_url: str = "http://testserver"
    ) -> None:
        """Call an app, and have it register its functions.

        :param app: a WSGI application that mounts ``serve()``, a
            ``webtest.TestApp``, or a test client of Flask, Werkzeug or Django;
            or the URL of an endpoint that is served elsewhere, and is set up
            to use :attr:`url`.
        :param path: where ``serve()`` is mounted in it.
        :param base_url: scheme and host of the requests, for an app that
            answers only to some.
        :raise SyncError: the app did not register; says why.
        """
        if isinstance(app, str):
            self._callers.allow(app)
            with self._drawing():
                sync(self._store, Caller(timeout=SYNC_TIMEOUT), self.url, app, False)
            return
        url = f"{base_url.rstrip('/')}/{path.lstrip('/')}"
        self._callers.add(url, app)
        bound = self._binding.count
        with self._drawing():
            try:
                sync(self._store, self._callers, "the test's server", url, False)
            except SyncError as error:
                if error.status == 404 or self._binding.count == bound:
                    raise SyncError(
                        error.status,
                        f"{error.message}. No endpoint of serve() is at {path} of the "
                        "application: pass path=, the path at which it is mounted",
                    ) from None
                raise

    @property
    def url(self) -> str:
        """The origin of the server's API, for an app that is served elsewhere.

        Listens on a socket from the first use on, in a thread."""
        if self._front is None:
            self._front = Front("127.0.0.1", 0, self._stepper.api)
            self._front.start()
        return f"http://127.0.0.1:{self._front.port}"

    # -- events ------------------------------------------------------------------

    def send(self, event: t.Any, data: t.Any = None, **fields: t.Any) -> Sent:
        """Send an event, and do all that is due then.

        :param event: its name; or an ``Event``, a dict, or a list of them.
        :param data: of an event that is given by its name; also its other
            fields: ``id``, ``ts``, ``user``, ``v``.
        :raise ValueError: a server would refuse the event.
        """
        if isinstance(event, str):
            wire: t.Any = {"name": event, "data": data or {}, **fields}
        elif data is not None or fields:
            raise TypeError("data and fields go with the name of an event, and not with an event")
        elif isinstance(event, (list, tuple)):
            wire = [_wire(each) for each in event]
        else:
            wire = _wire(event)
        text = json.dumps(wire, allow_nan=False)
        with self._drawing():
            ids, error = self._store.accept_events(text, None)
        if error is not None:
            raise ValueError(error)
        self._settle()
        return Sent(ids, lambda: self._views(self._runs_of(ids)), self._only(ids))

    def _runs_of(self, ids: t.Sequence[str]) -> t.List[RunState]:
        found = {run.run_id: run for each in ids for run in self._store.runs_of(each)}
        return list(found.values())

    def _only(
        self, ids: t.Sequence[str]
    ) -> t.Callable[[t.Optional[str], t.List[TestRun]], TestRun]:
        def find(function: t.Optional[str], runs: t.List[TestRun]) -> TestRun:
            if function is not None:
                runs = [run for run in runs if run.is_of(function)]
            if len(runs) == 1:
                return runs[0]
            of = "" if function is None else f" of {function!r}"
            if runs:
                raise LookupError(f"the events started {len(runs)} runs{of}: {runs}")
            others = self._views(self._runs_of(ids))
            why = f"they started {others}" if others else self._store.why_no_run(ids[0])
            raise LookupError(
                f"the events started no run{of}: {why}. The functions are: {self._function_ids()}"
            )

        return find

    def _function_ids(self) -> str:
        return ", ".join(each.function_id for each in self._store.functions()) or "none"

    # -- time --------------------------------------------------------------------

    def now(self) -> datetime:
        """Return the present moment of virtual time (UTC)."""
        return utc(self._stepper.clock.now())

    def advance(self, duration: Duration) -> None:
        """Let time pass, and do all that is due meanwhile, each thing at its time.

        :param duration: seconds, a ``timedelta``, or a text such as ``"3d"``,
            ``"1h30m"`` or ``"500ms"``.
        :raise ValueError: it is not a duration, or negative.
        """
        until = self._stepper.clock.now() + seconds_of(duration)
        self._settle()
        while self._stepper.pass_time(until):
            self._settle()
        self._stepper.clock.move(until)
        self._settle()

    def run_until_idle(self) -> None:
        """Let time pass until no run is going on and no event waits for one.

        :raise RuntimeError: that takes longer than two years of virtual time.
        """
        until = self._stepper.clock.now() + _LONGEST
        self._settle()
        while self._store.runs.busy():
            if not self._stepper.pass_time(until):
                going_on = [f"{run.run_id}" for run in self._store.runs.running()]
                raise RuntimeError(f"runs are still going on after two years: {going_on}")
            self._settle()

    def on_time(self, follower: t.Callable[[datetime], t.Any]) -> None:
        """Call a function with the present moment, now and whenever time moves.

        So the clock of the app can follow the server's by freezegun::

            with freezegun.freeze_time() as frozen:
                server.on_time(frozen.move_to)

        :param follower: given a ``datetime`` in UTC.
        """
        clock = self._stepper.clock
        # freezegun wants one without a time zone, and takes it for UTC
        clock.followers.append(lambda now: follower(utc(now).replace(tzinfo=None)))
        clock.followers[-1](clock.now())

    # -- what is done to runs --------------------------------------------------------

    def signal(self, name: str, data: t.Any = None) -> TestRun:
        """Send a signal, and do all that is due then.

        :param data: any JSON value.
        :return: the run that waited for it.
        :raise LookupError: no run waits for it.
        """
        with self._drawing():
            return self._view(self._acting.signal(name, data))

    def cancel(self, run: t.Union[TestRun, str]) -> bool:
        """Cancel a run, given it or its id.

        :return: whether the run had not ended yet.
        :raise LookupError: there is no such run.
        """
        with self._drawing():
            cancelled = self._acting.cancel(run if isinstance(run, str) else run.id)
        self._settle()
        return cancelled

    def fire_cron(self, function: str) -> TestRun:
        """Start a function that has a cron trigger, and do all that is due then.

        :param function: its id, with the app's or without.
        :raise LookupError: no such function, it has no cron trigger, or one
            of its settings forbids another run.
        """
        found = [
            each.function_id
            for each in self._store.functions()
            if is_named(function, each.function_id, each.app_id)
        ]
        with self._drawing():
            return self._view(self._acting.fire_cron((found or [function])[0]))

    def rerun(
        self,
        run: t.Union[TestRun, str],
        from_step: t.Optional[str] = None,
        input: t.Optional[t.List[t.Any]] = None,
    ) -> TestRun:
        """Start a run like an old one; see :meth:`LocalServer.rerun`.

        :return: the new run.
        """
        run_id = run if isinstance(run, str) else run.id
        with self._drawing():
            return self._view(self._acting.rerun(run_id, from_step, input))

    def _view(self, run_id: str) -> TestRun:
        self._settle()
        return TestRun(self._store.runs.by_id[run_id], self._stepper.calls)

    # -- stubs -------------------------------------------------------------------

    def stub(
        self,
        step_id: str,
        value: t.Any = NOT_GIVEN,
        *,
        error: t.Union[BaseException, t.Type[BaseException], str, None] = None,
        fail: t.Optional[int] = None,
        call: t.Optional[t.Callable[..., t.Any]] = None,
        function: t.Optional[str] = None,
        index: t.Optional[int] = None,
        optional: bool = False,
    ) -> Stub:
        """Replace a step, of any kind; the newest stub that fits a step is used.

        A step that the app runs is run all the same, with this in place of its
        code: retries, middleware and serializers are real. A step that the
        server carries out ends at once.

        :param value: the result of the step. For ``wait_for_event`` the event or
            its data, or None for a timeout; for ``wait_for_signal`` the data; for
            ``fetch`` a status, a body (text or JSON), or a tuple of both and
            perhaps headers; :data:`TIMEOUT` for a wait or an ``invoke`` that
            times out; None for a sleep.
        :param error: an exception that the step fails with, at each attempt.
        :param fail: how many attempts of each such step fail, before it goes on
            as if this were not given: for real, or with the value.
        :param call: called in place of the step, with its arguments; for a step
            that the server carries out, with its options as a dict.
        :param function: only in this function, its id with the app's or without.
        :param index: only for this use of the id, from 0.
        :param optional: whether the test may end without a step that met it.
        :raise ValueError: the arguments do not go together.
        """
        stub = Stub(
            step_id,
            value,
            error=error,
            fail=fail,
            call=call,
            function=function,
            index=index,
            optional=optional,
        )
        self._stubs.add(stub)
        return stub

    # -- looking -----------------------------------------------------------------

    def runs(
        self, function: t.Optional[str] = None, status: t.Optional[str] = None
    ) -> t.List[TestRun]:
        """Return runs, oldest first.

        :param function: only those of this one, its id with the app's or without.
        :param status: only those with this status.
        """
        self._settle()
        return [
            run
            for run in self._views(self._store.runs.by_id.values())
            if (function is None or run.is_of(function)) and status in (None, run.status)
        ]

    def run(self, function: t.Optional[str] = None) -> TestRun:
        """Return the only run, of a function.

        :raise LookupError: there is no run, or there are several.
        """
        runs = self.runs(function)
        if len(runs) == 1:
            return runs[0]
        of = "" if function is None else f" of {function!r}"
        raise LookupError(
            f"there are {len(runs)} runs{of}: {runs}. The functions are: {self._function_ids()}"
        )

    def events(self, name: t.Optional[str] = None, internal: bool = False) -> t.List[SentEvent]:
        """Return the events that the server accepted, in their order.

        :param name: only those of this name.
        :param internal: whether to include those that the server makes itself,
            whose names begin with ``inngest/``.
        """
        self._settle()
        return [
            SentEvent(event.name, event.data, event.id, event.ts, event.user or {}, event.v)
            for event in self._store.accepted
            if name in (None, event.name)
            and (internal or name is not None or not event.name.startswith("inngest/"))
        ]

    @property
    def calls(self) -> t.List[CallRecord]:
        """The calls of functions that the server made, each with its answer."""
        return list(self._stepper.calls)

    def describe(self) -> str:
        """Return the timelines of all runs as a text."""
        runs = list(self._store.runs.by_id.values())
        return "\n\n".join(timeline(run) for run in runs)

    def _views(self, runs: t.Iterable[RunState]) -> t.List[TestRun]:
        return [TestRun(run, self._stepper.calls) for run in runs]

    def _seen_steps(self) -> t.List[str]:
        return [name for run in self._store.runs.by_id.values() for name in run.names.values()]

    # -- work --------------------------------------------------------------------

    @contextlib.contextmanager
    def _drawing(self) -> t.Iterator[None]:
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
            f"start each other without end?\n{self.runs()[-1]}"
        )


def _wire(event: t.Any) -> t.Any:
    """Return an event as the event API takes it."""
    to_wire = getattr(event, "to_wire", None)
    return event if to_wire is None else to_wire()
