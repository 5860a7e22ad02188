"""Runs the type checkers that are installed beside this Python, and the oldest mypy."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

#: Versions of Python that code is checked for, and the checker for each.
CHECKERS = [
    ("mypy", "3.14"),
    ("oldest-mypy", "3.8"),
    ("pyright", "3.8"),
    ("pyright", "3.14"),
]

#: The examples, with options of mypy for each; "demos" is the code that they share.
EXAMPLES = {
    # Bottle's decorators have no types
    "bottle": ["--config-file", str(HERE / "mypy-examples.ini"), "--allow-untyped-decorators"],
    "demos": ["--config-file", str(HERE / "mypy-examples.ini")],
    "django": ["--config-file", str(HERE / "mypy-django.ini")],
    "flask": ["--config-file", str(HERE / "mypy-examples.ini")],
    "pyramid": ["--config-file", str(HERE / "mypy-examples.ini")],
    "streaming": ["--config-file", str(HERE / "mypy-examples.ini")],
}


def program(name):
    """Return the path of a checker.

    :raises AssertionError: it is not there
    """
    if name == "oldest-mypy":
        found = os.environ.get("OLDEST_MYPY")
    else:
        found = shutil.which(name, path=os.path.dirname(sys.executable))
    assert found, f"{name} is not installed: nox -s types does it"
    return found


def run(folder, *command):
    # pyright looks for the Python of the environment
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    answer = subprocess.run(
        command,
        cwd=str(folder),
        # Django's plugin of mypy reads the settings of the example
        env={**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix, "SECRET_KEY": "for tests"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=300,
    )
    return answer.stdout.decode("utf-8"), answer.stderr.decode("utf-8")


def mypy(name, folder, version, *paths, cache=None):
    """Return the errors, as pairs of a place and a message.

    :param cache: a folder for what mypy has read; it is slow to read it again
    """
    cache = (cache or folder) / f".mypy-{version}"
    # not this Python for the oldest: what is installed here is written for newer ones
    python = os.path.join(os.path.dirname(program(name)), "python")
    options = ["--strict", "--python-version", version, "--python-executable", python]
    out, problem = run(
        folder, program(name), *options, "--cache-dir", str(cache), "--no-pretty", *paths
    )
    errors = re.findall(r"^(\S+?:\d+): error: (.*)$", out, re.MULTILINE)
    assert errors or "Success" in out, out + problem
    return errors


def pyright(name, folder, version, *paths):
    """Return the errors, as pairs of a place and a message."""
    options = ["--pythonpath", sys.executable, "--pythonversion", version, "--outputjson"]
    out, problem = run(folder, program(name), *options, *paths)
    assert out, problem
    found = json.loads(out)
    assert found["summary"]["filesAnalyzed"], out
    return [
        (
            "{}:{}".format(
                os.path.relpath(each["file"], str(folder)), each["range"]["start"]["line"] + 1
            ),
            each["message"],
        )
        for each in found["generalDiagnostics"]
        if each["severity"] == "error"
    ]


def pytest_collection_modifyitems(items):
    """Run what shares a result or a cache in one worker."""
    for item in items:
        given = item.callspec.params if hasattr(item, "callspec") else {}
        if "examples" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("examples"))
        elif "check" in item.fixturenames:
            group = "{}-{}".format(given["checker"], given["version"])
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def check(tmp_path_factory):
    """Return a function that checks files of user code, strictly, outside of this repository, so
    that the installed package is the one that is found; it gives each file's errors."""
    folder = tmp_path_factory.mktemp("code")
    for path in (HERE / "code").glob("*.py"):
        shutil.copy(str(path), str(folder))
    ours = (folder / "both.py").read_text(encoding="utf-8")
    theirs = ours.replace("import inngest_wsgi as inngest", "import inngest")
    (folder / "theirs.py").write_text(theirs, encoding="utf-8")
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}', encoding="utf-8")
    found = {}

    def checked(checker, version, *files):
        key = (checker, version, files)
        if key not in found:
            if checker == "pyright":
                # a list of files would be checked without the configuration
                settings = {"typeCheckingMode": "strict", "include": list(files)}
                (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
                found[key] = pyright(checker, folder, version)
            else:
                found[key] = mypy(checker, folder, version, *files)
        return found[key]

    return checked


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """Return a folder with a copy of each example in a folder of its own: beside the others
    their modules, of which some have the name of a framework, would be mixed up."""
    folder = tmp_path_factory.mktemp("examples")
    there = ROOT / "examples"
    for name in EXAMPLES:
        if name == "demos":
            (folder / name).mkdir()
            for path in there.glob("*.py"):
                shutil.copy(str(path), str(folder / name))
        else:
            shutil.copytree(str(there / name), str(folder / name))
        if name != "django":
            shutil.copytree(str(there / "shop"), str(folder / name / "shop"))
    shutil.copy(str(HERE / "pyright-examples.json"), str(folder / "pyrightconfig.json"))
    return folder
