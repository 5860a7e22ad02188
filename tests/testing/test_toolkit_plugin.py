"""The plugin for pytest, and the mixin for unittest, in processes of their own."""

import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"


def run(folder, text, *command):
    """Run a test file; return what was written."""
    (folder / "test_shop.py").write_text(textwrap.dedent(text))
    environment = {"PYTHONPATH": str(SUPPORT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=str(folder),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    return done.stdout.decode()


def run_pytest(folder, text, *options):
    return run(
        folder, text, "pytest", "-q", "--color=no", "-p", "no:cacheprovider", "-rA", *options
    )


def test_a_test_that_fails_shows_the_timelines(tmp_path):
    shown = run_pytest(
        tmp_path,
        """
        from toolkit_shop import Shop

        def test_order(inngest_server):
            inngest_server.serve(Shop().application)
            run = inngest_server.send("shop/order.placed", {"id": 1}).run("fulfil-order")
            assert run.status == "Completed", run

        def test_next(inngest_server):
            assert inngest_server.runs() == []
            assert False
        """,
    )
    assert "2 failed" in shown
    assert "AssertionError: <run" in shown
    (section,) = re.findall("-+ Inngest runs -+\n(.*)", shown)
    assert section.startswith("shop-fulfil-order")
    assert "paid: waits: shop/order.paid (until" in shown


RAISES = """
    import logging
    from toolkit_shop import Shop
    from inngest_wsgi.testing import InngestTestCase
    {imports}

    logging.disable(logging.CRITICAL)  # as the settings of an application may

    class Orders(InngestTestCase):
        def test_order(self):
            app, calls = Shop().application, []

            def middleware(environ, start_response):
                calls.append(environ)
                if len(calls) > 1 and environ["REQUEST_METHOD"] == "POST":
                    raise RuntimeError("the session is gone")
                return app(environ, start_response)

            self.inngest_server.serve({serve})
            run = self.inngest_server.send("shop/order.placed", {{"id": 1}}).run("expire-order")
            self.inngest_server.advance("1h")
            self.assertEqual(run.status, "Completed")
    """


@pytest.mark.parametrize(
    "imports, serve",
    [
        ("", "middleware"),
        ("import werkzeug.test", "werkzeug.test.Client(middleware)"),
        ("import webtest", "webtest.TestApp(middleware)"),
    ],
)
def test_what_an_application_raises_is_shown_with_its_traceback(tmp_path, imports, serve):
    text = RAISES.format(imports=imports, serve=serve)
    for shown in (run_pytest(tmp_path, text), run(tmp_path, text, "unittest")):
        assert "instead of answering POST http://testserver/api/inngest?fnId=" in shown
        assert "in middleware" in shown
        assert 'raise RuntimeError("the session is gone")' in shown
        assert "RuntimeError: the session is gone" in shown
        # of each attempt of two runs
        assert shown.count("Traceback (most recent call last)") <= 4


def test_only_the_last_runs_are_shown(tmp_path):
    shown = run_pytest(
        tmp_path,
        """
        from toolkit_shop import app_of

        def test_many(inngest_server):
            inngest_server.serve(app_of(lambda ctx: ctx.event.data["n"]))
            for n in range(50):
                inngest_server.send("go", {"n": n})
            assert False
        """,
    )
    assert "The last 20 of 50 runs; 30 began before these." in shown
    assert re.findall(r"output  (\d+)", shown) == [str(n) for n in range(30, 50)]


def test_servers_that_a_test_makes_itself_are_shown_too(tmp_path):
    shown = run_pytest(
        tmp_path,
        """
        import pytest
        from toolkit_shop import app_of
        from inngest_wsgi.testing import TestServer, InngestTestCase

        def test_own():
            with TestServer() as server:
                server.serve(app_of(lambda ctx: "own"))
                server.send("go")
            assert False

        @pytest.fixture(scope="module")
        def shared():
            with TestServer() as server:
                server.serve(app_of(lambda ctx: "shared"))
                server.send("go")
                yield server

        def test_passes(shared):
            pass

        def test_shared(shared):
            assert False

        class Case(InngestTestCase):
            def test_case(self):
                self.inngest_server.serve(app_of(lambda ctx: "case"))
                self.inngest_server.send("go")
                self.fail()
        """,
    )
    assert "3 failed, 1 passed" in shown
    told = re.findall('output  "(.*)"', shown)
    # the shared one is open whenever another test of the module fails
    assert sorted(set(told)) == ["case", "own", "shared"]
    assert told.count("own") == told.count("case") == 1


@pytest.mark.parametrize("fails", [True, False])
def test_a_stub_that_was_not_used_fails_the_test(tmp_path, fails):
    shown = run_pytest(
        tmp_path,
        f"""
        from toolkit_shop import Shop

        def test_order(inngest_server):
            inngest_server.serve(Shop().application)
            inngest_server.stub("chrage", 1)
            inngest_server.send("shop/order.placed", {{"id": 1}})
            assert not {fails}
        """,
    )
    if fails:
        assert "1 failed in" in shown
        assert "UnusedStubError" not in shown
    else:
        assert "1 passed, 1 error" in shown
        assert "<stub of step 'chrage'> was not used" in shown
        assert "shop-expire-order" in shown


def test_options_of_the_class_and_of_the_test(tmp_path):
    shown = run_pytest(
        tmp_path,
        """
        import pytest

        @pytest.mark.inngest(start="2030-01-01", seed=1)
        class TestShop:
            @pytest.mark.inngest(start="2031-01-01")
            def test_year(self, inngest_server):
                assert inngest_server.now().year == 2031

        @pytest.mark.inngest(strat="2030-01-01")
        def test_wrong(inngest_server):
            pass
        """,
        "--strict-markers",
    )
    assert "1 passed, 1 error" in shown
    assert "strat" in shown


def test_the_plugin_imports_nothing_where_it_is_not_used(tmp_path):
    shown = run_pytest(
        tmp_path,
        """
        import sys

        def test_imports(request):
            assert request.config.pluginmanager.hasplugin("inngest_wsgi")
            assert "inngest_wsgi" not in sys.modules
            assert "werkzeug" not in sys.modules

        def test_failure():
            assert False
        """,
    )
    assert "1 failed, 1 passed" in shown
    assert "Inngest" not in shown


CASE = """
    import unittest
    from toolkit_shop import Shop
    from inngest_wsgi.testing import InngestTestMixin

    class Orders(InngestTestMixin, unittest.TestCase):
        inngest_options = {"start": "2030-01-01"}

        def setUp(self):
            super().setUp()
            self.inngest_server.serve(Shop().application)

        def place(self):
            self.assertEqual(self.inngest_server.now().year, 2030)
            return self.inngest_server.send("shop/order.placed", {"id": 1}).run("fulfil-order")

        def test_passes(self):
            self.place()
            self.inngest_server.advance("3d")

        def test_fails(self):
            self.assertEqual(self.place().status, "Completed")

        def test_unused_stub(self):
            self.inngest_server.stub("x", 1)
            self.place()
    """


def test_unittest(tmp_path):
    shown = run(tmp_path, CASE, "unittest", "-v")
    assert "FAILED (failures=2)" in shown
    assert "UnusedStubError: <stub of step 'x'> was not used" in shown
    # of the two that failed
    assert shown.count("shop-fulfil-order 01") == 2
    assert "paid: waits: shop/order.paid" in shown


def test_unittest_by_pytest(tmp_path):
    shown = run_pytest(tmp_path, CASE)
    assert "2 failed, 1 passed" in shown
    assert shown.count("- Inngest runs -") == 2
