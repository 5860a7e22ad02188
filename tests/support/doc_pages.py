"""Reads the pages of the documentation, and runs the programs that they show.

Every Python block is a file: its first line is a comment with the file's name, unique on its page.
"""

import ast
import os
import pathlib
import re
import subprocess
import sys
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

#: The first line of a Python block.
NAME = re.compile(r"# ((?:\w+/)*\w+\.py)\n")
#: What would be Python, and be run by nobody.
DISGUISED = {"", "py", "python3", "pycon", "{code-block}", "{code}", "{sourcecode}", "{doctest}"}

#: Put before the environment that a program inherits, what this pytest was told is left out.
OWN = ("PYTEST_ADDOPTS", "INNGEST_DEV", "DJANGO_SETTINGS_MODULE")

#: Imports files of a page, each in a process of its own, and syncs the endpoint that it serves.
#: The processes are forked, since the import of the package takes longer than most files.
IMPORT = """
import importlib, os, sys, traceback, warnings
# the frameworks' own, as in setup.cfg
for module in ("bottle", "pkg_resources", "pyramid", "webob", "zope"):
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=module)
warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
sys.path.insert(0, os.getcwd())
prepare = "DJANGO_SETTINGS_MODULE" in os.environ

def check(name):
    if prepare and not name.endswith(("settings", "manage")):
        import django
        django.setup()
    module = importlib.import_module(name)
    from werkzeug.test import Client
    from inngest_wsgi.testing import TestServer
    for name in ("application", "app"):
        found = getattr(module, name, None)
        if not callable(found):
            continue
        answer = Client(found).get("/api/inngest", base_url="http://localhost")
        if "X-Inngest-Sdk" in answer.headers:
            with TestServer() as server:
                server.serve(found, base_url="http://localhost")

if sys.argv[1] == "--fork":
    import inngest_wsgi.testing, werkzeug.test
    for name in sys.argv[2:]:
        if not os.fork():
            try:
                check(name)
                os._exit(0)
            except BaseException:
                print(name, "fails:", traceback.format_exc(), flush=True)
                os._exit(1)
        if os.wait()[1]:
            print("failed:", name, flush=True)
else:
    check(sys.argv[1])
"""


class Block(t.NamedTuple):
    """A block of code on a page.

    :ivar line: where it begins, counted from 1
    :ivar language: what follows the fence
    :ivar text: without the fence
    """

    line: int
    language: str
    text: str

    @property
    def name(self) -> t.Optional[str]:
        """The name of the file, if the first line has one."""
        found = NAME.match(self.text)
        return found and found.group(1)


def pages() -> t.List[str]:
    """Return the pages of the documentation, as paths from the root of the project."""
    found = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    return [path.relative_to(ROOT).as_posix() for path in found]


def read(page: str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str) -> t.List[Block]:
    """Return the fenced blocks of a page, indented ones in lists too."""
    found, opened, inside = [], None, []
    for number, line in enumerate(text.split("\n"), 1):
        fence = re.match(r" *(`{3,}|~{3,}) *(\S*)", line)
        if opened is None:
            if fence:
                indent = len(line) - len(line.lstrip(" "))
                opened, inside = (number, fence.group(1), fence.group(2), indent), []
        elif fence and fence.group(1).startswith(opened[1]) and not fence.group(2):
            found.append(Block(opened[0], opened[2], "".join(f"{each}\n" for each in inside)))
            opened = None
        else:
            inside.append(line[opened[3] :] if line[: opened[3]].isspace() else line)
    if opened is not None:
        raise ValueError(f"the block of line {opened[0]} does not end")
    return found


def files(page: str) -> t.Dict[str, str]:
    """Return the Python files of a page, by their names."""
    return {
        block.name: block.text
        for block in blocks(read(page))
        if block.language == "python" and block.name
    }


def is_test(name: str) -> bool:
    """Return whether pytest collects a file."""
    return pathlib.PurePosixPath(name).name.startswith("test_")


def test_names(text: str) -> t.List[str]:
    """Return the names of the test functions in a file."""
    return [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def write(folder: pathlib.Path, found: t.Mapping[str, str]) -> pathlib.Path:
    """Write the files of a page into a folder, and return it."""
    for name, text in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def run(folder, *command, **environment):
    """Run Python with these arguments, as a user does, and return the status and what it writes.

    :param environment: variables besides those of this process
    """
    inherited = {key: value for key, value in os.environ.items() if key not in OWN}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=str(folder),
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


def run_pytest(folder, *arguments, **environment):
    """Run pytest in a folder, and return what it says."""
    command = ("-m", "pytest", "-rA", "--color=no", "-p", "no:cacheprovider", *arguments)
    return run(folder, *command, **environment)[1]
