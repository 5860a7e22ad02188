"""Take the pictures in docs/: of the dev page, of the quick start's end, and of a run's timeline.

    python tests/browser/screenshots.py

Install the font Inter first, so that they look as on most machines.
"""

import html
import importlib
import logging
import os
import pathlib
import re
import sys
import tempfile
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "docs"
sys.path.insert(0, str(HERE.parent / "support"))

import doc_pages  # noqa: E402
from browser_shop import browser, shop  # noqa: E402
from stub_server import serving  # noqa: E402

from inngest_wsgi.testing import LocalServer, TestServer  # noqa: E402

FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include>{}</fontconfig>"""
#: What a browser may ask for where a page asks for the system's font.
PREFER = """<match target="pattern"><test name="family"><string>{}</string></test>
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>"""
ASKED = ("system-ui", "sans", "sans-serif", "DejaVu Sans", "Segoe UI", "Roboto")

DESKTOP, PHONE = {"width": 1120, "height": 880}, {"width": 390, "height": 844}
PICTURES: t.Dict[str, t.Any] = {
    "light": {"viewport": DESKTOP, "color_scheme": "light"},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "narrow": {"viewport": PHONE, "color_scheme": "light", "device_scale_factor": 2},
}


#: A run's timeline, as a terminal shows it.
TERMINAL = """<!doctype html><meta charset="utf-8"><style>
:root { color-scheme: light dark; --back: #f6f7f2; --text: #1d2523; --soft: #5b6663;
  --good: #0b6e5b; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --back: #161b1a; --text: #e4e9e6; --soft: #93a09c;
  --good: #6fd1b8; --bad: #ff9d92 } }
body { margin: 0; display: inline-block; background: var(--back) }
pre { margin: 0; padding: 22px 26px; font: 14px/1.65 "DejaVu Sans Mono", monospace;
  color: var(--text); white-space: pre }
.soft { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--bad) }
</style><pre>LINES</pre>"""


def main():
    os.environ["INNGEST_DEV"] = "1"
    logging.getLogger("werkzeug").setLevel("ERROR")
    logging.getLogger("inngest_wsgi").setLevel("CRITICAL")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as fonts:
        fonts.write(FONTS.format("".join(map(PREFER.format, ASKED))))
        fonts.flush()
        os.environ["FONTCONFIG_FILE"] = fonts.name
        with LocalServer(port=8288) as server, browser() as chromium:
            with serving(shop(server.url), port=8000) as origin:
                for name, options in PICTURES.items():
                    page = chromium.new_page(**options)
                    take(page, origin, DOCS / f"landing-{name}.png")
                    page.close()
            quickstart(server, chromium)
            for name in ("light", "dark"):
                timeline(chromium, name)


def imported(page, name):
    """Import a file of a page of the documentation."""
    with tempfile.TemporaryDirectory() as folder:
        doc_pages.write(pathlib.Path(folder), doc_pages.files(page))
        sys.path.insert(0, folder)
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(folder)


def quickstart(server, chromium):
    """Take the picture of what the quick start ends with."""
    page = chromium.new_page(viewport={"width": 1120, "height": 900}, color_scheme="light")
    application = imported("docs/quickstart.md", "app").application
    with serving(application, port=8000) as origin:
        page.goto(origin + "/api/inngest")
        page.wait_for_selector("#server.good")
        page.click("#sync")
        page.wait_for_selector("#synced.good-text")
        (event,) = [
            block.text
            for block in doc_pages.blocks(doc_pages.read("docs/quickstart.md"))
            if block.language == "json"
        ]
        page.fill("#event", event.strip())
        page.click("#send-button")
        page.wait_for_selector(".run .status.Completed")
        save(page, DOCS / "quickstart.png")
    page.close()


def timeline(chromium, scheme):
    """Take the picture of the timeline of a run of the README's function."""
    shop = imported("README.md", "shop")
    with TestServer(start="2030-01-31", seed=3) as server:
        server.serve(shop.application)
        server.stub("load-user", fail=2)
        run = server.send("user/created", {"id": 7}).run("welcome")
        server.advance("2h")
        lines = "\n".join(map(coloured, str(run).splitlines()))
    page = chromium.new_page(viewport=DESKTOP, color_scheme=scheme, device_scale_factor=2)
    page.set_content(TERMINAL.replace("LINES", lines))
    path = DOCS / f"timeline-{scheme}.png"
    page.locator("body").screenshot(path=str(path))
    print(path, path.stat().st_size)
    page.close()


def coloured(line):
    kind = "bad" if " failed" in line else "good" if re.search("succeeded|completed", line) else ""
    times = re.match(r"  \d{4}-\S+ \S+  \+(\S+ )*\S+ +", line)
    head = times.group() if times else ""
    rest = html.escape(line[len(head) :])
    return f'<span class="soft">{head}</span><span class="{kind}">{rest}</span>'


def take(page, origin, path):
    page.goto(origin + "/api/inngest")
    page.wait_for_selector("#server.good")
    page.click("#sync")
    page.wait_for_selector("#synced.good-text")
    page.click("#send-button")
    page.wait_for_selector(".run .status.Completed")
    save(page, path)


def save(page, path):
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=str(path))
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
