"""Take the screenshots of the dev page in docs/.

    python tests/browser/screenshots.py

Install the font Inter first, so that they look as on most machines.
"""

import logging
import os
import pathlib
import sys
import tempfile
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "docs"
sys.path.insert(0, str(HERE.parent / "support"))

from browser_shop import browser, shop  # noqa: E402
from stub_server import serving  # noqa: E402

from inngest_wsgi.testing import LocalServer  # noqa: E402

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


def main():
    logging.getLogger("werkzeug").setLevel("ERROR")
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


def take(page, origin, path):
    page.goto(origin + "/api/inngest")
    page.wait_for_selector("#server.good")
    page.click("#sync")
    page.wait_for_selector("#synced.good-text")
    page.click("#send-button")
    page.wait_for_selector(".run .status.Completed")
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=str(path))
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
