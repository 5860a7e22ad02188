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
    {
        "_logs",
        "_messages",
        "_protocol",
        "_typing",
        "_codec.durations",
        "_codec.fast",
        "_codec.jcs",
    },
    {"_dev_page.samples"},
    {"_checks.expressions", "_checks.handlers", "_checks.timezones"},
    {"_checks.cron", "_checks.grammar"},
    {"_endpoint.threads", "_server_api.body", "_server_api.connection"},
    {"_codec.validate", "_dev_page.static"},
    {"checkpointing"},
    {"errors", "event", "flow", "trigger", "_execution.hooks", "_execution.logger"},
    {"_codec.json", "_execution.failures", "_execution.interrupt"},
    {"_execution.failure_log", "_execution.managers", "_execution.options", "_execution.sender"},
    {"_execution.server_ops", "_execution.state", "_execution.step_errors"},
    {"_execution.memos"},
    {"_security.keys", "_security.origins", "function", "serializer"},
    {"_codec.decode", "_codec.encode", "_dev_page.descriptions"},
    {"_endpoint.call_context", "_security.signing", "_server_api.response", "_sources"},
    {"_settings", "_dev_page.tokens", "_server_api.log_filter", "_server_api.retry"},
    {"_dev_page.hosts", "_dev_page.guard", "_endpoint.address", "_endpoint.introspection"},
    {"_server_api.transport"},
    {"_endpoint.redirects", "_endpoint.request", "_endpoint.streaming", "_endpoint.suspicions"},
    {
        "_execution.decision",
        "_execution.ending",
        "_execution.placement",
        "_execution.step_contexts",
    },
    {"_execution.going_on", "_execution.parallel"},
    {"_dev_page.diagnostics", "_execution.engine", "_server_api.client"},
    {"_execution.checkpoint", "_execution.recall"},
    {"_dev_page.runs", "_dev_page.servers", "_endpoint.sync", "_server_api.events", "ai", "group"},
    {"_endpoint.authentication", "_endpoint.functions", "step"},
    {"_execution.current_step", "context"},
    {"experimental", "middleware", "_declare"},
    {"_execution.middleware_stack"},
    {"_execution.middleware_sender"},
    {"client", "_execution.next_call"},
    {"_dev_page.page", "_execution.call"},
    {"_endpoint.router"},
    {"_endpoint.binding"},
    {"wsgi"},
    {"_adapters", "_transactions.aborted", "experimental.mocked"},
    {"_transactions.django", "_transactions.zope", "sqlalchemy"},
    {"django", "flask", "pyramid"},
    {""},
]

#: The same for the local server, which shares ``_protocol`` with the rest.
TESTING = [
    {"_wire.canonical", "_wire.outcomes", "_wire.randomness", "_wire.signing", "_wire.times"},
    {"_expressions.checks", "_expressions.values", "_http.front", "_run.clock", "_wire.reported"},
    {"_expressions.equalities", "_expressions.functions", "_wire.answers", "_wire.ids"},
    {"_expressions.evaluator"},
    {"_expressions.expression"},
    {"_expressions.listeners", "_flow.cron", "_http.caller"},
    {"_model.functions"},
    {"_http.inprocess", "_model.settings", "_model.state"},
    {"_model.events", "_model.messages", "_model.registry"},
    {"_model.catalogue", "_run.items", "_run.lifecycle"},
    {"_run.exchange", "_run.machinery", "_run.request"},
    {"_flow.concurrency", "_flow.held", "_flow.keys", "_flow.pause", "_flow.priority"},
    {"_run.memos", "_run.retries"},
    {"_run.checkpoints"},
    {
        "_flow.batch",
        "_flow.debounce",
        "_flow.bulk",
        "_flow.schedules",
        "_flow.idempotency",
        "_flow.rate_limit",
        "_flow.throttle",
    },
    {"_flow.cancellation", "_flow.singleton", "_run.parallel", "_run.queue"},
    {"_flow.admission", "_ops.report"},
    {"_ops.steps", "_ops.waits"},
    {"_ops.gateway", "_ops.invokes"},
    {"_ops.handlers", "_run.runs"},
    {"_run.call"},
    {"_run.executor"},
    {"_store"},
    {"_controls", "_http.api", "_http.sync"},
    {"_acting"},
    {"_stepping", "_watching"},
    {"_server"},
    {"_toolkit.app_time", "_toolkit.durations", "_toolkit.raised", "_toolkit.stubs"},
    {
        "_toolkit.apps",
        "_toolkit.failed",
        "_toolkit.fault",
        "_toolkit.records",
        "_toolkit.resolving",
        "_toolkit.timeline",
    },
    {"_toolkit.determinism", "_toolkit.differences", "_toolkit.faults", "_toolkit.recorded"},
    {"_toolkit.injecting", "_toolkit.plans"},
    {"_toolkit.api_faults", "_toolkit.replay", "_toolkit.views"},
    {"_toolkit.binding"},
    {"_toolkit.core", "_toolkit.sent"},
    {"_toolkit.controls"},
    {"_toolkit.server"},
    {"_toolkit.cases", "_toolkit.explore"},
    {""},
]

