"""From an event to a run: batches, bursts, and who may start at all.

Internal. In the order of a server: rate limit, debounce, idempotency,
singleton, throttle; events for a batch only meet the last three.
"""

from __future__ import annotations

import logging
import typing as t
from dataclasses import dataclass

from .._expressions.expression import Expression
from .._model.functions import Batching, Debounce, Function, Rate
from .._model.state import Event, RunState
from .._run.queue import Item, Timer

logger = logging.getLogger("inngest_wsgi.testing")

#: Seconds for which an idempotency key holds.
_IDEMPOTENT = 86400.0

_Key = t.Tuple[str, str]


class Starter:
    """What the admission asks of the executor; the lock is held meanwhile."""

    def now(self) -> float:
        raise NotImplementedError

    def put(self, item: Item) -> None:
        raise NotImplementedError

    def drop(self, item: Item) -> None:
        raise NotImplementedError

    def begin(
        self,
        function: Function,
        events: t.List[Event],
        delay: float = 0.0,
        correlation_id: t.Optional[str] = None,
    ) -> RunState:
        raise NotImplementedError

    def running(self, function: Function) -> t.List[RunState]:
        raise NotImplementedError

    def cancel(self, run: RunState, reason: str) -> bool:
        raise NotImplementedError


@dataclass
class _Collected:
    """Events that wait for more, or for the end of a burst."""

    began: float
    events: t.List[Event]
    timer: Timer


class Admission:
    """Decides what becomes of an event for a function that it triggers."""

    def __init__(self, starter: Starter) -> None:
        self._starter = starter
        self._batches: t.Dict[_Key, _Collected] = {}
        self._bursts: t.Dict[_Key, _Collected] = {}
        self._starts: t.Dict[_Key, t.List[float]] = {}
        #: When a throttled function would be as free again as at first.
        self._free: t.Dict[_Key, float] = {}
        self._used: t.Dict[_Key, float] = {}
        self._waiting: t.Set[str] = set()
        self._skipped: t.Dict[str, t.List[str]] = {}

    def offer(self, function: Function, event: Event) -> None:
        """A trigger of the function has come."""
        form = event.sent()
        batching, debounce = function.batching, function.debounce
        if batching is not None:
            if batching.condition is None or batching.condition.matches(form):
                self._collect(function, batching, event)
            else:
                self._start(function, [event])
            return
        limited = self._rate_limited(function, event)
        if limited is not None:
            self._skip(function, [event], limited)
        elif debounce is not None:
            self._put_off(function, debounce, event)
        else:
            self._start(function, [event])

    def start(
        self, function: Function, event: Event, correlation_id: t.Optional[str] = None
    ) -> t.Union[RunState, str]:
        """Start the function at once, without batches and debounce.

        :return: the run, or why there is none.
        """
        limited = self._rate_limited(function, event)
        if limited is not None:
            return self._skip(function, [event], limited)
        return self._start(function, [event], correlation_id)

    def keeps(self, event_id: str) -> bool:
        """Whether an event is waiting in a batch or a burst."""
        return event_id in self._waiting

    def why_skipped(self, event_id: str) -> t.List[str]:
        """Why functions that an event triggers did not run."""
        return self._skipped.get(event_id, [])

    # -- batches and bursts --------------------------------------------------------

    def _collect(self, function: Function, batching: Batching, event: Event) -> None:
        key = (function.function_id, _value(batching.key, event))
        now = self._starter.now()
        batch = self._batches.get(key)
        if batch is None:
            timer = Timer(None, now + batching.timeout, lambda: self._flush(function, key))
            batch = self._batches[key] = _Collected(now, [], timer)
            self._starter.put(timer)
        batch.events.append(event)
        self._waiting.update((event.id, event.internal_id))
        if len(batch.events) >= batching.size:
            self._flush(function, key)

    def _flush(self, function: Function, key: _Key) -> None:
        batch = self._batches.pop(key)
        self._starter.drop(batch.timer)
        self._release(function, batch.events)

    def _put_off(self, function: Function, debounce: Debounce, event: Event) -> None:
        key = (function.function_id, _value(debounce.key, event))
        now = self._starter.now()
        burst = self._bursts.pop(key, None)
        began = now if burst is None else burst.began
        if burst is not None:
            self._starter.drop(burst.timer)
            for late in burst.events:
                self._waiting.difference_update((late.id, late.internal_id))
            self._skip(function, burst.events, "debounced: a later event took its place")
        due = now + debounce.period
        if debounce.timeout is not None:
            due = min(due, max(began + debounce.timeout, now))

        def over() -> None:
            self._release(function, self._bursts.pop(key).events)

        self._bursts[key] = _Collected(began, [event], Timer(None, due, over))
        self._starter.put(self._bursts[key].timer)
        self._waiting.update((event.id, event.internal_id))

    def _release(self, function: Function, events: t.List[Event]) -> None:
        for event in events:
            self._waiting.difference_update((event.id, event.internal_id))
        self._start(function, events)

    # -- who may start -------------------------------------------------------------

    def _rate_limited(self, function: Function, event: Event) -> t.Optional[str]:
        rate = function.rate_limit
        if rate is None:
            return None
        starts = self._recent(function, rate, event)
        if len(starts) >= rate.limit:
            return "the rate limit is reached"
        starts.append(self._starter.now())
        return None

    def _start(
        self, function: Function, events: t.List[Event], correlation_id: t.Optional[str] = None
    ) -> t.Union[RunState, str]:
        first, now = events[0], self._starter.now()
        if function.idempotency is not None:
            key = (function.function_id, _value(function.idempotency, first))
            if now < self._used.get(key, 0.0):
                return self._skip(function, events, f"its idempotency key {key[1]} was used")
            self._used[key] = now + _IDEMPOTENT
        singleton = function.singleton
        if singleton is not None:
            value = _value(singleton.key, first)
            for run in self._starter.running(function):
                if _value(singleton.key, run.events[0]) != value:
                    continue
                if not singleton.cancel:
                    reason = f"it is a singleton, and run {run.run_id} is running"
                    return self._skip(function, events, reason)
                self._starter.cancel(run, "a newer run of the singleton")
        delay = 0.0
        if function.throttle is not None:
            delay = self._throttled(function, function.throttle, first)
        return self._starter.begin(function, events, delay, correlation_id)

    def _throttled(self, function: Function, rate: Rate, event: Event) -> float:
        """Seconds for which a run has to wait for its turn (W75).

        So many may start at once as limit and burst are together, and then
        one after each part of the period.
        """
        key, now = (function.function_id, _value(rate.key, event)), self._starter.now()
        part = rate.period / rate.limit
        free = max(self._free.get(key, now), now) + part
        self._free[key] = free
        return max(free - part * (rate.limit + rate.burst) - now, 0.0)

    def _recent(self, function: Function, rate: Rate, event: Event) -> t.List[float]:
        """When the function started within the period of its rate limit."""
        key = (function.function_id, _value(rate.key, event))
        after = self._starter.now() - rate.period
        starts = [start for start in self._starts.get(key, ()) if start > after]
        self._starts[key] = starts
        return starts

    def _skip(self, function: Function, events: t.List[Event], reason: str) -> str:
        text = f"{function.function_id}: {reason}"
        logger.info("no run of %s", text)
        for event in events:
            for event_id in {event.id, event.internal_id}:
                self._skipped.setdefault(event_id, []).append(text)
        return reason


def _value(key: t.Optional[Expression], event: Event) -> str:
    return "" if key is None else key.key(event.sent())
