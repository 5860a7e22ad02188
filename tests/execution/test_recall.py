"""The short way by which most results of steps are given back decides as the
long one does."""

import copy
import dataclasses
import enum
import itertools
import json
import typing as t
from unittest import mock

import hypothesis.strategies as st
from apps import Endpoint, step_hash
from hypothesis import given

import inngest_wsgi as inngest
from inngest_wsgi._execution import placement, recall

#: Ids of which one may be taken for a repeated use of another.
IDS = st.sampled_from(["a", "b", "a:1", "a:b", "", "x" * 300, "\udc80"])
MEMOS = st.sampled_from(
    [
        {"data": 1},
        {"data": None},
        {"data": {"error": "mine"}},
        {"data": 1, "error": None},
        {"data": 1, "error": {"name": "E", "message": "no"}},
        {"error": {"name": "E", "message": "no"}},
        {"input": [5]},
        {"data": 2, "input": [5]},
        {},
        None,
        "text",
        [1],
    ]
)
STEP = st.tuples(st.just("step"), IDS)
GROUP = st.tuples(st.just("group"), st.lists(st.lists(STEP, max_size=3), max_size=3))
CAUGHT = st.tuples(st.just("caught"), st.lists(STEP, max_size=3))
PROGRAM = st.lists(st.one_of(STEP, GROUP, CAUGHT), max_size=5)


def long_way(engine, user_id):
    return recall.NOT_RECALLED


def carried_out(ctx, program, seen):
    for what, detail in program:
        if what == "step":
            seen.append([detail, ctx.step.run(detail, lambda x=0: x)])
        elif what == "group":
            ctx.group.parallel(
                [lambda branch=branch: carried_out(ctx, branch, seen) for branch in detail]
            )
        else:
            try:
                carried_out(ctx, detail, seen)
            except Exception as error:
                seen.append(type(error).__name__)


def outcome(program, memos, target):
    """Return what a call ended in, and what the function saw of it."""
    seen = []

    def handler(ctx):
        carried_out(ctx, program, seen)
        ctx.logger.info("the end")
        return "done"

    response = Endpoint(handler).call(memos, step=target)
    answer = response.get_json()
    for op in answer if isinstance(answer, list) else ():
        op.pop("timing", None)
        op.get("error", {}).pop("stack", None)
    if isinstance(answer, dict):
        answer.pop("stack", None)
    return response.status_code, answer, seen


def hashed(text):
    return step_hash(text) if text.isascii() else "none"


USES = [hashed(text) for text in ("a", "a:1", "a:2", "a:1:1", "a:b", "b", "b:1", "x" * 300)]


@given(
    PROGRAM,
    st.dictionaries(st.sampled_from(USES), MEMOS),
    st.sampled_from(["step", "step", USES[0], USES[1]]),
)
def test_a_call_ends_as_it_would_without_the_short_way(program, memos, target):
    outcome(program, memos, target)
    # the hashes are known now, which the short way needs
    short = outcome(program, memos, target)
    with mock.patch("inngest_wsgi.step.recall", long_way):
        assert outcome(program, memos, target) == short


def recalled(handler, memos):
    """Return how often the short way gave a result, in a second call."""
    endpoint = Endpoint(handler)
    endpoint.call(memos)
    with mock.patch("inngest_wsgi.step.recall", side_effect=recall.recall) as asked:
        found = []
        asked.side_effect = lambda *args: found.append(recall.recall(*args)) or found[-1]
        endpoint.call(memos)
    return sum(value is not recall.NOT_RECALLED for value in found)


def test_repeated_ids_and_steps_of_groups_take_the_short_way_too():
    def handler(ctx):
        for _ in range(3):
            ctx.step.run("a", int)
        ctx.group.parallel((lambda: ctx.step.run("b", int), lambda: ctx.step.run("c", int)))
        ctx.step.run("d", int)

    uses = ("a", "a:1", "a:2", "b", "c", "d")
    assert recalled(handler, {step_hash(use): {"data": 1} for use in uses}) == len(uses)


