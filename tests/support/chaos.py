"""Run a random program on the local server, with every choice made by the test.

The choices: which call is made next and which is answered, which answer is
slow, which worker dies, and which call is made twice.
"""

import hashlib
import json
import logging
import random
import types

import programs

import inngest_wsgi as inngest
from inngest_wsgi._execution import checkpoint
from inngest_wsgi.testing._http.inprocess import InProcessCaller, call, environ_of
from inngest_wsgi.testing._toolkit import fault as f
from inngest_wsgi.testing._toolkit.api_faults import carry_out
from inngest_wsgi.testing._toolkit.fault import Fault
from inngest_wsgi.testing._toolkit.faults import Faults
from inngest_wsgi.testing._toolkit.injecting import SETTLE, SETTLE_AND_REDO, FaultyStepper
from inngest_wsgi.testing._wire.answers import unreachable
from inngest_wsgi.testing._wire.outcomes import Reported, Returned

#: The most actions in one run; a run that ends needs fewer.
MOST_MOMENTS = 3000

APP_DIES_FIRST = "the application's worker dies before it begins"
APP_DIES_LAST = "the application's worker dies before it answers"
SERVER_DIES_FIRST = "the server's worker dies before it calls"
SERVER_DIES_LAST = "the server's worker dies before it reads the answer"
#: The worker dies after the server has handled the answer; the job is redone.
SERVER_DIES_LATE = "the server's worker dies after it acted on the answer"
TWICE = "the call comes twice"
#: After it was answered.
ONCE_MORE = "the call comes once more"

#: A checkpoint was not accepted, and only the first of its steps is in the answer.
NOT_SENT = "the application could not send it"

#: How each fault is declared.
DECLARED = {
    APP_DIES_FIRST: lambda: Fault(f.DROP, f.CALL),
    APP_DIES_LAST: lambda: Fault(f.DROP, f.ANSWER),
    SERVER_DIES_FIRST: lambda: Fault(f.LOSE, f.WORKER, when=f.BEFORE),
    SERVER_DIES_LAST: lambda: Fault(f.LOSE, f.WORKER, when=f.AFTER),
}
#: Those of a checkpoint.
API_FAULTS = (
    lambda: Fault(f.DROP, f.CHECKPOINT),
    lambda: Fault(f.FAIL, f.REQUEST, status=503, done=False),
    lambda: Fault(f.DROP, f.CHECKPOINT_ANSWER),
)

#: The faults that a call may meet before it is answered.
FAULTS = (APP_DIES_FIRST, APP_DIES_LAST, SERVER_DIES_FIRST, SERVER_DIES_LAST, TWICE, TWICE)


class Violation(AssertionError):
    """A run broke a rule.

    :ivar kind: the rule, in one word.
    """

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


class Answer:
    """The effects of one call of the application, and its result.

    :ivar lost: why the server did not receive it; None if it did.
    """

    def __init__(self, call):
        self.call = call
        self.steps = []
        #: those of the steps that the server has accepted by a checkpoint, and
        #: of these the ones that it did not have
        self.accepted = set()
        self.stored = set()
        #: hashes of those that the answer reports
        self.reported = set()
        self.lost = None
        self.result = None


REGISTRATION = {
    "appName": "shop",
    "url": "http://app.test/api/inngest",
    "functions": [
        {
            "id": "shop-f",
            "name": "f",
            "triggers": [{"event": "test/event"}],
            "steps": {
                "step": {
                    "id": "step",
                    "name": "step",
                    "runtime": {"type": "http", "url": "http://app.test/api/inngest"},
                    "retries": {"attempts": programs.ATTEMPTS - 1},
                }
            },
        }
    ],
}


UNREACHABLE = unreachable("the answer is lost")

