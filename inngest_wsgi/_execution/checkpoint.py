"""Send the steps that have succeeded to the server while their call goes on
(PROTOCOL section 9, W45 to W50).

A call goes on only as long as the server accepts its checkpoints. A step that
the server did not accept is reported in the answer to the call, as it would be
without checkpointing: nothing is lost. It may be stored all the same, if only
the server's answer got lost; the server then keeps the first value. Of several
steps that were not accepted, the others run again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import typing as t

from .. import _protocol as p, errors
from .._codec import decode, encode
from .._messages import Call, Failed, Op, Outcome, Returned, StepId, StepsReported
from .._server_api.client import Http
from .._server_api.response import Answer
from .._server_api.retry import CHECKPOINT_RETRY
from ..checkpointing import Checkpointing
from . import failures

#: The longest time that one checkpoint may hold a call up, in seconds.
DEADLINE_S = 2.0
#: Checkpoints that fail in a row before a process makes none for a while, and
#: for how long, in seconds.
MAX_FAILURES = 2
PAUSE_S = 60.0
#: Steps are sent once their outputs have so many bytes, however few they are.
MAX_BYTES = 1024 * 1024
#: A larger output of a function is not sent together with steps: there is a
#: limit for the whole answer.
MAX_FINAL_BYTES = 1024 * 1024

#: The id of a ``RunComplete``; the server reads no meaning into it (W33).
_COMPLETE = StepId("complete", 0, "0737c22d3bfae812339732d14d8c7dbd6dc4e09c")

_STALE = (
    "The Inngest server has made this call again and does not wait for this one any more, so it "
    "was ended. No step is lost."
)
_PAUSED = (
    "Checkpointing is off in this process for %d seconds, because %d checkpoints in a row failed: "
    "%s. Steps are reported one in each call meanwhile."
)

_log = logging.getLogger("inngest_wsgi")


class Checkpoints:
    """Begins the checkpoints of the calls of one endpoint.

    Remembers for this process that the API does not answer, so that not every
    call has to wait for it.

    :param http: makes the requests
    :param clock: returns seconds that only go up
    :param timers: False if no thread is to send steps after ``max_interval``
    """

    def __init__(
        self,
        http: Http,
        clock: t.Callable[[], float] = time.monotonic,
        timers: bool = True,
    ) -> None:
        self._http = http
        self.timers = timers
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._paused_until: t.Optional[float] = None

    def begin(self, call: Call, policy: Checkpointing) -> t.Optional["Checkpoint"]:
        """Return the checkpoint of a call; None if it is to end at its first
        step.

        A call that is tried again ends there too, so that the steps after it
        have attempts of their own.

        :param call: of a server that says which item of its queue it is
        """
        if (
            call.target is not None
            or call.plan_only
            or call.attempt > 0
            or not decode.RUN_ID.fullmatch(call.run_id)
            or call.function_uuid is None
            or self._is_paused()
        ):
            return None
        return Checkpoint(self, call, policy, self._clock)

    def send(self, call: Call, body: bytes, deadline_s: float) -> Answer:
        """Send one checkpoint.

        :param deadline_s: the longest time for all attempts, in seconds
        :raises errors.ApiError: there was no answer in time
        """
        path = p.PATH_CHECKPOINT.format(call.run_id)
        try:
            answer = self._http.api(
                "POST",
                path,
                body=body,
                headers=call.trace,
                retry=CHECKPOINT_RETRY,
                deadline_s=deadline_s,
            )
        except errors.ApiError as error:
            self._note_failure(str(error))
            raise
        if 200 <= answer.status < 300 or answer.status in (400, 409, 413):
            # the server works, whatever it says of this run
            self._failures = 0
        else:
            self._note_failure(answer.error())
        return answer

    def _note_failure(self, reason: str) -> None:
        with self._lock:
            self._failures += 1
            if self._failures < MAX_FAILURES or self._paused_until is not None:
                return
            self._paused_until = self._clock() + PAUSE_S
        _log.warning(_PAUSED, PAUSE_S, MAX_FAILURES, reason)

    def _is_paused(self) -> bool:
        until = self._paused_until
        if until is None:
            return False
        with self._lock:
            if self._clock() < until:
                return True
            self._paused_until, self._failures = None, 0
        return False


class Checkpoint:
    """The steps of one call that have run and are not reported yet.

    :param policy: how many are sent together, and when the call is to end
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        call: Call,
        policy: Checkpointing,
        clock: t.Callable[[], float],
    ) -> None:
        self._checkpoints = checkpoints
        self._call = call
        self._max_steps = policy.buffered_steps
        self._interval_s = policy.interval_s if checkpoints.timers else None
        self._clock = clock
        self._began_ms = int(time.time() * 1000)
        self._end = clock() + policy.runtime_s
        self._has_steps = False
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._unsent: t.List[Op] = []
        self._unsent_bytes = 0
        self._timer: t.Optional[threading.Timer] = None
        #: True once the server has not accepted a checkpoint
        self._has_failed = False
        #: True once the server has said that it made the call again
        self._is_stale = False

    @property
    def is_over(self) -> bool:
        """True if a step has run in this call, and no other one is to."""
        return self._has_steps and self._clock() >= self._end

    def add(self, op: Op) -> t.Optional[Outcome]:
        """Take a step that has succeeded, and send what there is if it is time.

        :returns: None if the call may go on, else what it ends in
        """
        self._has_steps = True
        asked = time.monotonic()
        with self._locked():
            self._unsent.append(op)
            self._unsent_bytes += len(op.data)
            if op.opts is not None and "input" in op.opts:
                self._unsent_bytes += encode.MAX_INPUT_BYTES
            is_due = len(self._unsent) >= self._max_steps or self._unsent_bytes >= MAX_BYTES
            if not is_due and not self._has_failed and not self._is_stale:
                is_due = not self._start_timer()
            if self._has_failed or self._is_stale or (is_due and not self._send(asked)):
                return self._answer()
        return None

    def finish(self, outcome: Outcome) -> Outcome:
        """Return the answer to the call: its outcome, or the steps that the
        server has not accepted.

        What the function raised or came to after these comes again, with the
        next call.
        """
        asked = time.monotonic()
        with self._locked():
            self._stop_timer()
            if self._is_stale:
                return self._answer()
            if not self._unsent or (not self._has_failed and self._send(asked)):
                return outcome
            if self._is_stale or not isinstance(outcome, Returned):
                return self._answer()
            if len(outcome.data) > MAX_FINAL_BYTES:
                return self._answer()
            # the server's API would not show the output of a run that ends in
            # this way (W33), so only where the steps must be in the answer
            complete = Op(p.OP_RUN_COMPLETE, _COMPLETE, "complete", data=outcome.data)
            return StepsReported([*self._unsent, complete])

    def _answer(self) -> Outcome:
        """End the call in what the server has not accepted."""
        if self._is_stale:
            # to repeat a step would be for another call to do
            return Failed(*failures.describe(errors.StaleCallError(_STALE)))
        # only one: after several, the server would make a call after each, side
        # by side (W25), and such calls plan steps that have ended (W69)
        first, self._unsent = self._unsent[:1], []
        return StepsReported(first)

    def close(self) -> None:
        """Send nothing more: the call has ended, or its process is about to."""
        with self._locked():
            self._stop_timer()
            self._unsent = []

    def _locked(self) -> threading.Lock:
        """Return the lock. In a process that a step has forked it is another
        one: the timer's thread may have held the first, and is not there."""
        if self._pid != os.getpid():
            self._pid, self._lock, self._timer = os.getpid(), threading.Lock(), None
        return self._lock

    def _send(self, asked: float) -> bool:
        """Send what there is; return True if the server stored it.

        :param asked: since when the call waits, by ``time.monotonic()``: a
            checkpoint of the timer's may have been under way
        """
        self._stop_timer()
        call = self._call
        body = encode.checkpoint(call, self._unsent, self._began_ms, int(time.time() * 1000))
        remaining_s = max(0.05, DEADLINE_S - (time.monotonic() - asked))
        try:
            answer = self._checkpoints.send(call, body, remaining_s)
        except errors.ApiError as error:
            _log.info("Run %s: a checkpoint failed: %s", call.run_id, error)
            self._has_failed = True
            return False
        except BaseException:
            # a timeout of gevent's, or the end of the process
            self._has_failed = True
            raise
        if 200 <= answer.status < 300:
            self._unsent, self._unsent_bytes = [], 0
            return True
        if answer.status == 409:
            self._is_stale = True
            _log.warning("Run %s: %s", call.run_id, _STALE)
        else:
            self._has_failed = True
            _log.info("Run %s: a checkpoint was refused: %s", call.run_id, answer.error())
        return False

    def _start_timer(self) -> bool:
        """Have the steps sent after the interval; return False if the system has
        no more threads."""
        if self._interval_s is not None and self._timer is None:
            timer = threading.Timer(self._interval_s, self._send_late)
            timer.daemon = True
            try:
                timer.start()
            except RuntimeError:
                return False
            self._timer = timer
        return True

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send_late(self) -> None:
        """Send what there is while a step runs, in the timer's thread."""
        with self._lock:
            if self._unsent and not self._has_failed and not self._is_stale:
                self._send(time.monotonic())
