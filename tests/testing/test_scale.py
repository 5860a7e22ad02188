"""The local server's work grows with the number of runs, and no faster."""

import gc
import sys
import threading
import typing as t

import hypothesis
import pytest
import raw_app
import scaled
from hypothesis import strategies as st

from inngest_wsgi.testing import VirtualClock
from inngest_wsgi.testing._expressions.expression import ASYNC, EVENT, Expression
from inngest_wsgi.testing._expressions.listeners import Listeners
from inngest_wsgi.testing._model.functions import Function
from inngest_wsgi.testing._model.state import Event, RunState
from inngest_wsgi.testing._run.items import Call, Timer
from inngest_wsgi.testing._run.queue import Queue

# -- linear ---------------------------------------------------------------------------------------


def lines_of(play):
    """Return how many lines of Python are carried out."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        play()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", scaled.SITUATIONS)
def test_the_work_is_linear_in_the_number_of_runs(name):
    situation = scaled.SITUATIONS[name]
    # What is imported or compiled once is left out.
    situation(20)()
    few, more, many = (lines_of(situation(count)) for count in (20, 40, 80))
    # 2 if it is linear, 4 if it is quadratic.
    assert (many - more) / (more - few) < 2.12


def waiting_and_cancelled(ctx):
    ctx.step.wait_for_event("wait", event="bench/paid", timeout="1d")


def test_a_run_that_has_ended_is_asked_for_no_event():
    server = scaled.InProcess(
        *only(
            scaled.client_and_function(
                waiting_and_cancelled, cancel=[scaled.inngest.Cancel(event="bench/stop")]
            )
        )
    )
    server.send(scaled.go(3))
    runs = server.store.runs
    assert (len(runs.waits), len(runs.cancellations)) == (3, 3)
    server.send(scaled.go(1, "bench/stop"))
    server.finish()
    server.check("Cancelled", 3)
    assert (len(runs.waits), len(runs.cancellations)) == (0, 0)


# -- reset ----------------------------------------------------------------------------------------


def everything(ctx):
    ctx.step.run("step", int)
    if ctx.event.data["id"] % 4:
        ctx.step.wait_for_event(
            "wait", event="bench/paid", timeout="1d", if_exp="event.data.id == async.data.id"
        )
    else:
        ctx.step.sleep("sleep", "1d")


SETTINGS: t.Dict[str, t.Dict[str, t.Any]] = {
    "none": {},
    "concurrency": {"concurrency": [scaled.inngest.Concurrency(limit=1, key=scaled.KEY)]},
    "throttle": {"throttle": scaled.inngest.Throttle(limit=1, period="60s", key=scaled.KEY)},
    "debounce": {"debounce": scaled.inngest.Debounce(period="60s", key=scaled.KEY)},
    "rate limit": {"rate_limit": scaled.inngest.RateLimit(limit=1, period="60s", key=scaled.KEY)},
    "batch": {"batch_events": scaled.inngest.Batch(max_size=2, timeout="60s", key=scaled.KEY)},
    "idempotency": {"idempotency": scaled.KEY},
    "singleton": {"singleton": scaled.inngest.Singleton(mode="skip", key=scaled.KEY)},
    "cancel": {
        "cancel": [
            scaled.inngest.Cancel(
                event="bench/paid", if_exp="event.data.id > 50 && async.data.id < 2"
            )
        ]
    },
    "timeouts": {"timeouts": scaled.inngest.Timeouts(start="1h", finish="2h")},
}


def reset_store(server):
    """Reset as a LocalServer does; the list of calls belongs to the TestServer."""
    server.store.reset()
    stepper = server.server._stepper
    stepper.calls.clear()
    stepper.calls_of.clear()


def reset_all(server):
    server.server.reset()
    server.serve()


@pytest.mark.parametrize("reset", [reset_store, reset_all])
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_reset_leaves_no_memory_in_use(setting, reset):
    client, function = scaled.client_and_function(everything, **SETTINGS[setting])
    server = scaled.InProcess(client, [function])

    def round_of(count):
        server.send(scaled.go(count))
        server.send(scaled.go(count // 2, "bench/paid"))
        # Half of the runs still sleep or wait.
        reset(server)
        gc.collect()
        return len(gc.get_objects())

    sizes = [round_of(100) for _ in range(5)]
    assert sizes[-1] - sizes[1] < 50


@pytest.mark.parametrize("reset", [reset_store, reset_all])
def test_a_thousand_runs_leave_no_memory_in_use(reset):
    server = scaled.InProcess(*only(scaled.client_and_function(scaled.one_step)))
    sizes = []
    for _ in range(5):
        server.send(scaled.go(1000))
        server.finish()
        reset(server)
        gc.collect()
        sizes.append(len(gc.get_objects()))
    assert sizes[-1] - sizes[1] < 50


def only(pair):
    client, function = pair
    return client, [function]


def test_a_reset_forgets_paused_functions_messages_and_bulk_cancellations():
    with raw_app.served(lambda call: raw_app.answer(200, "done")) as (_, server):
        publish = server.url + "/v1/realtime/publish?channel=c&topic=t"
        for _ in range(2):
            assert server.published() == []
            assert raw_app.ask("GET", server.url + "/v1/cancellations").json["data"] == []
            server.pause("raw-fn")
            server.cancel_many("raw-fn")
            raw_app.post(publish, 1)
            assert len(server.published()) == 1
            server.reset()
        assert raw_app.run_of(server).output == "done"


@pytest.mark.parametrize("reset", [reset_store, reset_all])
def test_a_reset_forgets_runs_and_events(reset):
    server = scaled.InProcess(
        *only(scaled.client_and_function(everything, idempotency=scaled.KEY))
    )
    for _ in range(3):
        # The same ids and keys start runs again, and nothing of the last round wakes up.
        server.send([{"name": "bench/go", "id": "same", "data": {"id": 1}}])
        (run,) = server.server.runs()
        assert (run.status, run.timeline[-1].kind) == ("Running", "waiting")
        reset(server)
        assert server.server.runs() == server.server.events() == server.server.calls == []
        server.server.advance("30d")
        assert server.server.runs() == []


def test_the_answer_to_a_call_from_before_a_reset_is_not_used():
    arrived, let_go = threading.Semaphore(0), threading.Event()

    def reply(call):
        if call.number == 0:
            arrived.release()
            assert let_go.wait(60)
            return raw_app.ops(raw_app.op("StepRun", "old"))
        return raw_app.answer(200, "new")

    def register(url):
        return [raw_app.function(url, concurrency=[{"limit": 1}])]

    with raw_app.served(reply, register) as (app, server):
        (old,) = server.send({"name": "raw/go"})
        assert arrived.acquire(timeout=60)
        server.reset()
        # It neither waits for the old call to end, nor is it called for its answer.
        (new,) = server.send({"name": "raw/go"})
        assert server.wait_for_run(new, timeout=60).output == "new"
        let_go.set()
        (newer,) = server.send({"name": "raw/go"})
        assert server.wait_for_run(newer, timeout=60).output == "new"
        assert [run.event["id"] for run in server.runs()] == [new, newer]
        assert server.runs(old) == []
    assert len(app.calls) == 3


# -- the queue ------------------------------------------------------------------------------------

#: Limits by name; two functions share the limits named "shared", with other numbers.
LIMITS = {
    "none": (),
    "one": (("one", 1),),
    "two": (("two", 2), ("shared", 2)),
    "three": (("shared", 3),),
    "both": (("one", 1), ("two", 2)),
}


class Model:
    """A queue that looks through all of its items each time."""

    def __init__(self):
        self.items = []
        self.taken = []

    def possible(self, now):
        def full(item):
            return any(
                sum(held == name for each in self.taken for held, _ in slots(each)) >= limit
                for name, limit in slots(item)
            )

        self.items = [item for item in self.items if item.live]
        due = sorted((item.due, n, item) for n, item in enumerate(self.items) if item.due <= now)
        return [item for _, _, item in due if not full(item)]

    def next_due(self, now):
        return min((item.due for item in self.items if item.live and item.due > now), default=None)


def slots(item):
    return item.run.slots if isinstance(item, Call) else ()


def run_with(limits):
    function = Function("app-f", "app", "f", "http://app.test/", 0)
    run = RunState(function, [Event("i", "e", {}, "i", 0)], 0.0)
    run.slots = LIMITS[limits]
    return run


ACTIONS = st.one_of(
    st.tuples(st.just("call"), st.sampled_from(sorted(LIMITS)), st.integers(0, 2)),
    st.tuples(st.just("timer"), st.sampled_from(sorted(LIMITS)), st.integers(0, 2)),
    st.tuples(st.just("take"), st.just(None), st.just(0)),
    st.tuples(st.just("take one of"), st.just(None), st.integers(0, 9)),
    st.tuples(st.just("done"), st.just(None), st.integers(0, 9)),
    st.tuples(st.just("drop"), st.just(None), st.integers(0, 9)),
    st.tuples(st.just("end"), st.just(None), st.integers(0, 9)),
    st.tuples(st.just("pass time"), st.just(None), st.just(0)),
)


@hypothesis.settings(max_examples=2 * hypothesis.settings().max_examples)
@hypothesis.given(st.lists(ACTIONS, max_size=60))
@hypothesis.example([("call", "one", 1)] * 3 + [("take", None, 0), ("done", None, 0)])
def test_the_queue_gives_what_is_first_and_may_be_done(actions):
    clock = VirtualClock(start=100)
    queue, model = Queue(clock, threading.Condition(threading.RLock())), Model()

    def take(item):
        model.items.remove(item)
        model.taken.append(item)

    for action, limits, number in actions:
        now = clock.now()
        possible = model.possible(now)
        if action in ("call", "timer"):
            # Calls of a run with a priority are due before what is due now.
            run, due = run_with(limits), now + number - 1
            item = Call(run, due) if action == "call" else Timer(run, due, lambda: None)
            queue.put(item)
            model.items.append(item)
        elif action == "take":
            taken = queue.take_due()
            assert taken is (possible[0] if possible else None)
            if taken is not None:
                take(taken)
        elif action == "take one of" and possible:
            item = possible[number % len(possible)]
            assert queue.take_this(item)
            take(item)
        elif action == "done" and model.taken:
            queue.done(model.taken.pop(number % len(model.taken)))
        elif action == "drop" and model.items:
            queue.drop(model.items[number % len(model.items)])
        elif action == "end" and model.items:
            model.items[number % len(model.items)].run.status = "Cancelled"
        elif action == "pass time":
            due = queue.next_due()
            assert due == model.next_due(now)
            if due is not None:
                clock.wait(due, True)
        assert queue.ready() == model.possible(clock.now())
        assert queue.ready(2) == model.possible(clock.now())[:2]
        idle = not model.taken and not any(item.live and item.due <= 101 for item in model.items)
        assert queue.quiet(101) == idle


# -- listeners ------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b"])
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([1.0, 0.5, 2**53, 2**53 + 1, 10**400, "", "a", "1", "a && b", [], [1], {}]),
)
SIDES = st.one_of(
    st.builds("{}.data.{}".format, st.sampled_from([EVENT, ASYNC]), NAMES),
    st.builds("{}.data['{}']".format, st.sampled_from([EVENT, ASYNC]), NAMES),
    st.sampled_from(
        [
            "event.name",
            "async.id",
            "1",
            "1.0",
            "-1",
            "'a'",
            '"a && b"',
            "'1'",
            "null",
            "true",
            "[1]",
        ]
    ),
)
COMPARISONS = st.builds(
    "{} {} {}".format, SIDES, st.sampled_from(["==", "==", "==", "!=", "<"]), SIDES
)
EXPRESSIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("{} && {}".format, inner, inner),
        st.builds("{} && {}".format, inner, inner),
        st.builds("({})".format, inner),
        st.builds("{} || {}".format, inner, inner),
        st.builds("{} ? {} : {}".format, inner, inner, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=4,
)
DATA = st.dictionaries(NAMES, VALUES)


def form(data, name="bench/go"):
    return {"name": name, "data": data, "id": "a", "ts": 1, "user": {}}


@hypothesis.settings(max_examples=2 * hypothesis.settings().max_examples)
@hypothesis.given(
    st.lists(st.tuples(st.one_of(st.none(), EXPRESSIONS), DATA), max_size=8),
    st.lists(DATA, min_size=1, max_size=4),
    st.integers(0, 8),
)
def test_no_listener_is_missed(added, arriving, left):
    listeners = Listeners()
    all_of_them = []
    for number, (text, data) in enumerate(added):
        expression = None if text is None else Expression(text)
        listeners.add(number, number % 2, "bench/paid", expression, form(data))
        all_of_them.append((number, expression, form(data)))
    if left < len(added):
        listeners.remove(left)
        listeners.remove(left)
        all_of_them = [each for each in all_of_them if each[0] != left]
    for data in arriving:
        awaited = form(data, "bench/paid")
        found = listeners.find("bench/paid", awaited)
        assert found == sorted(found)
        matched = [
            number
            for number, expression, event in all_of_them
            if expression is None or expression.matches(event, awaited)
        ]
        assert set(matched) <= set(found) <= {number for number, _, _ in all_of_them}
    assert listeners.find("bench/other", form({})) == []
    listeners.forget(0)
    listeners.forget(1)
    assert len(listeners) == 0


@pytest.mark.parametrize(
    "text, few",
    [
        ("event.data.a == async.data.a", True),
        ("async.data.a == event.data.a", True),
        ('async.data["a"] == event.data.a && async.data.b == "x"', True),
        (
            "async.data.b == 'x' && (event.data.a == 0 || true) && async.data.a == event.data.a",
            True,
        ),
        ("async.data.a == 5", False),
        ("async.data.a == event.data.a || async.data.b == 'x'", False),
        ("(async.data.a == event.data.a) ? true : false", False),
    ],
)
def test_only_the_listeners_that_an_event_may_concern_are_asked(text, few):
    listeners = Listeners()
    expression = Expression(text)
    for number in range(100):
        listeners.add(number, number, "bench/paid", expression, form({"a": number}))
    found = listeners.find("bench/paid", form({"a": 5, "b": "x"}))
    assert found == ([5] if few else list(range(100)))
