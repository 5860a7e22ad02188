"""The tests of the examples, run as a reader runs them."""

import ast
import re

import pytest
from demos import EXAMPLES, SITES

#: The distribution of a module, where it has another name.
DISTRIBUTIONS = {
    "dj_database_url": "dj-database-url",
    "flask_wtf": "flask-wtf",
    "inngest_wsgi": None,
}


@pytest.mark.parametrize("site", SITES, ids=str)
def test_the_tests_of_an_example(site, tmp_path):
    site.need()
    told = site.run_tests(tmp_path)
    source = (EXAMPLES / site.name / "test_app.py").read_text(encoding="utf-8")
    found = re.search(r"(\d+) passed|Ran (\d+) tests", told)
    assert found, told
    assert int(found.group(1) or found.group(2)) >= len(re.findall("def test_", source)) > 3
    # no database is left beside the code
    assert not list(EXAMPLES.rglob("*.sqlite3"))


@pytest.mark.parametrize("site", SITES, ids=str)
def test_the_requirements_of_an_example_are_complete(site):
    text = (site.folder / "requirements.txt").read_text(encoding="utf-8")
    listed = {re.match("[a-z-]*", line).group() for line in text.splitlines()}  # type: ignore[union-attr]
    needed = {DISTRIBUTIONS.get(name, name) for name in site.imports()} - {None}
    assert needed <= listed
    assert needed | {"gunicorn", "setuptools", ""} >= listed


def test_the_page_of_the_examples_names_each_of_them():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    folders = {path.parent.name for path in EXAMPLES.glob("*/app.py")}
    assert folders == {site.name for site in SITES} | {"streaming"}
    for name in folders:
        assert f"`{name}/`" in text
        assert f"make demo APP={name}" in text
        assert "make demo APP=" in (EXAMPLES / name / "README.md").read_text(encoding="utf-8")


def test_the_examples_can_be_read_by_the_oldest_python():
    for path in EXAMPLES.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_no_example_is_a_package_that_hides_its_framework():
    assert not [site for site in SITES if (site.folder / "__init__.py").exists()]
