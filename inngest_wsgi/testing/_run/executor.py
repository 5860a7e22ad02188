"""The executor: works the queue, calls the apps, and retries.

Internal. Its worker threads share one lock with everything else in a server;
only the HTTP calls themselves are made without it. What a worker does with an
item are three moments: dispatch it, perform the request that it comes to, and
settle the answer. Other calls of the same run may have any of theirs between.
"""

from __future__ import annotations

import logging
import threading
import time
import typing as t

from .._http.caller import Caller, CallFailed, build_call
from .._model import state
from .._model.functions import Function
from .._model.state import Event, utc
from .._ops.gateway import Request
from .._wire.outcomes import Failure, local_failure, server_failure
from .._wire.signing import SigningKey
from .._wire.times import retry_delay
from .clock import Clock, VirtualClock
from .exchange import CallExchange
from .queue import Call, Item, Queue, Timer
from .runs import Runs
from .work import Exchange

logger = logging.getLogger("inngest_wsgi.testing")

#: Seconds after which the queue gives a job away whose worker is not heard of.
_LEASE = 30.0


class Executor(Runs):
    """Runs functions.

    :param key: called for the signing key at the time of each call.
    :param publish: called, with the lock held, with events the server makes.
    :param find: called, with the lock held, for a function by its full id;
        raises a LookupError if there is none.
    """

    def __init__(
        self,
        clock: Clock,
        changed: threading.Condition,
        key: t.Callable[[], t.Optional[SigningKey]],
        publish: t.Callable[[Event], None],
        find: t.Callable[[str], Function],
        retry_interval: t.Optional[float],
        max_workers: int,
        body_limit: int,
    ) -> None:
        super().__init__(changed, publish, find)
        self._clock = clock
        self._key = key
        self._retry_interval = retry_interval
        self._body_limit = body_limit
        self.queue = Queue(clock, changed)
        self._caller = Caller()
        self._workers = [
            threading.Thread(target=self._work, name=f"inngest-local-worker-{number}", daemon=True)
            for number in range(max_workers)
        ]

    # -- life --------------------------------------------------------------

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def stop(self, grace: float) -> None:
        """End the workers; calls in flight have ``grace`` seconds to end.

        A call that is then broken off leaves its run as it is.
        """
        self._stopping = True
        self.queue.close()
        deadline = time.monotonic() + grace
        for worker in self._workers:
            worker.join(max(deadline - time.monotonic(), 0.0))
        self._caller.abort()
        for worker in self._workers:
            worker.join(grace)

    # -- time and the queue --------------------------------------------------

    def hold(self, change: int) -> None:
        """Add a reason for virtual time to stand still, or take one away."""
        with self._changed:
            self.queue.holds += change
            self.queue.until = 0.0
            self._changed.notify_all()

    @property
    def held(self) -> bool:
        """Whether virtual time stands still."""
        return self.queue.holds > 0 and isinstance(self._clock, VirtualClock)

    def advance(self, until: float) -> t.Callable[[], bool]:
        """Let held time go on up to a moment. Needs the lock.

        :return: says, with the lock held, whether it has come to that.
        """
        self.queue.until = until
        self._changed.notify_all()

        def arrived() -> bool:
            if not self.queue.quiet(until):
                return False
            if self.now() < until:
                self._clock.wait(until, True)
            return True

        return arrived

    def now(self) -> float:
        return self._clock.now()

    def put(self, item: Item) -> None:
        self.queue.put(item)

    def drop(self, item: Item) -> None:
        self.queue.drop(item)

    def retry_or_fail(self, call: Call, failure: Failure) -> None:
        self.note(
            call.run,
            state.FUNCTION_ERROR,
            step=call.name,
            attempt=call.attempt,
            detail=failure.text,
        )
        if failure.retriable and call.attempt + 1 < call.run.function.max_attempts:
            self.retry(call, failure.retry_after)
        else:
            self.fail(call.run, failure)

    def retry(self, call: Call, wanted: t.Optional[float], name: t.Optional[str] = None) -> None:
        delay = wanted
        if delay is None:
            delay = self._retry_interval
        if delay is None:
            delay = retry_delay(call.attempt)
        due = self.now() + delay
        self.note(
            call.run,
            state.RETRY_SCHEDULED,
            step=name or call.name,
            attempt=call.attempt + 1,
            retry_in=delay,
            until=utc(due),
        )
        self.put(call.again(due))

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
        """Do what can be done at once with an item that was taken from the queue.

        :return: the request to make, with all that the server knew at this
            moment; None if there is none to make, and the item is done.
        """
        with self._changed:
            try:
                exchange = self.exchange_for(item)
            except Exception as error:
                self._defect(item, error)
                exchange = None
            if exchange is None:
                self._done(item)
            return exchange

    def exchange_for(self, item: Item) -> t.Optional[Exchange]:
        """Do what can be done at once, and build the request if there is one."""
        run = item.run
        if run is not None and run.ended:
            return None
        if isinstance(item, Call):
            item.run.called = True
            if item.run.unsendable is not None:
                self.retry_or_fail(item, server_failure(item.run.unsendable))
                return None
            key = self._key()
            request = build_call(item, self.now(), self._body_limit, key)
            return CallExchange(self, item, request, key)
        if isinstance(item, Request):
            return item
        if isinstance(item, Timer):
            item.action()
        return None

    def settle(self, exchange: Exchange, result: t.Any) -> None:
        """Act on what came of a request.

        :param result: of :meth:`Exchange.perform`, or the exception that it
            ended in, which is a defect of this server.
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
        """Put the job of a request, whose worker is gone, into the queue again."""
        with self._changed:
            item = exchange.item
            if isinstance(item, Call) and not item.run.ended:
                self.put(item.redone(self.now() + _LEASE))
            self._done(item)

    def settle_and_redo(self, exchange: Exchange, result: t.Any) -> None:
        """Act on an answer, and lose the worker before the queue hears of it."""
        with self._changed:
            item = exchange.item
            if not item.run.ended:
                exchange.settle(result)
            if isinstance(item, Call) and not item.run.ended:
                self.put(item.redone(self.now() + _LEASE))
            self._done(item)

    def abandon(self, exchange: Exchange) -> None:
        """Forget a request, as a server that stops in the midst of it."""
        with self._changed:
            self.queue.done(exchange.item)

    def _done(self, item: Item) -> None:
        run = item.run
        if run is not None and run.open_items == int(item.counts):
            self._fail_stuck(run)
        self.queue.done(item)

    def _defect(self, item: Item, error: Exception) -> None:
        run = item.run
        logger.error("the local server failed on run %s", run and run.run_id, exc_info=error)
        if run is not None:
            self.fail(run, local_failure(f"a defect of the local server: {error!r}"))
