import ast
import re

import doc_pages
import pytest
from doc_pages import is_test, run_pytest, write

PAGE = "docs/testing.md"
FILES = doc_pages.files(PAGE)
#: What the examples print, in the order of the page.
SHOWN = [each.text for each in doc_pages.blocks(doc_pages.read(PAGE)) if each.language == "text"]
TESTS = [name for name in FILES if is_test(name)]
#: Run by Django, whose settings a process has once.
DJANGO = "test_django.py"
#: What the examples import that the package does not depend on.
OTHERS = {"bottle", "django", "flask", "freezegun", "pyramid", "time_machine", "webtest"}
#: Those whose example does not import them.
UNSEEN = {"test_time.py": {"time_machine"}}


def imports(name):
    """Return the names of the modules that a file imports, by way of others of the page too."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name])):
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


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A folder with the files of the page."""
    return write(tmp_path_factory.mktemp("page"), FILES)


@pytest.fixture(scope="module")
def told(page):
    """What pytest says of all of them but Django's, in one process."""
    return run_pytest(page, "--continue-on-collection-errors", f"--ignore={DJANGO}")


def test_each_file_is_a_test_or_is_used_by_one():
    # the settings of Django name "accounts"
    used = set().union(*map(imports, TESTS), {"conftest", "settings", "accounts"})
    assert set(FILES) - set(TESTS) <= {f"{name}.py" for name in used}


@pytest.mark.parametrize("name", [name for name in TESTS if name != DJANGO])
def test_an_example_by_pytest(name, told):
    need(name)
    found = re.findall(rf"^(\w+) {re.escape(name)}(?:::\w+)*::(\w+)", told, re.MULTILINE)
    assert {status for status, _ in found} == {"PASSED"}, told
    assert {test for _, test in found} == set(doc_pages.test_names(FILES[name]))


def test_the_example_by_django(page):
    need(DJANGO)
    _, told = doc_pages.run(page, "-m", "django", "test", "--settings=settings", "test_django")
    assert re.search(
        rf"^Ran {len(doc_pages.test_names(FILES[DJANGO]))} tests .*\n\nOK$", told, re.MULTILINE
    ), told


def test_the_example_by_unittest(page):
    _, told = doc_pages.run(page, "-m", "unittest", "test_unittest")
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
