"""Run a test under many orders and faults, each of them from a seed."""

from __future__ import annotations

import contextlib
import functools
import logging
import random
import traceback
import typing as t

from . import fault as f
from .determinism import Determinism, WrongFunction
from .differences import Ended, differences, ended, variable
from .plans import KINDS, Make, drawn, made
from .server import TestServer

_Scenario = t.Callable[..., t.Any]

#: The most faults in the play of one seed.
MOST_FAULTS = 3
#: The seed without faults, in which things are done in the order of their time.
PLAIN = 0
#: The seed in which the first call is dropped: everything is as with PLAIN, and later.
LATER = 1


class ExplorationFailed(AssertionError):
    """Raised by :func:`explore` for the first seed that fails.

    :ivar seed: that seed.
    :ivar faults: the faults without which it would not fail, as they are written in a test.
    """

    def __init__(self, text: str, seed: int, faults: t.Sequence[str]) -> None:
        super().__init__(text)
        self.seed = seed
        self.faults: t.List[str] = list(faults)


def explore(
    scenario: t.Optional[_Scenario] = None,
    *,
    seeds: int = 200,
    seed: t.Optional[int] = None,
    faults: t.Iterable[str] = tuple(KINDS),
    most_faults: int = MOST_FAULTS,
    compare: bool = True,
) -> t.Any:
    """Run a test under many orders and faults::

        @explore(seeds=200)
        def test_an_order_is_charged_once(inngest_server):
            shop = Shop()
            inngest_server.serve(shop.application)
            run = inngest_server.send("shop/order.placed", {"id": 1}).run()
            inngest_server.run_until_idle()
            assert run.status == "Completed", run
            assert shop.charged == [1]

    Each seed decides in which order is done what is due at the same moment, when
    answers are handled, up to three faults, and the jitter of retries. The same seed
    gives the same. The server begins anew for each; so the test has to make all else
    anew, such as its database, in its own code and not in a fixture. It has to let time
    pass (:meth:`TestServer.run_until_idle`), because a retry takes some.

    Beside what the test asserts, this is required of every function: it comes to the
    same steps in each call, with the same arguments; it does not go on when a step has
    ended its call; and its runs end with the same status and output as without faults,
    where these do not depend on ids and times.

    A function that reads the time is found only if the clock of the app follows the
    server's: ``freeze_app_time=True``, or :meth:`TestServer.on_time`.

    No fault takes the last attempt that a run has. But steps run again whose answers were
    lost, as on a real server: what they do has to be harmless the second time.

    :param scenario: a function that is given a :class:`TestServer`; it is run at once.
        Without it, :func:`explore` is a decorator, for a test that is given one, a
        method of :class:`InngestTestMixin`, or a function to call without one.
    :param seeds: how many; the first is without faults.
    :param seed: only this one, which has failed before.
    :param faults: the kinds of faults, some of :data:`FAULT_KINDS`; none for the order alone.
    :param most_faults: the most faults in one run of the test.
    :param compare: whether the runs have to end as without faults.
    :raise ExplorationFailed: the first seed that fails: with the faults that it needs,
        what is wrong, how to repeat it, and the timelines.
    :raise ValueError: there is no such kind of fault.
    """
    __tracebackhide__ = True
    kinds = tuple(faults)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no kind of fault; these are: {', '.join(KINDS)}")

    def decorate(test: _Scenario) -> _Scenario:
        @functools.wraps(test)
        def explored(*args: t.Any, **kwargs: t.Any) -> None:
            __tracebackhide__ = True
            server = _server_among(args, kwargs)
            if server is not None:
                play = functools.partial(test, *args, **kwargs)
                _Exploration(server, play, kinds, most_faults, compare).run(seeds, seed)
                return
            own = TestServer()
            try:
                play = functools.partial(test, *args, own, **kwargs)
                _Exploration(own, play, kinds, most_faults, compare).run(seeds, seed)
            finally:
                own.close(check_stubs=False)

        return explored

    if scenario is None:
        return decorate
    return decorate(scenario)()


def _server_among(args: t.Tuple[t.Any, ...], kwargs: t.Dict[str, t.Any]) -> t.Optional[TestServer]:
    for given in (*args, *kwargs.values()):
        for found in (given, getattr(given, "inngest_server", None)):
            if isinstance(found, TestServer):
                return found
    return None


class _Play(t.NamedTuple):
    """One run of the test.

    :ivar error: of the test, or what is wrong with a function; None if all is well.
    """

    seed: int
    watcher: Determinism
    error: t.Optional[Exception]
    runs: t.List[Ended]


