"""Runs what the pages of the documentation show.

A page's Python blocks are files, which are written into an empty folder. Those that are called
``test_*.py`` are run by pytest, or by Django's own runner if they have a ``TestCase`` of Django.
Each other one is imported in a process of its own, in which a warning is an error. What a page has
no test for may have one in ``checks/``: ``checks/flow_control.py`` is put beside the files of
``docs/flow-control.md``, as ``test_unseen.py``.
"""

import ast
import fnmatch
import functools
import pathlib
import re

import doc_pages
import pytest
from doc_pages import blocks, files, is_test, read, run, run_pytest, write
from markdown_it import MarkdownIt

PAGES = doc_pages.pages()
FILES = {page: files(page) for page in PAGES}
CHECKS = pathlib.Path(__file__).with_name("checks")
#: test_testing_page.py runs it, on each interpreter; Django's own runner runs one of its files.
ELSEWHERE = "docs/testing.md"


def check_of(page):
    """Return the file with tests that the page does not show."""
    name = pathlib.PurePosixPath(page).relative_to("docs") if page != "README.md" else page
    return CHECKS / pathlib.Path(str(name).replace("-", "_").lower()).with_suffix(".py")


def environment(folder):
    """Return the variables that a page's files need."""
    for settings in (*folder.glob("settings.py"), *folder.glob("*/settings.py")):
        module = ".".join(settings.relative_to(folder).with_suffix("").parts)
        return {"INNGEST_DEV": "1", "DJANGO_SETTINGS_MODULE": module}
    return {"INNGEST_DEV": "1"}


@pytest.mark.parametrize("page", PAGES)
def test_each_python_block_names_a_file_of_its_own(page):
    wrong, names = [], []
    for block in blocks(read(page)):
        if block.language == "python":
            names.append(block.name)
            if block.name is None:
                wrong.append(f"{page}:{block.line}: the first line is no comment with a file name")
            elif names.count(block.name) > 1:
                wrong.append(f"{page}:{block.line}: a second {block.name}")
        elif block.language in doc_pages.DISGUISED or ">>> " in block.text:
            wrong.append(f"{page}:{block.line}: a block of language {block.language!r} is not run")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES)
def test_no_block_escapes_notice(page):
    """Another reader of Markdown sees the same blocks, and none that is indented only."""
    tokens = MarkdownIt("commonmark").parse(read(page))
    assert [token.content for token in tokens if token.type == "code_block"] == []
    seen = [
        (token.info.strip().split(" ")[0], token.content)
        for token in tokens
        if token.type == "fence"
    ]
    assert seen == [(block.language, block.text) for block in blocks(read(page))]


@pytest.mark.parametrize(
    "page, name", [(page, name) for page, found in FILES.items() for name in found]
)
def test_a_file_is_for_python_3_8(page, name):
    ast.parse(FILES[page][name], name, feature_version=(3, 8))


@functools.lru_cache(maxsize=None)
def made(base, page):
    folder = base / re.sub(r"\W", "-", page)
    folder.mkdir()
    return write(folder, FILES[page])


@pytest.fixture
def folder(tmp_path_factory):
    """Make a folder with the files of a page."""
    base = tmp_path_factory.getbasetemp()
    return lambda page: made(base, page)


def programs(page):
    """Return the files of a page that are no tests."""
    return [name for name in FILES[page] if not is_test(name)]


def is_choosy(text):
    """Return whether a file must be imported before anything else is."""
    return "monkey" in text


def is_of_django(text):
    """Return whether a test needs the database that Django's runner makes."""
    return "from django.test import TestCase" in text


@pytest.mark.parametrize("page", [page for page in PAGES if programs(page) and page != ELSEWHERE])
def test_the_programs_of_a_page_are_imported_and_synced(page, folder):
    here, together, told = folder(page), ["--fork"], []
    command = ("-W", "error", "-c", doc_pages.IMPORT)
    for name in programs(page):
        module = name[: -len(".py")].replace("/", ".")
        if is_choosy(FILES[page][name]):
            status, said = run(here, *command, module, **environment(here))
            told += [said] if status else []
        else:
            together.append(module)
    status, said = run(here, *command, *together, **environment(here))
    assert (status, said.count("failed:"), told) == (0, 0, []), "\n".join([said, *told])


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(map(is_test, FILES[page])) and page != ELSEWHERE]
)
def test_the_tests_of_a_page(page, folder):
    here = folder(page)
    of_django = [name for name in FILES[page] if is_test(name) and is_of_django(FILES[page][name])]
    by_pytest = [name for name in FILES[page] if is_test(name) and name not in of_django]
    for name in of_django:
        status, told = run(here, "-m", "django", "test", name[:-3], **environment(here))
        count = len(doc_pages.test_names(FILES[page][name]))
        assert status == 0 and f"Ran {count} test" in told, told
    told = run_pytest(here, *by_pytest, **environment(here)) if by_pytest else ""
    for name in by_pytest:
        found = re.findall(rf"^(\w+) {re.escape(name)}(?:::\w+)*::(\w+)", told, re.MULTILINE)
        assert {status for status, _ in found} == {"PASSED"}, told
        assert {test for _, test in found} == set(doc_pages.test_names(FILES[page][name])), told


@pytest.mark.parametrize("page", [page for page in PAGES if check_of(page).exists()])
def test_what_a_page_does_not_show(page, folder, tmp_path):
    here = write(tmp_path, FILES[page])
    (here / "test_unseen.py").write_text(check_of(page).read_text("utf-8"), "utf-8")
    told = run_pytest(here, "test_unseen.py", **environment(here))
    assert re.search(r"^=+ \d+ passed(, \d+ warnings?)? in ", told, re.MULTILINE), told


def test_each_check_has_a_page():
    assert {path for path in CHECKS.rglob("*.py")} <= {check_of(page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_each_link_and_picture_has_a_file_and_words(page):
    """Sphinx finds a page without its ending, and GitHub does not."""
    wrong = []
    inline = [token for token in MarkdownIt("commonmark").parse(read(page)) if token.children]
    for token in (child for each in inline for child in each.children or ()):
        target = str(token.attrs.get("href") or token.attrs.get("src") or "")
        path = target.partition("#")[0]
        if (
            path
            and ":" not in path
            and not (doc_pages.ROOT / page).parent.joinpath(path).is_file()
        ):
            wrong.append(f"{target} is no file")
        if token.type == "image" and not token.content:
            wrong.append(f"{target} has no words for those who do not see it")
    assert not wrong


def test_each_page_is_in_the_site():
    """Sphinx warns of it too; this names the file to change."""
    listed = []
    for page in PAGES:
        for block in blocks(read(page)):
            if block.language == "{toctree}":
                there = pathlib.PurePosixPath(page).parent
                lines = [line for line in block.text.split("\n") if line and line[0] != ":"]
                listed += [(there / f"{line}.md").as_posix() for line in lines]
    shown = {page for page in PAGES for each in listed if fnmatch.fnmatchcase(page, each)}
    assert {page for page in PAGES if page.startswith("docs/")} - shown == {"docs/index.md"}
