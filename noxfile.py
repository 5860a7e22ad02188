"""The test environments; ``make test`` runs them all."""

import shutil

import nox

nox.options.default_venv_backend = "venv"
# a session whose interpreter is not here is in the summary as skipped
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

VERSIONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
FOUND = [version for version in VERSIONS if shutil.which("python" + version)]

#: The oldest dependencies that the code works with, as setup.cfg names them.
FLOOR = ["Werkzeug==2.0.0", "urllib3==1.26.0", "itsdangerous==2.0.0"]


@nox.session
def lint(session):
    """Style and types."""
    session.install("--upgrade", ".", "flake8", "mypy")
    session.run("flake8")
    session.run("mypy")


@nox.session
def tests(session):
    """This interpreter, the newest dependencies."""
    run_tests(session)


@nox.session(python=VERSIONS[-2])
def newest(session):
    """A new interpreter, the newest dependencies."""
    run_tests(session)


@nox.session(python=FOUND[0] if FOUND else VERSIONS[0])
def floor(session):
    """The oldest interpreter there is, the oldest dependencies."""
    run_tests(session, *FLOOR)


def run_tests(session, *dependencies):
    session.install("--upgrade", ".[test]", *dependencies)
    # not ``python -m pytest``: that would find the package here, not where
    # it was installed
    session.run("pytest", *session.posargs)
