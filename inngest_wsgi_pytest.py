"""The plugin for pytest: the fixture ``inngest_server``.

pytest imports it in every project where the package is installed, and the
package takes long to import; so it is a module of its own, outside of the
package, and imports the package only where a test uses the fixture.
"""

import sys
import typing as t

import pytest

_CORE = "inngest_wsgi.testing._toolkit.core"


def pytest_configure(config: t.Any) -> None:
    config.addinivalue_line(
        "markers",
        "inngest(**options): arguments of inngest_wsgi.testing.TestServer for the fixture "
        "inngest_server, such as start=, seed= and freeze_app_time=",
    )


@pytest.fixture
def inngest_server(request: t.Any) -> t.Iterator[t.Any]:
    """An Inngest server for this test, in its own thread and in virtual time:
    an ``inngest_wsgi.testing.TestServer``.

    A stub that was not used fails the test. The timelines of the runs of a test
    that fails are in its report.
    """
    from inngest_wsgi.testing import TestServer

    options: t.Dict[str, t.Any] = {}
    for marker in reversed(list(request.node.iter_markers("inngest"))):
        options.update(marker.kwargs)
    server = TestServer(**options)
    yield server
    report = getattr(request.node, "_inngest_report", None)
    server.close(check_stubs=report is not None and report.passed)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: t.Any) -> None:
    core = sys.modules.get(_CORE)
    item._inngest_since = 0 if core is None else core.Core.latest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: t.Any, call: t.Any) -> t.Iterator[None]:
    outcome: t.Any = yield
    core = sys.modules.get(_CORE)
    if core is None or not core.servers:
        return
    report = outcome.get_result()
    if call.when == "call":
        item._inngest_report = report
    if report.failed:
        since = getattr(item, "_inngest_since", 0)
        found = [each for each in core.servers if each.number > since or each.is_open]
        for server in sorted(found, key=lambda each: t.cast(int, each.number)):
            told = server.describe()
            if told:
                report.sections.append(("Inngest runs", told))