class _Exploration:
    """Runs a test many times.

    :param play: the test.
    """

    def __init__(
        self,
        server: TestServer,
        play: t.Callable[[], t.Any],
        kinds: t.Sequence[str],
        most_faults: int,
        compare: bool,
    ) -> None:
        self._server = server
        self._test = play
        self._kinds = kinds
        self._most_faults = most_faults
        self._compare = compare
        self._counts: t.Dict[str, int] = {}
        self._spare: t.Dict[str, int] = {}
        self._plain: t.Optional[_Play] = None
        #: What is not the same when everything is later, by run.
        self._variable: t.Dict[t.Any, t.Set[t.Any]] = {}

    def run(self, seeds: int, only: t.Optional[int]) -> None:
        """Play each seed, until one fails."""
        __tracebackhide__ = True
        with _without_logs(), self._server.explored():
            self._play_first()
            wanted = range(LATER + 1, seeds) if only is None else range(only, only + 1)
            for seed in wanted:
                if seed in (PLAIN, LATER):
                    continue
                plan = drawn(seed, self._kinds, self._counts, self._most_faults)
                found = self._play(seed, plan)
                if found.error is not None:
                    self._fail(self._shrink(found, plan))

    def _play_first(self) -> None:
        __tracebackhide__ = True
        plain = self._play(PLAIN, [])
        if plain.error is not None:
            self._fail((plain, []))
        self._plain = plain
        stepper = self._server.stepper
        self._counts = dict(stepper.faults.counts)
        self._spare = {
            function.function_id: function.max_attempts
            - 1
            - plain.watcher.attempts.get(function.function_id, 0)
            for function in stepper.store.functions()
        }
        plan = [made("drop call", 1)] if f.CALL in self._counts else []
        later = self._play(LATER, plan, compare=False)
        if later.error is not None:
            self._fail((later, plan))
        self._variable = variable(plain.runs, later.runs)

    # -- one play -----------------------------------------------------------------

    def _play(self, seed: int, plan: t.Sequence[Make], compare: bool = True) -> _Play:
        watcher = Determinism()
        choose = None
        if seed not in (PLAIN, LATER):
            choose = random.Random(f"{seed} order").randrange
        stepper = self._server.begin_exploring(seed)
        stepper.choose, stepper.watcher, stepper.spare = choose, watcher, self._spare
        for make in plan:
            stepper.faults.add(make())
        error: t.Optional[Exception] = None
        try:
            self._test()
            if watcher.found is not None:
                raise watcher.found
            if seed == PLAIN:
                self._server.check_used()
        except Exception as problem:
            error = watcher.found or problem
        runs = [ended(run) for run in stepper.store.runs.by_id.values()]
        if error is None and compare and self._compare and self._plain is not None:
            text = differences(self._plain.runs, runs, self._variable)
            if text is not None:
                error = WrongFunction("another end", text)
        return _Play(seed, watcher, error, runs)

    # -- a seed that fails -----------------------------------------------------------

    def _shrink(self, found: _Play, plan: t.List[Make]) -> t.Tuple[_Play, t.List[Make]]:
        """Leave out the faults without which the seed fails all the same."""
        for make in list(plan):
            fewer = [other for other in plan if other is not make]
            again = self._play(found.seed, fewer)
            if again.error is not None:
                plan, found = fewer, again
        # the server is left as it was in the play that is told of
        return self._play(found.seed, plan), plan

    def _fail(self, found: t.Tuple[_Play, t.List[Make]]) -> t.NoReturn:
        __tracebackhide__ = True
        play, _ = found
        happened = self._server.faults.happened
        names = list(dict.fromkeys(repr(fault) for fault, _ in happened))
        error = play.error or AssertionError("it fails, and not each time: is it deterministic?")
        without = "" if names else " without any fault"
        lines = [f"seed {play.seed} fails{without}: {_said(error)}"]
        if names:
            lines.append("The faults that it takes:")
            lines += [f"  server.{name}" for name in names]
        lines += self._repeated(play)
        lines.append(f"To run this seed alone: explore(seed={play.seed})")
        lines += ["", self._server.describe()]
        raise ExplorationFailed("\n".join(lines), play.seed, names) from error

    def _repeated(self, play: _Play) -> t.List[str]:
        """Return what ran more than once, where the test's own assertion fails."""
        if isinstance(play.error, WrongFunction):
            return []
        lines = []
        runs = self._server.stepper.store.runs.by_id
        for run_id, count in play.watcher.calls.items():
            if count > 1:
                function_id = runs[run_id].function.function_id
                lines.append(f"  the code of {function_id} outside of its steps, {count} times")
        steps = [key for key, count in play.watcher.runs_of_steps.items() if count > 1]
        for run_id, step_id, index in steps:
            count = play.watcher.runs_of_steps[(run_id, step_id, index)]
            lines.append(
                f"  step {step_id!r} of {runs[run_id].function.function_id}, {count} times"
            )
        if not lines:
            return []
        advice = [
            "Code outside of steps runs in every call: do what has an effect in a step "
            "(ctx.step.run).",
        ]
        if steps:
            advice.append(
                "A step runs again if its answer is lost: let it do no harm the second time, for "
                "example by an idempotency key."
            )
        return ["These ran more than once:", *lines, *advice]


def _said(error: Exception) -> str:
    """Return what an error says; if it is of the test, with the line that raised it."""
    if isinstance(error, WrongFunction):
        return str(error)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return text
    return f"{text}\n  at {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}"


@contextlib.contextmanager
def _without_logs() -> t.Generator[None, None, None]:
    """Log nothing meanwhile: the faults of 200 seeds would fill the report."""
    loggers = [logging.getLogger("inngest_wsgi"), logging.getLogger("inngest_wsgi.testing")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before):
            logger.disabled = disabled
