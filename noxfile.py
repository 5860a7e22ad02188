"""What ``make test`` runs. ``python noxfile.py`` says on which interpreters."""

import configparser
import glob
import os
import re
import shutil
import subprocess
import sys

import nox
from packaging.requirements import Requirement

#: What the library is for, the oldest first.
VERSIONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]

#: The tests wait more than they compute.
SIDE_BY_SIDE = ["--numprocesses=3", "--dist=worksteal"]

#: Random tests try all their examples in the session ``tests``.
FEWER_EXAMPLES = "--hypothesis-profile=fewer"

#: Where programs are that only root looks for, and dpkg cannot do without.
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


# -- what there is to run on ---------------------------------------------


class Interpreter:
    """A Python that has run, and can make environments.

    :ivar version: in full: ``3.11.2``
    :ivar minor: ``3.11``
    :ivar name: no other interpreter has it; fit for the name of a folder
    """

    def __init__(self, path):
        # ensurepip: Debian's Python lacks it without the package python3-venv
        asked = "import sys, venv, ensurepip; print(*sys.version_info[:3], sep='.', end=' '); "
        answer = subprocess.run(
            [path, "-c", asked + "print(sys.base_prefix)"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        if answer.returncode:
            said = answer.stderr.strip().splitlines() or ["no reason given"]
            raise OSError(said[-1 if said[0].startswith("Traceback") else 0])
        self.path = path
        self.version, _, home = answer.stdout.strip().partition(" ")
        self.minor = ".".join(self.version.split(".")[:2])
        self.name = self.version + re.sub(r"[^A-Za-z0-9.]+", "-", home)


def find_interpreters():
    """One of each version, and what is called one but does not run.

    pyenv puts a command for each version it knows into the PATH, before
    whatever else has that name, and most of these end with "command not
    found". So each is tried, not looked up.
    """
    found, broken = {HERE.minor: HERE}, {}
    for version in VERSIONS:
        if version in found:
            continue
        for folder in folders():
            path = os.path.join(folder, "python" + version)
            if not os.access(path, os.X_OK):
                continue
            try:
                interpreter = Interpreter(path)
            except OSError as error:
                broken.setdefault(version, f"{path} does not run: {error}")
                continue
            if interpreter.minor == version:
                found[version] = interpreter
                broken.pop(version, None)
                break
    versions = sorted(found, key=lambda version: [int(part) for part in version.split(".")])
    return [found[version] for version in versions], list(broken.values())


def folders():
    """Those of the PATH, and those where pyenv and its like put versions:
    beside this interpreter, and beside pyenv's commands."""
    path = [folder for folder in os.get_exec_path() if folder]
    beside = [os.path.dirname(sys.base_prefix)]
    for folder in path:
        root, last = os.path.split(folder.rstrip(os.sep))
        if last == "shims":
            beside.append(os.path.join(root, "versions"))
    for versions in dict.fromkeys(beside):
        path += sorted(glob.glob(os.path.join(glob.escape(versions), "*", "bin")))
    return path


HERE = Interpreter(sys.executable)
FOUND, BROKEN = find_interpreters()
OLDEST, NEWEST = FOUND[0], FOUND[-1]


#: The official SDK that tests/official compares with, and the oldest Python
#: that it runs on.
OFFICIAL_SDK = "inngest==0.5.19"
OFFICIAL_SDK_NEEDS = (3, 10)
NO_OFFICIAL_SDK = f"{OFFICIAL_SDK} needs Python 3.10 or newer"


#: The oldest Python for docs/requirements.txt.
SPHINX_NEEDS = (3, 11)
NO_SPHINX = "Sphinx needs Python 3.11 or newer"


def at_least(*version):
    """This interpreter, or the oldest other one of a version or newer; None if there is none."""
    for interpreter in [HERE, *FOUND]:
        if tuple(int(part) for part in interpreter.minor.split(".")) >= version:
            return interpreter
    return None


def say_interpreters():
    """Which were found, which of them the sessions use, and which were not."""
    used = {}
    for interpreter, which in ((HERE, "this one"), (OLDEST, "oldest"), (NEWEST, "newest")):
        used.setdefault(interpreter.version, []).append(which)
    found = ", ".join(interpreter.version for interpreter in FOUND)
    tested = ", ".join("{} ({})".format(v, ", ".join(which)) for v, which in used.items())
    lines = [f"Interpreters found: Python {found}; used here: {tested}."]
    minors = {found.minor for found in FOUND}
    missing = [version for version in VERSIONS if version not in minors]
    lines.append("Not found: {}.".format(", ".join(missing) or "none"))
    if at_least(*OFFICIAL_SDK_NEEDS) is None:
        lines.append(f"Skipped: official, because {NO_OFFICIAL_SDK}.")
    if at_least(*SPHINX_NEEDS) is None:
        lines.append(f"Skipped: docs, because {NO_SPHINX}.")
    return lines + BROKEN


# -- what setup.cfg says -------------------------------------------------


def required(section, name):
    """The requirements in an option of setup.cfg."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(os.path.join(os.path.dirname(os.path.abspath(__file__)), "setup.cfg"))
    return [line for line in setup[section][name].splitlines() if line]


def floors(version):
    """The oldest dependencies that setup.cfg allows on a version of Python.

    :raises ValueError: a dependency has no floor there, or more than one
    """
    found = {}
    for line in required("options", "install_requires"):
        asked = Requirement(line)
        least = found.setdefault(asked.name, [])
        if asked.marker is None or asked.marker.evaluate({"python_version": version}):
            least.extend(s.version for s in asked.specifier if s.operator == ">=")
    wrong = [name for name, least in found.items() if len(least) != 1]
    if wrong:
        raise ValueError(
            "setup.cfg: on Python {} there must be one '>=' for {}".format(
                version, " and ".join(wrong)
            )
        )
    return [f"{name}=={least}" for name, (least,) in found.items()]


# -- environments --------------------------------------------------------


class Environment:
    """A virtual environment, of all sessions with one interpreter and one
    kind of dependencies: to make it takes longer than most sessions.

    :param dependencies: ``newest``, or ``floors`` for the oldest allowed
    """

    #: what a run of nox has installed, by path
    _installed = {}

    def __init__(self, session, interpreter, dependencies="newest"):
        self._session = session
        self._floors = floors(interpreter.minor) if dependencies == "floors" else []
        self.path = os.path.abspath(os.path.join(".nox", interpreter.name, dependencies))
        # written last: what was broken off is made anew
        made = os.path.join(self.path, "made")
        if not os.path.exists(made):
            python = interpreter.path
            session.run(python, "-m", "venv", "--clear", self.path, external=True, silent=True)
            open(made, "w").close()

    def install(self, *files, extras=("testing",), also=()):
        """Install the package and what its extras, requirement files and
        requirements ask for, each once."""
        asked = [".", *(f"--requirement={file}" for file in files), *also]
        for extra in extras:
            asked += required("options.extras_require", extra)
        before = self._installed.setdefault(self.path, set())
        asked = sorted(set(asked) - before)
        if not asked:
            return
        # eager: what an earlier run has left may be out of date
        strategy = "only-if-needed" if self._floors else "eager"
        upgrade = ["--upgrade", "--upgrade-strategy=" + strategy]
        self.run("python", "-m", "pip", "install", "--quiet", *upgrade, *asked, *self._floors)
        before.update(asked)

    def run(self, program, *arguments, **variables):
        """Run a program that is installed here.

        :param variables: of its environment
        """
        programs = os.path.join(self.path, "bin")
        self._session.run(
            os.path.join(programs, program),
            *arguments,
            env={
                "PATH": programs + os.pathsep + os.environ["PATH"],
                "VIRTUAL_ENV": self.path,
                **variables,
            },
            external=True,
        )


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
        settings = ["DEBIAN_FRONTEND=noninteractive", "PATH=" + _with_sbin()]
        # somebody else may be installing
        apt = sudo + ["env", *settings, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=600"]
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
    return shutil.which(program, path=_with_sbin())


def _with_sbin():
    return os.environ["PATH"] + os.pathsep + SBIN


def _may_sudo(session):
    if not shutil.which("sudo"):
        return False
    answer = session.run(
        "sudo", "-n", "true", external=True, silent=True, success_codes=range(256)
    )
    return answer == "" or answer is True


# -- sessions ------------------------------------------------------------


#: Folders whose modules have the same names, for mypy; the demos are checked together.
EXAMPLES = ["bottle", "django", "flask", "pyramid", "streaming"]
DEMOS = ["running", "conftest", "demo", "demo_streaming"]


@nox.session(venv_backend="none")
def lint(session):
    """Format, style and types."""
    here = Environment(session, HERE)
    # mypy reads what the tests import
    here.install("tests/browser/requirements.txt", also=["mypy", "ruff"])
    here.run("ruff", "check")
    here.run("ruff", "format", "--check")
    here.run("mypy")
    untyped = ["mypy", "--config-file", "tests/mypy.ini"]
    here.run(*untyped, "tests")
    # modules of the same name, so not all at once
    untyped.append("--no-explicit-package-bases")
    here.run(*untyped, *(f"examples/{name}.py" for name in DEMOS), "examples/shop")
    for name in EXAMPLES:
        found = glob.glob(f"examples/{name}/**/*.py", recursive=True)
        here.run(*untyped, *sorted(path for path in found if "migrations" not in path))


@nox.session(venv_backend="none")
def tests(session):
    """This interpreter, the newest dependencies, and the share of the package
    that the tests reach."""
    # a part of the tests reaches a part
    coverage = [] if session.posargs else ["--cov", "--cov-report=term:skip-covered"]
    run_tests(session, HERE, "newest", *coverage)


@nox.session(venv_backend="none")
def newest(session):
    """The newest interpreter there is, the newest dependencies."""
    if NEWEST.name == HERE.name:
        session.skip("the newest interpreter is this one, which has a session of its own")
    run_tests(session, NEWEST, "newest", FEWER_EXAMPLES)


@nox.session(venv_backend="none")
@nox.parametrize("which", [nox.param("oldest", id="oldest"), nox.param("newest", id="newest")])
def floor(session, which):
    """The oldest and the newest interpreter there is, the oldest dependencies."""
    try:
        for version in VERSIONS:
            floors(version)
    except ValueError as error:
        session.error(str(error))
    if which == "newest" and NEWEST.name == OLDEST.name:
        session.skip("the newest interpreter is the oldest too")
    run_tests(session, OLDEST if which == "oldest" else NEWEST, "floors", FEWER_EXAMPLES)


@nox.session(venv_backend="none")
def browser(session):
    """The page of dev mode in Chromium."""
    system_packages(session, {"chromium": "chromium"})
    here = Environment(session, HERE)
    here.install("tests/browser/requirements.txt")
    here.run("pytest", *(session.posargs or ["--numprocesses=2", "tests/browser"]))


#: Where Debian has the servers that embed its own Python.
APACHE_AND_UWSGI = {
    "apache2": "apache2-bin",
    "/usr/lib/apache2/modules/mod_wsgi.so": "libapache2-mod-wsgi-py3",
    "uwsgi": "uwsgi-core",
    "uwsgi_python3": "uwsgi-plugin-python3",
}


@nox.session(venv_backend="none")
def servers(session):
    """Streams on real servers; docs/streaming.md has the result, which
    ``nox -s servers -- tests/servers/streaming --write-docs`` writes."""
    system_packages(session, dict(APACHE_AND_UWSGI, nginx="nginx"))
    here = Environment(session, HERE)
    here.install("tests/servers/requirements.txt")
    several = ["--numprocesses=3", "--dist=loadgroup", "tests/servers/streaming"]
    here.run("pytest", *(session.posargs or several))


#: The Python that they embed, by tests/support/frameworks.py.
EMBEDDED = "3.11"


@nox.session(venv_backend="none")
def frameworks(session):
    """Frameworks on real servers: each on this interpreter, and under some servers on the
    oldest and the newest. docs/frameworks/index.md has the result, which
    ``nox -s frameworks -- --write-docs`` writes: with every server, on each interpreter."""
    everything = "--write-docs" in session.posargs
    asked = FOUND if everything else [HERE, OLDEST, NEWEST]
    interpreters = list({interpreter.name: interpreter for interpreter in asked}.values())
    if any(interpreter.minor == EMBEDDED for interpreter in interpreters):
        system_packages(session, APACHE_AND_UWSGI)
    for interpreter in interpreters:
        session.log(f"Python {interpreter.version}")
        environment = Environment(session, interpreter, "frameworks")
        environment.install("tests/frameworks/requirements.txt")
        few = [] if everything or interpreter.name == HERE.name else ["--few-servers"]
        several = ["--numprocesses=3", "--dist=loadgroup", "tests/frameworks"]
        environment.run("pytest", *several, *few, *session.posargs)


@nox.session(venv_backend="none")
def official(session):
    """The official SDK beside ours; docs/from-the-official-sdk.md has the
    differences, which ``nox -s official -- --write`` writes."""
    interpreter = at_least(*OFFICIAL_SDK_NEEDS)
    if interpreter is None:
        session.skip(NO_OFFICIAL_SDK)
    environment = Environment(session, interpreter, "official")
    # its adapters need the frameworks; tests/conftest.py needs hypothesis
    environment.install(extras=[], also=[OFFICIAL_SDK, "django", "flask", "hypothesis", "pytest"])
    # the official SDK and pydantic disagree about what is deprecated
    environment.run("pytest", "-W", "default", "tests/official", *session.posargs)


@nox.session(venv_backend="none")
def databases(session):
    """Transactions of steps, on SQLite and on a PostgreSQL that the tests start."""
    system_packages(session, {"pg_createcluster": "postgresql", "pgbouncer": "pgbouncer"})
    here = Environment(session, HERE)
    here.install("tests/requirements.txt", "tests/databases/requirements.txt")
    several = ["--numprocesses=3", "--dist=worksteal", "tests/databases"]
    here.run("pytest", "--databases=sqlite,postgresql", *(session.posargs or several))


@nox.session(venv_backend="none")
def package(session):
    """The files of a release: what is in them, and how they install on the oldest and on the
    newest interpreter there is."""
    here = Environment(session, HERE, "package")
    here.install("tests/package/requirements.txt", extras=[])
    pythons = [f"--python={interpreter.path}" for interpreter in (OLDEST, NEWEST)]
    several = ["--numprocesses=2", "--dist=loadfile", "tests/package"]
    here.run("pytest", *pythons, *(session.posargs or several))


@nox.session(venv_backend="none")
def docs(session):
    """The site of docs/, and each program that its pages show."""
    here = docs_environment(session)
    folders = ["tests/browser", "tests/docs", "tests/frameworks"]
    here.install(*(f"{folder}/requirements.txt" for folder in folders))
    system_packages(session, {"chromium": "chromium"})
    here.run(*SPHINX, "-b", "html", "docs", "build/docs")
    # the tests of the quick start need the ports that it names
    several = ["--numprocesses=2", "--dist=loadgroup", "tests/docs"]
    here.run("pytest", *(session.posargs or several))


@nox.session(venv_backend="none", default=False)
def links(session):
    """The links of the site to other sites."""
    docs_environment(session).run(*SPHINX, "-b", "linkcheck", "docs", "build/links")


@nox.session(venv_backend="none")
def types(session):
    """What mypy and pyright say of users' code, of the package and of the examples."""
    # the last mypy for Python 3.8 has an environment of its own
    oldest = Environment(session, HERE, "types-oldest")
    oldest.install("tests/typing/requirements-oldest.txt")
    here = Environment(session, HERE, "types")
    here.install("tests/typing/requirements.txt")
    mypy = os.path.join(oldest.path, "bin", "mypy")
    # a checker reads the package anew for each of its settings
    side_by_side = ["--numprocesses=2", "--dist=loadgroup"]
    here.run("pytest", *side_by_side, *(session.posargs or ["tests/typing"]), OLDEST_MYPY=mypy)


@nox.session(venv_backend="none", default=False)
def screenshots(session):
    """The pictures of the page in docs/."""
    system_packages(session, {"chromium": "chromium"})
    here = Environment(session, HERE)
    here.install("tests/browser/requirements.txt")
    here.run("python", "tests/browser/screenshots.py")


#: As in the Makefile.
SPHINX = ["python", "-m", "sphinx", "-n", "-W", "--keep-going", "-q"]


def docs_environment(session):
    """The environment of the site, whose tools need a newer Python than the package."""
    interpreter = at_least(*SPHINX_NEEDS)
    if interpreter is None:
        session.skip(NO_SPHINX)
    environment = Environment(session, interpreter)
    environment.install("docs/requirements.txt")
    return environment


def run_tests(session, interpreter, dependencies, *options):
    session.log(f"Python {interpreter.version}, {dependencies} dependencies")
    environment = Environment(session, interpreter, dependencies)
    # with orjson where the dependencies are the newest, without it elsewhere
    extras = ["testing", "speed"] if dependencies == "newest" else ["testing"]
    environment.install("tests/requirements.txt", extras=extras)
    # not ``python -m pytest``: that would find the package here, not where
    # it was installed
    environment.run("pytest", *SIDE_BY_SIDE, *options, *session.posargs)


if __name__ == "__main__":
    print("\n".join(say_interpreters()), flush=True)
