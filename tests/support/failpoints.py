"""Carry out a random program with checkpointing, and let something fail at one
point of it: each point in turn, in each way that is possible there.

A point is a call, the beginning or end of a step's body, a request with a
checkpoint, or an answer. Which points there are is found out by a run in which
nothing fails. Time is virtual, and a timer fires while a step runs.
"""

import hashlib
import json
import logging
import threading
import types
import typing as t
from unittest import mock

import chaos
import programs
import urllib3
import werkzeug.test

import inngest_wsgi as inngest
from inngest_wsgi._execution import checkpoint
from inngest_wsgi._server_api import retry
from inngest_wsgi.testing._http.inprocess import InProcessCaller
from inngest_wsgi.testing._stepping import Stepper
from inngest_wsgi.testing._wire.outcomes import Failure, Reported

CALL, BEGINS, ENDS, CHECKPOINT, ANSWER = "call", "begins", "ends", "checkpoint", "answer"


class Timeout(BaseException):
    """As gevent's."""


class ProcessKilled(SystemExit):
    """As gunicorn ends a worker."""


class Fault(t.NamedTuple):
    """Something that fails.

    :ivar stores: whether the server has acted on the request nevertheless.
    :ivar status: of the answer that the application gets; None for ``error``.
    :ivar times: how many requests in a row fail.
    """

    name: str
    stores: bool = False
    status: t.Optional[int] = None
    error: t.Any = None
    times: int = 1


def _lost():
    return urllib3.exceptions.ProtocolError("lost")


def _refused():
    return urllib3.exceptions.NewConnectionError(None, "refused")  # type: ignore[arg-type]


def _slow():
    return urllib3.exceptions.ReadTimeoutError(None, "", "slow")  # type: ignore[arg-type]


STALE = Fault("409", status=409)
KILLED = Fault("killed before it", error=ProcessKilled)
KILLED_AFTER = Fault("killed after it", True, error=ProcessKilled)
SERVER_DIES = Fault("the server's worker dies")
APP_DIES = Fault("the application cannot be reached")

log = logging.getLogger("inngest_wsgi")

#: How often a checkpoint is tried.
TRIES = 2

FAULTS = {
    CALL: [SERVER_DIES, APP_DIES],
    BEGINS: [KILLED],
    ENDS: [KILLED],
    CHECKPOINT: [
        STALE,
        KILLED,
        KILLED_AFTER,
        Fault("400", status=400),
        Fault("400, but stored", True, status=400),
        Fault("401", status=401),
        Fault("413", status=413),
        Fault("503 once", status=503),
        Fault("503", status=503, times=TRIES),
        Fault("503, but stored", True, status=503, times=TRIES),
        Fault("refused once", error=_refused),
        Fault("refused", error=_refused, times=TRIES),
        Fault("the answer is lost once", True, error=_lost),
        Fault("the answer is lost", True, error=_lost, times=TRIES),
        Fault("slow", error=_slow, times=TRIES),
        Fault("slow, but stored", True, error=_slow, times=TRIES),
        Fault("timeout", error=Timeout),
        Fault("timeout after it", True, error=Timeout),
        Fault("down from now on", error=_refused, times=1000),
    ],
    ANSWER: [SERVER_DIES, APP_DIES],
}

#: The seconds that the body of a step takes, and a slow checkpoint.
STEP_S, SLOW_S = 1.0, 2.0

#: The most actions in one run; a run that ends needs fewer.
MOST_ACTIONS = 1000


class Seals(inngest.Middleware):
    """Stores the outputs of steps in another form, as one that encrypts would."""

    def transform_output(self, result):
        if result.step is not None and result.error is None:
            result.output = {"sealed": json.dumps(result.output)}

    def transform_input(self, ctx, function, steps):
        for memo in steps.values():
            if isinstance(memo.data, dict):
                # a KeyError, if it was opened before
                memo.data = json.loads(memo.data["sealed"])


class Laboratory:
    """An application with one program as its function.

    :param checkpointing: the arguments of that name, by ``function``,
        ``serve`` and ``client``.
    :param seals: whether there is middleware.
    """

    def __init__(self, program, checkpointing, seals=False):
        self.program = program
        self.trial: t.Optional[Trial] = None
        client = inngest.Inngest(
            app_id="shop",
            is_production=False,
            middleware=[Seals] if seals else [],
            checkpointing=checkpointing.get("client"),
        )
        declare = client.create_function(
            fn_id="f",
            trigger=inngest.TriggerEvent(event="test/event"),
            checkpointing=checkpointing.get("function"),
        )
        function = declare(lambda ctx: Watched(ctx, self.trial).run(program))
        self.application = inngest.serve(
            client, [function], checkpointing=checkpointing.get("serve"), http=self
        )
        self.stepper = Stepper(InProcessCaller(self.application), retry_interval=1.0)
        self.stepper.register(chaos.REGISTRATION)

    def play(self, faults, **options):
        """Carry out the program once.

        :param faults: by kind and number of the point.
        """
        clocked = types.SimpleNamespace(Lock=threading.Lock, Timer=self.make_timer)
        once = retry.Retry(attempts=TRIES, backoff_s=0)
        with mock.patch.object(checkpoint, "threading", clocked):
            with mock.patch.object(checkpoint, "CHECKPOINT_RETRY", once):
                trial = self.trial = Trial(self.stepper, faults, **options)
                calls = self.application._router._calls
                calls._checkpoints = checkpoint.Checkpoints(calls._http, lambda: trial.time)
                # the programs raise errors on purpose; they are not logged
                log.disabled = True
                try:
                    return trial.play()
                finally:
                    log.disabled = False

    def make_timer(self, seconds, function):
        return Timer(self.trial, seconds, function)

    def request(self, method, url, body=b"", headers=None, **options):
        """As urllib3's, of the server's API."""
        assert self.trial is not None
        return self.trial.checkpoint(method, url.partition("8288")[2], body)


