"""Random programs of steps have the same result with the engine as with an
interpreter that knows no protocol.

The engine runs against a simulated server. Each side effect must happen
exactly once, in whatever order the parallel steps end.
"""

import json

import pytest
from apps import Endpoint
from hypothesis import given, settings, strategies as st

import inngest_wsgi as inngest

ATTEMPTS = 3

# -- programs ----------------------------------------------------------------
# A program is a nested tuple: (kind, ...). The ids of steps repeat within a
# branch and differ between branches, as ids that are told apart by their
# order must.

steps = st.tuples(
    st.just("step"),
    st.sampled_from("abc"),
    st.integers(0, ATTEMPTS),  # how often it fails first; all the time, if as often as tried
    st.integers() | st.text(max_size=3) | st.none() | st.lists(st.booleans(), max_size=2),
)
sleeps = st.tuples(st.just("sleep"), st.sampled_from("xy"))


def compound(inner):
    bodies = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return (
        st.tuples(st.just("seq"), bodies)
        | st.tuples(st.just("loop"), st.integers(1, 3), inner)
        | st.tuples(st.just("try"), inner)
        | st.tuples(st.just("swallow"), inner)
        | st.tuples(st.just("forget"), inner)
        | st.tuples(st.just("finally"), inner, steps)
        | st.tuples(st.just("parallel"), st.sampled_from(list(inngest.ParallelMode)), bodies)
    )


programs = st.recursive(steps | sleeps, compound, max_leaves=8)


class Failure(Exception):
    """A step that has failed for good, in the reference interpreter."""


class Reference:
    """Run a program as if its steps were plain function calls."""

    def __init__(self):
        self.effects = []

    def run(self, node, branch=""):
        return getattr(self, node[0])(branch, *node[1:])

    def step(self, branch, name, failures, value):
        if failures >= ATTEMPTS:
            raise Failure(branch + name)
        self.effects.append(branch + name)
        return value

    def sleep(self, branch, name):
        return None

    def seq(self, branch, body):
        return [self.run(node, branch) for node in body]

    def loop(self, branch, times, body):
        return [self.run(body, branch) for _ in range(times)]

    def try_(self, branch, body):
        try:
            return self.run(body, branch)
        except Failure as error:
            return "caught " + str(error)

    def swallow(self, branch, body):
        try:
            return self.run(body, branch)
        except Failure:
            return "swallowed"

    def forget(self, branch, body):
        try:
            self.run(body, branch)
        except Failure:
            pass
        return "forgotten"

    def finally_(self, branch, body, last):
        try:
            return self.run(body, branch)
        finally:
            self.run(last, branch)

    def parallel(self, branch, mode, branches):
        values, raised = [], []
        for n, body in enumerate(branches):
            try:
                values.append(self.run(body, "{}{}/".format(branch, n)))
            except Failure as error:
                raised.append(error)
        if raised:
            raise raised[0]
        return values


setattr(Reference, "try", Reference.try_)
setattr(Reference, "finally", Reference.finally_)


class Interpreter:
    """Run a program with the steps of a context."""

    def __init__(self, ctx, effects, failed):
        self.ctx = ctx
        self.effects = effects
        self.failed = failed
        self.uses = {}

    def run(self, node, branch=""):
        return getattr(self, node[0])(branch, *node[1:])

    def step(self, branch, name, failures, value):
        step_id = branch + name
        use = self.uses[step_id] = self.uses.get(step_id, 0) + 1

        def work():
            tries = self.failed.get((step_id, use), 0)
            if tries < failures:
                self.failed[step_id, use] = tries + 1
                raise ValueError(step_id)
            self.effects.append(step_id)
            return value

        return self.ctx.step.run(step_id, work)

    def sleep(self, branch, name):
        return self.ctx.step.sleep(branch + name, 1000)

    seq = Reference.seq
    loop = Reference.loop

    def try_(self, branch, body):
        try:
            return self.run(body, branch)
        except inngest.StepError as error:
            return "caught " + error.message

    def swallow(self, branch, body):
        try:
            return self.run(body, branch)
        except BaseException:
            return "swallowed"

    def forget(self, branch, body):
        try:
            self.run(body, branch)
        finally:
            return "forgotten"

    finally_ = Reference.finally_

    def parallel(self, branch, mode, branches):
        bodies = tuple(
            lambda n=n, body=body: self.run(body, "{}{}/".format(branch, n))
            for n, body in enumerate(branches)
        )
        return list(self.ctx.group.parallel(bodies, mode))