#: How calls may go on after a step.
POLICIES = (
    False,
    True,
    True,
    inngest.Checkpointing(buffered_steps=2),
    inngest.Checkpointing(buffered_steps=5),
    inngest.Checkpointing(max_runtime="10s"),
    inngest.Checkpointing(buffered_steps=3, max_runtime="10s"),
)


class Api:
    """The server's API, as urllib3 would reach it; with faults.

    :param chaos: makes the choices, and is told what is stored.
    """

    def __init__(self, chaos):
        self.chaos = chaos

    def request(self, method, url, body=b"", headers=None, **options):
        chaos = self.chaos
        chance = chaos.choose(12) if chaos.faults else 12
        if chance < len(API_FAULTS):
            chaos.stepper.faults.add(API_FAULTS[chance]())

        def send(body):
            known = chaos.run.steps
            answer = call(chaos.stepper.api, environ_of(method, url, [], body))
            if answer.status == 200:
                chaos.stored(json.loads(body)["steps"], known)
            return answer

        answer = carry_out(chaos.stepper, url.partition("8288")[2], body, send)
        return answered(answer.status, answer.body)


def answered(status, data):
    """Return an answer of the API as urllib3 would."""
    return types.SimpleNamespace(status=status, data=data, headers={})


class Chaos:
    """A run of a program.

    :param choose: given n, gives one of the numbers below n.
    :param faults: whether workers die, calls come twice, and the API fails.
    """

    def __init__(self, program, choose, faults):
        self.program = program
        self.choose = choose
        self.faults = faults
        self.answers = []
        self.flying = []
        self.log = []
        self.time = 0.0
        self.jobs = {}
        client = inngest.Inngest(app_id="shop", is_production=False)
        declare = client.create_function(
            fn_id="f", trigger=inngest.TriggerEvent(event="test/event")
        )
        function = declare(lambda ctx: programs.Interpreter(ctx, self.ran).run(program))
        checkpointing = POLICIES[choose(len(POLICIES))]
        self.log.append(f"checkpointing: {checkpointing}")
        application = inngest.serve(
            client, [function], checkpointing=checkpointing, http=Api(self)
        )
        calls = application._router._calls
        # whether a call is over, or checkpointing off, is a choice too
        calls._checkpoints = checkpoint.Checkpoints(calls._http, self.clock)
        self.stepper = FaultyStepper(InProcessCaller(application), retry_interval=1.0)
        self.stepper.watcher = self
        self.stepper.register(REGISTRATION)
        self.event_id = self.stepper.send("test/event")

    @property
    def run(self):
        (run,) = self.stepper.runs(self.event_id)
        return run

    def ran(self, step, well):
        self.answers[-1].steps.append((step, well))

    def clock(self):
        """Return the time by the application's clock, in seconds."""
        if self.choose(4) == 3:
            self.time += self.choose(15)
        return self.time

    def stored(self, ops, known):
        """Note the steps of a checkpoint that the server has accepted.

        :param known: those that it had stored before
        """
        for op in ops:
            step = op["userland"]["id"], op["userland"]["index"]
            self.answers[-1].accepted.add(step)
            if op["id"] not in known:
                self.answers[-1].stored.add(step)
            self.log.append(f"stored {step}")

    # -- moments -----------------------------------------------------------

    def play(self):
        """Carry out the run until it ends, and check its effects and its end.

        :raise Violation: it did not end, or a check failed; the text lists
            all that happened.
        """
        # The programs raise errors on purpose; they are not logged.
        logger = logging.getLogger("inngest_wsgi")
        logger.disabled = True
        try:
            self.come_to_an_end()
            self.check()
        except Violation as error:
            lines = [str(error), repr(self.program)] + self.log
            raise Violation(error.kind, "\n".join(lines)) from error
        finally:
            logger.disabled = False

    def come_to_an_end(self):
        for _ in range(MOST_MOMENTS):
            if self.run.ended:
                return
            ready = self.stepper.ready()
            # A real queue is looked at every 150 ms; what is due is taken at once.
            moves: list = [(self.begin_items, ready)] if ready else []
            moves += [(self.begin_items, [item]) for item in ready]
            moves += [(self.end_flight, flight) for flight in self.flying if not flight.late]
            if not moves or self.choose(6) == 5:
                moves += [(self.end_flight, flight) for flight in self.flying if flight.late]
                moves.append((self.wait, None))
            move, what = moves[self.choose(len(moves))]
            move(what)
        raise Violation("endless", "the run does not end")

    def begin_items(self, items):
        for item in items:
            exchange = self.stepper.dispatch(item)
            if exchange is not None:
                self.begin_call(exchange)

    def begin_call(self, exchange):
        fault = self.fault(exchange.item)
        late = self.choose(4) == 3
        self.note(exchange, "calls", named(exchange), fault or "")
        self.stepper.faults = Faults()
        reads = 1 + self.choose(2) if fault == TWICE else 1
        if fault == TWICE:
            self.stepper.faults.add(Fault(f.DUPLICATE, f.CALL, reads=reads))
        elif fault is not None:
            self.stepper.faults.add(DECLARED[fault]())
        before = len(self.answers)
        flight = self.stepper.begin(exchange)
        made = self.answers[before:]
        if fault == TWICE:
            made[2 - reads].lost = fault
        elif fault is not None:
            for answer in made:
                answer.lost = fault
        self.flying.append(types.SimpleNamespace(made=flight, late=late))

    def fault(self, call):
        chance = self.choose(20) if self.faults else len(FAULTS)
        fault = FAULTS[chance] if chance < len(FAULTS) else None
        if fault in (APP_DIES_FIRST, APP_DIES_LAST) and call.attempt + 1 >= programs.ATTEMPTS:
            # It would be the end of the run, and no fault of anyone's.
            return None
        return fault

    # -- what a stepper calls ------------------------------------------------

    def replayed(self, uses, swallowed):
        """Do nothing: the programs are not what is tested."""

    def begin(self, exchange):
        self.answers.append(Answer(exchange))

    def end(self, exchange, result):
        answer = self.answers[-1]
        answer.result = result
        request, call = exchange.request, exchange.item
        reported = answer.result.ops if isinstance(answer.result, Reported) else []
        answer.reported = {op.id for op in reported}
        if isinstance(answer.result, Returned) and call.targeted:
            raise Violation("wrong", "a targeted call ended the run")
        again = call.targeted and call.step_id in request.known
        if again and (answer.steps or [op.op for op in reported] not in NO_STEP):
            raise Violation("twice", "a call for a step that had ended was answered with a step")
        if not again and any(op.id in request.known for op in reported):
            raise Violation("wrong", "a step was reported whose result was in the call")
        if call.targeted and any(op.id != call.step_id for op in reported):
            raise Violation("wrong", "a targeted call was answered with another step")
        if request.config.disable and not call.targeted and answer.steps:
            raise Violation("wrong", "a step ran although immediate execution was off")

    def end_flight(self, flying):
        self.flying.remove(flying)
        flight = flying.made
        exchange = flight.exchange
        if flight.end != SETTLE:
            self.stepper.end(flight)
            self.note(exchange, "is lost")
            return
        self.note(exchange, "is answered", said(flight.result))
        dies_late = self.faults and exchange.item.targeted and ended_step(flight)
        if dies_late and self.choose(10) == 9 and not waits_for_sleep(exchange.item.run):
            # A plan that a server acts on twice can hang the run whatever is
            # answered, so this is for targeted calls alone. A sleep that ends a
            # group makes the next call by itself, so nothing stops a second one.
            self.note(exchange, SERVER_DIES_LATE)
            self.stepper.end(flight._replace(end=SETTLE_AND_REDO))
            return
        self.stepper.end(flight)
        if self.faults and exchange.item.targeted and self.choose(10) == 9:
            self.repeat(exchange)

    def repeat(self, exchange):
        """Make a call again that was answered, and ignore the answer."""
        if exchange.item.step_id not in self.run.steps or self.run.ended:
            return
        again = Answer(exchange)
        again.lost = ONCE_MORE
        self.answers.append(again)
        self.stepper.repeat(exchange)
        if again.steps:
            raise Violation("twice", "a step ran again whose result was in the call")

    def wait(self, _):
        self.stepper.pass_time()

    def note(self, exchange, *texts):
        job = self.jobs.setdefault(exchange.item.job_id, len(self.jobs) + 1)
        self.log.append("call {}/{} {}".format(job, exchange.item.generation, " ".join(texts)))

    # -- what has to be ----------------------------------------------------

    def check(self):
        tries = self.tries()
        for step, listed in tries.items():
            # A call that is still under way may be answered yet.
            if any(well and not lost for well, lost in listed[:-1]):
                raise Violation("twice", f"step {step} ran again after it had run well")
        output = self.run.output
        if self.run.status == "Completed":
            ended = ["ok", output]
        elif "error" in output:
            message = output["error"]["message"]
            raise Violation("hang" if "hanging" in message else "wrong", message)
        else:
            ended = ["failed", output["message"]]
        reference = programs.Reference()
        expected = json.loads(json.dumps(reference.end(self.program)))
        if ended != expected:
            raise Violation("wrong", f"it ended {ended!r}, not {expected!r}")
        effects = [step for step, listed in tries.items() if listed[-1] == (True, None)]
        if sorted(effects) != sorted(reference.effects):
            text = f"the effects are {effects}, not {reference.effects}"
            raise Violation("wrong", text)

    def tries(self):
        """Return the attempts of each step: its success, and why its answer was lost, or None.

        What a call did that the server did not ask for is left out, unless
        that alone was stored.
        """
        found = {}
        for answer in self.answers:
            if answer.lost not in (TWICE, ONCE_MORE):
                for step, well in answer.steps:
                    lost = answer.lost
                    if step in answer.accepted:
                        lost = None
                    elif lost is None and hashed(step) not in answer.reported:
                        lost = NOT_SENT
                    found.setdefault(step, []).append((well, lost))
        for answer in self.answers:
            for step in answer.stored:
                found.setdefault(step, [(True, None)])
        return found


