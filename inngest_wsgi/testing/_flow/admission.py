"""Decide whether an event starts a run, by the rules in a server's order.

The order is rate limit, debounce, idempotency, singleton, pause, throttle.
Events for a batch are checked by the last four only.
"""

from __future__ import annotations

import logging
import typing as t

from .._model.functions import Function
from .._model.state import Event, RunState
from .._run.machinery import Machinery
from .._wire.outcomes import local_failure
from .batch import Batches
from .debounce import Bursts
from .held import HeldIds
from .idempotency import IdempotencyKeys
from .rate_limit import RateLimits
from .singleton import cancel_or_refuse
from .throttle import Throttles

logger = logging.getLogger("inngest_wsgi.testing")


class Admission:
    """Decides whether an event runs a function now, later or not at all."""

    def __init__(self, machinery: Machinery) -> None:
        self._machinery = machinery
        self._held = HeldIds()
        self._batches = Batches(machinery, self._held, self._start)
        self._bursts = Bursts(machinery, self._held, self._start, self._skip)
        self._rate_limits = RateLimits()
        self._idempotency = IdempotencyKeys()
        self._throttles = Throttles()
        self._skipped: t.Dict[str, t.List[str]] = {}

    def offer(self, function: Function, event: Event) -> None:
        """Handle an event that triggers a function."""
        if function.faults:
            self._fail(function, event)
            return
        if function.batching is not None:
            self._batches.collect(function, function.batching, event)
            return
        refusal = self._rate_limits.refusal(function, event, self._machinery.now())
        if refusal is not None:
            self._skip(function, [event], refusal)
        elif function.debounce is not None:
            self._bursts.put_off(function, function.debounce, event)
        else:
            self._start(function, [event])

    def start(
        self, function: Function, event: Event, correlation_id: t.Optional[str] = None
    ) -> t.Union[RunState, str]:
        """Start a function at once, without batches and debounce.

        :return: the run, or the reason why there is none.
        """
        if function.faults:
            return self._fail(function, event, correlation_id)
        refusal = self._rate_limits.refusal(function, event, self._machinery.now())
        if refusal is not None:
            return self._skip(function, [event], refusal)
        return self._start(function, [event], correlation_id)

    def holds(self, event_id: str) -> bool:
        """Return True if an event waits in a batch or is delayed by a debounce."""
        return event_id in self._held

    def holds_any(self) -> bool:
        """Return True if any event waits in a batch or for a debounce."""
        return bool(self._held)

    def why_skipped(self, event_id: str) -> t.List[str]:
        """Return why functions that an event triggers did not run."""
        return self._skipped.get(event_id, [])

    def _start(
        self,
        function: Function,
        events: t.List[Event],
        correlation_id: t.Optional[str] = None,
    ) -> t.Union[RunState, str]:
        first, now = events[0], self._machinery.now()
        refusal = self._idempotency.refusal(function, first, now)
        if refusal is None:
            refusal = cancel_or_refuse(self._machinery, function, first)
        if refusal is None and self._machinery.pauses.paused(function):
            refusal = "the function is paused"
        if refusal is not None:
            return self._skip(function, events, refusal)
        delay = self._throttles.delay(function, first, now)
        if len(events) == 1:
            # an event of the future starts its run then
            delay = max(delay, first.ts / 1000 - now)
        return self._machinery.begin(function, events, delay, correlation_id)

    def _fail(
        self, function: Function, event: Event, correlation_id: t.Optional[str] = None
    ) -> RunState:
        """Start a run of a function that this server cannot run, and fail it."""
        run = self._machinery.begin(function, [event], 0.0, correlation_id)
        faults = "; ".join(function.faults)
        self._machinery.fail(
            run, local_failure(f"the local server cannot run {function.function_id}: {faults}")
        )
        return run

    def _skip(self, function: Function, events: t.List[Event], reason: str) -> str:
        text = f"{function.function_id}: {reason}"
        logger.info("no run of %s", text)
        for event in events:
            for event_id in {event.id, event.internal_id}:
                self._skipped.setdefault(event_id, []).append(text)
        return reason
