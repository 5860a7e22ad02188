"""The queue of things that are due, and the threads' way of taking them.

Internal. One condition variable guards the queue and all state of a server;
it is notified on every change, so that whoever waits for a run can use it.
"""
from __future__ import annotations

import heapq
import threading
from dataclasses import dataclass, field
from typing import List, Optional, Tuple

from .. import _protocol
from . import _ids
from ._clock import Clock
from ._state import RunState


@dataclass
class Item:
    """Something to do for a run. A subclass says what."""

    run: RunState
    #: Unix seconds by the server's clock.
    due: float


@dataclass
class Call(Item):
    """Call the function: all of it (``step``) or one targeted step."""

    step_id: str = _protocol.STEP
    #: Display name of the targeted step.
    name: Optional[str] = None
    attempt: int = 0
    generation: int = 1
    disable_immediate_execution: bool = False
    job_id: str = field(default_factory=_ids.job_id)
    #: ``ctx.stack.current``: finished steps when the job was made. A retry
    #: keeps it, even if the stack has grown meanwhile.
    current: int = -1

    def __post_init__(self) -> None:
        if self.current < 0:
            self.current = len(self.run.stack)

    @property
    def targeted(self) -> bool:
        return self.step_id != _protocol.STEP

    def again(self, due: float) -> "Call":
        """The next attempt: the same job, one generation on (W6)."""
        return Call(
            self.run, due, self.step_id, self.name, self.attempt + 1,
            self.generation + 1, self.disable_immediate_execution, self.job_id,
            self.current,
        )


@dataclass
class Wake(Item):
    """A sleep is over."""

    step_id: str = ""
    name: str = ""
    disable_immediate_execution: bool = False


class Queue:
    """Items by due time.

    :param clock: says what is due, and how to wait for what is not.
    :param changed: the server's condition, also its lock.
    """

    def __init__(self, clock: Clock, changed: threading.Condition) -> None:
        self._clock = clock
        self._changed = changed
        self._heap: List[Tuple[float, int, Item]] = []
        self._count = 0
        self._in_flight = 0
        self._closed = False

    def put(self, item: Item) -> None:
        with self._changed:
            self._count += 1
            item.run.open_items += 1
            heapq.heappush(self._heap, (item.due, self._count, item))
            self._changed.notify_all()

    def take(self) -> Optional[Item]:
        """Wait for the next due item; None once the queue is closed.

        Whoever takes an item calls :meth:`done` with it, after having put
        what follows from it: a virtual clock jumps when nothing is in flight.
        """
        with self._changed:
            while not self._closed:
                # What is left of an ended run must not drag a virtual clock
                # along, say to the end of a sleep that nobody needs any more.
                while self._heap and self._heap[0][2].run.ended:
                    heapq.heappop(self._heap)[2].run.open_items -= 1
                if not self._heap:
                    self._changed.wait()
                    continue
                due = self._heap[0][0]
                if due <= self._clock.now():
                    self._in_flight += 1
                    return heapq.heappop(self._heap)[2]
                patience = self._clock.wait(due, self._in_flight == 0)
                if patience != 0.0:
                    # A far-off due time would overflow the wait in C.
                    self._changed.wait(None if patience is None else min(patience, 3600.0))
            return None

    def done(self, item: Item) -> None:
        with self._changed:
            item.run.open_items -= 1
            self._in_flight -= 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify_all()
