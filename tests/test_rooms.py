"""Who may import whom: strictly downward, same level only where noted."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / "inngest_wsgi"

LEVELS = {
    "_jcs": 0,
    "_json": 0,
    "_logger": 0,
    "_protocol": 0,
    "_sample": 0,
    "_timestr": 0,
    "errors": 0,
    "serializer": 0,
    "_keys": 1,
    "_messages": 1,
    "_origin": 1,
    "_outcome": 1,
    "_settings": 1,
    "event": 1,
    "flow": 1,
    "trigger": 1,
    "_address": 2,
    "_answer": 2,
    "_callcontext": 2,
    "_decode": 2,
    "_encode": 2,
    "_failure": 2,
    "_memo": 2,
    "_parallel": 2,
    "_signing": 2,
    "function": 2,
    "_describe": 3,
    "_engine": 3,
    "_streaming": 3,
    "middleware": 3,
    "_http": 4,
    "_setup": 4,
    "ai": 4,
    "group": 4,
    "step": 4,
    "_events": 5,
    "_runs": 5,
    "_stepcontext": 5,
    "context": 5,
    "_introspect": 6,
    "_register": 6,
    "client": 6,
    "_caller": 7,
    "_landing": 7,
    "_redirected": 7,
    "_handler": 8,
    "wsgi": 9,
    "__init__": 10,
}

SAME_LEVEL = {
    ("errors", "_timestr"),  # RetryAfterError reads its time when it is made
    ("_json", "errors"),
    ("serializer", "errors"),
    ("_outcome", "_messages"),
    ("_callcontext", "_failure"),
    ("_settings", "_keys"),  # a setting is checked by the room that knows what it is
    ("_settings", "_origin"),
    ("step", "ai"),  # ctx.step.ai
    ("_register", "_introspect"),  # an in-band sync includes the introspection
}

#: Third parties and parts of the standard library that one room alone uses.
SOLE_USERS = {
    "itsdangerous": {"_signing"},
    "urllib3": {"_http"},
    "werkzeug": {"wsgi", "_landing"},  # the page alone reads an Accept header
    "os.environ": {"_settings"},
}

STDLIB_ONLY_TESTING = {"itsdangerous", "urllib3"}


def modules():
    return sorted(path for path in PACKAGE.glob("*.py"))


def imports_of(path):
    """The modules imported, our own as ``.name``; those for types alone are
    left out, for they are not there when the code runs."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                yield node.module
            elif node.module is None:
                for alias in node.names:
                    yield "." + alias.name
            else:
                yield "." + node.module


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_imports_run_downward(path):
    room = path.stem
    assert room in LEVELS, "give {} a level".format(path.name)
    for name in imports_of(path):
        if not name.startswith("."):
            continue
        other = name[1:].split(".")[0]
        allowed = LEVELS[other] < LEVELS[room] or (room, other) in SAME_LEVEL
        assert allowed, "{} may not import {}".format(room, other)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_sole_users(path):
    text = path.read_text()
    tops = {name.split(".")[0] for name in imports_of(path)}
    for thing, users in SOLE_USERS.items():
        used = thing in text if thing == "os.environ" else thing in tops
        assert not used or path.stem in users, "{} is for {} alone".format(thing, users)


def test_every_level_has_a_room():
    assert set(LEVELS) == {path.stem for path in modules()}


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "testing").glob("*.py")), ids=lambda path: path.stem
)
def test_the_local_server_shares_names_and_no_logic(path):
    for name in imports_of(path):
        assert name.split(".")[0] not in STDLIB_ONLY_TESTING
    source = ast.parse(path.read_text())
    for node in ast.walk(source):
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            assert node.module is None and [a.name for a in node.names] == ["_protocol"]
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert not node.module.startswith("inngest_wsgi") or (
                node.module == "inngest_wsgi" and [a.name for a in node.names] == ["_protocol"]
            )
