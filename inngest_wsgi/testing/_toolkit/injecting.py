"""Carry out what is due, with faults, and in an order that may be chosen."""

from __future__ import annotations

import sys
import typing as t

from .._http.caller import CALL_TIMEOUT
from .._model import state
from .._model.state import RunState
from .._run.call import CallExchange
from .._run.exchange import Exchange
from .._run.items import Timer
from .._stepping import Stepper
from .._wire.answers import cut_off, unreachable
from .._wire.outcomes import Outcome, Reported, server_failure
from . import fault as f
from .fault import Fault, Killed
from .faults import Faults

_TOO_LATE = "the call took longer than two hours"

SETTLE = "settle"
REDO = "redo"
SETTLE_AND_REDO = "settle and redo"


class Flight(t.NamedTuple):
    """A call that was made, and whose answer the server has not handled.

    :ivar end: what the server does then.
    """

    exchange: Exchange
    result: t.Any
    end: str = SETTLE


class Watcher(t.Protocol):
    """Sees what happens in each call of the app."""

    def begin(self, exchange: CallExchange) -> None:
        """Note that a function is called."""

    def ran(self, step_id: str, index: int) -> None:
        """Note that the code of a step is called."""

    def replayed(self, uses: t.Mapping[str, int], swallowed: bool) -> None:
        """Note how often the function used each id of a step, and if it went on
        after a step had ended its call."""

    def end(self, exchange: CallExchange, result: Outcome) -> None:
        """Note the answer.

        :raise AssertionError: the function is wrong.
        """


