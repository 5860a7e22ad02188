"""Random programs of steps, run by an interpreter that knows no protocol and
by the engine with a local server of which every choice is made here: the same
result, and each side effect exactly once, in whatever order the parallel
steps end. ``test_chaos`` runs more of them; these can be shrunk."""

import chaos
import programs
import pytest
from hypothesis import given, settings, strategies as st


@pytest.mark.filterwarnings("ignore:'return' in a 'finally':SyntaxWarning")
@settings(max_examples=3 * settings().max_examples)
@given(data=st.data())
def test_programs_end_as_they_would_without_a_server(data):
    def choose(n):
        return data.draw(st.integers(0, n - 1)) if n > 1 else 0

    program = programs.Maker(choose, leaves=8).program()
    chaos.Chaos(program, choose, faults=choose(2)).play()
