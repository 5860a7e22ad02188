"""An import of the package loads no more than it needs, so that a process starts
soon."""

import subprocess
import sys

import pytest

#: Serves a function, as every application does.
SERVES = """
import inngest_wsgi as inngest
client = inngest.Inngest(app_id="a", is_production=True, signing_key="0123456789abcdef" * 4)
function = client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="a"))(print)
inngest.serve(client, [function])
"""

#: What is not loaded, and why nobody needs it at that time.
NOT_LOADED = {
    "inngest_wsgi._dev_page.page": "the page is shown in dev mode only",
    "inngest_wsgi._dev_page.descriptions": "as the page",
    "inngest_wsgi._checks.cron": "until a function has a cron schedule",
    "inngest_wsgi._checks.timezones": "until a cron schedule has a time zone",
    "inngest_wsgi._checks.expressions": "until a function has an expression",
    "inngest_wsgi._checks.grammar": "until a server has refused an expression",
    "inngest_wsgi._endpoint.suspicions": "until a server has refused a function",
    "inngest_wsgi.experimental": "until it is imported",
    "inngest_wsgi.testing": "until it is imported",
    "difflib": "suggests names in error messages",
    "shlex": "quotes commands on the page",
    "platform": "describes the system on the page",
    "zoneinfo": "knows the newest time zones",
    "pydantic": "until a serializer is used",
    "asyncio": "nothing here is asynchronous",
    "multiprocessing": "the server has processes",
    "concurrent.futures": "threads are started one by one",
    "cProfile": "measures",
    "ctypes": "nothing here is in C",
    "doctest": "tests",
    "inspect": "handlers are checked without it where the dependencies do not load it",
    "pdb": "debugs",
    "pickle": "all that is stored is JSON",
    "sqlite3": "the server stores",
    "statistics": "measures",
    "tkinter": "shows windows",
    "unittest": "tests",
    "xml": "all that is sent is JSON",
}

PRINT = "\nimport sys\nprint(*sys.modules)"
DEPENDENCIES = "import itsdangerous, urllib3, werkzeug"
#: It brings modules of its own where it is installed.
WITHOUT_ORJSON = "import sys\nsys.modules['orjson'] = None\n"


def loaded(code):
    """Return the modules that are loaded after a program."""
    program = [sys.executable, "-W", "ignore", "-c", WITHOUT_ORJSON + code + PRINT]
    return set(subprocess.run(program, check=True, stdout=subprocess.PIPE).stdout.decode().split())


@pytest.mark.parametrize("code", ["import inngest_wsgi", SERVES], ids=["import", "serve"])
def test_modules_that_are_not_loaded(code):
    found = loaded(code) - loaded(DEPENDENCIES + ", dataclasses")
    assert {name: NOT_LOADED[name] for name in sorted(found & set(NOT_LOADED))} == {}


def test_no_other_package_is_loaded_than_the_dependencies():
    found = {name.partition(".")[0] for name in loaded("import inngest_wsgi")}
    known = {name.partition(".")[0] for name in loaded(DEPENDENCIES)} | {"inngest_wsgi"}
    if sys.version_info >= (3, 10):
        assert found - known <= sys.stdlib_module_names
    assert not found & {"bottle", "django", "flask", "pyramid", "hypothesis", "pydantic", "pytest"}


@pytest.mark.parametrize(
    "code, module",
    [
        ("inngest.TriggerCron(cron='TZ=Europe/Rome 0 5 * * *')", "_checks.timezones"),
        ("inngest.TriggerEvent(event='a', expression='event.data.a == 1')", "_checks.expressions"),
        (SERVES.replace("is_production=True", "is_production=False"), "_dev_page.page"),
    ],
)
def test_what_is_needed_later_is_loaded_then(code, module):
    assert "inngest_wsgi." + module in loaded("import inngest_wsgi as inngest\n" + code)
