"""Run a demo of the examples, and find what it leaves behind."""

import ast
import os
import pathlib
import subprocess
import sys
import time

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
#: What only the tests of an example import.
FOR_TESTS = {"pytest", "webtest", "werkzeug"}


class Site:
    """An example that is a site.

    :param folders: where its modules are, besides its own
    """

    def __init__(self, name, *folders):
        self.name = name
        self.folder = EXAMPLES / name
        self._folders = [self.folder, *(EXAMPLES / folder for folder in folders)]

    def __str__(self):
        return self.name

    def modules(self):
        return [path for folder in self._folders for path in folder.rglob("*.py")]

    def imports(self, tests=False):
        """Return the names of the modules that are to be installed.

        :param tests: with those that its tests need
        """
        own = {path.stem for path in self.modules()}
        own |= {folder.name for each in self._folders for folder in each.rglob("*")}
        own |= {folder.name for folder in self._folders if folder != self.folder}
        found = set()
        for path in self.modules():
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    found.add(str(node.module).partition(".")[0])
        return found - own - STANDARD - (set() if tests else FOR_TESTS)

    def need(self):
        """Skip the test if something that the site imports is not installed."""
        for name in sorted(self.imports(tests=True)):
            pytest.importorskip(name)

    def run_tests(self, tmp_path, **environ):
        """Run the tests of the site as its reader does, and return what is printed."""
        own = ("PYTEST_ADDOPTS", "INNGEST_DEV", "DJANGO_SETTINGS_MODULE", "DATABASE_URL")
        kept = {key: value for key, value in os.environ.items() if key not in own}
        options = ["-p", "no:cacheprovider", "--color=no", f"--basetemp={tmp_path / 'base'}"]
        command = ["manage.py", "test"] if self.name == "django" else ["-m", "pytest", *options]
        done = subprocess.run(
            [sys.executable, *command],
            cwd=str(self.folder),
            env={**kept, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        told = done.stdout.decode()
        assert done.returncode == 0, told
        return told


#: Modules of the standard library that the sites import.
STANDARD = {"functools", "hmac", "html", "os", "pathlib", "re", "secrets", "sys", "typing"}
SITES = [Site("bottle", "shop"), Site("flask", "shop"), Site("pyramid", "shop"), Site("django")]


def start(tmp_path, script, *arguments):
    """Start a demo that keeps all its files in ``tmp_path``."""
    environ = dict(os.environ, HOME=str(tmp_path), TMPDIR=str(tmp_path), INNGEST_DEV="nonsense")
    environ.pop("DATABASE_URL", None)
    return subprocess.Popen(
        [sys.executable, "-u", str(EXAMPLES / script)] + list(arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        env=environ,
    )


def is_left_alone(tmp_path):
    """Return True if no process uses the demo's temporary folder, and the folder
    is empty.

    Waits a moment for killed processes to end.
    """
    until = time.monotonic() + 60
    while processes_of(tmp_path) and time.monotonic() < until:
        time.sleep(0.01)
    return (processes_of(tmp_path), os.listdir(str(tmp_path))) == ([], [])


def processes_of(tmp_path):
    """Return the command lines of the processes that use the demo's temporary
    folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            # nginx overwrites its environ, but has a log file open in the folder
            opened = [os.readlink(str(link)) for link in (path / "fd").iterdir()]
            environ = (path / "environ").read_bytes().decode("utf-8", "replace")
            if any(str(tmp_path) in text for text in [environ] + opened):
                found.append((path / "cmdline").read_bytes())
        except OSError:
            pass
    return found
