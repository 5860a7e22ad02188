"""An Inngest server to run tests and demos against. Never for production.

:class:`LocalServer` takes events, takes an app's registration, calls the app,
keeps the memos of its steps, and schedules its retries and sleeps, over real
HTTP and all in memory: what it knows is gone when it stops, it runs in the
process that starts it, and it does only part of what a server does.

For day-to-day development use the official Inngest Dev Server, which has the
whole protocol and a page to look at runs. In production, apps are served by
Inngest Cloud or by a self-hosted Inngest server.

It is an independent reading of the protocol: of the SDK it shares the names
on the wire and no logic, so that it can find the SDK's mistakes. It differs
from a real server on purpose where that helps a test:

- An answer over which a real server would hang, loop, or retry twenty times
  whatever was configured fails the run at once, with an error that says why
  (its name is ``LocalServerError``). So does an op that it does not know yet.
- With a signing key, answers to calls must be signed; the open-source server
  takes unsigned ones.
- A registration that asks for what it does not do (batches, cancellation,
  flow control, expressions, wildcards) is refused by name. Cron expressions
  are not read: such functions start by :meth:`LocalServer.fire_cron` only.
- A run that was started by ``inngest/function.failed`` or
  ``inngest/function.finished`` makes no such events itself, so that nothing
  goes round in circles.
- The address of an app is used as it was registered; a real server turns
  ``127.0.0.1`` into ``localhost``.

::

    with LocalServer(clock=VirtualClock()) as server:
        ...  # serve an app that is set up to use server.url
        server.sync("http://127.0.0.1:8000/api/inngest")
        [event_id] = server.send({"name": "shop/order.placed", "data": {}})
        run = server.wait_for_run(event_id)
        assert run.status == "Completed"
"""
from __future__ import annotations

from ._clock import Clock, SystemClock, VirtualClock
from ._server import LocalServer
from ._state import HistoryEntry, Run
from ._sync import SyncError, SyncResult

__all__ = [
    "Clock",
    "HistoryEntry",
    "LocalServer",
    "Run",
    "SyncError",
    "SyncResult",
    "SystemClock",
    "VirtualClock",
]
