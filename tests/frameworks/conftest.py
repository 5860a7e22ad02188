import contextlib
import pathlib
import shutil
import sysconfig
import tempfile

import framework_table
import frameworks
import jobs
import pytest
import stream_client
from apps import KEY
from real_servers import HERE, Application, Server

import inngest_wsgi
from inngest_wsgi.testing import LocalServer, VirtualClock

#: Not for applications.
LEFT_OUT = ("__pycache__", "pip", "_pytest", "hypothesis", "*.pth", "*.po")


def pytest_addoption(parser):
    parser.addoption(
        "--few-servers", action="store_true", help="run only some servers for each framework"
    )
    parser.addoption(
        "--write-docs",
        action="store_true",
        help="write which cells have run on this Python to docs/frameworks/index.md",
    )


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(framework_table.Observer(config))


def pytest_generate_tests(metafunc):
    for name in {"site", "prefixed"}.intersection(metafunc.fixturenames):
        cells = frameworks.cells(metafunc.config.getoption("--few-servers"))
        if name == "prefixed":
            cells = [cell for cell in cells if cell.row.name == frameworks.PREFIXED]
        grouped = metafunc.config.pluginmanager.hasplugin("xdist")
        found = []
        for cell in cells:
            # one process, which copies the packages for them once
            group = "Debian" if cell.row.name in frameworks.OF_DEBIAN else cell.id
            marks = [pytest.mark.xdist_group(group)] if grouped else []
            found.append(pytest.param(cell, id=cell.id, marks=marks))
        metafunc.parametrize(name, found, indirect=True, scope="module")


@pytest.fixture(scope="session")
def dev_server():
    with LocalServer(clock=VirtualClock()) as server:
        yield server


@pytest.fixture(scope="session")
def cloud_server():
    with LocalServer(signing_key=KEY, clock=VirtualClock()) as server:
        yield server


@pytest.fixture(scope="session")
def embedded():
    """The folders from which Debian's interpreter imports the applications; every
    user can read them."""
    with tempfile.TemporaryDirectory() as path:
        place = pathlib.Path(path)
        place.chmod(0o755)
        sources = {
            "site": pathlib.Path(sysconfig.get_path("purelib")),
            "apps": frameworks.APPS,
            "package/inngest_wsgi": pathlib.Path(inngest_wsgi.__file__).parent,
        }
        for name, source in sources.items():
            ignored = shutil.ignore_patterns(*LEFT_OUT)
            shutil.copytree(str(source), str(place / name), ignore=ignored)
        yield [place / name for name in ("apps", "package", "site")]


def application_of(module, request, embedded=(), **environ):
    """Return the application of a framework, with the servers of its endpoints."""
    paths = [str(frameworks.APPS), str(HERE)]
    environ.update(
        {
            jobs.DEV: request.getfixturevalue("dev_server").url,
            jobs.CLOUD: request.getfixturevalue("cloud_server").url,
            jobs.KEY: KEY,
        }
    )
    return Application(module, paths, embedded, ("/page", ""), **environ)


@contextlib.contextmanager
def started(cell, application):
    server = Server(cell.row, application)
    try:
        yield Site(cell, server.running())
    finally:
        server.stop()


class Site:
    """The application of a framework on a running server."""

    def __init__(self, cell, server):
        self.framework = cell.framework
        self.cell = cell
        self.error = cell.framework.errors.get(cell.row.name, cell.framework.error)
        self.server = server
        self.port = server.port
        self.place = server.place
        self.origin = f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def site(request):
    cell = request.param
    of_debian = cell.row.name in frameworks.OF_DEBIAN
    embedded = request.getfixturevalue("embedded") if of_debian else ()
    with started(cell, application_of(cell.framework.module, request, embedded)) as found:
        yield found


@pytest.fixture(scope="module")
def prefixed(request):
    """The application of a framework below /outer."""
    module = request.param.framework.module
    application = application_of("prefixed", request, PREFIXED=module, PREFIX="/outer")
    application.page = ("/outer/page", "")
    with started(request.param, application) as found:
        yield found


@pytest.fixture(autouse=True)
def seen(request, record_property):
    for name in {"site", "prefixed"}.intersection(request.fixturenames):
        record_property("cell", request.getfixturevalue(name).cell.id)


@pytest.fixture(autouse=True)
def closed_sockets():
    yield
    while stream_client.opened:
        stream_client.opened.pop().close()
