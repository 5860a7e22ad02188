"""Provide :class:`TestServer`, the class that tests use."""

from __future__ import annotations

import json
import typing as t
from types import TracebackType

from ... import _protocol
from .._http.caller import Caller
from .._http.front import Front
from .._http.sync import SYNC_TIMEOUT, SyncError, sync
from .._run.request import BODY_LIMIT
from .controls import Controls, wire_of
from .durations import Moment
from .records import CallRecord, SentEvent, sent_event
from .sent import Sent, only
from .stubs import NOT_GIVEN, Stub
from .views import TestRun

#: In every answer of an endpoint.
_HANDLED = _protocol.HEADER_SDK_HANDLED.lower()


class TestServer(Controls):
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
    :param seed: what is random follows from it. Dates, and the ids that have them,
        are the same each time only with ``start``.
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
        super().__init__(start, seed, freeze_app_time, retry_interval, allow_network, body_limit)

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
            self._caller.allow(app)
            with self._drawing():
                sync(self._store, Caller(timeout=SYNC_TIMEOUT), self.url, app, False)
            return
        url = f"{base_url.rstrip('/')}/{path.lstrip('/')}"
        self._caller.add(url, app)
        with self._drawing():
            try:
                sync(self._store, self._caller, "the test's server", url, False)
            except SyncError as error:
                said = error.message + self._why_not_there(path)
                raise SyncError(error.status, said) from self._caller.raised.last

    def _why_not_there(self, path: str) -> str:
        """Return what is to be said of an answer that no bound endpoint gave."""
        answer = self._caller.last
        names = () if answer is None else answer.headers
        if _HANDLED not in names:
            return (
                f". No endpoint of serve() is at {path} of the application: pass path=, the path "
                "at which it is mounted; or, if this is the inner application of a dispatcher, "
                "pass the dispatcher"
            )
        if not self._binding.count:
            return (
                f". The endpoint did not get environ[{_protocol.ENVIRON_TEST!r}]: what stands "
                "before it must pass on the environ as it is"
            )
        return ""

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
            wire = [wire_of(each) for each in event]
        else:
            wire = wire_of(event)
        text = json.dumps(wire, allow_nan=False)
        with self._drawing():
            ids, error = self._store.accept_events(text, None)
        if error is not None:
            raise ValueError(error)
        self._settle()
        return Sent(ids, lambda: self._runs_of(ids), lambda: self._why_no_run(ids))

    def _runs_of(self, ids: t.Sequence[str]) -> t.List[TestRun]:
        found = {run.run_id: run for each in ids for run in self._store.runs_of(each)}
        return list(self._views(found.values()))

    def _why_no_run(self, ids: t.Sequence[str] = ()) -> str:
        """Return a text that says why there is no other run."""
        none = [each for each in ids if not self._store.runs_of(each)]
        reasons = dict.fromkeys(self._store.why_no_run(each) for each in none)
        known = ", ".join(each.function_id for each in self._store.functions()) or "none"
        return (
            "".join(f"The event started no run: {reason}. " for reason in reasons)
            + f"The functions are: {known}"
        )

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
            perhaps headers; :data:`~inngest_wsgi.testing.TIMEOUT` for a wait or an ``invoke`` that
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
            for run in self._all()
            if (function is None or run.is_of(function)) and status in (None, run.status)
        ]

    def run(self, function: t.Optional[str] = None) -> TestRun:
        """Return the only run, of a function.

        :param function: its id, with the app's or without; None if there is
            only one run.
        :raise LookupError: there is no such run, or there are several.
        """
        return only(self.runs(), function, self._why_no_run)

    def events(self, name: t.Optional[str] = None, internal: bool = False) -> t.List[SentEvent]:
        """Return the events that the server accepted, in their order.

        :param name: only those of this name.
        :param internal: whether to include those that the server makes itself,
            whose names begin with ``inngest/``.
        """
        self._settle()
        return [
            sent_event(event)
            for event in self._store.accepted
            if name in (None, event.name)
            and (internal or name is not None or not event.name.startswith("inngest/"))
        ]

    @property
    def calls(self) -> t.List[CallRecord]:
        """The calls of functions that the server made, each with its answer."""
        return list(self._stepper.calls)
