"""A run with checkpointing ends as one without, whatever fails, and at whatever
point; and no step that is stored runs again."""

import json

import failpoints
import programs
from hypothesis import given, settings, strategies as st

import inngest_wsgi as inngest


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


@settings(max_examples=15)
@given(data=st.data())
def test_a_run_with_any_one_failure_ends_as_without_checkpointing(data):
    def choose(n):
        return data.draw(st.integers(0, n - 1)) if n > 1 else 0

    program = programs.Maker(choose, leaves=6).program()
    policy, places = policies(choose)
    seals = bool(choose(2))
    options = {"last_first": bool(choose(2)), "kills_are_attempts": bool(choose(2))}
    without = failpoints.Laboratory(program, {"function": False}, seals).play({}, **options)
    reference = programs.Reference()
    assert without.end == json.loads(json.dumps(reference.end(program)))
    laboratory = failpoints.Laboratory(program, places, seals)
    options["buffered"] = policy.buffered_steps

    def check(faults):
        trial = laboratory.play(faults, **options)
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
