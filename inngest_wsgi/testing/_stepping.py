"""Run the server without threads and sockets; the caller decides what is next.

A :class:`LocalServer` leaves to its threads which of two calls is
answered first. Here a test makes that choice, and so can make it again.
:class:`~.TestServer` is built on it.
"""

from __future__ import annotations

import json
import math
import typing as t

from ._http.api import Api
from ._http.caller import Caller
from ._model.registry import read_registration
from ._model.state import Run
from ._run.clock import TestClock
from ._run.exchange import Exchange
from ._run.items import Item
from ._run.request import BODY_LIMIT
from ._store import Store


class Stepper:
    """The local server, one action at a time.

    Each item of the queue is dispatched, and if that led to a request, it is
    performed, and its result settled. Between any two of these moments may be
    those of other items, and time may pass.

    :param caller: makes the requests to the apps, in this thread.
    :param clock: does not move by itself.
    :param retry_interval: virtual seconds between attempts; None for the
        schedule of a real server (W30).
    :param body_limit: bytes a call's body may have before ``use_api`` is set.
    """

    def __init__(
        self,
        caller: Caller,
        clock: t.Optional[TestClock] = None,
        retry_interval: t.Optional[float] = None,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self.clock: TestClock = clock or TestClock()
        self.store: Store = Store(self.clock, None, None, retry_interval, 0, body_limit)
        self._executor = self.store.executor
        self._caller = caller
        #: The server's API, as a WSGI application.
        self.api: Api = Api(self.store)

    def register(self, registration: t.Dict[str, t.Any]) -> None:
        """Register an app.

        :param registration: the body of ``POST /fn/register``.
        """
        self.store.register(read_registration(json.dumps(registration).encode("utf-8")))

    def send(self, name: str, data: t.Optional[t.Dict[str, t.Any]] = None) -> str:
        """Send an event.

        :return: the id that the server gave it.
        :raise ValueError: the event API would refuse it.
        """
        ids, error = self.store.accept_events(json.dumps({"name": name, "data": data}), None)
        if error is not None:
            raise ValueError(error)
        return ids[0]

    def runs(self, event_id: str) -> t.List[Run]:
        """Return the runs that an event triggered."""
        return [run.snapshot() for run in self.store.runs_of(event_id)]

    def ready(self) -> t.List[Item]:
        """Return what is due; always in the same order."""
        return self._executor.queue.ready()

    def dispatch(self, item: Item) -> t.Optional[Exchange]:
        """Take one of :meth:`ready`, and carry it out if it needs no request.

        :return: a request, built from what is known now; None if there is
            none to make, or the item is not in the queue any more.
        """
        taken = self._executor.queue.take_this(item)
        return self._executor.dispatch(item) if taken else None

    def perform(self, exchange: Exchange) -> t.Any:
        """Call the application.

        :return: what to give to :meth:`settle`. Nothing has changed yet.
        """
        return exchange.perform(self._caller)

    def settle(self, exchange: Exchange, result: t.Any) -> None:
        """Give the server the result of a request, or another result in its place."""
        self._executor.settle(exchange, result)

    def redo(self, exchange: Exchange) -> None:
        """Simulate the loss of the worker that made a request, and of the answer.

        The queue gives the job to another one after a while; that is no new
        attempt.
        """
        self._executor.redo(exchange)

    def settle_and_redo(self, exchange: Exchange, result: t.Any) -> None:
        """Give the server a result, and simulate the loss of the worker before the
        job leaves the queue: the job is done once more."""
        self._executor.settle_and_redo(exchange, result)

    def repeat(self, exchange: Exchange) -> t.Any:
        """Make a call once more, with what is known now; nobody reads the answer.

        :return: the outcome; None if the run has ended.
        """
        again = self._executor.exchange_for(exchange.item)
        return None if again is None else again.perform(self._caller)

    def run_next(self) -> bool:
        """Do the next thing that is due, from its call to its answer.

        :return: False if nothing is due.
        """
        item = self._executor.queue.take_due()
        if item is None:
            return False
        exchange = self._executor.dispatch(item)
        if exchange is not None:
            self.settle(exchange, self.perform(exchange))
        return True

    def pass_time(self, until: float = math.inf) -> bool:
        """Move time forward until another item is due.

        :param until: unix seconds, by the server's clock.
        :return: False if nothing is due until then; time has not moved.
        """
        due = self._executor.queue.next_due()
        if due is None or due > until:
            return False
        self.clock.move(due)
        return True
