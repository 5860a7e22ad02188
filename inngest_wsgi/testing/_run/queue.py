"""Keep items until they are due, and give them to the worker threads.

One condition variable guards the queue and all state of a server;
it is notified on every change, so that threads that wait for a run can use it.
"""

from __future__ import annotations

import heapq
import threading
import typing as t

from .._flow.concurrency import Gate, Slots
from .clock import Clock
from .items import Call, Item, Timer

#: When an item is due, how many came before it, and the item.
Entry = t.Tuple[float, int, Item]


class Queue:
    """The items of the queue, by due time.

    Nothing here looks through all items. An item that is not needed any more
    stays until it would be its turn. A call that has to wait for others waits
    with those for the same limit, and comes back to the queue, to its old
    place, once the limit is not reached any more.

    :param clock: says what is due, and how to wait for what is not.
    :param changed: the server's condition, also its lock.
    """

    def __init__(self, clock: Clock, changed: threading.Condition) -> None:
        self._clock = clock
        self._changed = changed
        self._heap: t.List[Entry] = []
        #: Jobs before the end of their :attr:`delay`, by that moment; the heap has
        #: them later, by the moment that is their turn.
        self._delayed: t.List[Entry] = []
        #: Due calls that wait for others to end, by the limit's name and its
        #: number: two functions may share a name and differ in the number.
        self._blocked: t.Dict[str, t.Dict[int, t.List[Entry]]] = {}
        self._gate = Gate()
        #: Items that were taken, and are not done.
        self._in_flight: t.Set[Item] = set()
        self._count = 0
        self._closed = False
        #: Seconds between a job's becoming due and its call.
        self.delay: float = 0.0
        #: How many blocks hold virtual time at the moment.
        self.holds = 0
        #: The moment up to which held time may go on.
        self.until: float = 0.0

    def put(self, item: Item) -> None:
        with self._changed:
            self._count += 1
            item.queued = True
            if item.run is not None and item.keeps_alive:
                item.run.open_items += 1
            if isinstance(item, Call):
                item.run.generations[item.job_id] = item.generation
            # A timer is none of the jobs that a server's queue gives to its workers.
            if self.delay and not isinstance(item, Timer):
                # A call that is due now has its turn as of the run's beginning.
                ready = max(item.due, self._clock.now()) + self.delay
                heapq.heappush(self._delayed, (ready, self._count, item))
            else:
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
                    return self._taken(item)
                due = self._soonest()
                if due is None:
                    self._changed.wait()
                    continue
                free = self.holds == 0 or due <= self.until
                patience = self._clock.wait(due, not self._in_flight and free)
                if patience != 0.0:
                    # A far-off due time would overflow the wait in C.
                    self._changed.wait(None if patience is None else min(patience, 3600.0))
            return None

    def take_due(self) -> t.Optional[Item]:
        """Take the next due item, as :meth:`take` does; None if there is none now."""
        with self._changed:
            item = self._next()
            return None if item is None else self._taken(item)

    def ready(self, most: t.Optional[int] = None) -> t.List[Item]:
        """Return what :meth:`take_due` could return now, in the order of the queue.

        For callers of :meth:`take_this`; worker threads use :meth:`take`.

        :param most: how many are wanted; all if None.
        """
        with self._changed:
            entries: t.List[Entry] = []
            while most is None or len(entries) < most:
                entry = self._pop_due()
                if entry is None:
                    break
                entries.append(entry)
                # Where one has room, the next one could be taken in its place.
                self._unblock(_slots(entry[2]))
            for entry in entries:
                heapq.heappush(self._heap, entry)
            return [item for _, _, item in entries]

    def take_this(self, item: Item) -> bool:
        """Take one of :meth:`ready`; False if that has changed meanwhile."""
        with self._changed:
            if not item.live or self._gate.full(_slots(item)) is not None:
                return False
            # its entry stays behind, and is passed over
            self._taken(item)
            return True

    def next_due(self) -> t.Optional[float]:
        """Return when the next item in the future is due; None if there is none."""
        with self._changed:
            due_now = []
            now = self._clock.now()
            entry = self._first()
            while entry is not None and entry[0] <= now:
                due_now.append(heapq.heappop(self._heap))
                entry = self._first()
            due = self._soonest()
            for earlier in due_now:
                heapq.heappush(self._heap, earlier)
            return due

    def quiet(self, until: float) -> bool:
        """Return True if nothing is in flight, and nothing due until then."""
        # No call is blocked while nothing is in flight.
        self._first()
        due = self._soonest()
        return not self._in_flight and (due is None or due > until)

    def is_in_flight(self, item: Item) -> bool:
        """Return True if an item was taken and is not done, and :meth:`clear` was not called."""
        return item in self._in_flight

    def done(self, item: Item) -> None:
        with self._changed:
            self._uncount(item)
            if item in self._in_flight:
                self._in_flight.remove(item)
                self._gate.leave(_slots(item))
                self._unblock(_slots(item))
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget all items, and what is under way now: that counts against no limit
        any more, and keeps no clock from going on."""
        with self._changed:
            self._forget()
            self._gate = Gate()
            self._in_flight.clear()
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._forget()
            self._changed.notify_all()

    def _forget(self) -> None:
        self._heap.clear()
        self._delayed.clear()
        self._blocked.clear()

    # -- the order ---------------------------------------------------------------

    def _next(self) -> t.Optional[Item]:
        """Remove the next item that is due and may be done; None if there is none."""
        entry = self._pop_due()
        return None if entry is None else entry[2]

    def _pop_due(self) -> t.Optional[Entry]:
        now = self._clock.now()
        while True:
            entry = self._first()
            if entry is None or entry[0] > now:
                return None
            heapq.heappop(self._heap)
            slots = _slots(entry[2])
            full = self._gate.full(slots)
            if full is None:
                return entry
            name, limit = full
            blocked = self._blocked.setdefault(name, {}).setdefault(limit, [])
            heapq.heappush(blocked, entry)
            # If it came back for another limit, that has room for the next one.
            self._unblock(slots)

    def _first(self) -> t.Optional[Entry]:
        """Return the first entry that is still wanted, and forget those before it."""
        self._end_delays()
        while self._heap:
            entry = self._heap[0]
            item = entry[2]
            # Items of an ended run must not move a virtual clock, say to the
            # end of a sleep that is not needed any more.
            if item.live:
                return entry
            heapq.heappop(self._heap)
            self.drop(item)
            self._unblock(_slots(item))
        return None

    def _end_delays(self) -> None:
        """Give the jobs whose delay has ended their turn among those that are due."""
        now = self._clock.now()
        while self._delayed:
            ready, count, item = self._delayed[0]
            if item.live and ready > now:
                return
            heapq.heappop(self._delayed)
            heapq.heappush(self._heap, (item.due, count, item))

    def _soonest(self) -> t.Optional[float]:
        """Return the moment of the first entry; None if there is none."""
        firsts = [entries[0][0] for entries in (self._heap, self._delayed) if entries]
        return min(firsts) if firsts else None

    def _unblock(self, slots: Slots) -> None:
        """Put back the next call that waits for each of these limits, if it has room."""
        for name, _ in slots:
            by_limit = self._blocked.get(name)
            if by_limit is None:
                continue
            for limit, entries in list(by_limit.items()):
                if not self._gate.room(name, limit):
                    continue
                while entries:
                    entry = heapq.heappop(entries)
                    if entry[2].live:
                        heapq.heappush(self._heap, entry)
                        break
                    self.drop(entry[2])
                if not entries:
                    del by_limit[limit]
            if not by_limit:
                del self._blocked[name]

    def _taken(self, item: Item) -> Item:
        item.queued = False
        self._in_flight.add(item)
        self._gate.enter(_slots(item))
        return item

    @staticmethod
    def _uncount(item: Item) -> None:
        if item.run is not None and item.keeps_alive:
            item.run.open_items -= 1
        if isinstance(item, Call):
            # a retry is the same job, and has been queued before this
            if item.run.generations.get(item.job_id) == item.generation:
                del item.run.generations[item.job_id]


def _slots(item: Item) -> Slots:
    """Return the limits that an item counts against: none, but for calls."""
    return item.run.slots if isinstance(item, Call) else ()