class Timer:
    """As :class:`threading.Timer`; fires in the body of a step."""

    def __init__(self, trial, seconds, function):
        self.trial, self.due, self.function = trial, trial.time + seconds, function

    def start(self):
        self.trial.timers.append(self)

    def cancel(self):
        if self in self.trial.timers:
            self.trial.timers.remove(self)


class Watched(programs.Interpreter):
    def __init__(self, ctx, trial):
        super().__init__(ctx, lambda step, well: trial.body(step, well, ctx.attempt))
        self.trial = trial

    def step(self, branch, name, failures, value):
        user_id = branch + name
        found = super().step(branch, name, failures, value)
        self.trial.saw((user_id, self.uses[user_id]), found)
        return found


class Trial:
    """One run of a program.

    :ivar points: all points that the run came to, in their order.
    :ivar bodies: the steps that ran, with their success and attempt.
    :ivar seen: the result of each step, as the function got it, as JSON text.
    """

    def __init__(self, stepper, faults, policy=None, last_first=False, kills_are_attempts=True):
        self.faults = dict(faults)
        #: the Checkpointing, if there is one
        self.buffered = policy.buffered_steps if policy else 1
        self.runtime_s = policy.runtime_s if policy else float("inf")
        self.last_first = last_first
        self.kills_are_attempts = kills_are_attempts
        self.time = 0.0
        self.points: t.List[t.Tuple[str, int]] = []
        self.counts: t.Dict[str, int] = {}
        self.bodies: t.List[t.Any] = []
        self.seen: t.Dict[t.Any, str] = {}
        self.timers: t.List[Timer] = []
        self.calls = 0
        self.problems: t.List[str] = []
        self.log: t.List[str] = []
        self.failing: t.Optional[Fault] = None
        self.fails_for = 0
        self.call = types.SimpleNamespace()
        self.stepper = stepper
        self.event_id = stepper.send("test/event")

    @property
    def run(self):
        (run,) = self.stepper.runs(self.event_id)
        return run

    def play(self):
        for _ in range(MOST_ACTIONS):
            if self.run.ended:
                break
            ready = self.stepper.ready()
            if not ready:
                if not self.stepper.pass_time():
                    break
                continue
            exchange = self.stepper.dispatch(ready[-1 if self.last_first else 0])
            if exchange is not None:
                self.carry_out(exchange)
        if not self.run.ended:
            self.problems.append("the run does not end")
        return self

    @property
    def end(self):
        """The status and the output or message of the run."""
        run = self.run
        if run.status == "Completed":
            return ["ok", run.output]
        return ["failed", (run.output or {}).get("message", run.output)]

    # -- points -----------------------------------------------------------

    def at(self, kind):
        """Come to a point; return the fault that happens there, or None."""
        number = self.counts[kind] = self.counts.get(kind, 0) + 1
        self.points.append((kind, number))
        fault = self.faults.get((kind, number))
        if fault is not None:
            self.log.append(f"{kind} {number}: {fault.name}")
        return fault

    def carry_out(self, exchange):
        fault = self.at(CALL)
        if fault is not None:
            self.answer_is_lost(exchange, fault is APP_DIES)
            return
        self.calls += 1
        self.log.append(f"call for {exchange.item.name or exchange.item.step_id}")
        call = self.call = types.SimpleNamespace(
            ran=[],
            sent=0,
            accepted=[],
            refused=[],
            is_stale=False,
            is_dead=False,
            timed_out=False,
            ends=self.time + self.runtime_s,
        )
        self.timers = []
        result = None
        try:
            result = self.stepper.perform(exchange)
        except BaseException as exc:
            if not isinstance(exc, (ProcessKilled, Timeout)):
                raise
            call.is_dead = True
        else:
            if call.is_dead:
                self.problems.append("a process that was killed has answered")
        if self.timers:
            self.problems.append("a timer was left")
        if exchange.item.attempt and (len(call.ran) > 1 or call.sent):
            self.problems.append("a call that was tried again went on after its step")
        if exchange.item.targeted and call.sent:
            self.problems.append("a call for one step sent a checkpoint")
        fault = self.at(ANSWER) if not call.is_dead else None
        if call.is_stale and not call.is_dead:
            if not isinstance(result, Failure) or result.retriable:
                self.problems.append(f"a stale call was answered {result}")
            self.stepper.redo(exchange)
        elif call.is_dead or fault is not None:
            self.answer_is_lost(exchange, fault is APP_DIES or self.kills_are_attempts)
        else:
            self.stepper.settle(exchange, result)
        self.check_lost(call, result, fault)

    def answer_is_lost(self, exchange, is_attempt):
        """Have the call made again.

        :param is_attempt: as another attempt; never if that was the last one.
        """
        if is_attempt and exchange.item.attempt + 1 < programs.ATTEMPTS:
            self.stepper.settle(exchange, chaos.UNREACHABLE)
        else:
            self.stepper.redo(exchange)

    def check_lost(self, call, result, answer_fault):
        """Check which steps of a call that ran well are not stored: only those
        that had no way to the server."""
        ops = result.ops if isinstance(result, Reported) else []
        if sum(op.op == "StepRun" for op in ops) > 1 and not has_run_complete(result):
            # the server would make a call after each of them
            self.problems.append("an answer has several steps")
        stored = self.run.steps
        lost = [step for step in call.ran if hashed(step) not in stored]
        self.log.append(f"  ran {call.ran}, lost {lost}, {chaos.said(result)}")
        most = 0
        if call.is_dead or call.is_stale or call.timed_out or answer_fault is not None:
            # the one that ran while a timer sent those before it comes on top
            most = self.buffered + 1
        elif call.refused and not has_run_complete(result):
            # the first of them is in the answer
            most = len(call.refused) - 1
            if call.ran[-1] not in call.refused:
                most += 1
        if len(lost) > most or not set(lost) <= {*call.refused, *call.ran[-self.buffered - 1 :]}:
            self.problems.append(f"lost {lost}, of which {most} may be")

    def body(self, step, well, attempt):
        """Note that the body of a step runs."""
        if self.call.is_stale or self.call.is_dead:
            self.problems.append(f"step {step} ran after the call had ended")
        if self.call.ran and self.time >= self.call.ends:
            self.problems.append(f"step {step} ran after the longest runtime")
        if self.call.refused:
            self.problems.append(f"step {step} ran after a checkpoint had failed")
        if hashed(step) in self.run.steps:
            self.problems.append(f"step {step} ran again, although it is stored")
        if self.at(BEGINS) is not None:
            self.call.is_dead = True
            raise ProcessKilled
        for timer in list(self.timers):
            if self.time + STEP_S >= timer.due:
                timer.cancel()
                try:
                    timer.function()
                except ProcessKilled:
                    # the process is gone, and so is this thread
                    self.call.is_dead = True
                    raise
                except Timeout:
                    pass
        self.time += STEP_S
        self.bodies.append((step, well, attempt))
        self.log.append(f"  {step} runs {'well' if well else 'badly'}")
        if well:
            self.call.ran.append(step)
        if self.at(ENDS) is not None:
            self.call.is_dead = True
            raise ProcessKilled

    def saw(self, step, value):
        """Note the result of a step, as the function got it."""
        text = json.dumps(value)
        if self.seen.setdefault(step, text) != text:
            self.problems.append(f"step {step} returned {text}, and before {self.seen[step]}")

    def checkpoint(self, method, path, body):
        call = self.call
        if call.is_dead:
            self.problems.append("a killed process sent a checkpoint")
        call.sent += 1
        fault = self.at(CHECKPOINT)
        if fault is not None:
            self.failing, self.fails_for = fault, fault.times
        if self.fails_for > 0:
            self.fails_for -= 1
            fault = self.failing
        ops = json.loads(body)["steps"]
        steps = [(op["userland"]["id"], op["userland"]["index"]) for op in ops]
        self.log.append(f"  checkpoint of {steps} {fault.name if fault else ''}")
        status, data = 200, b""
        if fault is None or fault.stores:
            client = werkzeug.test.Client(self.stepper.api)
            response = client.open(path, method=method, data=body)
            status, data = response.status_code, response.data
            if status != 200:
                self.problems.append(f"a checkpoint was refused: {status} {data!r}")
        if set(steps) & set(call.accepted):
            self.problems.append("a step was sent again that had been accepted")
        if fault is None:
            call.refused = []
            call.accepted += steps
            return chaos.answered(status, data)
        call.refused = steps
        if fault.error in (_slow,):
            self.time += SLOW_S / TRIES
        if fault.error is ProcessKilled:
            call.is_dead = True
        call.is_stale = call.is_stale or fault is STALE
        call.timed_out = call.timed_out or fault.error is Timeout
        if fault.error is not None:
            raise fault.error()
        return chaos.answered(fault.status, b"")


def has_run_complete(result):
    return isinstance(result, Reported) and any(op.op == "RunComplete" for op in result.ops)


def hashed(step):
    name, number = step
    return hashlib.sha1((f"{name}:{number}" if number else name).encode()).hexdigest()
