import os

import pytest
from hypothesis import HealthCheck, settings

from inngest_wsgi import _protocol
from inngest_wsgi.testing import LocalServer

# No deadlines: durations depend on how busy the machine is. CI tries the same
# examples each time, so that only a change of the code changes the result. A
# run by hand tries new ones, and prints how to repeat a failure.
settings.register_profile(
    "inngest_wsgi",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
)
settings.load_profile("inngest_wsgi")

# For further environments, with --hypothesis-profile=fewer: a fault that depends
# on the interpreter or on the dependencies does not hide in one example of many.
settings.register_profile(
    "fewer", parent=settings.get_profile("inngest_wsgi"), max_examples=settings().max_examples // 5
)


@pytest.fixture(autouse=True, scope="session")
def patience():
    """Wait for up to 60 s, not 10, since the machine may be busy."""
    waiting = (
        LocalServer.wait_for_run,
        LocalServer.wait_for,
        LocalServer.wait_until,
        LocalServer.follow,
        LocalServer.advance,
    )
    with pytest.MonkeyPatch.context() as patch:
        for method in waiting:
            # the last of their defaults is the timeout
            defaults = method.__defaults__ or ()
            patch.setattr(method, "__defaults__", defaults[:-1] + (60,))
        yield


@pytest.fixture(autouse=True)
def no_inngest_environment(monkeypatch):
    """Remove the Inngest settings of this machine's environment, and those of
    hosting platforms that are read too."""
    platforms = [variable for variable, _, _ in _protocol.ENV_PLATFORMS]
    for name in list(os.environ):
        if name.startswith("INNGEST_") or name in (*_protocol.ENV_BRANCHES, *platforms):
            monkeypatch.delenv(name)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """Escape captured text that cannot be encoded, since xdist sends it to
    another process."""
    report = (yield).get_result()
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode("utf-8"))
        for name, text in report.sections
    ]
