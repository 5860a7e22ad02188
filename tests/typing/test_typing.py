"""Type checkers see in users' code what they are meant to see. ``nox -s types`` runs this, with
the package installed as users have it."""

import json
import re
import sys

import pytest
from conftest import CHECKERS, EXAMPLES, HERE, mypy, program, pyright, run

MARK = "  # error"
checkers = pytest.mark.parametrize("checker, version", CHECKERS)
newest = pytest.mark.parametrize("checker, version", [CHECKERS[0], CHECKERS[-1]])


def marked(name):
    """Return the places in a file where an error is expected."""
    lines = (HERE / "code" / name).read_text(encoding="utf-8").splitlines()
    return [f"{name}:{number}" for number, line in enumerate(lines, 1) if line.endswith(MARK)]


@checkers
def test_errors_are_where_code_is_wrong_and_nowhere_else(check, checker, version):
    found = {place for place, _ in check(checker, version, "right.py", "wrong.py")}
    assert sorted(found) == sorted(marked("wrong.py"))


@newest
def test_an_output_type_that_is_no_class(check, checker, version):
    assert check(checker, version, "special.py") == []


#: What a message is about, and a part of it from each checker.
MESSAGES = [
    ('run("a", fetch, 1)  #', "Coroutine[Any, Any, dict", "SyncJSON"),
    (
        'run("a", charge, "1")',
        '"def charge(order_id: int, currency: str',
        '"Literal[\'1\']" is not assignable to "int"',
    ),
    ('run("a", charge)', "No overload variant", 'missing for parameter "order_id"'),
    ("wet=True", '"wet"', 'No parameter named "wet"'),
    ("async def d(", 'cannot be "Coroutine', '"CoroutineType'),
    ("def e(", '"SyncJSON" of "__call__" of "Declare" cannot be "Order"', '"Order"'),
    ('retries="3"', '"retries" to "create_function"', '"retries"'),
    ('mode="drop"', "Literal['skip', 'cancel']", "Literal['drop']"),
    ("ctx.session = None", '"Context" has no attribute "session"', '"session"'),
    ("on_failure=failed)", "Coroutine[Any, Any, None]", "CoroutineType[Any, Any, None]"),
]


@newest
@pytest.mark.parametrize("code, of_mypy, of_pyright", MESSAGES)
def test_the_message_names_what_is_wrong(check, checker, version, code, of_mypy, of_pyright):
    lines = (HERE / "code" / "wrong.py").read_text(encoding="utf-8").splitlines()
    number = next(number for number, line in enumerate(lines, 1) if code in line)
    if not lines[number - 1].endswith(MARK):
        number -= 1  # the decorator's line
    errors = check(checker, version, "right.py", "wrong.py")
    said = " ".join(message for place, message in errors if place == f"wrong.py:{number}")
    assert (of_mypy if checker == "mypy" else of_pyright) in said


@newest
@pytest.mark.parametrize("name", ["both.py", "theirs.py"])
def test_code_for_both_packages_is_right_for_both(check, checker, version, name):
    assert check(checker, version, name) == []


def test_pyright_knows_the_type_of_every_public_name():
    out, problem = run(
        HERE,
        program("pyright"),
        "--pythonpath",
        sys.executable,
        "--verifytypes",
        "inngest_wsgi",
        "--ignoreexternal",
        "--outputjson",
    )
    found = json.loads(out)["typeCompleteness"]
    unknown = [each["name"] for each in found["symbols"] if not each["isTypeKnown"]]
    assert (unknown, found["completenessScore"]) == ([], 1), problem
    names = {module["name"] for module in found["modules"]}
    adapters = {f"inngest_wsgi.{name}" for name in ("django", "flask", "pyramid", "sqlalchemy")}
    assert {"inngest_wsgi", "inngest_wsgi.testing", *adapters} <= names
    assert found["pyTypedPath"]


@pytest.mark.parametrize("version", ["3.9", "3.14"])
def test_pyright_finds_nothing_in_the_package(version):
    assert pyright("pyright", HERE, version, "--project", "pyright-package.json") == []


@pytest.mark.parametrize("checker, version", [CHECKERS[0], CHECKERS[1]])
def test_mypy_finds_nothing_in_the_package(tmp_path, checker, version):
    settings = str(HERE.parent.parent / "setup.cfg")
    found = mypy(checker, tmp_path, version, "--config-file", settings, "-p", "inngest_wsgi")
    assert found == []


def test_each_example_is_checked(examples):
    there = {path.parent.name for path in (HERE.parent.parent / "examples").glob("*/*.py")}
    assert there - {"shop"} == set(EXAMPLES) - {"demos"}
    settings = (HERE / "pyright-examples.json").read_text(encoding="utf-8")
    assert set(re.findall(r'"root": "(\w+)"', settings)) == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_mypy_finds_nothing_in_an_example(examples, name):
    checker, version = CHECKERS[0]
    assert mypy(checker, examples / name, version, *EXAMPLES[name], ".", cache=examples) == []


def test_pyright_finds_nothing_in_the_examples(examples):
    assert pyright("pyright", examples, "3.14") == []
