"""The examples of ``docs/testing.md``, run as a user would run them."""

import ast
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
#: By the name that the first line gives it.
FILES = {block.partition("\n")[0][2:]: block for language, block in BLOCKS if language == "python"}
#: What the examples print, in the order of the page.
SHOWN = [block for language, block in BLOCKS if language == "text"]
TESTS = [name for name in FILES if name.startswith("test_")]
#: Run by Django, whose settings a process has once.
DJANGO = "test_django.py"
#: What the examples import that the package does not depend on.
OTHERS = {"bottle", "django", "flask", "freezegun", "pyramid", "time_machine", "webtest"}
#: Those whose example does not import them.
UNSEEN = {"test_time.py": {"time_machine"}}


def run(folder, *command):
    """Run a module of Python in a folder, as a user does, and return what it writes."""
    # not what this pytest was told
    own = ("PYTEST_ADDOPTS", "INNGEST_DEV", "DJANGO_SETTINGS_MODULE")
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=str(folder),
        env={key: value for key, value in os.environ.items() if key not in own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    return done.stdout.decode("utf-8", "replace")


def run_pytest(folder, *arguments):
    return run(folder, "pytest", "-rA", "--color=no", "-p", "no:cacheprovider", *arguments)


def imports(name):
    """Return the names of the modules that a file imports, by way of others of the page too."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name], feature_version=(3, 8))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    for each in found.copy():
        if f"{each}.py" in FILES:
            found |= imports(f"{each}.py")
    return found | UNSEEN.get(name, set())


def need(*names):
    """Skip the test if a framework that the files import is not installed."""
    for module in sorted(OTHERS.intersection(*[set().union(*map(imports, names))])):
        pytest.importorskip(module)


def write(folder, files):
    for name, block in files.items():
        (folder / name).write_text(block, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A folder with the files of the page."""
    return write(tmp_path_factory.mktemp("page"), FILES)


@pytest.fixture(scope="module")
def told(page):
    """What pytest says of all of them but Django's, in one process."""
    return run_pytest(page, "--continue-on-collection-errors", f"--ignore={DJANGO}")


def names_in(name):
    """Return the names of the tests in a file."""
    return [
        node.name
        for node in ast.walk(ast.parse(FILES[name]))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def test_each_example_names_a_file_of_its_own():
    assert all(re.match(r"# \w+\.py\n", block) for lang, block in BLOCKS if lang == "python")
    assert len(FILES) == sum(language == "python" for language, _ in BLOCKS)
    used = set().union(*map(imports, TESTS), {"conftest", "settings"})
    assert set(FILES) - set(TESTS) <= {f"{name}.py" for name in used}


@pytest.mark.parametrize("name", [name for name in TESTS if name != DJANGO])
def test_an_example_by_pytest(name, told):
    need(name)
    found = re.findall(rf"^(\w+) {re.escape(name)}(?:::\w+)*::(\w+)", told, re.MULTILINE)
    assert {status for status, _ in found} == {"PASSED"}, told
    assert {test for _, test in found} == set(names_in(name))


def test_the_example_by_django(page):
    need(DJANGO)
    told = run(page, "django", "test", "--settings=settings", "test_django")
    assert re.search(rf"^Ran {len(names_in(DJANGO))} tests .*\n\nOK$", told, re.MULTILINE), told


def test_the_example_by_unittest(page):
    told = run(page, "unittest", "test_unittest")
    assert re.search(r"^Ran 1 test .*\n\nOK$", told, re.MULTILINE), told


def test_the_timeline_that_a_failing_test_prints(tmp_path):
    files = {name: FILES[name] for name in ("shop.py", "conftest.py", "test_shop.py")}
    files["test_shop.py"] = files["test_shop.py"].replace('advance("3d")', 'advance("1d")')
    told = run_pytest(write(tmp_path, files))
    assert timeless(SHOWN[0]) in timeless(told)


def test_what_an_exploration_that_fails_prints(tmp_path):
    name = "test_explore.py"
    block, count = re.subn(r"with pytest\.raises\(.*\):", "if True:", FILES[name])
    assert count == 1
    told = run_pytest(write(tmp_path, {name: block, "conftest.py": FILES["conftest.py"]}), name)
    told = told.replace(str(tmp_path), "/home/ann/bank")
    # pytest marks the lines of an exception, and indents them
    told, shown = (
        re.sub(r"^(?:E\b)? *(?:\S+\.ExplorationFailed: )?", "", text, flags=re.MULTILINE)
        for text in (told, SHOWN[1])
    )
    assert timeless(shown) in timeless(told)


def timeless(text):
    """Return a text without the dates and ids that follow from the real time."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", text)
    return re.sub(r"\b[0-9A-Z]{26}\b", "ID", text)


@pytest.mark.parametrize("site", ["bottle", "pyramid"])
def test_the_tests_of_an_example(site, tmp_path):
    pytest.importorskip(site)
    if site == "pyramid":
        pytest.importorskip("webtest")
    told = run_pytest(ROOT / "examples" / site, f"--basetemp={tmp_path / 'base'}")
    assert re.search(r"^=+ 3 passed in ", told, re.MULTILINE), told
    # no database is left beside the code
    assert not list((ROOT / "examples").rglob("*.sqlite3"))
