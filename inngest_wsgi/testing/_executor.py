"""The executor: starts runs, works the queue, ends runs.

Internal. Its worker threads share one lock with everything else in a server;
only the HTTP calls themselves are made without it.
"""
from __future__ import annotations

import logging
import threading
import time
from typing import Any, Callable, Dict, List, Optional

from .. import _protocol
from . import _answers, _ids, _ops, _state
from ._calls import AnswerTooLarge, Caller, CallFailed, build_call
from ._canonical import normalised
from ._clock import Clock
from ._outcomes import Failure, Outcome, Returned, server_failure
from ._queue import Call, Item, Queue, Wake
from ._signing import SigningKey
from ._state import Event, Function, HistoryEntry, RunState, utc
from ._times import retry_delay

logger = logging.getLogger("inngest_wsgi.testing")

_LIFECYCLE = (_protocol.EVENT_FUNCTION_FAILED, _protocol.EVENT_FUNCTION_FINISHED)


class Executor(_ops.Work):
    """Runs functions.

    :param key: called for the signing key at the time of each call.
    :param publish: called, with the lock held, with events the server makes.
    """

    def __init__(
        self,
        clock: Clock,
        changed: threading.Condition,
        key: Callable[[], Optional[SigningKey]],
        publish: Callable[[Event], None],
        retry_interval: Optional[float],
        max_workers: int,
        body_limit: int,
    ) -> None:
        self._clock = clock
        self._changed = changed
        self._key = key
        self._publish = publish
        self._retry_interval = retry_interval
        self._body_limit = body_limit
        self._queue = Queue(clock, changed)
        self._caller = Caller()
        self._stopping = False
        self._workers = [
            threading.Thread(
                target=self._work, name=f"inngest-local-worker-{number}", daemon=True
            )
            for number in range(max_workers)
        ]
        #: All runs by id, oldest first.
        self.runs: Dict[str, RunState] = {}
        #: The runs of an event, by its internal id and by the sender's.
        self.runs_by_event: Dict[str, List[RunState]] = {}

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

    # -- runs --------------------------------------------------------------

    def begin(self, function: Function, events: List[Event]) -> RunState:
        """Start a run and queue its first call. Needs the lock."""
        run = RunState(function, events, self.now())
        self.runs[run.run_id] = run
        for event_id in {name for event in events for name in (event.internal_id, event.id)}:
            self.runs_by_event.setdefault(event_id, []).append(run)
        self.note(run, _state.STARTED)
        self.put(Call(run, self.now()))
        return run

    def now(self) -> float:
        return self._clock.now()

    def put(self, item: Item) -> None:
        self._queue.put(item)

    def note(self, run: RunState, kind: str, **fields: Any) -> HistoryEntry:
        entry = HistoryEntry(at=round((self.now() - run.began) * 1000), kind=kind, **fields)
        run.history.append(entry)
        logger.debug(
            "run %s of %s: %s%s%s", run.run_id, run.function.function_id, kind,
            f" {entry.step!r}" if entry.step is not None else "",
            f" ({entry.detail})" if entry.detail else "",
        )
        self._changed.notify_all()
        return entry

    def retry_or_fail(self, call: Call, failure: Failure) -> None:
        self.note(
            call.run, _state.FUNCTION_ERROR, step=call.name, attempt=call.attempt,
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
            call.run, _state.RETRY_SCHEDULED, step=name or call.name, attempt=call.attempt + 1,
            retry_in=delay, until=utc(due),
        )
        self.put(call.again(due))

    def fail(self, run: RunState, failure: Failure) -> None:
        if run.ended:
            return
        run.status = _state.FAILED
        extra = {"error": failure.error}
        if failure.result is not None:
            extra["result"] = failure.result
        self._end(run, failure.output, _state.RUN_FAILED, failure.text, extra)

    def _complete(self, run: RunState, output: Any) -> None:
        run.status = _state.COMPLETED
        extra = {} if output is None else {"result": output}
        self._end(run, output, _state.RUN_COMPLETED, None, extra)

    def _end(
        self, run: RunState, output: Any, kind: str, text: Optional[str], extra: Dict[str, Any]
    ) -> None:
        run.output = output
        run.finished = self.now()
        self.note(run, kind, detail=text)
        # A function triggered by these events would otherwise set itself off
        # with its own end, for ever.
        if any(event.name in _LIFECYCLE for event in run.events):
            return
        data = {
            "_inngest": {"status": run.status},
            "event": run.events[0].sent(),
            "events": [event.stored() for event in run.events],
            "function_id": run.function.function_id,
            "run_id": run.run_id,
            **extra,
        }
        milliseconds = int(run.finished * 1000)
        fresh = _ids.ulid(milliseconds)
        if run.status == _state.FAILED:
            self._emit(_protocol.EVENT_FUNCTION_FAILED, run.run_id, data, milliseconds)
        self._emit(_protocol.EVENT_FUNCTION_FINISHED, fresh, data, milliseconds)

    def _emit(self, name: str, event_id: str, data: Dict[str, Any], milliseconds: int) -> None:
        try:
            data = normalised(data)
        except ValueError as error:
            logger.warning("no %s for run %s: %s", name, data["run_id"], error)
            return
        self._publish(Event(_ids.ulid(milliseconds), name, data, event_id, milliseconds))

    # -- work --------------------------------------------------------------

    def _work(self) -> None:
        while True:
            item = self._queue.take()
            if item is None:
                return
            try:
                self._handle(item)
            except Exception as error:
                logger.exception("the local server failed on run %s", item.run.run_id)
                with self._changed:
                    self.fail(item.run, server_failure(
                        f"a defect of the local server: {error!r}", "LocalServerError"
                    ))
            finally:
                with self._changed:
                    last = item.run.open_items == 1
                    if last and not item.run.ended and not self._stopping:
                        self._fail_stuck(item.run)
                    self._queue.done(item)

    def _handle(self, item: Item) -> None:
        if isinstance(item, Wake):
            with self._changed:
                if not item.run.ended:
                    _ops.wake(self, item)
        elif isinstance(item, Call):
            self._call(item)

    def _call(self, call: Call) -> None:
        run = call.run
        key = self._key()
        with self._changed:
            if run.ended:
                return
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
                self._complete(run, outcome.output)
            elif isinstance(outcome, Failure):
                self.retry_or_fail(call, outcome)
            else:
                _ops.apply(self, call, outcome, request.known)

    def _fail_stuck(self, run: RunState) -> None:
        """Nothing is left to do, but the run did not end (W23)."""
        reasons = "; ".join(run.oddities) or "no op that goes on was reported"
        self.fail(run, server_failure(
            f"a server would leave this run hanging, nothing is left to do: {reasons}",
            "LocalServerError",
        ))
