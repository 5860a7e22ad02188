"""Parallel groups, and steps that are misplaced."""

import threading

import pytest
from apps import Endpoint, step_hash

import inngest_wsgi as inngest
from inngest_wsgi.experimental.ai import openai


def run(ctx, name, value=None):
    return lambda: ctx.step.run(name, lambda: value or name.upper())


def memos(*names):
    return {step_hash(name): {"data": name.upper()} for name in names}


def failed(name):
    return {step_hash(name): {"error": {"name": "E", "message": name}}}


def planned(response):
    assert response.status_code == 206, response.data
    return [(op["op"], op["displayName"]) for op in response.get_json()]


def test_a_group_reports_the_next_step_of_each_branch():
    endpoint = Endpoint(
        lambda ctx: ctx.group.parallel(
            (
                run(ctx, "a"),
                lambda: ctx.step.sleep("b", "1s"),
                lambda: ctx.step.wait_for_event("c", event="e", timeout="1s"),
                lambda: "no step at all",
            )
        )
    )
    assert planned(endpoint.call()) == [
        ("StepPlanned", "a"),
        ("Sleep", "b"),
        ("WaitForEvent", "c"),
    ]
    known = dict(memos("a"), **{step_hash("b"): None, step_hash("c"): None})
    assert endpoint.call(known).get_json() == ["A", None, None, "no step at all"]


def test_a_group_without_branches():
    assert Endpoint(lambda ctx: ctx.group.parallel(())).call().get_json() == []


def test_a_branch_that_is_async_def_fails_the_function():
    async def fetch():
        raise AssertionError("nothing runs it")

    def asks(ctx):
        return ctx.group.parallel((fetch, lambda: 1))

    answer = Endpoint(asks).call()
    assert answer.status_code == 400
    assert "a branch is async def" in answer.get_json()["message"]
    assert answer.get_json()["name"] == "StepConfigError"


RACE, WAIT = inngest.ParallelMode.RACE, inngest.ParallelMode.WAIT


def group(ctx, *branches, mode=WAIT):
    """Run a group whose branches are functions, or steps given by name."""
    made = tuple(run(ctx, one) if isinstance(one, str) else one for one in branches)
    return ctx.group.parallel(made, parallel_mode=mode)


def modes(response):
    """Return the parallel mode of each op; None is the default mode."""
    assert response.status_code == 206, response.data
    return {
        op["displayName"]: op.get("opts", {}).get("parallelMode") for op in response.get_json()
    }


def race_alone(ctx):
    group(ctx, "a", lambda: ctx.step.sleep("b", "1s"), mode=RACE)


def wait_alone(ctx):
    group(ctx, "a", lambda: ctx.step.sleep("b", "1s"))


def race_then_all_kinds(ctx):
    group(ctx, "a", "b", mode=RACE)
    ctx.step.run("c", lambda: 1)
    ctx.step.sleep("d", "1s")
    group(ctx, "e", lambda: ctx.step.invoke_by_id("f", function_id="other"))
    ctx.step.wait_for_event("g", event="e", timeout="1s")


def wait_in_race(ctx):
    group(ctx, "a", lambda: group(ctx, "b", "c"), mode=RACE)


def race_in_wait(ctx):
    group(ctx, "before", lambda: group(ctx, "a", "b", mode=RACE), "beside")
    ctx.step.run("after", lambda: 1)


def race_deep_in_wait(ctx):
    deep = [lambda: group(ctx, "x", lambda: group(ctx, "a", mode=RACE))]
    group(ctx, lambda: group(ctx, "before", "y"), *deep)


def race_behind_a_step_of_a_branch(ctx):
    def second():
        ctx.step.run("first", lambda: 1)
        return group(ctx, "a", "b", mode=RACE)

    group(ctx, "before", second)


def race_that_is_empty(ctx):
    group(ctx, mode=RACE)
    ctx.step.run("after", lambda: 1)


