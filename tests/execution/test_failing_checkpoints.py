"""A run with checkpointing ends as one without, whatever fails, and at whatever
point; and no step that is stored runs again."""

import json

import failpoints
import programs
import pytest
from hypothesis import given, settings, strategies as st

import inngest_wsgi as inngest
from inngest_wsgi import Checkpointing, ParallelMode


def step(name, failures=0, value=None):
    return ("step", name, failures, name if value is None else value)


ORDER = tuple(map(step, "abca"))
GROUP = (step("a"), ("seq", (step("b"), step("c"))))

PROGRAMS = {
    "steps in a row": ORDER,
    # numbers and the order of keys change on the way to the server and back
    "odd values": (step("a", value={"z": 1.0, "a": [-0.0, 1e21]}), step("b"), step("c")),
    "a sleep": (step("a"), step("b"), ("sleep", "x"), step("c")),
    "a step that fails twice": (step("a"), step("b"), step("c", 2), step("b")),
    "a failure that is caught": (step("a"), ("try", step("b", programs.ATTEMPTS)), step("c")),
    "a failure that is not": (step("a"), step("b"), step("c", programs.ATTEMPTS)),
    "a step after such a failure": (
        step("a"),
        ("finally", step("b", programs.ATTEMPTS), ("seq", (step("c"), step("a")))),
    ),
    "a group": (step("c"), step("b"), ("parallel", ParallelMode.WAIT, GROUP), *ORDER),
    "a race": (step("c"), step("b"), ("parallel", ParallelMode.RACE, GROUP), *ORDER),
    "code that catches everything": (("forget", ("seq", ORDER)), ("swallow", step("b"))),
}

POLICIES = {
    "each step": Checkpointing(),
    "two steps": Checkpointing(buffered_steps=2),
    "three steps, or half a second": Checkpointing(buffered_steps=3, max_interval=500),
    "two steps in a call": Checkpointing(buffered_steps=5, max_runtime="1500ms"),
}


def survey(program, places, policy, seals=False, **options):
    """Let each thing fail at each point, and compare with a run without
    checkpointing.

    :param places: the ``checkpointing`` of the function, of ``serve`` and of
        the client
    :param policy: the one of them that applies
    :param seals: whether there is middleware
    """
    without = failpoints.Laboratory(program, {"function": False}, seals).play({}, **options)
    assert without.end == json.loads(json.dumps(programs.Reference().end(program)))
    laboratory = failpoints.Laboratory(program, places, seals)

    def check(faults):
        trial = laboratory.play(faults, policy=policy, **options)
        story = f"{program!r}\n{places}\n{faults}\n" + "\n".join(trial.log)
        assert not trial.problems, "\n".join([*trial.problems, story])
        assert trial.end == without.end, story
        assert trial.seen == without.seen, story
        return trial

    smooth = check({})
    assert sorted(smooth.bodies) == sorted(without.bodies)
    for point in smooth.points:
        for fault in failpoints.FAULTS[point[0]]:
            check({point: fault})


@pytest.mark.parametrize("policy", list(POLICIES))
@pytest.mark.parametrize("program", list(PROGRAMS))
def test_a_run_with_one_failure_ends_as_without_checkpointing(program, policy):
    chosen = POLICIES[policy]
    survey(("seq", PROGRAMS[program]), {"serve": chosen}, chosen, policy == "two steps")


def policies(choose):
    """Choose a policy, and where it is set; elsewhere is another one."""
    policy = inngest.Checkpointing(
        buffered_steps=1 + choose(4),
        max_interval=(None, None, 1, 2500)[choose(4)],
        max_runtime=("10m", "10m", "3500ms", 1)[choose(4)],
    )
    place = choose(3)
    places = ("function", "serve", "client")
    others = dict.fromkeys(places[place + 1 :], (None, False, True)[choose(3)])
    return policy, dict(others, **{places[place]: policy})


@settings(max_examples=settings().max_examples // 10)
@given(data=st.data())
def test_so_does_any_run(data):
    def choose(n):
        return data.draw(st.integers(0, n - 1)) if n > 1 else 0

    maker = programs.Maker(choose, leaves=6)
    program = ("seq", tuple(maker.step() for _ in range(choose(4))) + maker.program()[1])
    policy, places = policies(choose)
    survey(
        program,
        places,
        policy,
        seals=bool(choose(2)),
        last_first=bool(choose(2)),
        kills_are_attempts=bool(choose(2)),
    )
