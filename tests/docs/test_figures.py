"""Checks what the pages say of the package and of measurements against their sources."""

import configparser
import inspect
import re

import doc_pages
from doc_pages import ROOT, read

import inngest_wsgi
from inngest_wsgi import _protocol, testing

SETUP = configparser.ConfigParser(interpolation=None)
SETUP.read(str(ROOT / "setup.cfg"))
#: Where the source is. A link to it leads to a file of this tree.
SOURCE = "https://github.com/inngest-wsgi/inngest-wsgi/blob/main/"
RAW = "https://raw.githubusercontent.com/inngest-wsgi/inngest-wsgi/main/"


def test_the_comparison_quotes_figures_that_were_measured():
    table = read("docs/comparison.md").partition("## Speed")[2].partition("## Sources")[0]
    figures = re.findall(r"\| (\d+\.?\d*) (?=\|)", table)
    measured = set(re.findall(r"(?<=\| )[\d.,]+(?= \|)", read("docs/performance.md")))
    assert len(figures) == 8
    assert set(figures) <= measured, set(figures) - measured


def test_the_badges_are_true():
    badges = re.findall(r"^!\[([^\]]+)\]\(https://img", read("README.md"), re.M)
    classifiers = SETUP["metadata"]["classifiers"]
    oldest, *_, newest = re.findall(r"Python :: (3\.\d+)$", classifiers, re.M)
    assert SETUP["options"]["python_requires"] == f">= {oldest}"
    assert badges == [
        f"Python {oldest} to {newest}",
        f"Licence: {SETUP['metadata']['license']}",
        "Typed",
        f"Test coverage: at least {SETUP['coverage:report']['fail_under']} %",
    ]
    assert (ROOT / "inngest_wsgi" / "py.typed").exists() and SETUP["mypy"]["strict"] == "True"


def test_the_pictures_of_badges_say_the_same():
    for said, picture in re.findall(
        r"^!\[([^\]]+)\]\((https://img[^)]+)\)", read("README.md"), re.M
    ):
        shown = picture.rpartition("/badge/")[2].replace("--", " ").replace("_", " ")
        for word in re.findall(r"[\d.]+|BSD|Clause", said):
            assert word in shown, (said, picture)


def test_the_readme_links_to_files_that_exist():
    text = read("README.md")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert not [target for target in targets if not target.startswith("https://")]
    for target in targets:
        for beginning in (SOURCE, RAW):
            if target.startswith(beginning):
                assert (ROOT / target[len(beginning) :].partition("#")[0]).exists(), target


def test_each_setting_is_described():
    text = read("docs/settings.md")
    names = [value for name, value in vars(_protocol).items() if name.startswith("ENV_")]
    for name in [name for name in names if isinstance(name, str)]:
        assert f"`{name}`" in text, name
    arguments = {*inspect.signature(inngest_wsgi.serve).parameters}
    arguments |= {*inspect.signature(inngest_wsgi.Inngest).parameters}
    arguments -= {"client", "functions"}
    known = set(re.findall(r"`(\w+)=`", text)) | {"app_version"}
    assert not arguments - known, arguments - known


def test_each_public_name_is_in_the_reference():
    pages = [page for page in doc_pages.pages() if page.startswith("docs/api/")]
    text = "\n".join(map(read, pages))
    for name in inngest_wsgi.__all__:
        if name != "__version__" and not name.endswith("Error"):
            assert re.search(rf"\b{name}\b", text), name
    # these are read as wholes
    assert "automodule:: inngest_wsgi.errors" in text
    assert "automodule:: inngest_wsgi.testing" in text and testing.__all__


def test_the_floors_are_those_of_the_package():
    text = read("docs/install.md")
    for line in SETUP["options"]["install_requires"].splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition(";")[0].partition(" >= ")
            assert name in text and version.strip() in text, line
