"""``explore``: what is found in wrong functions, and that right ones pass."""

import importlib
import pathlib
import re
import sys
import unittest

import pytest
import right_functions
import sqlalchemy
import toolkit_shop
import wrong_functions
from hypothesis import settings

import inngest_wsgi as inngest
from inngest_wsgi.testing import FAULT_KINDS, ExplorationFailed, InngestTestCase, explore

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"

#: The kinds of faults after which a step that has run runs again.
LOSING = (
    "drop answer",
    "duplicate call",
    "truncate answer",
    "lose worker",
    "kill inside",
    "kill after",
    "drop checkpoint",
    "drop checkpoint answer",
    "delay checkpoint",
    "fail api",
)

WRONG = wrong_functions.WRONG
#: 200, unless --hypothesis-profile asks for fewer.
RIGHT_SEEDS = 2 * settings().max_examples


@pytest.mark.parametrize("scenario", WRONG, ids=lambda wrong: wrong.__name__)
def test_a_wrong_function_is_found(scenario):
    with pytest.raises(ExplorationFailed) as caught:
        explore(scenario, seeds=200)
    text = str(caught.value)
    assert text.startswith(f"seed {caught.value.seed} fails")
    for words in WRONG[scenario]:
        assert words in text


@pytest.mark.parametrize("scenario", right_functions.RIGHT, ids=lambda right: right.__name__)
def test_a_right_function_passes(scenario):
    explore(scenario, seeds=RIGHT_SEEDS)


def test_the_same_seed_gives_the_same():
    """Its order, faults, ids and times; so a seed that fails can be run alone."""
    told = []
    for _ in range(2):
        with pytest.raises(ExplorationFailed) as caught:
            explore(wrong_functions.step_after_a_race, seeds=200)
        with pytest.raises(ExplorationFailed) as alone:
            explore(wrong_functions.step_after_a_race, seed=caught.value.seed)
        told += [timeless(caught.value), timeless(alone.value)]
    assert len(set(told)) == 1


def timeless(error):
    """Return what is said, without the dates and ids that follow from the real time."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "", str(error))
    return re.sub(r"\b[0-9A-Z]{26}\b", "", text)


def test_no_fault_is_told_that_is_not_needed():
    def scenario(server):
        mails = []
        server.serve(toolkit_shop.app_of(lambda ctx: mails.append("sent"), checkpointing=False))
        server.send("go")
        server.run_until_idle()
        assert len(mails) == 1

    for seed in range(2, 40):
        try:
            explore(scenario, seed=seed)
        except ExplorationFailed as error:
            assert len(error.faults) == 1
            assert error.seed == seed
            assert f"explore(seed={seed})" in str(error)
            assert "assert len(mails) == 1" in str(error)
            return
    raise AssertionError("no seed fails")


def test_a_step_that_may_not_run_twice_is_named():
    """Its answer is lost, and it runs again."""

    def scenario(server):
        charged = []
        server.serve(
            toolkit_shop.app_of(
                lambda ctx: ctx.step.run("charge", charged.append, 1), checkpointing=False
            )
        )
        server.send("go")
        server.run_until_idle()
        assert charged == [1], "charged twice"

    with pytest.raises(ExplorationFailed, match="charged twice") as caught:
        explore(scenario)
    assert "step 'charge' of shop-f, 2 times" in str(caught.value)
    assert "an idempotency key" in str(caught.value)
    # without the faults that lose an answer, or repeat a call
    explore(scenario, faults=["drop call", "delay call", "delay answer", "kill before"])


def test_a_run_that_ends_in_another_way_is_found():
    """Which of two events comes first decides, because a call is late."""

    def scenario(server):
        seen = []

        def handler(ctx):
            return ctx.step.run("look", lambda: seen.append(ctx.attempt) or len(seen))

        server.serve(toolkit_shop.app_of(handler, checkpointing=False))
        server.send("go")
        server.run_until_idle()

    with pytest.raises(ExplorationFailed) as caught:
        explore(scenario)
    assert "the output of a run of shop-f is 2, and 1 without faults" in str(caught.value)
    explore(scenario, compare=False)


def test_what_a_test_asserts_has_to_hold_without_faults(inngest_server):
    def scenario(server):
        server.stub("missing", 1)

    with pytest.raises(ExplorationFailed, match="seed 0 fails without any fault.*missing"):
        explore(scenario)


def test_a_kind_of_fault_has_to_be_one():
    with pytest.raises(ValueError, match="'drop it' is no kind of fault; these are: drop call,"):
        explore(faults=["drop it"])
    assert "kill inside" in FAULT_KINDS


def test_another_exception_of_a_test_passes():
    """One that is no error: the test is skipped."""

    def scenario(server):
        pytest.skip("not here")

    with pytest.raises(pytest.skip.Exception):
        explore(scenario)


@explore(seeds=20)
def test_a_test_with_the_fixture(inngest_server):
    right_functions.paid_once(inngest_server)


@explore(seeds=5)
@pytest.mark.parametrize("price", [1, 2])
def test_a_test_with_the_fixture_and_a_parameter(price, inngest_server):
    inngest_server.serve(toolkit_shop.app_of(lambda ctx: ctx.step.run("price", lambda: price)))
    run = inngest_server.send("go").run()
    inngest_server.run_until_idle()
    assert run.output == price, run


def test_a_test_of_unittest():
    class Orders(InngestTestCase):
        @explore(seeds=20)
        def test_order(self):
            right_functions.paid_once(self.inngest_server)

        @explore(seeds=200)
        def test_wrong(self):
            wrong_functions.effect_outside_a_step(self.inngest_server)

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Orders).run(result)
    assert (result.testsRun, len(result.errors)) == (2, 0)
    ((test, told),) = result.failures
    assert "test_wrong" in str(test)
    assert "ExplorationFailed: seed " in told


def test_a_function_that_is_called_without_a_server():
    explored = explore(seeds=5)(right_functions.paid_once)
    explored()
    assert explored.__name__ == "paid_once"


@pytest.mark.inngest(start="2030-01-01")
def test_nothing_is_left_of_it(inngest_server):
    before = inngest_server.now()
    explore(seeds=5)(right_functions.paid_once)(inngest_server)
    assert inngest_server.now() == before
    assert inngest_server.runs() == []
    inngest_server.serve(toolkit_shop.app_of(lambda ctx: 1))
    assert inngest_server.send("go").run().output == 1


def test_the_shop_of_the_examples(monkeypatch):
    """It charges again if an answer is lost, so none is. Its gateway is busy at first."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setenv("INNGEST_DEV", "1")
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        monkeypatch.delitem(sys.modules, name)
    functions, models, orders = map(
        importlib.import_module, ("shop.functions", "shop.models", "shop.orders")
    )
    kept = [kind for kind in FAULT_KINDS if kind not in LOSING]
    endpoint = inngest.serve(
        functions.client,
        [functions.fulfil_order, functions.pack_piece],
        step_context=[models.database],
    )

    def scenario(server):
        engine = sqlalchemy.create_engine("sqlite://")
        models.Session.configure(bind=engine)
        models.Base.metadata.create_all(engine)
        server.serve(endpoint)
        orders.place({"item": "a pot", "pieces": "2", "price": "500", "card": "good"})
        server.run_until_idle()
        assert server.run("fulfil-order").status == "Completed", server.run("fulfil-order")
        with models.transaction() as session:
            assert session.query(models.Charge).count() == 1
            assert session.query(models.Parcel).count() == 2
        engine.dispose()

    explore(scenario, faults=kept, seeds=200)
