"""An Inngest server to run tests and demos against. Never for production.

It accepts events, registers an app, calls the app, keeps the memos of its
steps, and does what else a server does: sleeps, waits for events
and signals, invoked functions, parallel groups in both modes, requests made
for the app, retries, batches, cancellation, failure handlers and flow
control. The server runs in the process that starts it, and keeps everything in
memory until it stops.

There are two forms of it. :class:`TestServer` is for tests: it calls the app in
the test's own thread, time moves when the test says so, and steps can be
replaced::

    def test_order_is_cancelled_after_three_days(inngest_server):
        inngest_server.serve(shop.application)
        inngest_server.stub("charge", fail=2)
        run = inngest_server.send("shop/order.placed", {"id": 1}).run("fulfil-order")
        inngest_server.advance("3d")
        assert run.status == "Cancelled", run

``inngest_server`` is a fixture that pytest finds by itself; with unittest use
:class:`InngestTestMixin`. :class:`LocalServer` has threads and a socket, for
demos and end-to-end tests: all its requests go over real HTTP.

For day-to-day development use the official Inngest Dev Server, which has the
whole protocol and a page that shows runs. In production, apps are served by
Inngest Cloud or by a self-hosted Inngest server.

It is an independent reading of the protocol: of the SDK it shares the names
on the wire and no logic, so that it can find the SDK's mistakes. Recorded
traffic of a real server is replayed against it, field by field. What differs on
purpose, and what is left out, is listed in one place, ``docs/local-server.md``.
An option that has no effect here is named in the log, once, when a function is
registered with it.

CEL expressions and cron schedules need the extra:
``pip install 'inngest-wsgi[testing]'``. Without it, a function that has one
fails whenever it would run, and its error says so; the others run.

A :class:`LocalServer` is used like this::

    with LocalServer(clock=VirtualClock()) as server:
        ...  # serve an app that is set up to use server.url
        server.sync("http://127.0.0.1:8000/api/inngest")
        [event_id] = server.send({"name": "shop/order.placed", "data": {}})
        run = server.wait_for_run(event_id)
        assert run.status == "Completed"

A virtual clock jumps over sleeps, and over the timeouts of waits as well. To
act while a run waits, hold the server::

        with server.hold():
            [event_id] = server.send({"name": "shop/order.placed", "data": {}})
            server.wait_for(event_id, "waiting", step="payment")
            server.send({"name": "shop/order.paid", "data": {}})
        run = server.wait_for_run(event_id)

Cron schedules fire by real time, and while :meth:`LocalServer.advance` moves
the time. A virtual clock that jumps by itself passes over them: a schedule would
keep it going for ever.
"""

from __future__ import annotations

from ._http.sync import SyncError, SyncResult
from ._model.messages import Message
from ._model.state import HistoryEntry, Run
from ._run.clock import Clock, SystemClock, VirtualClock
from ._server import LocalServer
from ._toolkit.cases import InngestTestCase, InngestTestMixin
from ._toolkit.determinism import WrongFunction
from ._toolkit.explore import ExplorationFailed, explore
from ._toolkit.failed import RunFailed, StepFailed
from ._toolkit.fault import Fault, Killed
from ._toolkit.faults import Faults, UnusedFaultError
from ._toolkit.plans import KINDS
from ._toolkit.recorded import fetch_run
from ._toolkit.records import CallRecord, SentEvent
from ._toolkit.replay import Replay
from ._toolkit.sent import Sent
from ._toolkit.server import TestServer
from ._toolkit.stubs import TIMEOUT, Stub, StubbedFailure, UnusedStubError
from ._toolkit.views import TestRun, TestStep

#: The kinds of faults of :func:`explore`.
FAULT_KINDS = tuple(KINDS)

__all__ = [
    "Replay",
    "fetch_run",
    "explore",
    "WrongFunction",
    "UnusedFaultError",
    "Killed",
    "Faults",
    "Fault",
    "FAULT_KINDS",
    "ExplorationFailed",
    "CallRecord",
    "Clock",
    "HistoryEntry",
    "InngestTestCase",
    "InngestTestMixin",
    "LocalServer",
    "Message",
    "Run",
    "RunFailed",
    "StepFailed",
    "Sent",
    "SentEvent",
    "Stub",
    "StubbedFailure",
    "SyncError",
    "SyncResult",
    "SystemClock",
    "TIMEOUT",
    "TestRun",
    "TestServer",
    "TestStep",
    "UnusedStubError",
    "VirtualClock",
]
