"""Imports run downward, type-checking imports included, and the docs list every
module."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "inngest_wsgi"

#: A module imports those of lower lines only. A package whose ``__init__`` is
#: a docstring is left out.
LEVELS = [
    {"_messages", "_protocol", "_codec.durations", "_codec.jcs", "_dev_page.samples"},
    {"_codec.validate", "_dev_page.static"},
    {"errors", "event", "flow", "trigger", "_execution.hooks", "_execution.logger"},
    {"_codec.json", "_execution.failures", "_execution.interrupt", "_execution.memos"},
    {"_execution.options", "_execution.sender"},
    {"_execution.ops", "_execution.state"},
    {"_security.keys", "_security.origins", "function", "serializer"},
    {"_codec.decode", "_codec.encode", "_dev_page.descriptions", "_endpoint.address"},
    {"_endpoint.call_context", "_security.signing", "_server_api.response", "_sources"},
    {"_settings", "_dev_page.tokens", "_server_api.log_filter", "_server_api.retry"},
    {"_dev_page.hosts", "_dev_page.guard", "_endpoint.introspection", "_endpoint.streaming"},
    {"_execution.decision", "_execution.ending", "_execution.placement"},
    {"_execution.parallel"},
    {"_dev_page.diagnostics", "_execution.engine", "_server_api.client"},
    {"_dev_page.runs", "_dev_page.servers", "_endpoint.sync", "_server_api.events", "ai", "group"},
    {"_endpoint.authentication", "_endpoint.functions", "_endpoint.redirects", "step"},
    {"_endpoint.request"},
    {"_execution.current_step", "context"},
    {"experimental", "middleware"},
    {"_execution.middleware_stack"},
    {"_execution.middleware_sender"},
    {"client"},
    {"_dev_page.page", "_execution.call"},
    {"_endpoint.router"},
    {"wsgi"},
    {""},
]
LEVEL_OF = {module: n for n, modules in enumerate(LEVELS) for module in modules}

#: Third parties and parts of the standard library that one module alone uses.
SOLE_USERS = {
    "itsdangerous": {"_security.signing"},
    "urllib3": {"_server_api.client"},
    "werkzeug": {"wsgi", "_dev_page.page"},  # the page alone reads an Accept header
    "os.environ": {"_settings"},
}


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        tops = path.relative_to(PACKAGE).parts[:-1]
        if tops[:1] == ("testing",) or tops == ("experimental", "ai"):
            continue
        if not (path.name == "__init__.py" and tops[:1] != () and tops[0].startswith("_")):
            found[name_of(path)] = path
    return found


MODULES = modules()


def imports_of(path):
    """Yield the imported modules; ours begin with a dot."""
    package = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                whole = ".".join(base + (alias.name,))
                yield "." + (whole if whole in MODULES else ".".join(base))


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downward(module):
    assert module in LEVEL_OF, "give {} a level".format(module)
    for name in imports_of(MODULES[module]):
        if name.startswith(".") and name[1:] in LEVEL_OF:
            other = name[1:]
            assert LEVEL_OF[other] < LEVEL_OF[module], "{} may not import {}".format(module, other)


@pytest.mark.parametrize("module", MODULES)
def test_third_parties_have_one_user(module):
    text = MODULES[module].read_text()
    tops = {name.split(".")[0] for name in imports_of(MODULES[module])}
    for thing, users in SOLE_USERS.items():
        used = thing in text if thing == "os.environ" else thing in tops
        assert not used or module in users, "{} is for {} alone".format(thing, users)


def test_every_level_has_a_module():
    assert set(LEVEL_OF) == set(MODULES)


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "testing").rglob("*.py")), ids=lambda path: path.stem
)
def test_the_local_server_shares_names_and_no_logic(path):
    source = ast.parse(path.read_text())
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            assert not {a.name.split(".")[0] for a in node.names} & {"itsdangerous", "urllib3"}
        if isinstance(node, ast.ImportFrom) and node.level >= depth:
            assert node.module is None and [a.name for a in node.names] == ["_protocol"]
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            assert node.module.split(".")[0] not in ("itsdangerous", "urllib3")
            assert not node.module.startswith("inngest_wsgi") or (
                [a.name for a in node.names] == ["_protocol"]
            )


def test_the_docs_list_every_module():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = set()
    for section in re.split("^## ", text, flags=re.M)[1:]:
        folder = re.match("`(.*)/`", section)
        if folder:
            place = "" if folder[1] == "inngest_wsgi" else folder[1] + "/"
            names = re.findall(r"^\| `(\S+)` \|", section, re.M)
            listed.update(place + name for name in names)
    paths = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")}
    modules = {str(p) for p in paths if p.name != "__init__.py" and p.parts[0] != "experimental"}
    assert modules - listed == set()
