"""Runs the programs on the pages of the frameworks without an adapter on each interpreter, as
tests/docs does on one."""

import re

import doc_pages
import pytest

PAGES = ["bottle", "cherrypy", "falcon", "turbogears", "webob", "webpy", "wsgi"]
CHECKS = doc_pages.ROOT / "tests" / "docs" / "checks" / "frameworks"


@pytest.mark.parametrize("page", PAGES)
def test_a_page(page, tmp_path):
    here = doc_pages.write(tmp_path, doc_pages.files(f"docs/frameworks/{page}.md"))
    check = CHECKS / f"{page}.py"
    if check.exists():
        (here / "test_unseen.py").write_text(check.read_text("utf-8"), "utf-8")
    told = doc_pages.run_pytest(here, INNGEST_DEV="1")
    assert re.search(r"^=+ \d+ passed(, \d+ warnings?)? in ", told, re.MULTILINE), told
