"""What a package index shows of a release, and what installers read."""

import ast
import email
import html.parser
import importlib.metadata
import pathlib
import re
import runpy
import shutil
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
        said = _read(opened.extractfile(f"inngest_wsgi-{__version__}/PKG-INFO").read())
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
        if isinstance(node, ast.Assign) and node.targets[0].id == constant:
            return ast.literal_eval(node.value)
    raise LookupError(constant)


def test_each_framework_that_has_an_adapter_or_a_page_has_a_classifier(classifiers):
    by_name = {each.partition(" :: ")[2].lower(): each for each in known if "work ::" in each}
    ours = [*(ROOT / "inngest_wsgi").glob("*.py"), *(ROOT / "docs" / "frameworks").glob("*.md")]
    wanted = {by_name[path.stem] for path in ours if path.stem in by_name}
    assert {"Framework :: Flask", "Framework :: Bottle"} <= wanted
    # it comes with a plugin
    wanted.add("Framework :: Pytest")
    assert {each for each in classifiers if each.startswith("Framework ::")} == wanted


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


def rendered_links(text):
    found = Links(markdown.render(text)).found
    # headings lead to themselves
    return [(kind, link) for kind, link in found if not link.startswith("#user-content-")]


@pytest.fixture(scope="module")
def links(metadata):
    """What the page of the package leads to, as PyPI makes it."""
    return rendered_links(metadata.get_payload())


def test_each_link_is_absolute(links):
    assert [link for _, link in links if not link.startswith("https://")] == []


def test_each_link_to_our_files_names_one_in_this_version(links, built):
    folders = {f"{parent}/" for name in built.names for parent in pathlib.Path(name).parents}
    there = {
        "href": {f"{SOURCE}/blob/v{__version__}/{name}" for name in built.names}
        | {f"{SOURCE}/tree/v{__version__}/{name}" for name in folders},
        "src": {f"{RAW}/v{__version__}/{name}" for name in built.names},
    }
    ours = [(kind, link) for kind, link in links if link.startswith((SOURCE, RAW))]
    assert ours, "README.md leads to none of our files"
    assert [link for kind, link in ours if link.partition("#")[0] not in there[kind]] == []


def test_no_link_of_the_readme_is_lost(links):
    """It leads to as many places on the index as in the repository."""
    there = rendered_links((ROOT / "README.md").read_text("utf-8"))
    assert [kind for kind, _ in there] == [kind for kind, _ in links]


#: A line of Markdown or HTML, and what it becomes.
REWRITTEN = [
    ("[a\nb](docs/steps.md)", "[a\nb](BLOB/docs/steps.md)"),
    ("[a](docs/steps.md#one)", "[a](BLOB/docs/steps.md#one)"),
    ('[a](<LICENSE> "title")', '[a](<BLOB/LICENSE> "title")'),
    ("[a](examples/)", "[a](TREE/examples/)"),
    ("[a](#here)", "[a](BLOB/README.md#here)"),
    ("![a](docs/a.png)", "![a](RAW/docs/a.png)"),
    ("[![a](docs/a.png)](docs/steps.md)", "[![a](RAW/docs/a.png)](BLOB/docs/steps.md)"),
    ("[a]: docs/steps.md", "[a]: BLOB/docs/steps.md"),
    ('<a href="docs/steps.md"><img src="docs/a.png"></a>',)
    + ('<a href="BLOB/docs/steps.md"><img src="RAW/docs/a.png"></a>',),
    ("[a](https://example.com/docs/steps.md)", None),
    ("[a](mailto:a@example.com)", None),
    ("[a](docs/gone.md)", None),
    ('handlers["a"](event)', None),
]


@pytest.mark.parametrize("line, there", REWRITTEN)
def test_links_that_are_rewritten(line, there, tmp_path, monkeypatch):
    """What is no file of ours stays, so that the tests above find it."""
    for name in ("docs/steps.md", "docs/a.png", "examples/a.py", "LICENSE"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    for name in ("setup.py", "setup.cfg", "inngest_wsgi/_protocol.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(str(ROOT / name), str(tmp_path / name))
    (tmp_path / "README.md").write_text(line + "\n")
    given = []
    monkeypatch.setattr("setuptools.setup", lambda **how: given.append(how["long_description"]))
    runpy.run_path(str(tmp_path / "setup.py"))
    there = there or line
    for kind, url in (("BLOB", f"{SOURCE}/blob"), ("TREE", f"{SOURCE}/tree"), ("RAW", RAW)):
        there = there.replace(kind, f"{url}/v{__version__}")
    assert given == [there + "\n"]