LEVEL_OF = {module: n for n, modules in enumerate(LEVELS) for module in modules}

#: Third parties and parts of the standard library that one module alone uses.
SOLE_USERS = {
    "itsdangerous": {"_security.signing"},
    "orjson": {"_codec.fast"},
    "urllib3": {"_server_api.transport"},
    "django": {"django", "_transactions.django"},
    "sqlalchemy": {"sqlalchemy"},
    "transaction": {"_transactions.zope"},
    "flask": {"flask"},
    "pyramid": {"pyramid"},
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


def imports_of(path, known=None):
    """Yield the imported modules; ours begin with a dot.

    :param known: names of our modules; all but those of the local server if None.
    """
    known = MODULES if known is None else known
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
                is_package = PACKAGE.joinpath(*base, alias.name).is_dir()
                yield "." + (whole if whole in known or is_package else ".".join(base))


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downward(module):
    assert module in LEVEL_OF, f"give {module} a level"
    for name in imports_of(MODULES[module]):
        if name.startswith(".") and name[1:] in LEVEL_OF:
            other = name[1:]
            assert LEVEL_OF[other] < LEVEL_OF[module], f"{module} may not import {other}"


@pytest.mark.parametrize("module", MODULES)
def test_third_parties_have_one_user(module):
    text = MODULES[module].read_text()
    tops = {name.split(".")[0] for name in imports_of(MODULES[module])}
    for thing, users in SOLE_USERS.items():
        used = thing in text if thing == "os.environ" else thing in tops
        assert not used or module in users, f"{thing} is for {users} alone"


def test_nothing_imports_an_adapter():
    used = {name for path in PACKAGE.rglob("*.py") for name in imports_of(path)}
    assert not used & {".django", ".flask", ".pyramid", ".sqlalchemy"}


def test_every_level_has_a_module():
    assert set(LEVEL_OF) == set(MODULES)


def local_server_modules():
    """The local server's modules; packages whose ``__init__`` is a docstring left out."""
    root = PACKAGE / "testing"
    found = {}
    for path in sorted(root.rglob("*.py")):
        if path.name != "__init__.py" or path.parent == root:
            found[name_of(path)[len("testing.") :]] = path
    return found


TESTING_MODULES = local_server_modules()
TESTING_LEVEL_OF = {module: n for n, modules in enumerate(TESTING) for module in modules}


@pytest.mark.parametrize("module", TESTING_MODULES)
def test_imports_of_the_local_server_run_downward(module):
    assert module in TESTING_LEVEL_OF, f"give {module} a level"
    known = {"testing." + name if name else "testing" for name in TESTING_MODULES}
    for name in imports_of(TESTING_MODULES[module], known):
        if name.startswith(".testing"):
            other = name[len(".testing.") :]
            assert other in TESTING_LEVEL_OF, f"import {other} by its modules"
            assert TESTING_LEVEL_OF[other] < TESTING_LEVEL_OF[module], (
                f"{module} may not import {other}"
            )


def test_every_level_of_the_local_server_has_a_module():
    assert set(TESTING_LEVEL_OF) == set(TESTING_MODULES)


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
    assert listed == modules
