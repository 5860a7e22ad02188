"""Builds the package; all about it is in setup.cfg, but for the description that a package index
shows: README.md, with the links that lead from there to our files."""

import configparser
import os
import re

from setuptools import setup

HERE = os.path.dirname(os.path.abspath(__file__))

#: A target in Markdown's links and images, and in HTML, with what is before it.
TARGET = re.compile(
    r"""( \]\(\s*<? | ^\ {0,3}\[[^\]\n]+\]:\s*<? | \b(?:href|src|srcset)=["'] )"""
    r"""( [^\s)>"'\#]* ) ( \#[^\s)>"']* )?""",
    re.VERBOSE | re.MULTILINE,
)
PICTURES = (".gif", ".jpg", ".png", ".svg", ".webp")


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


def description():
    """Return README.md with absolute links, to our files as they are in this version: an index
    knows no other files, and a later version may have moved them."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string(read("setup.cfg"))
    urls = dict(
        line.split(" = ") for line in settings["metadata"]["project_urls"].strip().splitlines()
    )
    source = urls["Source"]
    raw = source.replace("https://github.com/", "https://raw.githubusercontent.com/")
    version = re.search(r'^VERSION = "(.+)"$', read("inngest_wsgi/_protocol.py"), re.M).group(1)

    def absolute(found):
        before, path, fragment = found.group(1), found.group(2), found.group(3) or ""
        if not path and not fragment:
            return found.group(0)
        name = path or "README.md"
        file = os.path.join(HERE, name)
        if not os.path.exists(file):
            return found.group(0)
        if name.endswith(PICTURES):
            at = raw
        else:
            at = f"{source}/tree" if os.path.isdir(file) else f"{source}/blob"
        return f"{before}{at}/v{version}/{name}{fragment}"

    return TARGET.sub(absolute, read("README.md"))


setup(name="inngest-wsgi", long_description=description())