@pytest.mark.parametrize(
    "handler, known, target, expected",
    [
        (wait_alone, (), None, {"a": None, "b": None}),
        (wait_alone, (), "a", {"a": None}),
        (race_alone, (), None, {"a": "race", "b": "race"}),
        (race_alone, (), "a", {"a": "race"}),
        (race_then_all_kinds, "ab", None, {"c": "race"}),
        (race_then_all_kinds, "ab", "c", {"c": "race"}),
        (race_then_all_kinds, "abc", None, {"d": "race"}),
        (race_then_all_kinds, "abcd", None, {"e": "race", "f": "race"}),
        (race_then_all_kinds, "abcd", "e", {"e": "race"}),
        (race_then_all_kinds, "abcdef", None, {"g": "race"}),
        (wait_in_race, (), None, {"a": "race", "b": "race", "c": "race"}),
        (wait_in_race, (), "c", {"c": "race"}),
        # a late call may plan the steps beside the race again
        (race_in_wait, (), None, dict.fromkeys(("before", "a", "b", "beside"), "race")),
        (race_in_wait, (), "before", {"before": "race"}),
        (race_in_wait, (), "beside", {"beside": "race"}),
        (race_in_wait, ("before", "a", "b", "beside"), None, {"after": "race"}),
        (race_deep_in_wait, (), "before", {"before": "race"}),
        (race_deep_in_wait, (), "y", {"y": "race"}),
        (race_deep_in_wait, (), None, dict.fromkeys(("before", "y", "x", "a"), "race")),
        # the race has not begun, so there are no late calls
        (race_behind_a_step_of_a_branch, (), None, {"before": None, "first": None}),
        (race_behind_a_step_of_a_branch, (), "before", {"before": None}),
        (race_behind_a_step_of_a_branch, ("first",), "before", {"before": "race"}),
        (race_that_is_empty, (), None, {"after": "race"}),
    ],
)
def test_every_op_in_beside_and_after_a_race_group_is_marked(handler, known, target, expected):
    step = "step" if target is None else step_hash(target)
    response = Endpoint(handler).call(memos(*known), step=step)
    assert modes(response) == expected
    ran = [op["op"] for op in response.get_json() if op["op"].startswith("Step")]
    assert set(ran) <= {"StepPlanned" if target is None else "StepRun"}


def fetching(ctx, name):
    return ctx.step.fetch(name, "http://a.example/")


def asking(ctx, name):
    adapter = openai.Adapter(auth_key="k", model="m")
    return ctx.step.ai.infer(name, adapter=adapter, body={"messages": []})


@pytest.mark.parametrize("step, op", [(fetching, "Gateway"), (asking, "AIGateway")])
@pytest.mark.parametrize(
    "handler, known",
    [
        (lambda ctx, one: group(ctx, "a", one, mode=RACE), ()),
        (lambda ctx, one: group(ctx, one, lambda: group(ctx, "a", mode=RACE)), ()),
        (lambda ctx, one: [group(ctx, "a", mode=RACE), one()], ("a",)),
        (lambda ctx, one: [group(ctx, "a", mode=RACE), group(ctx, one, "b")], ("a",)),
    ],
)
def test_a_request_that_a_race_reaches_is_planned_for_the_server_makes_each(
    handler, known, step, op
):
    endpoint = Endpoint(lambda ctx: handler(ctx, lambda: step(ctx, "get")))
    response = endpoint.call(memos(*known))
    assert ("StepPlanned", "get") in planned(response)
    assert set(modes(response).values()) == {"race"}
    targeted = endpoint.call(memos(*known), step=step_hash("get"))
    assert planned(targeted) == [(op, "get")]
    (found,) = targeted.get_json()
    assert found["opts"]["url"] and found["opts"]["parallelMode"] == "race"


@pytest.mark.parametrize("step, op", [(fetching, "Gateway"), (asking, "AIGateway")])
def test_without_a_race_a_request_is_reported_at_once(step, op):
    endpoint = Endpoint(lambda ctx: group(ctx, "a", lambda: step(ctx, "get")))
    assert planned(endpoint.call()) == [("StepPlanned", "a"), (op, "get")]


def wait_half_done(ctx):
    return group(ctx, "a", "b")


def race_half_done(ctx):
    return group(ctx, "a", "b", mode=RACE)


def sequence_half_done(ctx):
    return [ctx.step.run("a", lambda: 1), ctx.step.run("b", lambda: 2)]


