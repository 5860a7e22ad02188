"""The runs: how they begin, what is noted of them, and how they end.

Internal. The executor adds the queue and the calls.
"""

from __future__ import annotations

import logging
import threading
import typing as t

from ... import _protocol
from .._flow.admission import Admission, Starter
from .._flow.concurrency import slots
from .._model import state
from .._model.functions import Function
from .._model.state import Event, HistoryEntry, RunState
from .._ops import invokes, waits
from .._wire.canonical import canonical
from .._wire.outcomes import Failure, local_failure
from .lifecycle import NAMES, lifecycle_events
from .queue import Call, Timer
from .work import Work

logger = logging.getLogger("inngest_wsgi.testing")

_TARGETED = (_protocol.OP_STEP, _protocol.OP_STEP_RUN)


class Runs(Work, Starter):
    """All runs of a server. Every method needs the lock.

    :param changed: the server's condition, also its lock.
    :param publish: called with events the server makes.
    :param find: called for a function by its full id; raises a LookupError
        if there is none.
    """

    def __init__(
        self,
        changed: threading.Condition,
        publish: t.Callable[[Event], None],
        find: t.Callable[[str], Function],
    ) -> None:
        super().__init__()
        self._changed = changed
        self._publish = publish
        self._find = find
        self._stopping = False
        #: All runs by id, oldest first.
        self.runs: t.Dict[str, RunState] = {}
        #: The runs of an event, by its internal id and by the sender's.
        self.runs_by_event: t.Dict[str, t.List[RunState]] = {}
        #: Those that have not ended.
        self._live: t.Dict[str, RunState] = {}
        self.admission = Admission(self)

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
        self.note(run, state.STARTED, detail=f"a rerun of {old.run_id}")
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
        run.slots = slots(function, events[0].sent())
        self.runs[run.run_id] = self._live[run.run_id] = run
        for event_id in {name for event in events for name in (event.internal_id, event.id)}:
            self.runs_by_event.setdefault(event_id, []).append(run)

        def start_timeout() -> None:
            if not run.called:
                self.cancel(run, "the start timeout is over")

        def finish_timeout() -> None:
            self.cancel(run, "the finish timeout is over")

        for seconds, action in (
            (function.start_timeout, start_timeout),
            (function.finish_timeout, finish_timeout),
        ):
            if seconds is not None:
                self.put(Timer(run, self.now() + seconds, action, background=True))
        return run

    def invoke(
        self, function_id: str, event: Event, correlation_id: str
    ) -> t.Union[RunState, str]:
        return self.admission.start(self._find(function_id), event, correlation_id)

    def running(self, function: Function) -> t.List[RunState]:
        return [
            run for run in self._live.values() if run.function.function_id == function.function_id
        ]

    def receive(self, event: Event) -> None:
        """Give an event to what waits for it, and to what it cancels."""
        waits.receive(self, event)
        form = event.sent()
        for run in list(self._live.values()):
            for cancelling in run.function.cancelling:
                if cancelling.event != event.name:
                    continue
                age = self.now() - run.began
                if cancelling.timeout is not None and age > cancelling.timeout:
                    continue
                condition = cancelling.condition
                if condition is None or condition.matches(run.events[0].sent(), form):
                    self.cancel(run, f"by the event {event.name}")
                    break

    def signal(self, name: str, data: t.Any) -> t.Optional[RunState]:
        """Give a signal to the run that waits for it; None if none does."""
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
        """Cancel a run; whether it had not ended yet."""
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
        self.note(run, kind, detail=text)
        try:
            events = lifecycle_events(run, run.finished, extra)
        except ValueError as error:
            logger.warning("events of run %s without its result: %s", run.run_id, error)
            events = lifecycle_events(run, run.finished, {})
        # A function triggered by these events would otherwise set itself off
        # with its own end, for ever.
        if not any(event.name in NAMES for event in run.events):
            for event in events:
                self._publish(event)
        invokes.child_ended(self, run, events[-1])

    def fail_if_stuck(self, run: RunState) -> None:
        if run.open_items == 0:
            self._fail_stuck(run)

    def _fail_stuck(self, run: RunState) -> None:
        """Nothing is left to do, but the run did not end (W23)."""
        if run.ended or self._stopping:
            return
        reasons = list(dict.fromkeys(run.oddities))
        ended = sorted(run.names.get(step, step) for step in run.pending if step in run.memos)
        if ended:
            reasons.append(
                f"a call that was answered late made it wait for {', '.join(map(repr, ended))}, "
                "which had ended, and the op that ended last did not say "
                "parallelMode: race (W69)"
            )
        self.fail(
            run,
            local_failure(
                "a server would leave this run hanging, nothing is left to do: "
                + ("; ".join(reasons) or "no op that goes on was reported")
            ),
        )
