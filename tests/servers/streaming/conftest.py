import pytest
import stream_client
import stream_servers as rows
from stream_table import Table

NAMES = [row.name for row in rows.ROWS]


def pytest_addoption(parser):
    parser.addoption(
        "--write-docs",
        action="store_true",
        help="write what is observed of the servers to docs/streaming.md",
    )


def pytest_configure(config):
    if config.getoption("--write-docs") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--write-docs: not in several processes")


def pytest_collection_modifyitems(items, config):
    """Run all tests of a server in one process, if pytest uses several."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            name = row_of(item)
            if name is not None:
                item.add_marker(pytest.mark.xdist_group(name))


def row_of(item):
    return item.callspec.params.get("own_server") if hasattr(item, "callspec") else None


@pytest.fixture(scope="session")
def table(request):
    found = Table(NAMES, request.config.getoption("--write-docs"))
    yield found
    found.save()


@pytest.fixture(scope="session")
def servers():
    """All servers by name, not yet started."""
    with rows.application() as application:
        found = {row.name: rows.Server(row, application) for row in rows.ROWS}
        yield found
        for server in found.values():
            server.stop()


@pytest.fixture(scope="module", params=NAMES)
def own_server(request, servers):
    """One server; the next one is started at the same time."""
    alone = not hasattr(request.config, "workerinput")
    asked = list(dict.fromkeys(filter(None, map(row_of, request.session.items))))
    for name in asked[asked.index(request.param) :][: 1 + alone]:
        servers[name].start()
    found = servers[request.param]
    yield found
    found.stop()


@pytest.fixture
def server(own_server):
    return own_server.running()


@pytest.fixture(autouse=True)
def closed_sockets():
    yield
    while stream_client.opened:
        stream_client.opened.pop().close()