def test_hashes_are_remembered_within_a_limit(monkeypatch):
    monkeypatch.setattr(placement, "MAX_HASHES", 8)
    # other tests have filled them
    placement.HASHES.clear()
    placement.REPEATED.clear()

    def handler(ctx):
        return [ctx.step.run(f"s{n}", int) for n in range(20)] + [
            ctx.step.run("s", int) for _ in range(20)
        ]

    texts = [f"s{n}" for n in range(20)] + ["s"] + [f"s:{n}" for n in range(1, 20)]
    memos = {step_hash(text): {"data": n} for n, text in enumerate(texts)}
    for _ in range(2):
        assert Endpoint(handler).call(memos).get_json() == list(range(40))
        assert len(placement.HASHES) <= 8 and len(placement.REPEATED) <= 8


class Loud(str):
    """Text that is equal to any other."""

    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash("a")


def test_an_id_that_is_equal_to_others_is_hashed_as_what_it_says():
    endpoint = Endpoint(lambda ctx: ctx.step.run(Loud("b"), int))
    for _ in range(2):
        assert endpoint.op()["id"] == step_hash("b")
    assert endpoint.call({step_hash("b"): {"data": 1}}).get_json() == 1
    # what came of it is not remembered as another id's
    assert Endpoint(lambda ctx: ctx.step.run("a", int)).op()["id"] == step_hash("a")


class AnyCase(str):
    """Text that is equal to itself in capitals."""

    def __eq__(self, other):
        return self.lower() == other.lower()

    def __hash__(self):
        return hash(self.lower())


class Name(str, enum.Enum):
    FETCH = "fetch"


def test_an_id_of_another_class_is_the_text_itself():
    """Whatever ids other functions of the process have."""
    assert Endpoint(lambda ctx: ctx.step.run("fetch", int)).op()["id"] == step_hash("fetch")
    endpoint = Endpoint(lambda ctx: ctx.step.run(AnyCase("FETCH"), int))
    assert endpoint.op()["id"] == step_hash("FETCH")
    assert endpoint.call({step_hash("fetch"): {"data": 1}}).status_code == 206

    def twice(ctx):
        ctx.step.run(Name.FETCH, int)
        return ctx.step.run(Name.FETCH, int)

    op = Endpoint(twice).op({step_hash("fetch"): {"data": 1}})
    assert (op["id"], op["displayName"]) == (step_hash("fetch:1"), "fetch")
    assert op["userland"] == {"id": "fetch", "index": 1}


def test_a_result_is_the_functions_own():
    def handler(ctx):
        first = ctx.step.run("a", dict)
        first["mine"] = True
        return ctx.step.run("a", dict)

    memos = {step_hash("a"): {"data": {}}, step_hash("a:1"): {"data": {}}}
    for _ in range(2):
        assert Endpoint(handler).call(memos).get_json() == {}


def test_new_code_begins_after_the_last_memo_whichever_way_it_took(caplog):
    caplog.set_level("INFO")

    def handler(ctx):
        ctx.logger.info("before")
        ctx.group.parallel((lambda: ctx.step.run("a", int), lambda: ctx.step.run("b", int)))
        ctx.logger.info("after")

    memos = {step_hash("a"): {"data": 1}, step_hash("b"): {"data": 1}}
    for _ in range(2):
        caplog.clear()
        Endpoint(handler).call(memos)
        assert [r.getMessage() for r in caplog.records if hasattr(r, "inngest_run_id")] == [
            "after"
        ]


def test_a_coroutine_is_refused_whatever_else_the_step_has():
    async def work(**given):
        raise AssertionError("it runs")

    class Whole:
        def serialize(self, obj, typ):
            raise AssertionError("it is serialized")

        deserialize = serialize

    calls = (
        lambda ctx: ctx.step.run("a", work),
        lambda ctx: ctx.step.run("a", work, x=1),
        lambda ctx: ctx.step.run("a", work, output_type=int),
        lambda ctx: ctx.step.ai.wrap("a", work),
    )
    for handler in calls:
        op = Endpoint(handler, client={"serializer": Whole()}).op()
        assert "async def" in op["error"]["message"] and op["op"] == "StepFailed", op