@pytest.mark.parametrize(
    "handler, known, op",
    [
        (sequence_half_done, "a", "DiscoveryRequest"),
        (sequence_half_done, "ab", "DiscoveryRequest"),
        (wait_half_done, "ab", "DiscoveryRequest"),
        (race_half_done, "a", "DiscoveryRequest"),
        (race_half_done, "ab", "DiscoveryRequest"),
        # the server calls again by itself when b has ended, and not before
        (wait_half_done, "a", "None"),
        (lambda ctx: [ctx.step.run("a", str), 1 / 0], "a", "DiscoveryRequest"),
    ],
)
def test_a_call_for_a_step_that_has_ended_asks_for_the_next_one_where_it_is_due(
    handler, known, op
):
    hooks = []

    class Noting(inngest.Middleware):
        def before_execution(self):
            hooks.append("before_execution")

        def after_execution(self):
            hooks.append("after_execution")

        def transform_output(self, result):
            hooks.append("transform_output")

    endpoint = Endpoint(handler, client={"middleware": [Noting]})
    response = endpoint.call(memos(*known), step=step_hash("a"))
    assert response.status_code == 206
    (found,) = response.get_json()
    assert (found["op"], found["id"]) == (op, step_hash("a"))
    race = handler is race_half_done
    assert (found.get("opts") or {}).get("parallelMode") == ("race" if race else None)
    assert hooks == [], "nothing new ran"


def failing(*args):
    raise ValueError("not yet")


@pytest.mark.parametrize("attempt, op", [(0, "StepError"), (3, "StepFailed")])
def test_a_step_that_fails_beside_a_race_is_marked(attempt, op):
    def handler(ctx):
        race = [lambda: group(ctx, "a", mode=RACE)]
        group(ctx, lambda: ctx.step.run("before", failing), *race)

    response = Endpoint(handler).call(step=step_hash("before"), attempt=attempt)
    assert planned(response) == [(op, "before")]
    assert modes(response) == {"before": "race"}


def test_a_step_with_a_misplaced_step_in_it_is_marked_beside_a_race():
    def handler(ctx):
        def outer():
            ctx.step.run("before", run(ctx, "inner"))

        group(ctx, outer, run(ctx, "beside"), lambda: group(ctx, "a", mode=RACE))

    response = Endpoint(handler).call(memos("beside"), step=step_hash("before"))
    assert planned(response) == [("StepFailed", "before")]
    assert modes(response) == {"before": "race"}
    assert "it is inside step 'before'" in response.get_json()[0]["error"]["message"]


def test_looking_ahead_runs_nothing_and_logs_nothing(caplog):
    caplog.set_level("INFO")
    ran = []

    def other(ctx):
        ctx.logger.info("beside")
        try:
            ctx.step.run("other", ran.append, "other")
        finally:
            ctx.logger.info("on the way out")

    def handler(ctx):
        try:
            group(
                ctx,
                lambda: ctx.step.run("a", ran.append, "a"),
                lambda: other(ctx),
                failing,
                lambda: ctx.step.run("", ran.append, "refused"),
                lambda: ctx.step.sleep("b", "no time"),
                lambda: group(ctx, lambda: other(ctx)),
            )
        finally:
            ctx.step.run("finally", ran.append, "finally")

    response = Endpoint(handler).call(step=step_hash("a"))
    assert planned(response) == [("StepRun", "a")]
    assert ran == ["a"]
    assert "beside" not in caplog.text and "on the way out" not in caplog.text


def test_a_process_exit_passes_through_while_looking_ahead():
    def leave():
        raise SystemExit

    with pytest.raises(SystemExit):
        Endpoint(lambda ctx: group(ctx, "a", leave)).call(step=step_hash("a"))


def test_a_swallowed_interrupt_is_logged_while_looking_ahead(caplog):
    def handler(ctx):
        def second():
            swallow(lambda: group(ctx, "a", "b"))
            ctx.step.run("after", lambda: 1)

        group(ctx, second, "c")

    response = Endpoint(handler).call(step=step_hash("a"))
    assert planned(response) == [("StepRun", "a")]
    assert "Let BaseException pass" in caplog.text


def two_of_two(ctx):
    def branch(name):
        first = ctx.step.run(name + "1", lambda: name + "1")
        return [first, ctx.step.run(name + "2", lambda: name + "2")]

    return ctx.group.parallel((lambda: branch("a"), lambda: branch("b")))


def test_branches_continue_independently():
    endpoint = Endpoint(two_of_two)
    assert planned(endpoint.call(memos("b1"))) == [("StepPlanned", "a1"), ("StepPlanned", "b2")]
    assert planned(endpoint.call(memos("b1"), step=step_hash("b2"))) == [("StepRun", "b2")]
    assert planned(endpoint.call(memos("a1", "b1", "b2"))) == [("StepPlanned", "a2")]


@pytest.mark.parametrize("known, target", [((), "a1"), ((), "b1"), (("a1",), "b1")])
def test_a_targeted_call_runs_its_step(known, target):
    response = Endpoint(two_of_two).call(memos(*known), step=step_hash(target))
    assert planned(response) == [("StepRun", target)]


