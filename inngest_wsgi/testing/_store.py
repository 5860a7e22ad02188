"""Keep the apps, events and keys of one server, and start runs for events."""

from __future__ import annotations

import dataclasses
import logging
import threading
import typing as t

from .. import _protocol
from ._flow.bulk import BulkCancellations
from ._flow.schedules import Schedules
from ._model import registry
from ._model.catalogue import Catalogue
from ._model.events import read_batch
from ._model.functions import Function
from ._model.messages import Message
from ._model.registry import Registration
from ._model.state import Event, RunState
from ._run.clock import Clock
from ._run.executor import Executor
from ._run.queue import Queue
from ._run.runs import Runs
from ._wire.signing import SigningKey

logger = logging.getLogger("inngest_wsgi.testing")


class Store:
    """The apps, events, keys and runs of one server."""

    def __init__(
        self,
        clock: Clock,
        key: t.Optional[SigningKey],
        event_keys: t.Optional[t.Iterable[str]],
        retry_interval: t.Optional[float],
        max_workers: int,
        body_limit: int,
    ) -> None:
        #: Guards everything here, and is notified whenever a run moves on.
        self.changed: threading.Condition = threading.Condition(threading.RLock())
        self.key = key
        #: True to refuse checkpoints of calls that were made again (W48).
        self.detect_stale = False
        self._event_keys: t.Optional[t.FrozenSet[str]] = (
            None if event_keys is None else frozenset(event_keys)
        )
        self._catalogue = Catalogue()
        self._warned: t.Set[str] = set()
        #: What apps published to channels, oldest first.
        self.published: t.List[Message] = []
        self.cancellations: BulkCancellations = BulkCancellations()
        #: How many registrations were accepted so far.
        self.registered: int = 0
        self._events: t.Dict[str, Event] = {}
        #: All of them, in their order.
        self.accepted: t.List[Event] = []
        self._queue = queue = Queue(clock, self.changed)
        self.runs: Runs = Runs(
            clock, queue, self.changed, self._publish, self.function, retry_interval
        )
        self.schedules: Schedules = Schedules(
            clock,
            queue.put,
            self.functions,
            lambda function, event: self.runs.admission.start(function, event),
        )
        self.executor: Executor = Executor(
            clock, self.changed, queue, self.runs, lambda: self.key, max_workers, body_limit
        )

    @property
    def kind(self) -> str:
        """Return ``cloud`` with a signing key, else ``dev``."""
        return _protocol.DEV if self.key is None else _protocol.CLOUD

    def accepts_event_key(self, key: str) -> bool:
        return self.key is None or self._event_keys is None or key in self._event_keys

    def reset(self) -> None:
        """Forget all events and runs, and what is queued for them.

        Apps stay registered, and the clock goes on from where it is. The answer
        to a call that is under way is not used.
        """
        with self.changed:
            self._events.clear()
            self.accepted.clear()
            self.published.clear()
            self.cancellations.made.clear()
            self._queue.clear()
            self.runs.clear()
            self.schedules.restart()
            self.changed.notify_all()

    # -- functions -----------------------------------------------------------

    def register(self, registration: Registration) -> bool:
        """Replace an app's functions; return True if the registration differs."""
        with self.changed:
            previous = self._catalogue.register(registration)
            self.registered += 1
            self._move(registration)
            self._warn(registration)
            self.schedules.registered()
            self.changed.notify_all()
        logger.info(
            "registered app %s: %s",
            registration.app_id,
            ", ".join(function.function_id for function in registration.functions),
        )
        return registry.changed(registration, previous)

    def _move(self, registration: Registration) -> None:
        """Make the calls of open runs at the new address; else they keep what they began with."""
        urls = {function.function_id: function.url for function in registration.functions}
        for run in self.runs.running():
            url = urls.get(run.function.function_id, run.function.url)
            if url != run.function.url:
                run.function = dataclasses.replace(run.function, url=url)

    def _warn(self, registration: Registration) -> None:
        """Say once of each function what it cannot do here."""
        for function in registration.functions:
            texts = [
                f"function {function.function_id}: no effect in the local server: {option}"
                for option in function.left_out
            ]
            if function.faults:
                faults = "; ".join(function.faults)
                texts.append(f"the local server cannot run {function.function_id}: {faults}")
            for text in texts:
                if text not in self._warned:
                    self._warned.add(text)
                    logger.warning("%s", text)

    def functions(self) -> t.List[Function]:
        return self._catalogue.functions()

    def function(self, function_id: str) -> Function:
        """Return a function by its full id.

        :raise LookupError: no app has it.
        """
        return self._catalogue.function(function_id)

    # -- events --------------------------------------------------------------

    def accept_events(
        self, text: str, seed: t.Optional[t.Tuple[int, int]]
    ) -> t.Tuple[t.List[str], t.Optional[str]]:
        """Accept events and start their runs.

        :return: the ids of those accepted, and why the others were not.
        """
        batch = read_batch(text, seed, self.runs.now())
        with self.changed:
            for event in batch.events:
                self._publish(event)
        return [event.internal_id for event in batch.events], batch.error

    def _publish(self, event: Event) -> None:
        # An id that was seen before, given by the sender or made from a
        # repeated seed, starts nothing (W8, W64), and is not awaited again.
        seen = event.id in self._events or event.internal_id in self._events
        self.accepted.append(event)
        self._events[event.internal_id] = event
        self._events.setdefault(event.id, event)
        if seen:
            return
        # What is running first: an event does not cancel the run it starts.
        self.runs.receive(event)
        for function in self._catalogue.triggered_by(event.name, event.sent()):
            self.runs.admission.offer(function, event)

    def knows_event(self, event_id: str) -> bool:
        return event_id in self._events

    def runs_of(self, event_id: str) -> t.List[RunState]:
        """Return the runs that an event triggered, by either of its ids."""
        return list(self.runs.by_event.get(event_id, ()))

    def first_run_of(self, event_id: str) -> t.Optional[RunState]:
        """Return the first of :meth:`runs_of`; None if there is none."""
        found = self.runs.by_event.get(event_id)
        return found[0] if found else None

    def expects_run_of(self, event_id: str) -> bool:
        """Return True if an event waits in a batch or a burst."""
        return self.runs.admission.holds(event_id)

    def why_no_run(self, event_id: str) -> str:
        """Return a text that says why an event started no run."""
        reasons = self.runs.admission.why_skipped(event_id)
        return "; ".join(reasons) or (
            "no registered function has it as a trigger, or its id was used before"
        )

    def fire(self, function: Function, event: Event) -> RunState:
        """Start a run for an event that no other function sees.

        :raise LookupError: a setting of the function forbids it.
        """
        with self.changed:
            run = self.runs.admission.start(function, event)
            if isinstance(run, str):
                raise LookupError(f"the function {function.function_id} was not started: {run}")
            return run
