import os

import pytest


@pytest.fixture(autouse=True)
def no_inngest_environment(monkeypatch):
    """What this machine's environment says of Inngest is not for the tests."""
    for name in os.environ:
        if name.startswith("INNGEST_"):
            monkeypatch.delenv(name)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """What a test wrote goes to another process; not every str can."""
    report = (yield).get_result()
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode("utf-8"))
        for name, text in report.sections
    ]