@pytest.mark.parametrize(
    "known, target", [((), "a2"), (("a1",), "gone"), (("a1", "a2", "b1", "b2"), "gone")]
)
def test_a_targeted_call_for_a_step_in_no_branch_is_retriable(known, target):
    response = Endpoint(two_of_two).call(memos(*known), step=step_hash(target))
    assert response.headers["X-Inngest-No-Retry"] == "false"
    problem = response.get_json()
    assert (response.status_code, problem["code"]) == (500, "step_unexpected")
    assert step_hash(target) in problem["message"]


def catching(ctx):
    try:
        return list(ctx.group.parallel((run(ctx, "a"), run(ctx, "b"), run(ctx, "c"))))
    except inngest.StepError as error:
        return "caught " + error.message


@pytest.mark.parametrize(
    "known, answer",
    [
        (dict(failed("b"), **memos("a")), [("StepPlanned", "c")]),
        (dict(failed("b"), **memos("a", "c")), "caught b"),
        (dict(failed("c"), **dict(failed("b"), **memos("a"))), "caught b"),
    ],
)
def test_an_error_is_raised_once_all_branches_have_ended(known, answer):
    response = Endpoint(catching).call(known)
    found = planned(response) if response.status_code == 206 else response.get_json()
    assert found == answer


def test_an_error_outside_of_a_step_makes_the_function_fail():
    def handler(ctx):
        ctx.group.parallel((run(ctx, "a"), lambda: 1 / 0))

    endpoint = Endpoint(handler)
    assert planned(endpoint.call()) == [("StepPlanned", "a")]
    response = endpoint.call(memos("a"))
    assert (response.status_code, response.get_json()["name"]) == (500, "ZeroDivisionError")


def swallow(call):
    try:
        return call()
    except BaseException:
        return "swallowed"


def test_a_branch_that_swallows_does_not_end(caplog):
    def branch(ctx):
        swallow(run(ctx, "a"))
        ctx.step.run("after", lambda: "must not run yet")
        return "done"

    endpoint = Endpoint(
        lambda ctx: ctx.group.parallel((lambda: swallow(lambda: branch(ctx)), run(ctx, "b")))
    )
    assert planned(endpoint.call()) == [("StepPlanned", "a"), ("StepPlanned", "b")]
    assert "Let BaseException pass" in caplog.text


def test_a_group_in_a_branch():
    endpoint = Endpoint(
        lambda ctx: ctx.group.parallel(
            (
                lambda: list(ctx.group.parallel((run(ctx, "a"), run(ctx, "b")))),
                run(ctx, "c"),
            )
        )
    )
    assert planned(endpoint.call(memos("a"))) == [("StepPlanned", "b"), ("StepPlanned", "c")]
    assert planned(endpoint.call(step=step_hash("b"))) == [("StepRun", "b")]
    assert endpoint.call(memos("a", "b", "c")).get_json() == [["A", "B"], "C"]


def test_a_step_after_a_group_runs_at_once_unless_the_server_forbids_it():
    def handler(ctx):
        ctx.group.parallel((run(ctx, "a"),))
        return ctx.step.run("b", lambda: 1)

    endpoint = Endpoint(handler)
    assert planned(endpoint.call(memos("a"))) == [("StepRun", "b")]
    planned_only = endpoint.call(memos("a"), disable_immediate_execution=True)
    assert planned(planned_only) == [("StepPlanned", "b")]


def first_of_each(ctx, name):
    return ctx.group.parallel(tuple(lambda n=n: ctx.step.run(name, lambda: n) for n in range(3)))


def second_of_one(ctx, name):
    def two():
        return [ctx.step.run("first", lambda: 0), ctx.step.run(name, lambda: 0)]

    return ctx.group.parallel((two, lambda: ctx.step.run(name, lambda: 1)))


def twice_in_one(ctx, name):
    def two():
        return [ctx.step.run(name, lambda: 0), ctx.step.run(name, lambda: 0)]

    return ctx.group.parallel((two, lambda: ctx.step.run(name, lambda: 1)))


def in_a_group_of_a_branch(ctx, name):
    def inner():
        return ctx.group.parallel((run(ctx, "x"), lambda: ctx.step.run(name, lambda: 0)))

    return ctx.group.parallel((inner, lambda: ctx.step.run(name, lambda: 1)))


