"""Carry out the queue: dispatch due items, call the apps, and handle the answers.

Worker threads share one lock with everything else in a server; only the HTTP
calls themselves are made without it. A worker handles an item in three parts:
dispatch the item, perform the request that it leads to, and settle the
answer. Parts of other calls of the same run may come between these.
"""

from __future__ import annotations

import logging
import threading
import time
import typing as t

from .._http.caller import Caller, CallFailed
from .._ops.gateway import Request
from .._wire.outcomes import local_failure, server_failure
from .._wire.signing import SigningKey
from .call import CallExchange
from .clock import Clock, VirtualClock
from .exchange import Exchange
from .items import Call, Item, Timer
from .queue import Queue
from .request import build_call
from .retries import retry_or_fail
from .runs import Runs

logger = logging.getLogger("inngest_wsgi.testing")

#: Seconds after which the queue gives the job of a lost worker to another one.
_LEASE = 30.0


class Executor:
    """Carries out the items of a server's queue, in threads.

    :param changed: the server's condition, also its lock.
    :param key: called for the signing key at the time of each call.
    :param max_workers: how many calls may be under way at once.
    :param body_limit: bytes a call's body may have before ``use_api`` is set.
    """

    def __init__(
        self,
        clock: Clock,
        changed: threading.Condition,
        queue: Queue,
        runs: Runs,
        key: t.Callable[[], t.Optional[SigningKey]],
        max_workers: int,
        body_limit: int,
    ) -> None:
        self._clock = clock
        self._changed = changed
        self.queue = queue
        self._runs = runs
        self._key = key
        self._body_limit = body_limit
        self._caller = Caller()
        self._workers = [
            threading.Thread(target=self._work, name=f"inngest-local-worker-{number}", daemon=True)
            for number in range(max_workers)
        ]

    # -- start and stop ----------------------------------------------------------

    def start(self) -> None:
        """Start the worker threads."""
        for worker in self._workers:
            worker.start()

    def stop(self, grace: float) -> None:
        """End the workers.

        A call that is still in flight after the time of grace is broken off,
        and leaves its run as it is.

        :param grace: seconds to wait for calls in flight.
        """
        self._runs.stopping = True
        self.queue.close()
        deadline = time.monotonic() + grace
        for worker in self._workers:
            worker.join(max(deadline - time.monotonic(), 0.0))
        self._caller.abort()
        for worker in self._workers:
            worker.join(grace)

    # -- virtual time ------------------------------------------------------------

    def hold(self, change: int) -> None:
        """Add a reason for virtual time to stand still, or take one away."""
        with self._changed:
            self.queue.holds += change
            self.queue.until = 0.0
            self._changed.notify_all()

    @property
    def held(self) -> bool:
        """Return True while virtual time stands still."""
        return self.queue.holds > 0 and isinstance(self._clock, VirtualClock)

    def advance(self, until: float) -> t.Callable[[], bool]:
        """Move virtual time that is held forward to a moment. Needs the lock.

        :return: a function that returns True once that moment has come; it
            needs the lock, too.
        """
        self.queue.until = until
        self._changed.notify_all()

        def arrived() -> bool:
            if not self.queue.quiet(until):
                return False
            if self._clock.now() < until:
                self._clock.wait(until, True)
            return True

        return arrived

    # -- work --------------------------------------------------------------

    def _work(self) -> None:
        while True:
            item = self.queue.take()
            if item is None:
                return
            exchange = self.dispatch(item)
            if exchange is None:
                continue
            try:
                result = exchange.perform(self._caller)
            except CallFailed:
                self.abandon(exchange)
            except Exception as error:
                self.settle(exchange, error)
            else:
                self.settle(exchange, result)

    def dispatch(self, item: Item) -> t.Optional[Exchange]:
        """Carry out an item that needs no request; return the request of one that does.

        :return: the request to make, with all that the server knew at this
            moment; None if there is none to make, and the item is done.
        """
        with self._changed:
            if not self.queue.is_in_flight(item):
                # The server was reset since it was taken.
                return None
            try:
                exchange = self.exchange_for(item)
            except Exception as error:
                self._defect(item, error)
                exchange = None
            if exchange is None:
                self._done(item)
            return exchange

    def exchange_for(self, item: Item) -> t.Optional[Exchange]:
        """Build the request that an item needs, or carry the item out if it needs none."""
        run = item.run
        if run is not None and run.ended:
            return None
        if isinstance(item, Call):
            if self._runs.pauses.hold(item):
                return None
            item.run.called = True
            if item.run.unsendable is not None:
                retry_or_fail(self._runs, item, server_failure(item.run.unsendable))
                return None
            key = self._key()
            request = build_call(item, self._runs.now(), self._body_limit, key)
            return CallExchange(self._runs, item, request, key)
        if isinstance(item, Request):
            return item
        if isinstance(item, Timer):
            item.action()
        return None

    def settle(self, exchange: Exchange, result: t.Any) -> None:
        """Handle the result of a request.

        :param result: of :meth:`Exchange.perform`, or the exception that it
            raised, which is a defect of this server.
        """
        with self._changed:
            try:
                if isinstance(result, Exception):
                    raise result
                if not exchange.item.run.ended:
                    exchange.settle(result)
            except Exception as error:
                self._defect(exchange.item, error)
            self._done(exchange.item)

    def redo(self, exchange: Exchange) -> None:
        """Queue the job of a request again, as if its worker had died."""
        with self._changed:
            item = exchange.item
            if isinstance(item, Call) and not item.run.ended:
                self._runs.put(item.redone(self._runs.now() + _LEASE))
            self._done(item)

    def settle_and_redo(self, exchange: Exchange, result: t.Any) -> None:
        """Handle an answer and queue its job again, as if the worker had died after it."""
        with self._changed:
            item = exchange.item
            if not item.run.ended:
                exchange.settle(result)
            if isinstance(item, Call) and not item.run.ended:
                self._runs.put(item.redone(self._runs.now() + _LEASE))
            self._done(item)

    def abandon(self, exchange: Exchange) -> None:
        """Forget a request, as a server does that stops during it."""
        with self._changed:
            self.queue.done(exchange.item)

    def _done(self, item: Item) -> None:
        run = item.run
        if run is not None and run.open_items == int(item.keeps_alive):
            self._runs.fail_stuck(run)
        self.queue.done(item)

    def _defect(self, item: Item, error: Exception) -> None:
        run = item.run
        logger.error("the local server failed on run %s", run and run.run_id, exc_info=error)
        if run is not None:
            self._runs.fail(
                run, local_failure(f"an internal error of the local server: {error!r}")
            )
