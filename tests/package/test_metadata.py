"""What a package index shows of a release, and what installers read."""

import ast
import email
import html.parser
import importlib.metadata
import pathlib
import re
import tarfile
import zipfile

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from readme_renderer import markdown
from trove_classifiers import classifiers as known

from inngest_wsgi import __version__, _protocol

SOURCE = "https://github.com/inngest-wsgi/inngest-wsgi"
RAW = SOURCE.replace("https://github.com/", "https://raw.githubusercontent.com/")

#: They are looked for by the tests, and a release names them when they have been tested.
NOT_YET = {"3.14"}


@pytest.fixture(scope="module")
def metadata(built):
    archive = zipfile.ZipFile(str(built.wheel))
    return _read(archive.read(f"inngest_wsgi-{__version__}.dist-info/METADATA"))


def _read(text):
    return email.message_from_string(text.decode("utf-8"))


def test_version_is_the_same_everywhere(metadata):
    assert metadata["Version"] == __version__ == importlib.metadata.version("inngest-wsgi")
    assert _protocol.SDK_IDENTITY == f"inngest-wsgi:v{__version__}"


def test_sdist_and_wheel_say_the_same(built, metadata):
    with tarfile.open(str(built.sdist)) as opened:
        file = opened.extractfile(f"inngest_wsgi-{__version__}/PKG-INFO")
        assert file is not None
        said = _read(file.read())
    assert said.items() == metadata.items()
    assert said.get_payload() == metadata.get_payload()


def test_changelog_begins_with_this_version():
    headings = re.findall("^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    versions = [heading.split(" ")[0] for heading in headings]
    assert versions[0] == __version__
    assert len(set(versions)) == len(versions)
    assert re.fullmatch(r"\S+ \((unreleased|\d{4}-\d\d-\d\d)\)", headings[0])
    assert all(re.fullmatch(r"\S+ \(\d{4}-\d\d-\d\d\)", heading) for heading in headings[1:])


def test_what_an_index_shows(metadata):
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert len(metadata["Summary"]) < 100
    people = [metadata[name] for name in ("Author", "Author-email", "Maintainer")]
    assert all(people) and "@" in people[1]
    assert "inngest" in metadata["Keywords"].split(",")
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL"))
    assert sorted(urls) == ["Changelog", "Documentation", "Homepage", "Issues", "Source"]
    assert urls["Source"] == SOURCE
    assert all(url.startswith(SOURCE) for url in urls.values())


def test_dependencies_and_extras_are_those_for_users(metadata):
    found = [Requirement(each) for each in metadata.get_all("Requires-Dist")]
    always = {each.name for each in found if "extra" not in str(each.marker)}
    assert always == {"Werkzeug", "urllib3", "itsdangerous"}
    assert metadata.get_all("Provides-Extra") == ["testing", "speed"]


# -- classifiers ---------------------------------------------------------


@pytest.fixture(scope="module")
def classifiers(metadata):
    return metadata.get_all("Classifier")


def test_each_classifier_is_known(classifiers):
    assert [each for each in classifiers if each not in known] == []
    assert classifiers == sorted(set(classifiers), key=_order)


def _order(classifier):
    """Return a key by which 3.8 is before 3.10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", classifier)]


def test_each_python_that_is_tested_has_a_classifier(metadata, classifiers):
    prefix = "Programming Language :: Python :: 3."
    named = {each[len(prefix) - 2 :] for each in classifiers if each.startswith(prefix)}
    tested = _constant("noxfile.py", "VERSIONS")
    assert named == set(tested) - NOT_YET
    badge = f"python-{tested[0]}_to_{max(named, key=_order)}-"
    assert badge in (ROOT / "README.md").read_text("utf-8")
    supported = SpecifierSet(metadata["Requires-Python"])
    assert [v for v in ["3.7", *tested] if v in supported] == tested


def _constant(name, constant):
    for node in ast.parse((ROOT / name).read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == constant:
            return ast.literal_eval(node.value)
    raise LookupError(constant)


def test_each_framework_that_has_an_adapter_or_a_page_has_a_classifier(classifiers):
    by_name = {each.partition(" :: ")[2].lower(): each for each in known if "work ::" in each}
    ours = [*(ROOT / "inngest_wsgi").glob("*.py"), *(ROOT / "docs" / "frameworks").glob("*.md")]
    wanted = {by_name[path.stem] for path in ours if path.stem in by_name}
    assert "Framework :: Flask" in wanted
    # the package has a plugin for it
    wanted.add("Framework :: Pytest")
    assert wanted - set(classifiers) == set()


# -- links ---------------------------------------------------------------


class Links(html.parser.HTMLParser):
    """Collects the addresses to which a page leads, and those of its pictures."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src"):
                self.found.append((name, value))
            elif name == "srcset":
                self.found += [("src", each.split()[0]) for each in value.split(",")]


@pytest.fixture(scope="module")
def links(metadata):
    """What the page of the package leads to, as PyPI makes it."""
    found = Links(markdown.render(metadata.get_payload())).found
    # headings lead to themselves
    return [(kind, link) for kind, link in found if not link.startswith("#user-content-")]


def test_each_link_is_absolute(links):
    assert [link for _, link in links if not link.startswith("https://")] == []


def test_each_link_to_our_files_names_one_that_exists(metadata, links, built):
    folders = {str(parent) for name in built.names for parent in pathlib.Path(name).parents}
    there = {
        "href": {f"{SOURCE}/blob/main/{name}" for name in built.names}
        | {f"{SOURCE}/tree/main/{name}" for name in folders},
        "src": {f"{RAW}/main/{name}" for name in built.names},
    }
    shown = [url.split(", ")[1] for url in metadata.get_all("Project-URL")]
    known = {SOURCE, f"{SOURCE}/issues"}
    ours = [(kind, link) for kind, link in links if link.startswith((SOURCE, RAW))]
    assert {kind for kind, _ in ours} == {"href", "src"}, "README.md leads to none of our files"
    ours += [("href", url) for url in shown if url not in known]
    assert [link for kind, link in ours if link.partition("#")[0] not in there[kind]] == []
