"""The package as pip installs it from the files of a release, on the interpreters that
``--python`` names."""

import concurrent.futures
import json
import pathlib
import pkgutil
import typing as t

import pytest
from conftest import run

import inngest_wsgi

HERE = pathlib.Path(__file__).resolve().parent

#: Besides the dependencies in setup.cfg: one of Werkzeug's, and what venv installs.
THEIRS = {"markupsafe"}
VENV = {"pip", "setuptools"}

KINDS = ("wheel", "sdist")

#: What a user writes to test the application beside this file.
USER_TEST = """
import pytest
from user_app import application

@pytest.mark.inngest(seed=1)
def test_order(inngest_server):
    inngest_server.serve(application(None, failed=[]))
    run = inngest_server.send("shop/ordered", {"id": 7}).run("order")
    inngest_server.advance("2d")
    assert run.status == "Completed", run
    assert run.output == [700, 0, 0]
"""


class Home(t.NamedTuple):
    """An environment, the file that was installed there, and an empty folder to work in."""

    bin: pathlib.Path
    file: pathlib.Path
    folder: pathlib.Path

    def python(self, *arguments):
        return run(self.bin / "python", *arguments, cwd=self.folder, env=ALONE)

    def pip(self, *arguments):
        return self.python("-m", "pip", *arguments)


#: Nothing of this process's environment is found.
ALONE = {"PYTHONPATH": "", "VIRTUAL_ENV": "", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def homes(pythons, built, tmp_path_factory):
    """An environment with the package and its dependencies, and nothing else, for each
    interpreter and each file of the release; made side by side."""

    def make(key):
        folder = tmp_path_factory.mktemp(key[1])
        run(key[0], "-m", "venv", folder / "venv")
        home = Home(folder / "venv" / "bin", getattr(built, key[1]), folder / "work")
        home.folder.mkdir()
        home.pip("install", "--quiet", home.file)
        return home

    keys = [(python, kind) for python in pythons for kind in KINDS]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(keys, pool.map(make, keys)))


@pytest.fixture(params=KINDS)
def home(request, python, homes):
    return homes[python, request.param]


def test_only_the_dependencies_are_installed(home):
    listed = json.loads(home.pip("list", "--format=json", "--disable-pip-version-check"))
    names = {each["name"].lower() for each in listed} - VENV - THEIRS
    assert names == {"inngest-wsgi", "itsdangerous", "urllib3", "werkzeug"}
    assert "No broken requirements" in home.pip("check")


def test_each_public_module_is_imported_without_a_warning(home):
    """Except those for a framework, which need it; and a pytest plugin needs pytest."""
    modules = list(public_modules())
    assert "inngest_wsgi.testing" in modules
    program = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if name != "inngest_wsgi." + error.name:
            raise
print(sys.modules["inngest_wsgi"].__file__)
"""
    printed = home.python("-W", "error", "-c", program, *modules)
    assert printed.startswith(str(home.bin.parent))


def public_modules():
    yield "inngest_wsgi"
    for module in pkgutil.walk_packages(inngest_wsgi.__path__, "inngest_wsgi."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            yield module.name


def test_version_is_that_of_the_distribution(home):
    program = "import importlib.metadata as m, inngest_wsgi as i; print(m.version('inngest-wsgi'))"
    assert (
        home.python("-c", f"{program}; print(i.__version__)").split()
        == [inngest_wsgi.__version__] * 2
    )


def test_an_application_is_served_and_synced_and_run(home):
    shown = home.python("-W", "error", HERE / "user_app.py")
    assert shown.splitlines()[-1] == "Completed [700, 0, 0] True"


# the last, since it installs more


def test_plugin_for_pytest_and_extras(python, homes):
    home = homes[python, "wheel"]
    extras = f"inngest-wsgi[testing,speed] @ {home.file.as_uri()}"
    home.pip("install", "--quiet", "pytest", extras)
    assert "No broken requirements" in home.pip("check")
    home.python("-c", "import orjson, celpy, cronsim")
    (home.folder / "test_order.py").write_text(USER_TEST)
    (home.folder / "user_app.py").write_text((HERE / "user_app.py").read_text())
    shown = home.python("-W", "error", "-m", "pytest", "-W", "error", "-vs")
    assert "inngest-wsgi-" + inngest_wsgi.__version__ in shown.partition("collected")[0]
    assert "1 passed" in shown