def test_an_id_may_be_the_first_of_several_branches():
    endpoint = Endpoint(lambda ctx: first_of_each(ctx, "s"))
    assert planned(endpoint.call()) == [("StepPlanned", "s")] * 3
    assert endpoint.op(step=step_hash("s:1"))["data"] == 1
    known = {step_hash("s:2"): {"data": 2}, step_hash("s"): {"data": 0}}
    assert planned(endpoint.call(known)) == [("StepPlanned", "s")]


@pytest.mark.parametrize(
    "in_branches, known",
    [(second_of_one, ("first",)), (twice_in_one, ("s",)), (in_a_group_of_a_branch, ())],
)
def test_an_id_whose_uses_have_no_order_is_refused(in_branches, known):
    response = Endpoint(lambda ctx: in_branches(ctx, "s")).call(memos(*known))
    assert response.status_code == 400
    assert "another branch" in response.get_json()["message"]


# -- misplaced steps ---------------------------------------------------------


@pytest.mark.parametrize(
    "inner",
    [
        lambda ctx: ctx.step.run("inner", lambda: 1),
        lambda ctx: ctx.step.sleep("inner", "1s"),
        lambda ctx: ctx.group.parallel((run(ctx, "inner"),)),
        lambda ctx: swallow(run(ctx, "inner")),
    ],
)
def test_a_step_in_a_step_fails_even_if_the_error_is_swallowed(inner):
    op = Endpoint(lambda ctx: ctx.step.run("outer", lambda: inner(ctx))).op()
    assert (op["op"], op["displayName"]) == ("StepFailed", "outer")
    assert "it is inside step 'outer'" in op["error"]["message"]


def in_thread(work):
    thread = threading.Thread(target=swallow, args=(work,))
    thread.start()
    thread.join()


def test_a_step_in_another_thread_fails_the_function():
    response = Endpoint(lambda ctx: in_thread(run(ctx, "a"))).call()
    assert response.status_code == 400
    problem = response.get_json()
    assert problem["message"].startswith("step 'a': it is called in another thread")
    assert "group.parallel" in problem["message"]


def test_the_error_of_a_step_in_another_thread_names_that_step():
    charged = []

    def handler(ctx):
        in_thread(run(ctx, "audit"))
        ctx.step.run("charge", charged.append, 1)

    response = Endpoint(handler).call()
    assert (response.status_code, charged) == (400, [])
    assert response.get_json()["message"].startswith("step 'audit': ")


def test_a_step_in_another_thread_of_a_step_fails_the_step():
    op = Endpoint(lambda ctx: ctx.step.run("outer", in_thread, run(ctx, "a"))).op()
    assert (op["op"], op["displayName"]) == ("StepFailed", "outer")
    assert "another thread" in op["error"]["message"]


def test_a_step_is_refused_after_its_call_has_ended():
    kept = []
    Endpoint(lambda ctx: kept.append(ctx)).call()
    for call in (run(kept[0], "a"), lambda: kept[0].group.parallel(())):
        with pytest.raises(inngest.StepConfigError, match="has ended"):
            call()


def test_steps_in_a_generator():
    def generator(ctx):
        try:
            yield ctx.step.run("a", lambda: 1)
            yield ctx.step.run("b", lambda: 2)
        finally:
            ctx.step.run("c", lambda: 3)

    endpoint = Endpoint(lambda ctx: list(generator(ctx)))
    known = {}
    for name in "abc":
        assert planned(endpoint.call(known)) == [("StepRun", name)]
        known.update(memos(name))
    assert endpoint.call(known).get_json() == ["A", "B"]


def test_a_generator_of_steps_that_is_closed_half_way_ends_nothing():
    def generator(ctx):
        yield ctx.step.run("a", lambda: 1)
        yield ctx.step.run("b", lambda: 2)

    endpoint = Endpoint(lambda ctx: next(generator(ctx)))
    assert endpoint.call(memos("a")).get_json() == "A"


def test_recursion():
    def countdown(ctx, n):
        return [] if n == 0 else [ctx.step.run("n", lambda: n)] + countdown(ctx, n - 1)

    endpoint = Endpoint(lambda ctx: countdown(ctx, 3))
    known = {step_hash("n"): {"data": 3}, step_hash("n:1"): {"data": 2}}
    assert endpoint.op(known)["data"] == 1


def test_endless_recursion_is_an_error_of_the_function():
    def forever(ctx):
        return forever(ctx)

    response = Endpoint(forever).call()
    assert (response.status_code, response.get_json()["name"]) == (500, "RecursionError")
