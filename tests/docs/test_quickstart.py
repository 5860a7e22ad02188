"""Follows the quick start, word by word, to the run in the browser.

Two things are not as on the page. The packages are those of this environment, not the registry's.
And in the place of the Inngest Dev Server there is a ``LocalServer``, at the same address.
"""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time

import doc_pages
import pytest
from browser_shop import browser

from inngest_wsgi.testing import LocalServer

#: They need the same ports.
pytestmark = pytest.mark.xdist_group("ports")

PAGE = "docs/quickstart.md"
TEXT = doc_pages.read(PAGE)
BLOCKS = doc_pages.blocks(TEXT)
COMMANDS = [
    line[2:] for block in BLOCKS if block.language == "console" for line in block.text.splitlines()
]
DEV_SERVER = re.compile(r"(?:npx .*|docker run .*) dev -u (\S+)")


def command(beginning):
    """Return the one command of the page that begins so."""
    (found,) = [each for each in COMMANDS if each.startswith(beginning)]
    return found


def block(language):
    """Return the one block of a language."""
    (found,) = [each.text for each in BLOCKS if each.language == language]
    return found


def says(text):
    """Return a text that the page says, for what has to be seen."""
    assert text in re.sub(r"\s+", " ", TEXT), f"{PAGE} does not say {text!r}"
    return text


def split(words):
    """Return the variables that a command begins with, and its words."""
    parts, variables = shlex.split(words), {}
    while "=" in parts[0]:
        name, _, value = parts.pop(0).partition("=")
        variables[name] = value
    inherited = {key: value for key, value in os.environ.items() if key not in doc_pages.OWN}
    return {**inherited, "PYTHONUNBUFFERED": "1", **variables}, parts


@contextlib.contextmanager
def running(words, folder, output):
    """Run a command until Ctrl + C is pressed."""
    environment, parts = split(words)
    output.touch()
    # another program may have it for a moment
    until(is_free, output)
    with open(output, "ab") as file:
        process = subprocess.Popen(
            parts,
            cwd=str(folder),
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            # which is ignored in what a shell has started in the background
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        until(lambda: "Running on http://" in output.read_text("utf-8"), output)
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(60) is not None
    finally:
        process.kill()
        process.wait()


def is_free():
    """Return whether the application's port can be listened on."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", 8000))
        except OSError:
            return False
        return True


def until(condition, output):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, output.read_text("utf-8")
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path):
    """An empty folder, in which the first part of the page has been done."""
    environment, parts = split(command("python3 -m venv"))
    subprocess.run([sys.executable, *parts[1:]], cwd=str(tmp_path), env=environment, check=True)
    assert command("venv/bin/pip install inngest-wsgi")
    assert command("venv/bin/pip install pytest")
    (packages,) = tmp_path.glob("venv/lib/*/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")] + [str(doc_pages.ROOT)]
    (packages / "here.pth").write_text("\n".join(here), "utf-8")
    return doc_pages.write(tmp_path, doc_pages.files(PAGE))


@pytest.fixture
def server():
    """The stand-in for the Inngest Dev Server, which the page's commands start."""
    addresses = {
        found.group(1) for each in COMMANDS for found in [DEV_SERVER.match(each)] if found
    }
    assert addresses == {"http://127.0.0.1:8000/api/inngest"}
    # not half a minute, as a server's first interval is
    with LocalServer(port=8288, retry_interval=5) as started:
        yield started


def test_a_run_is_seen_in_the_browser(folder, server):
    start, output = command("INNGEST_DEV=1 venv/bin/python app.py"), folder / "output"
    with running(start, folder, output), browser() as chromium:
        server.sync("http://127.0.0.1:8000/api/inngest")
        page = chromium.new_page()
        page.set_default_timeout(60000)
        page.goto(re.findall(r"<(http://\S+/api/inngest)>", TEXT)[0])
        page.get_by_text(says("the set-up looks right")).wait_for()
        page.get_by_role("button", name=says("Sync app")).click()
        page.wait_for_selector("#synced.good-text")
        page.get_by_label("The event, as JSON").fill(block("json"))
        page.get_by_role("button", name=says("Send event")).click()
        page.locator(".run .status", has_text=says("Running")).wait_for()
        page.locator(".run .status", has_text=says("Completed")).wait_for()
        assert block("text").strip() in page.locator(".run").inner_text()
        told = output.read_text("utf-8")
    for each in ("charge runs", "confirm runs"):
        assert told.count(says(each)) == 1
    assert says("was called twice") and told.count("POST /api/inngest?fnId=") == 2


def test_a_step_fails_and_is_mended(folder, server):
    start, output = command("INNGEST_DEV=1 venv/bin/python app.py"), folder / "output"
    right = (folder / "app.py").read_text("utf-8")
    lines = block("diff").splitlines(True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert right.count(before) == 1
    (folder / "app.py").write_text(right.replace(before, after), "utf-8")
    with running(start, folder, output):
        server.sync("http://127.0.0.1:8000/api/inngest")
        (event,) = server.send({"name": "shop/order.placed", "data": {"order_id": 7}})
        until(lambda: says("attempt 1 of 5") in output.read_text("utf-8"), output)
        assert "ConnectionError: the bank does not answer" in output.read_text("utf-8")
    (folder / "app.py").write_text(right, "utf-8")
    output.write_text("", "utf-8")
    with running(start, folder, output):
        run = server.wait_for_run(event)
    assert (run.status, run.output) == ("Completed", block("text").strip().strip('"'))


def test_the_test(folder):
    environment, parts = split(command("INNGEST_DEV=1 venv/bin/python -m pytest"))
    done = subprocess.run(
        [*parts, "-p", "no:cacheprovider"],
        cwd=str(folder),
        env=environment,
        stdout=subprocess.PIPE,
        timeout=120,
    )
    assert b" 1 passed" in done.stdout, done.stdout.decode("utf-8")