class FaultyStepper(Stepper):
    """A stepper in which faults happen.

    :ivar faults: those that are to happen.
    :ivar choose: given n, gives one of the numbers below n: which thing is done
        next of those that are due; None to do them in the order of their time.
    :ivar watcher: sees each call; None if nobody does.
    :ivar spare: by the id of a function, how many attempts of a job it can spare for
        faults; all if it is not there.
    """

    def __init__(self, *arguments: t.Any, **options: t.Any) -> None:
        super().__init__(*arguments, **options)
        self.faults: Faults = Faults()
        self.choose: t.Optional[t.Callable[[int], int]] = None
        self._flights: t.List[Flight] = []
        self._arrived: t.List[t.Callable[[], t.Any]] = []
        #: What is being called.
        self.under_way: t.Optional[CallExchange] = None
        self.watcher: t.Optional[Watcher] = None
        self.spare: t.Dict[str, int] = {}
        #: How many attempts faults have cost, by the id of the job.
        self._spent: t.Dict[str, int] = {}

    @property
    def called(self) -> t.Optional[RunState]:
        """Return the run that is being called."""
        return None if self.under_way is None else self.under_way.item.run

    @property
    def is_plain(self) -> bool:
        """Return True if no fault can happen, and nobody counts what one could happen to."""
        return not self.faults and self.watcher is None

    # -- what is next ----------------------------------------------------------

    def run_next(self) -> bool:
        """Do the next thing that is due.

        :return: False if nothing is due.
        """
        if self._arrived:
            self._arrived.pop(0)()
            return True
        if self.choose is None:
            item = self._executor.queue.take_due()
            if item is None:
                return False
            exchange = self._executor.dispatch(item)
            flight = None if exchange is None else self.begin(exchange)
            if flight is not None:
                self.end(flight)
            return True
        ready = self.ready()
        moves = len(ready) + len(self._flights)
        if not moves:
            return False
        chosen = self.choose(moves)
        if chosen >= len(ready):
            self.end(self._flights.pop(chosen - len(ready)))
            return True
        exchange = self.dispatch(ready[chosen])
        flight = None if exchange is None else self.begin(exchange)
        if flight is not None:
            self._flights.append(flight)
        return True

    # -- calls -------------------------------------------------------------------

    def begin(self, exchange: Exchange) -> t.Optional[Flight]:
        """Make a request, with the faults that happen to it.

        :return: None if it is under way for longer.
        """
        if not isinstance(exchange, CallExchange):
            return Flight(exchange, self.perform(exchange))
        if self.is_plain:
            return Flight(exchange, self.call(exchange))
        run = exchange.item.run
        fault = self.faults.meet(f.CALL, run.function, may_cost=self._may_cost(exchange))
        worker = self.faults.meet(f.WORKER, run.function)
        if worker is not None:
            self.note(worker, run)
            if worker.values["when"] == f.AFTER:
                self.call(exchange)
            return Flight(exchange, None, REDO)
        if fault is None:
            return self._answered(exchange)
        self._happen(fault, exchange)
        if fault.verb == f.DROP:
            return Flight(exchange, unreachable("ConnectionRefusedError"))
        if fault.verb == f.DELAY:
            call = exchange
            self.later(fault.values["by"], lambda: self._arrive(call))
            return None
        if fault.verb == f.DUPLICATE:
            first = self.call(exchange)
            if fault.values["reads"] == 1:
                self.call(exchange)
                return Flight(exchange, first)
        else:
            cut = exchange.request.body[: len(exchange.request.body) // 2]
            exchange = exchange.with_body(cut)
        return self._answered(exchange)

    def end(self, flight: Flight) -> None:
        """Let the server handle an answer."""
        if flight.end == REDO:
            self.redo(flight.exchange)
        elif flight.end == SETTLE_AND_REDO:
            self.settle_and_redo(flight.exchange, flight.result)
        else:
            self.settle(flight.exchange, flight.result)

    def call(self, exchange: CallExchange) -> Outcome:
        """Call the app, which may be killed."""
        self.under_way = exchange
        if self.watcher is not None:
            self.watcher.begin(exchange)
        result: Outcome
        try:
            result = self.perform(exchange)
        except Killed:
            result = unreachable("the process was killed")
        finally:
            self.under_way = None
        if self.watcher is not None:
            self.watcher.end(exchange, result)
        return result

    def ask(self, exchange: CallExchange, watcher: Watcher) -> Outcome:
        """Call the app without faults, for its answer alone."""
        before, self.watcher = self.watcher, watcher
        try:
            return exchange.perform(self._caller)
        finally:
            self.watcher = before

    def _may_cost(self, exchange: CallExchange) -> bool:
        """Return True if a call has an attempt to spare for a fault."""
        call = exchange.item
        function = call.run.function
        spare = self.spare.get(function.function_id, function.max_attempts)
        return self._spent.get(call.job_id, 0) < spare

    def _arrive(self, exchange: CallExchange) -> None:
        flight = self._answered(exchange)
        if flight is not None:
            self.end(flight)

    def _answered(self, exchange: CallExchange) -> t.Optional[Flight]:
        """Call the app, with the faults that happen to its answer."""
        result = self.call(exchange)
        run = exchange.item.run
        steps = [op.display_name for op in result.ops] if isinstance(result, Reported) else []
        may_cost = self._may_cost(exchange)
        fault = self.faults.meet(f.ANSWER, run.function, steps, may_cost=may_cost)
        if fault is None:
            return Flight(exchange, result)
        self._happen(fault, exchange, steps[0] if len(steps) == 1 else None)
        if fault.verb == f.DROP:
            return Flight(exchange, unreachable("RemoteDisconnected"))
        if fault.verb == f.TRUNCATE:
            return Flight(exchange, cut_off())
        if fault.verb == f.DUPLICATE:
            return Flight(exchange, result, SETTLE_AND_REDO)
        late = fault.values["by"]
        if late >= CALL_TIMEOUT:
            late, result = CALL_TIMEOUT, server_failure(_TOO_LATE)
        self.later(late, lambda: self.settle(exchange, result))
        return None

    def later(self, seconds: float, action: t.Callable[[], t.Any]) -> None:
        """Do something when so much virtual time has passed, whatever becomes of the run."""

        def arrive() -> None:
            # without the lock that a timer's action holds
            self._arrived.append(action)

        self.store.runs.put(Timer(None, self.clock.now() + seconds, arrive))

    def _happen(self, fault: Fault, exchange: CallExchange, step: t.Optional[str] = None) -> None:
        """Record that a fault happens to a call."""
        call = exchange.item
        if fault.costs_attempt:
            self._spent[call.job_id] = self._spent.get(call.job_id, 0) + 1
        self.note(fault, call.run, step)

    def note(self, fault: Fault, run: t.Optional[RunState], step: t.Optional[str] = None) -> None:
        """Record that a fault happens.

        :param step: the step that it is about, if known.
        """
        text = fault.told(step)
        self.faults.happened.append((fault, text))
        if run is None:
            return
        with self.store.changed:
            self.store.runs.note(run, state.FAULT, step=step, detail=text)

    # -- steps -------------------------------------------------------------------

    def around(
        self, run: RunState, step_id: str, index: int, body: t.Callable[..., t.Any]
    ) -> t.Callable[..., t.Any]:
        """Return the code of a step that runs now, or what kills the process there.

        :param index: which use of the id it is, from 0.
        """
        exchange = self.under_way
        if self.watcher is not None:
            self.watcher.ran(step_id, index)
        if exchange is None or self.is_plain:
            return body
        may_cost = self._may_cost(exchange)
        fault = self.faults.meet(f.STEP, run.function, [step_id], may_cost=may_cost)
        if fault is None:
            return body
        self._happen(fault, exchange, step_id)
        when = fault.values["when"]

        def killed(*args: t.Any, **kwargs: t.Any) -> t.NoReturn:
            if when == f.INSIDE:
                _kill_inside(fault.values["line"], body, args, kwargs)
            elif when == f.AFTER:
                body(*args, **kwargs)
            raise Killed

        return killed


def _kill_inside(
    line: int,
    body: t.Callable[..., t.Any],
    args: t.Tuple[t.Any, ...],
    kwargs: t.Dict[str, t.Any],
) -> None:
    """Call a function, and kill it before one of its lines.

    Only lines of its own are counted, and not those of what it calls. A tracer of a
    debugger or of coverage.py does not see the function.
    """
    target = getattr(body, "__func__", body)
    target = getattr(target, "func", target)
    code = getattr(target, "__code__", None)
    seen = 0

    def trace(  # pragma: no cover (what measures that is replaced by it)
        frame: t.Any, event: str, argument: t.Any
    ) -> t.Any:
        nonlocal seen
        if frame.f_code is not code:
            return None
        if event == "line":
            seen += 1
            if seen >= line:
                raise Killed
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        body(*args, **kwargs)
    finally:
        sys.settrace(before)
