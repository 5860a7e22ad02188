"""The test environments; ``make test`` runs them all."""

import os
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

#: The tests wait more than they compute.
SIDE_BY_SIDE = ["--numprocesses=3", "--dist=worksteal"]


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


@nox.session
def browser(session):
    """The page of dev mode in Chromium."""
    system_packages(session, {"chromium": "chromium"})
    session.install("--upgrade", ".[test,browser]")
    session.run("pytest", *(session.posargs or ["tests/browser"]))


@nox.session
def servers(session):
    """Streamed answers on real servers; what they do is in docs/streaming.md,
    where ``nox -s servers -- tests/streaming --write-docs`` writes it."""
    system_packages(
        session,
        {
            "apache2": "apache2-bin",
            "/usr/lib/apache2/modules/mod_wsgi.so": "libapache2-mod-wsgi-py3",
            "nginx": "nginx",
            "uwsgi": "uwsgi-core",
            "uwsgi_python3": "uwsgi-plugin-python3",
        },
    )
    session.install("--upgrade", ".[test,servers]")
    several = ["--numprocesses=3", "--dist=loadgroup", "tests/streaming"]
    session.run("pytest", *(session.posargs or several))


@nox.session(default=False)
def screenshots(session):
    """The pictures of the page in docs/."""
    system_packages(session, {"chromium": "chromium"})
    session.install("--upgrade", ".[test,browser]")
    session.run("python", "tests/browser/screenshots.py")


def system_packages(session, needed):
    """See to it that programs are here, as root or with sudo by installing
    what Debian has them in.

    :param needed: the Debian package of each program
    """
    missing = {program: package for program, package in needed.items() if not _is_here(program)}
    if not missing:
        return
    packages = sorted(set(missing.values()))
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and (not sudo or _may_sudo(session)):
        apt = sudo + ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
        session.run(*apt, "update", external=True)
        session.run(*apt, "install", "-y", "--no-install-recommends", *packages, external=True)
    missing = [program for program in missing if not _is_here(program)]
    if missing:
        session.error(
            "{} not found; on Debian: apt-get install {}".format(
                " and ".join(missing), " ".join(packages)
            )
        )


def _is_here(program):
    if os.path.isabs(program):
        return os.path.isfile(program)
    # servers are where only root looks
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _may_sudo(session):
    if not shutil.which("sudo"):
        return False
    answer = session.run(
        "sudo", "-n", "true", external=True, silent=True, success_codes=range(256)
    )
    return answer == "" or answer is True


def run_tests(session, *dependencies):
    session.install("--upgrade", ".[test]", *dependencies)
    # not ``python -m pytest``: that would find the package here, not where
    # it was installed
    session.run("pytest", *SIDE_BY_SIDE, *session.posargs)
