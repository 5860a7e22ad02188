import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

#: The time that a release names as that of its files; 2026-01-01.
EPOCH = "1767225600"

#: What tools, demos and editors leave behind, and no package should have.
LEFT_BEHIND = (
    ".coverage",
    "benchmarks/.ruff_cache/0.17.6/1",
    "docs/_build/html/index.html",
    "docs/.DS_Store",
    "examples/.hypothesis/unicode_data/1",
    "examples/bottle/shop.sqlite3",
    "examples/bottle/shop.sqlite3-wal",
    "inngest_wsgi/__pycache__/client.cpython-311.pyc",
    "inngest_wsgi/client.py.orig",
    "inngest_wsgi/.client.py.swp",
    "tests/.mypy_cache/3.11/a.data.json",
    "tests/.pytest_cache/v/cache/lastfailed",
    "tests/endpoint/__pycache__/conftest.cpython-311.pyc",
    "tests/endpoint/test_keys.py~",
)


def pytest_addoption(parser):
    parser.addoption(
        "--python",
        action="append",
        default=[],
        help="an interpreter to install the package on; by default that of pytest",
    )


def _pythons(config):
    return list(dict.fromkeys(config.getoption("python") or [sys.executable]))


def pytest_generate_tests(metafunc):
    if "python" in metafunc.fixturenames:
        metafunc.parametrize("python", _pythons(metafunc.config))


@pytest.fixture(scope="session")
def pythons(request):
    return _pythons(request.config)


class Built(t.NamedTuple):
    """The files of a release, and the files of the tree that they were made of."""

    sdist: pathlib.Path
    wheel: pathlib.Path
    tree: pathlib.Path
    names: t.FrozenSet[str]


def run(*command, cwd=None, env=None):
    """Run a program to its end; return what it wrote.

    :param env: variables that it has besides those of this process
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=str(cwd or ROOT),
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
    )
    written = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, written
    return written


def python_module(name, *arguments, **how):
    return run(sys.executable, "-m", name, *arguments, **how)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """An sdist, and the wheel that was built from it, of a tree in which much was left behind."""
    folder = tmp_path_factory.mktemp("release")
    names = frozenset(_names())
    for name in names:
        (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(str(ROOT / name), str(folder / "tree" / name))
    for name in LEFT_BEHIND:
        (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "tree" / name).write_text("left behind")
    build(folder / "tree", folder / "dist")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return Built(sdist, wheel, folder / "tree", names)


def build(tree, output, *options):
    python_module("build", *options, "--outdir", output, tree, env={"SOURCE_DATE_EPOCH": EPOCH})


def _names():
    """Return the names of the files that are, or will be, under version control."""
    if not (ROOT / ".git").exists():
        # an sdist that was unpacked; it has nothing else until somebody works in it
        made = (".egg-info", "PKG-INFO", ".nox", ".venv", "__pycache__", "_cache", ".hypothesis")
        found = (str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file())
        return [n for n in found if not any(part.endswith(made) for part in n.split(os.sep))]
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
