import os

import pytest


@pytest.fixture(autouse=True)
def no_inngest_environment(monkeypatch):
    """What this machine's environment says of Inngest is not for the tests."""
    for name in os.environ:
        if name.startswith("INNGEST_"):
            monkeypatch.delenv(name)
