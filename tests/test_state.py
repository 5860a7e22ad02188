"""The phases of a call, and its last attempt."""

import threading

import pytest

from inngest_wsgi._execution import engine
from inngest_wsgi._execution.interrupt import Interrupt
from inngest_wsgi._execution.state import CallState, FunctionEnded, ParallelGroup, Phase
from inngest_wsgi._messages import Call, Op, StepId

OP = Op("Sleep", StepId("nap", 0, "hash"), "1s")


@pytest.fixture
def state():
    return CallState(threading.get_ident())


@pytest.mark.parametrize("phase", list(Phase))
def test_the_theory_of_operation_has_a_row_for_each_phase(phase):
    rows = [line.split("  ")[0] for line in engine.__doc__.splitlines()]
    assert rows.count(phase.name) == 1


def test_an_ending_is_recorded_before_anything_is_raised(state):
    ending = FunctionEnded(value=1)
    assert isinstance(state.end(ending), Interrupt)
    assert (state.phase, state.ending) == (Phase.ENDED, ending)
    assert state.is_interrupting


def test_looking_ahead_keeps_the_ending(state):
    state.end(FunctionEnded(value=1))
    state.look_ahead()
    assert (state.phase, state.is_interrupting) == (Phase.LOOKING_AHEAD, True)
    state.stop_looking_ahead()
    assert (state.phase, state.ending.value) == (Phase.ENDED, 1)


def test_a_step_that_is_reported_ends_the_call(state):
    state.report(OP)
    assert (state.phase, state.ending.ops) == (Phase.ENDED, [OP])


def test_a_step_that_is_reported_in_a_group_ends_its_branch(state):
    state.phase = Phase.FUNCTION
    state.group = ParallelGroup(None)
    state.report(OP)
    assert (state.phase, state.ending) == (Phase.FUNCTION, None)
    assert (state.is_interrupting, state.group.ops) == (True, [OP])
    state.group.begin(1)
    assert (state.is_interrupting, state.group.ops) == (False, [OP])


@pytest.mark.parametrize(
    "attempt, most, last",
    [(0, 4, False), (2, 4, False), (3, 4, True), (9, 4, True), (9, None, False)],
)
def test_the_last_attempt(attempt, most, last):
    call = Call("shop-f", None, "01RUN", attempt, most, False, {}, [{}], {})
    assert call.is_last_attempt is last
