"""Keep items until they are due, and give them to the worker threads.

One condition variable guards the queue and all state of a server;
it is notified on every change, so that threads that wait for a run can use it.
"""

from __future__ import annotations

import heapq
import threading
import typing as t

from .._flow.concurrency import Gate
from .clock import Clock
from .items import Call, Item, Timer


class Queue:
    """The items of the queue, by due time.

    :param clock: says what is due, and how to wait for what is not.
    :param changed: the server's condition, also its lock.
    """

    def __init__(self, clock: Clock, changed: threading.Condition) -> None:
        self._clock = clock
        self._changed = changed
        self._heap: t.List[t.Tuple[float, int, Item]] = []
        #: Due calls that wait for others of their function to end.
        self._back: t.List[Call] = []
        self._gate = Gate()
        self._count = 0
        self._in_flight = 0
        self._closed = False
        #: Seconds between a job's becoming due and its call.
        self.delay = 0.0
        #: How many blocks hold virtual time at the moment.
        self.holds = 0
        #: The moment up to which held time may go on.
        self.until = 0.0

    def put(self, item: Item) -> None:
        with self._changed:
            self._count += 1
            item.queued = True
            # A timer is none of the jobs that a server's queue gives to its workers.
            if not isinstance(item, Timer):
                item.due += self.delay
            if item.run is not None and item.keeps_alive:
                item.run.open_items += 1
            if isinstance(item, Call):
                item.run.generations[item.job_id] = item.generation
            heapq.heappush(self._heap, (item.due, self._count, item))
            self._changed.notify_all()

    def drop(self, item: Item) -> None:
        """Remove an item; harmless if it was taken already."""
        with self._changed:
            if item.queued:
                item.queued = False
                self._uncount(item)
                self._changed.notify_all()

    def take(self) -> t.Optional[Item]:
        """Wait for the next due item; None once the queue is closed.

        Whoever takes an item calls :meth:`done` with it, after having put
        what follows from it: a virtual clock jumps when nothing is in flight.
        """
        with self._changed:
            while not self._closed:
                item = self._next()
                if item is not None:
                    item.queued = False
                    self._in_flight += 1
                    return item
                if not self._heap:
                    self._changed.wait()
                    continue
                due = self._heap[0][0]
                free = self.holds == 0 or due <= self.until
                patience = self._clock.wait(due, self._in_flight == 0 and free)
                if patience != 0.0:
                    # A far-off due time would overflow the wait in C.
                    self._changed.wait(None if patience is None else min(patience, 3600.0))
            return None

    def take_due(self) -> t.Optional[Item]:
        """Take the next due item, as :meth:`take` does; None if there is none now."""
        with self._changed:
            item = self._next()
            if item is not None:
                item.queued = False
                self._in_flight += 1
            return item

    def ready(self) -> t.List[Item]:
        """Return what :meth:`take` could return now, in any order.

        For callers of :meth:`take_this`; worker threads use :meth:`take`.
        """
        with self._changed:
            items: t.List[Item] = list(self._back)
            items += [entry[2] for entry in sorted(self._heap, key=lambda entry: entry[:2])]
            return [
                item
                for item in items
                if item.live
                and item.due <= self._clock.now()
                and not (isinstance(item, Call) and self._gate.full(item.run.slots))
            ]

    def take_this(self, item: Item) -> bool:
        """Take one of :meth:`ready`; False if that has changed meanwhile."""
        with self._changed:
            if not item.live or (isinstance(item, Call) and not self._gate.enter(item.run.slots)):
                return False
            if item in self._back:
                self._back.remove(item)
            item.queued = False
            self._in_flight += 1
            return True

    def next_due(self) -> t.Optional[float]:
        """Return when the next item in the future is due; None if there is none."""
        with self._changed:
            now = self._clock.now()
            times = [due for due, _, item in self._heap if item.live and due > now]
            return min(times) if times else None

    def _next(self) -> t.Optional[Item]:
        """Return the next item that is due and may be done; None if there is none."""
        for call in self._back[:]:
            if not call.live:
                self._back.remove(call)
                self.drop(call)
            elif self._gate.enter(call.run.slots):
                self._back.remove(call)
                return call
        while self._heap:
            due, _, item = self._heap[0]
            # Items of an ended run must not move a virtual clock, say to the
            # end of a sleep that is not needed any more.
            if not item.live:
                heapq.heappop(self._heap)
                self.drop(item)
                continue
            if due > self._clock.now():
                return None
            heapq.heappop(self._heap)
            if not isinstance(item, Call) or self._gate.enter(item.run.slots):
                return item
            self._back.append(item)
        return None

    def quiet(self, until: float) -> bool:
        """Return True if nothing is in flight, and nothing due until then."""
        return self._in_flight == 0 and not any(
            item.live and item.due <= until
            for item in self._back + [entry[2] for entry in self._heap]
        )

    def done(self, item: Item) -> None:
        with self._changed:
            self._uncount(item)
            if isinstance(item, Call):
                self._gate.leave(item.run.slots)
            self._in_flight -= 1
            self._changed.notify_all()

    @staticmethod
    def _uncount(item: Item) -> None:
        if item.run is not None and item.keeps_alive:
            item.run.open_items -= 1
        if isinstance(item, Call):
            # a retry is the same job, and has been queued before this
            if item.run.generations.get(item.job_id) == item.generation:
                del item.run.generations[item.job_id]

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify_all()
