"""``explore``: what is found in wrong functions, and that right ones pass."""

import pytest
import right_functions
import wrong_functions

from inngest_wsgi.testing import ExplorationFailed, explore

WRONG = wrong_functions.WRONG


@pytest.mark.parametrize("scenario", WRONG, ids=lambda wrong: wrong.__name__)
def test_a_wrong_function_is_found(scenario):
    with pytest.raises(ExplorationFailed) as caught:
        explore(scenario, seeds=200)
    text = str(caught.value)
    assert text.startswith(f"seed {caught.value.seed} fails")
    for words in WRONG[scenario]:
        assert words in text
    print(text)


@pytest.mark.parametrize("scenario", right_functions.RIGHT, ids=lambda right: right.__name__)
def test_a_right_function_passes(scenario):
    explore(scenario, seeds=200)