def hashed(step):
    name, number = step
    text = f"{name}:{number}" if number else name
    return hashlib.sha1(text.encode()).hexdigest()


#: Answers to a call whose step has ended.
NO_STEP = (["DiscoveryRequest"], ["None"])


def ended_step(flight):
    """Return True if an answer says that the step of its call ran well.

    After a step that failed, the server queues a call of another name than the
    one that is asked for if the call comes again, and so makes both.
    """
    ops = flight.result.ops if isinstance(flight.result, Reported) else []
    return any(op.op == "StepRun" for op in ops)


def waits_for_sleep(run):
    """Whether the group that a run waits for has a sleep that has not ended."""
    return any(run.ops[step] == "Sleep" for step in run.pending)


def named(exchange):
    call, run = exchange.item, exchange.item.run
    known = ", ".join(run.names[step] for step in run.stack if step in exchange.request.known)
    return f"{call.name or call.step_id} knowing [{known}]"


def said(result):
    if isinstance(result, Reported):
        return ", ".join(
            "{} {}{}".format(op.op, op.display_name, " race" if op.race else "")
            for op in result.ops
        )
    return repr(result)[:100]


def explore(seed):
    """Make a program and a run of it from a seed.

    :raise Violation: the run was not as it has to be.
    """
    choose = random.Random(seed).randrange
    program = programs.Maker(choose).program()
    chaos = Chaos(program, choose, faults=bool(choose(3)))
    try:
        chaos.play()
    except Violation as error:
        raise Violation(error.kind, f"seed {seed}: {error}") from error
