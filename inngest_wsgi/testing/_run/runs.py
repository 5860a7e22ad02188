"""Begin runs, keep their history, and end them."""

from __future__ import annotations

import logging
import threading
import typing as t

from ... import _protocol
from .._expressions.listeners import Listeners
from .._flow.admission import Admission
from .._flow.cancellation import cancel_by_event, listen, start_timeouts
from .._flow.concurrency import slots
from .._flow.pause import Pauses
from .._flow.priority import priority_of, turn
from .._flow.singleton import Singletons
from .._model import state
from .._model.functions import Function
from .._model.state import Event, HistoryEntry, RunState
from .._ops import invokes, waits
from .._wire.canonical import canonical
from .._wire.outcomes import Failure, Op, local_failure
from .clock import Clock
from .items import Call, Item
from .lifecycle import NAMES, lifecycle_events
from .memos import STATE_LIMIT, STEP_COUNT_LIMIT
from .queue import Queue

logger = logging.getLogger("inngest_wsgi.testing")

_TARGETED = (_protocol.OP_STEP, _protocol.OP_STEP_RUN)


class Runs:
    """All runs of a server; implements :class:`~.machinery.Machinery`.

    Every method needs the server's lock.

    :param changed: the server's condition, also its lock.
    :param publish: called with events the server makes.
    :param find: called for a function by its full id; raises a LookupError
        if there is none.
    :param retry_interval: seconds between attempts; None for the backoff of a
        real server.
    """

    def __init__(
        self,
        clock: Clock,
        queue: Queue,
        changed: threading.Condition,
        publish: t.Callable[[Event], None],
        find: t.Callable[[str], Function],
        retry_interval: t.Optional[float],
    ) -> None:
        self._clock = clock
        self._queue = queue
        self._changed = changed
        self._publish = publish
        self._find = find
        self.retry_interval = retry_interval
        self.step_count_limit = STEP_COUNT_LIMIT
        self.state_limit = STATE_LIMIT
        self.intercept: t.Callable[[t.Any, Op], bool] = lambda report, op: False
        #: True once the server stops: from then on no run fails as stuck.
        self.stopping = False
        self.by_id: t.Dict[str, RunState] = {}
        self.clear()

    def clear(self) -> None:
        """Forget all runs, and all that rules and steps have recorded or wait for.

        Answers to calls under way are not used any more; no events are sent.
        """
        for run in self.by_id.values():
            if not run.ended:
                run.status = state.CANCELLED
        self.waits: Listeners[t.Any] = Listeners()
        self.cancellations: Listeners[t.Tuple[RunState, int]] = Listeners()
        self.signals: t.Dict[str, t.Any] = {}
        self.invokes: t.Dict[str, t.Any] = {}
        #: All runs by id, oldest first.
        self.by_id = {}
        #: The runs of an event, by its internal id and by the sender's.
        self.by_event: t.Dict[str, t.List[RunState]] = {}
        #: Those that have not ended.
        self._live: t.Dict[str, RunState] = {}
        self.singletons: Singletons = Singletons()
        self.pauses: Pauses = Pauses()
        self.admission: Admission = Admission(self)

    # -- time and the queue ----------------------------------------------------

    def now(self) -> float:
        return self._clock.now()

    def app_now(self) -> float:
        return self._clock.app_now()

    def put(self, item: Item) -> None:
        if isinstance(item, Call):
            item.due = turn(item, self.now())
        self._queue.put(item)

    def put_once(self, job: str, item: Item) -> bool:
        assert item.run is not None
        if job in item.run.jobs:
            return False
        item.run.jobs.add(job)
        self.put(item)
        return True

    def drop(self, item: Item) -> None:
        self._queue.drop(item)

    # -- the beginning ---------------------------------------------------------

    def begin(
        self,
        function: Function,
        events: t.List[Event],
        delay: float = 0.0,
        correlation_id: t.Optional[str] = None,
    ) -> RunState:
        """Start a run and queue its first call."""
        run = self._enter(function, events)
        run.correlation_id = correlation_id
        detail = f"a batch of {len(events)} events" if len(events) > 1 else None
        if delay:
            detail = f"throttled for {delay:g} s"
        self.note(run, state.STARTED, detail=detail)
        self.put(Call(run, self.now() + delay))
        return run

    def rerun(self, old: RunState, step_id: t.Optional[str], override: t.Any) -> RunState:
        """Start a run like an old one.

        :param step_id: the step to begin with. The memos of those that were
            reported before it are taken over. Only a step that ran, and was
            not planned, is called directly (W16, W77).
        :param override: its memo ``{"input": [...]}``, or None.
        """
        run = self._enter(old.function, old.events)
        self.note(run, state.STARTED, detail=f"rerun of {old.run_id}")
        if step_id is None:
            self.put(Call(run, self.now()))
            return run
        names = run.names = dict(old.names)
        reported = list(names)
        before = set(reported[: reported.index(step_id)])
        run.stack = [finished for finished in old.stack if finished in before]
        run.memos = {finished: old.memos[finished] for finished in run.stack}
        run.memo_bytes = sum(len(canonical(memo)) for memo in run.memos.values())
        if override is not None:
            run.inputs[step_id] = override
        after = run.stack[-1] if run.stack else ""
        call = Call(run, self.now(), after=after)
        if old.ops.get(step_id) in _TARGETED:
            call = Call(run, self.now(), step_id, names[step_id], after=after)
        self.put(call)
        return run

    def _enter(self, function: Function, events: t.List[Event]) -> RunState:
        run = RunState(function, events, self.now())
        event = events[0].sent()
        run.slots, run.priority = slots(function, event), priority_of(function, event)
        self.by_id[run.run_id] = self._live[run.run_id] = run
        self.singletons.enter(run)
        for event_id in {name for event in events for name in (event.internal_id, event.id)}:
            self.by_event.setdefault(event_id, []).append(run)
        listen(self, run)
        start_timeouts(self, run)
        return run

    def invoke(
        self, function_id: str, event: Event, correlation_id: str
    ) -> t.Union[RunState, str]:
        return self.admission.start(self._find(function_id), event, correlation_id)

    def running(self, function: t.Optional[Function] = None) -> t.List[RunState]:
        return [
            run
            for run in self._live.values()
            if function is None or run.function.function_id == function.function_id
        ]

    def busy(self) -> bool:
        """Return True if a run is going on, or an event waits in a batch or a burst."""
        return bool(self._live) or self.admission.holds_any()

    def receive(self, event: Event) -> None:
        """Resume the steps that wait for an event, and cancel the runs that it cancels."""
        waits.receive(self, event)
        cancel_by_event(self, event)

    def signal(self, name: str, data: t.Any) -> t.Optional[RunState]:
        """Resume the step that waits for a signal; return its run, or None if no step waits."""
        return waits.signal(self, name, data)

    # -- meanwhile -------------------------------------------------------------

    def note(self, run: RunState, kind: str, **fields: t.Any) -> HistoryEntry:
        entry = HistoryEntry(at=round((self.now() - run.began) * 1000), kind=kind, **fields)
        run.history.append(entry)
        logger.debug(
            "run %s of %s: %s%s%s",
            run.run_id,
            run.function.function_id,
            kind,
            f" {entry.step!r}" if entry.step is not None else "",
            f" ({entry.detail})" if entry.detail else "",
        )
        self._changed.notify_all()
        return entry

    def publish(self, event: Event) -> None:
        self._publish(event)

    # -- the end ---------------------------------------------------------------

    def fail(self, run: RunState, failure: Failure) -> None:
        if run.ended:
            return
        run.status = state.FAILED
        run.error = failure.error
        extra = {"error": failure.error}
        if failure.result is not None:
            extra["result"] = failure.result
        self._end(run, failure.output, state.RUN_FAILED, failure.text, extra)

    def complete(self, run: RunState, output: t.Any) -> None:
        run.status = state.COMPLETED
        self._end(run, output, state.RUN_COMPLETED, None, {"result": output})

    def cancel(self, run: RunState, reason: str) -> bool:
        """Cancel a run; return False if it had ended already."""
        if run.ended:
            return False
        run.status = state.CANCELLED
        self._end(run, None, state.RUN_CANCELLED, reason, {})
        return True

    def _end(
        self,
        run: RunState,
        output: t.Any,
        kind: str,
        text: t.Optional[str],
        extra: t.Dict[str, t.Any],
    ) -> None:
        run.output = output
        run.finished = self.now()
        self._live.pop(run.run_id, None)
        self.singletons.leave(run)
        run.encoded.clear()
        self.waits.forget(run)
        self.cancellations.forget(run)
        self.note(run, kind, detail=text)
        try:
            events = lifecycle_events(run, run.finished, extra)
        except ValueError as error:
            logger.warning(
                "the lifecycle events of run %s are sent without its result: %s", run.run_id, error
            )
            events = lifecycle_events(run, run.finished, {})
        # A function triggered by these events would otherwise start itself
        # with the end of each run, for ever.
        if not any(event.name in NAMES for event in run.events):
            for event in events:
                self._publish(event)
        invokes.child_ended(self, run, events[-1])

    def fail_if_stuck(self, run: RunState) -> None:
        if run.open_items == 0:
            self.fail_stuck(run)

    def fail_stuck(self, run: RunState) -> None:
        """Fail a run that has not ended and has nothing left to do (W23)."""
        if run.ended or self.stopping:
            return
        reasons = list(dict.fromkeys(run.stuck_reasons))
        ended = sorted(run.names.get(step, step) for step in run.pending if step in run.memos)
        if ended:
            reasons.append(
                "the answer to an earlier call arrived late and made the run wait for "
                f"{', '.join(map(repr, ended))}, which had ended already, and the op of the "
                "step that ended last did not have parallelMode: race (W69)"
            )
        self.fail(
            run,
            local_failure(
                "nothing is left to do in this run, so a real server would leave it hanging: "
                + ("; ".join(reasons) or "the app reported no op that continues the run")
            ),
        )
