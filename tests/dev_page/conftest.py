import typing as t

import pytest
from apps import Endpoint
from dev_page import NOWHERE, handler
from stub_server import Scripted, serving


@pytest.fixture
def dev():
    return Endpoint(handler, base_url=NOWHERE, sync_retries=0)


@pytest.fixture
def scripted():
    """An endpoint, and the server that must not get a refused request."""
    server = Scripted((200, {"ids": ["e1"], "status": 200, "ok": True}))
    with serving(server) as origin:
        endpoint: t.Any = Endpoint(handler, base_url=origin)
        endpoint.server = server
        yield endpoint
