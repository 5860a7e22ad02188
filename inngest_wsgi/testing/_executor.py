"""The executor: works the queue, calls the apps, and retries.

Internal. Its worker threads share one lock with everything else in a server;
only the HTTP calls themselves are made without it.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Callable, Optional

from . import _answers, _ops, _state
from ._calls import AnswerTooLarge, Caller, CallFailed, build_call
from ._clock import Clock, VirtualClock
from ._functions import Function
from ._gateway import Request
from ._outcomes import Failure, Outcome, Returned, local_failure
from ._queue import Call, Item, Queue, Timer
from ._runs import Runs
from ._signing import SigningKey
from ._state import Event, utc
from ._times import retry_delay

logger = logging.getLogger("inngest_wsgi.testing")


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
        key: Callable[[], Optional[SigningKey]],
        publish: Callable[[Event], None],
        find: Callable[[str], Function],
        retry_interval: Optional[float],
        max_workers: int,
        body_limit: int,
    ) -> None:
        super().__init__(changed, publish, find)
        self._clock = clock
        self._key = key
        self._retry_interval = retry_interval
        self._body_limit = body_limit
        self._queue = Queue(clock, changed)
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
        self._queue.close()
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
            self._queue.holds += change
            self._queue.until = 0.0
            self._changed.notify_all()

    @property
    def held(self) -> bool:
        """Whether virtual time stands still."""
        return self._queue.holds > 0 and isinstance(self._clock, VirtualClock)

    def advance(self, until: float) -> Callable[[], bool]:
        """Let held time go on up to a moment. Needs the lock.

        :return: says, with the lock held, whether it has come to that.
        """
        self._queue.until = until
        self._changed.notify_all()

        def arrived() -> bool:
            if not self._queue.quiet(until):
                return False
            if self.now() < until:
                self._clock.wait(until, True)
            return True

        return arrived

    def now(self) -> float:
        return self._clock.now()

    def put(self, item: Item) -> None:
        self._queue.put(item)

    def drop(self, item: Item) -> None:
        self._queue.drop(item)

    def retry_or_fail(self, call: Call, failure: Failure) -> None:
        self.note(
            call.run,
            _state.FUNCTION_ERROR,
            step=call.name,
            attempt=call.attempt,
            detail=failure.text,
        )
        if failure.retriable and call.attempt + 1 < call.run.function.max_attempts:
            self.retry(call, failure.retry_after)
        else:
            self.fail(call.run, failure)

    def retry(self, call: Call, wanted: Optional[float], name: Optional[str] = None) -> None:
        delay = wanted
        if delay is None:
            delay = self._retry_interval
        if delay is None:
            delay = retry_delay(call.attempt)
        due = self.now() + delay
        self.note(
            call.run,
            _state.RETRY_SCHEDULED,
            step=name or call.name,
            attempt=call.attempt + 1,
            retry_in=delay,
            until=utc(due),
        )
        self.put(call.again(due))

    # -- work --------------------------------------------------------------

    def _work(self) -> None:
        while True:
            item = self._queue.take()
            if item is None:
                return
            try:
                self._handle(item)
            except Exception as error:
                run = item.run
                logger.exception("the local server failed on run %s", run and run.run_id)
                if run is not None:
                    with self._changed:
                        self.fail(run, local_failure(f"a defect of the local server: {error!r}"))
            finally:
                with self._changed:
                    run = item.run
                    if run is not None and run.open_items == int(item.counts):
                        self._fail_stuck(run)
                    self._queue.done(item)

    def _handle(self, item: Item) -> None:
        if isinstance(item, Timer):
            with self._changed:
                if item.run is None or not item.run.ended:
                    item.action()
        elif isinstance(item, Call):
            self._call(item)
        elif isinstance(item, Request):
            self._request(item)

    def _request(self, request: Request) -> None:
        try:
            memo = request.perform(self._caller)
        except CallFailed:
            return
        with self._changed:
            request.settle(memo)

    def _call(self, call: Call) -> None:
        run = call.run
        key = self._key()
        with self._changed:
            if run.ended:
                return
            run.called = True
            request = build_call(call, self.now(), self._body_limit, key)
        outcome: Outcome
        try:
            answer = self._caller.request("POST", request.url, request.headers, request.body)
            outcome = _answers.understand(answer, key, time.time())
        except CallFailed as error:
            if self._caller.aborted:
                return
            outcome = _answers.unreachable(str(error))
        except AnswerTooLarge:
            outcome = _answers.too_large()
        with self._changed:
            if run.ended:
                return
            if isinstance(outcome, Returned):
                self.complete(run, outcome.output)
            elif isinstance(outcome, Failure):
                self.retry_or_fail(call, outcome)
            else:
                _ops.apply(self, call, outcome, request.known)
