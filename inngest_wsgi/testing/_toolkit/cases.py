"""Give a :class:`unittest.TestCase` a server of its own for each test."""

from __future__ import annotations

import sys
import typing as t
import unittest

from .server import TestServer


class InngestTestMixin:
    """A mixin for ``unittest.TestCase``, and for Django's, before it in the bases::

        class Orders(InngestTestMixin, unittest.TestCase):
            inngest_options = {"start": "2030-01-01"}

            def test_order(self):
                self.inngest_server.serve(shop.application)

    A stub that was not used fails the test. Under unittest's own runner, the
    timelines of the runs of a test that fails are written to standard error;
    pytest has them in its report.

    :ivar inngest_server: the server of the test.
    :cvar inngest_options: the arguments of :class:`TestServer`.
    """

    inngest_options: t.ClassVar[t.Mapping[str, t.Any]] = {}
    inngest_server: TestServer

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.inngest_server = TestServer(**self.inngest_options)
        t.cast(unittest.TestCase, self).addCleanup(self.inngest_server.close)

    def run(self, result: t.Any = None) -> t.Any:
        before = _failed(result)
        outcome = super().run(result)  # type: ignore[misc]
        if _failed(result) > before and hasattr(self, "inngest_server"):
            told = self.inngest_server.describe()
            if told:
                print(f"{self}\n{told}", file=sys.stderr)
        return outcome


class InngestTestCase(InngestTestMixin, unittest.TestCase):
    """A ``unittest.TestCase`` with a server."""


def _failed(result: t.Any) -> int:
    """Return how many tests have failed; 0 of a result that does not say."""
    return len(getattr(result, "failures", ())) + len(getattr(result, "errors", ()))