# -- what is made when it is asked for ---------------------------------------------


def test_logger_and_group_are_there_and_always_the_same():
    def handler(ctx):
        assert "logger" in repr(ctx) and "group=" in repr(ctx)
        same = [getattr(ctx, name) is getattr(ctx, name) for name in ("logger", "group")]
        twin = copy.copy(ctx)
        same += [twin.logger is ctx.logger, dataclasses.replace(ctx).group is ctx.group]
        return [*same, not hasattr(ctx, "nothing"), ctx.events[0] is ctx.event, ctx == twin]

    assert Endpoint(handler).call().get_json() == [True] * 7


def test_a_copy_of_a_context_has_a_logger_too():
    def handler(ctx):
        copy.copy(ctx).group.parallel((lambda: ctx.step.run("a", int),))

    assert Endpoint(handler).op()["op"] == "StepPlanned"


def test_an_attribute_that_a_context_does_not_have_is_named():
    def handler(ctx):
        return ctx.loger

    message = Endpoint(handler).call().get_json()["message"]
    assert message == "'Context' object has no attribute 'loger'"


def test_a_context_made_by_hand_has_what_it_was_given():
    names = "attempt event events group job_id logger request_id run_id step".split()
    given: t.Dict[str, t.Any] = {**dict.fromkeys(names), "logger": 1, "group": 2}
    context = inngest.Context(**given)
    assert (context.logger, context.group, context.max_attempts) == (1, 2, None)
    assert not hasattr(context, "nothing")


class Wraps(inngest.Middleware):
    """Replaces the logger once, and reads it before each call."""

    times = itertools.count()

    def transform_input(self, ctx, function, steps):
        found = ctx.logger
        if next(self.times) == 0:
            ctx.logger = ["mine", found]
            ctx.group = "mine too"


def test_reading_a_logger_does_not_replace_it_after_a_checkpoint():
    def handler(ctx):
        seen = [ctx.logger[0], ctx.group]
        ctx.step.run("a", int)
        ctx.step.run("b", int)
        return [seen, [ctx.logger[0], ctx.group]]

    class Answers:
        def request(self, method, url, **options):
            import urllib3

            return urllib3.HTTPResponse(b"{}", status=200, preload_content=False)

    Wraps.times = itertools.count()
    endpoint = Endpoint(handler, client={"middleware": [Wraps]}, http=Answers())
    answer = endpoint.call(qi_id="q", fn_id="uuid", generation_id=1)
    assert answer.get_json() == [["mine", "mine too"]] * 2, answer.data
    assert next(Wraps.times) > 1


# -- ops and the body of a call ----------------------------------------------------


@given(st.text(min_size=1), st.sampled_from([None, {"type": "x", "input": ["\ud800"]}]))
def test_an_op_is_written_as_json_writes_it(user_id, opts):
    def handler(ctx):
        args = () if opts is None else ("\ud800",)
        return ctx.step.run(user_id, lambda *args: user_id, *args)

    op = Endpoint(handler).op()
    shown = user_id.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    hashed_id = placement.hash_of(user_id)
    assert op == {
        "op": "StepRun",
        "id": hashed_id,
        "displayName": shown,
        "name": shown,
        "userland": {"id": shown, "index": 0},
        "timing": op["timing"],
        "data": shown,
        **({} if opts is None else {"opts": {"input": ["\ufffd"]}}),
    }


def test_steps_that_are_no_object_are_refused_however_empty():
    endpoint = Endpoint(lambda ctx: 1)
    for steps in (0, "", [], False, 1, "a", [1]):
        call = {
            "ctx": {"run_id": "r", "attempt": 0},
            "event": {"name": "e"},
            "events": None,
            "steps": steps,
        }
        response = endpoint.request(body=json.dumps(call).encode())
        assert response.get_json()["message"] == "steps must be a JSON object.", steps
    call["steps"] = None
    assert endpoint.request(body=json.dumps(call).encode()).get_json() == 1
