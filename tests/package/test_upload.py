"""A release is uploaded to a package index, and found there, as CONTRIBUTING.md says."""

import os
import pathlib
import subprocess
import sys
import urllib.request

import pytest
from conftest import python_module

SERVER = pathlib.Path(__file__).with_name("index_server.py")
ANYBODY = ["--non-interactive", "--disable-progress-bar", "--username=a", "--password=a"]


@pytest.fixture
def index(tmp_path):
    """The address of an empty index."""
    (tmp_path / "packages").mkdir()
    command = [sys.executable, "-W", "ignore", str(SERVER), str(tmp_path / "packages")]
    with open(str(tmp_path / "log"), "wb") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().decode().strip()
    finally:
        server.kill()
        server.communicate()


def test_release_is_uploaded_and_found(index, built, tmp_path):
    python_module("twine", "upload", *ANYBODY, "--repository-url", index, built.sdist, built.wheel)
    # no settings of this machine, which may name other indexes
    asked = ["--isolated", "--no-deps", "--index-url", f"{index}simple/", "--dest", tmp_path]
    python_module("pip", "download", *asked, "inngest-wsgi", env={"PIP_CONFIG_FILE": os.devnull})
    assert (tmp_path / built.wheel.name).read_bytes() == built.wheel.read_bytes()
    with urllib.request.urlopen(f"{index}packages/{built.sdist.name}", timeout=60) as answer:
        assert answer.read() == built.sdist.read_bytes()