setattr(Interpreter, "try", Interpreter.try_)
setattr(Interpreter, "finally", Interpreter.finally_)


class Player:
    """Simulate the server's side of one run; ``choose`` decides whatever depends
    on chance in a server."""

    def __init__(self, endpoint, choose, effects):
        self.endpoint = endpoint
        self.choose = choose
        self.effects = effects
        self.memos = {}
        self.open = set()
        #: what to call, the attempt, whether new steps are to be planned, and
        #: how many memos were known when it was decided
        self.jobs = [("step", 0, False, 0)]

    def play(self):
        """Return the end of the run: ("ok", output) or ("failed", message)."""
        for _ in range(2000):
            assert self.jobs, "nothing is left to do, and the run has not ended"
            end = self.call(*self.jobs.pop(self.choose(len(self.jobs))))
            if end is not None:
                return end
        raise AssertionError("the run does not end")

    def call(self, target, attempt, plan_only, known):
        # a targeted call may lack results that its siblings have had meanwhile
        count = known + self.choose(len(self.memos) - known + 1) if target != "step" else None
        memos = dict(list(self.memos.items())[:count])
        done = len(self.effects)
        response = self.endpoint.call(
            memos,
            step=target,
            attempt=attempt,
            max_attempts=ATTEMPTS,
            disable_immediate_execution=plan_only,
        )
        body = response.get_json()
        twice = target in memos
        if twice or (plan_only and target == "step"):
            assert len(self.effects) == done, "nothing is to run in this call"
        if response.status_code == 200:
            assert target == "step" or twice, "a targeted call must not end the run"
            return "ok", body
        if twice and response.status_code == 500:
            assert body["code"] == "step_unexpected"
            return None
        if response.status_code != 206:
            assert response.headers["X-Inngest-No-Retry"] == "true", body
            return "failed", body["message"]
        assert body, "an empty list makes the server call again, for ever"
        for op in body:
            assert op["id"] not in memos, "a memoized id is reported again"
            if target != "step":
                assert op["id"] == target, "a targeted call answers with its step"
        race = any((op.get("opts") or {}).get("parallelMode") == "race" for op in body)
        for op in body:
            if op["op"] == "StepError":
                self.jobs.append((target, attempt + 1, plan_only, len(self.memos)))
            else:
                self.take(op, race)
        return None

    def take(self, op, race):
        kind, hashed = op["op"], op["id"]
        if kind in ("StepPlanned", "Sleep"):
            if hashed in self.open:
                return
            self.open.add(hashed)
            if kind == "StepPlanned":
                self.jobs.append((hashed, 0, True, len(self.memos)))
            else:
                self.remember(hashed, None, race)
        elif kind == "StepRun":
            self.remember(hashed, {"data": op["data"]}, race)
        else:
            assert kind == "StepFailed", kind
            self.remember(hashed, {"error": op["error"]}, race)

    def remember(self, hashed, memo, race):
        self.memos[hashed] = memo
        self.open.discard(hashed)
        if self.choose(8) == 7:
            # the same call, once more
            self.jobs.append((hashed, 0, True, len(self.memos)))
        if race or not self.open:
            self.discover()

    def discover(self):
        if all(target != "step" for target, *_ in self.jobs):
            # after a group the server may keep immediate execution disabled
            self.jobs.append(("step", 0, bool(self.choose(2)), len(self.memos)))


@pytest.mark.filterwarnings("ignore:'return' in a 'finally':SyntaxWarning")
@settings(deadline=None, max_examples=300)
@given(program=programs, data=st.data())
def test_random_programs_have_the_same_result_as_without_a_server(program, data):
    reference = Reference()
    try:
        expected = ("ok", json.loads(json.dumps(reference.run(program))))
    except Failure as error:
        expected = ("failed", str(error))
    effects, failed = [], {}
    endpoint = Endpoint(lambda ctx: Interpreter(ctx, effects, failed).run(program))
    player = Player(endpoint, lambda n: data.draw(st.integers(0, n - 1)) if n > 1 else 0, effects)
    assert player.play() == expected
    assert sorted(effects) == sorted(reference.effects)
