"""An adapter says which version of its framework it needs, and what to do with an older one."""

import os
import subprocess
import sys

import pytest

BEFORE = ["Flask 0.12.5", "Django 1.11.29", "Pyramid 1.8.6", "Pyramid 1.5.8"]


def said(folder, framework):
    """Import an adapter in a new process, and return its error; empty if it has none."""
    program = f"""
try:
    import inngest_wsgi.{framework.lower()}
except ImportError as error:
    print(error)
"""
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
    ).stdout.decode()


def install(folder, framework, version):
    """Make a folder of packages in which a framework has this version."""
    about = folder / f"{framework}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {framework}\nVersion: {version}\n"
    )


@pytest.mark.parametrize("has_the_names", [True, False])
@pytest.mark.parametrize("installed", BEFORE)
def test_a_version_that_is_too_old(installed, has_the_names, tmp_path):
    framework, version = installed.split()
    install(tmp_path, framework, version)
    if not has_the_names:
        # as Django 1.11, which has no URLPattern
        (tmp_path / f"{framework.lower()}.py").write_text("")
    oldest = {"Flask": "1.0", "Django": "2.0", "Pyramid": "1.9"}[framework]
    told = said(tmp_path, framework)
    adapter = f"inngest_wsgi.{framework.lower()}"
    wanted = f"{adapter} needs {framework} {oldest} or newer, and this is {framework} {version}."
    assert told.startswith(wanted) and "DispatcherMiddleware(application" in told, told


@pytest.mark.parametrize(
    "installed", ["Flask 1.0", "Django 2.0rc1", "Django 10.0", "Pyramid 1.9a1"]
)
def test_a_version_that_will_do(installed, tmp_path):
    install(tmp_path, *installed.split())
    assert said(tmp_path, installed.split()[0]) == ""


@pytest.mark.parametrize("framework", ["flask", "django", "pyramid"])
def test_another_error_of_an_import_stays(framework, tmp_path):
    (tmp_path / f"{framework}.py").write_text("import of_nobody")
    assert said(tmp_path, framework) == "No module named 'of_nobody'\n"
