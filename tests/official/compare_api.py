"""Compare the public API with that of the official Python SDK.

``nox -s official`` fails if ``docs/from-the-official-sdk.md`` is not what this
writes, if a difference has no reason in ``reasons.py``, or if a reason is for
nothing. ``nox -s official -- --write`` writes the page.

Each name, parameter and type of the official synchronous API is looked for in
ours. More than that is no difference: another parameter with a default, a
wider type of a parameter, a narrower type of a result.
"""

import enum
import fnmatch
import importlib
import importlib.metadata
import importlib.util
import inspect
import pathlib
import pkgutil
import re
import typing

import inngest as official
import inngest.django
import inngest.flask
import pydantic
import reasons
from inngest._internal import const, errors as official_errors, server_lib, step_lib, types
from inngest._internal.middleware_lib import TransformOutputStepInfo
from inngest._internal.step_lib import base as step_base, step_sync
from official_style import observe

import inngest_wsgi as ours
import inngest_wsgi.django
import inngest_wsgi.flask
from inngest_wsgi import _protocol, _typing, errors as our_errors, middleware as our_middleware
from inngest_wsgi.ai import AI

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "from-the-official-sdk.md"

#: Our names of classes, where they differ.
RENAMED = {
    "FunctionConfigInvalidError": "FunctionConfigError",
    "OutputUnserializableError": "OutputError",
    "RegistrationFailedError": "RegistrationError",
    "SigVerificationFailedError": "SignatureError",
    "BodyInvalidError": "BodyError",
    "QueryParamMissingError": "QueryError",
    "EventKeyUnspecifiedError": "SettingsError",
    "SigningKeyMissingError": "SettingsError",
    "URLInvalidError": "SettingsError",
    "Output": "StepMemo",
    "MemoizedError": "StepMemoError",
}
#: The asynchronous classes of the official SDK, which share a name with ours.
ASYNCHRONOUS = ("Context", "Middleware", "Step")
#: Classes that only the SDK makes objects of.
NOT_MADE_BY_USERS = (
    "Function",
    "StepSync",
    "StepSync.ai",
    "StepMemos.Output",
    "StepMemos.MemoizedError",
)
#: What the official models have from their base class. It depends on the
#: version of pydantic, so no name of it is written down.
MODEL = set(dir(types.BaseModel))


class Comparison:
    """Collects the differences, and the names that only we have.

    :ivar differences: what differs, by the official name: the name of a
        parameter is in parentheses, ``->`` stands for a result
    :ivar extras: our own members and parameters, by class or function
    :ivar same: the number of names that were found to be the same
    """

    def __init__(self):
        self.differences = {}
        self.extras = {}
        self.same = 0

    def differs(self, name, how):
        self.differences[name] = how

    def agree(self, name, found, how="missing"):
        if found:
            self.same += 1
        else:
            self.differs(name, how)
        return found

    def extra(self, name, members):
        if members:
            self.extras[name] = sorted(members)

    # -- classes and their members ---------------------------------------

    def one_class(self, name, theirs, mine, instances=None):
        """Compare a class.

        :param instances: an object of each, which shows the attributes that
            no class shows
        """
        shown, seen = instances or (theirs, mine)
        wanted, found = members(theirs) | members(shown), members(mine) | members(seen)
        if issubclass(theirs, pydantic.BaseModel):
            inherited = MODEL | set(theirs.__pydantic_decorators__.field_serializers)
            wanted -= inherited - found
            self.differs(f"{name}.model_*", "missing")
        for member in sorted(wanted):
            where = f"{name}.{member}"
            if self.agree(where, member in found):
                self.one_member(where, member, theirs, mine)
        self.extra(name, found - wanted - MODEL)
        if name in NOT_MADE_BY_USERS:
            self.differs(name + "()", "other parameters")
        elif has_constructor(theirs):
            self.signature(name, theirs, mine)

    def one_member(self, where, member, theirs, mine):
        theirs_found = inspect.getattr_static(theirs, member, None)
        mine_found = inspect.getattr_static(mine, member, None)
        if isinstance(theirs_found, enum.Enum):
            if isinstance(mine_found, str) and not isinstance(mine_found, enum.Enum):
                self.differs(f"{where} (kind)", "its value, a str")
            value = getattr(mine_found, "value", mine_found)
            if isinstance(mine_found, (str, enum.Enum)):  # not set by each object
                self.agree(f"{where} = {theirs_found.value!r}", theirs_found.value == value, value)
            return
        is_method = callable(getattr(theirs, member, None))
        if not self.agree(
            f"{where} (kind)",
            is_method == callable(getattr(mine, member, None)),
            "a method in one, an attribute in the other",
        ):
            return
        if is_method and member not in dir(pydantic.BaseModel):
            self.signature(where, getattr(theirs, member), getattr(mine, member))
        elif not is_method:
            self.result(where, attribute_type(theirs, member), attribute_type(mine, member))

    # -- functions -------------------------------------------------------

    def signature(self, name, theirs, mine):
        wanted, found = parameters(theirs), parameters(mine)
        types, our_types = hints(theirs), hints(mine)
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        for position, (parameter, kind) in enumerate(wanted.items()):
            where = f"{name}({parameter})"
            if kind.kind in variadic and isinstance(theirs, type):
                continue  # pydantic's
            if not self.agree(where, parameter in found):
                continue
            own = found[parameter]
            if kind.kind is kind.POSITIONAL_OR_KEYWORD:
                is_there = own.kind is kind.kind and list(found).index(parameter) == position
                self.agree(f"{where} by position", is_there, f"{own.kind.description}, not there")
            if kind.default is not kind.empty:
                self.agree(
                    f"{where} default",
                    default(own.default) == default(kind.default),
                    f"{default(own.default)} instead of {default(kind.default)}",
                )
            if parameter in types and parameter in our_types:
                narrower = narrower_parts(types[parameter], our_types[parameter])
                self.agree(f"{where} type", not narrower, "not taken: " + " or ".join(narrower))
        more = [p for n, p in found.items() if n not in wanted]
        for parameter in more:
            needed = parameter.default is parameter.empty and parameter.kind not in variadic
            if needed:
                self.differs(f"{name}({parameter.name})", "needed here")
        self.extra(f"{name}()", {p.name for p in more})
        if not isinstance(theirs, type):
            self.result(name + " ->", types.get("return"), our_types.get("return"))

    def result(self, where, theirs, mine):
        if theirs is None or mine is None:
            return
        # ours must be covered by theirs
        other = narrower_parts(mine, theirs)
        self.agree(f"{where} type", not other, f"also {' or '.join(other)}")

    # -- modules ---------------------------------------------------------

    def names_of(self, name, theirs, mine, instances):
        for public in theirs.__all__:
            where = f"{name}.{public}" if name else public
            if not self.agree(where, hasattr(mine, public)):
                continue
            one, other = getattr(theirs, public), getattr(mine, public)
            if not name and public in ASYNCHRONOUS:
                self.differs(where, f"the same as `{public}Sync`")
            elif isinstance(one, type):
                self.one_class(where, one, other, instances.get(public))
            elif inspect.isfunction(one):
                self.signature(where, one, other)
        self.extra(name or "inngest", set(mine.__all__) - set(theirs.__all__) - {"__version__"})


def members(thing):
    """The public names of a class or an object. Enums have a protocol of their own."""
    names = {name for name in dir(thing) if not name.startswith("_")}
    annotated = getattr(thing, "__annotations__", {}) if isinstance(thing, type) else {}
    names |= {name for name in annotated if not name.startswith("_")}
    if isinstance(thing, type) and issubclass(thing, enum.Enum):
        return {member.name for member in thing}
    is_error = isinstance(thing, BaseException) or (
        isinstance(thing, type) and issubclass(thing, BaseException)
    )
    return names - set(dir(BaseException)) if is_error else names


def has_constructor(cls):
    constructor = inspect.getattr_static(cls, "__init__")
    return inspect.isfunction(constructor) and not issubclass(cls, enum.Enum)


def parameters(function):
    target = function
    if isinstance(function, type) and not issubclass(function, pydantic.BaseModel):
        target = inspect.getattr_static(function, "__init__")
    found = dict(inspect.signature(target).parameters)
    return {n: p for n, p in found.items() if n not in ("self", "cls", "__pydantic_self__")}


def default(value):
    if isinstance(value, enum.Enum):
        return str(value)
    if value is inspect.Parameter.empty:
        return "none: needed"
    return getattr(value, "__name__", None) or repr(value)


# -- types ---------------------------------------------------------------

#: Modules that the official SDK imports for type checkers alone.
_LATE: typing.Dict[str, typing.Any] = {}
for _name in "client_lib execution_lib function middleware_lib server_lib step_lib types".split():
    _LATE[_name] = importlib.import_module("inngest._internal." + _name)
_LATE["ai"] = importlib.import_module("inngest.experimental.ai")
_LATE["t"] = _LATE["typing"] = typing
# and names that ours has for type checkers alone; a declaration is a decorator
_LATE["Json"] = _typing.Json
_LATE["GivenType"] = _LATE["SyncJSON"] = _typing.SyncJSON
_LATE["Declare"] = {_typing.SyncJSON: typing.Callable[..., typing.Any]}


def hints(thing):
    target = thing
    if isinstance(thing, type):
        if issubclass(thing, pydantic.BaseModel):
            return typing.get_type_hints(thing, localns=_LATE)
        target = inspect.getattr_static(thing, "__init__")
    return typing.get_type_hints(inspect.unwrap(target), localns=_LATE)


def attribute_type(cls, name):
    member = inspect.getattr_static(cls, name, None)
    function = getattr(member, "fget", None) or getattr(member, "func", None)
    if function is not None:
        return typing.get_type_hints(function, localns=_LATE).get("return")
    return typing.get_type_hints(cls, localns=_LATE).get(name)


def parts(hint):
    """A type as the set of the types of its union: pairs of a name and the
    names of its arguments."""
    hint = getattr(hint, "__value__", hint)
    origin = typing.get_origin(hint)
    if origin is typing.Union or str(origin) == "<class 'types.UnionType'>":
        return {part for argument in typing.get_args(hint) for part in parts(argument)}
    if origin is typing.Literal:
        return {("str", ())}
    if isinstance(hint, typing.TypeVar) or hint in (typing.Any, object):
        return {("Any", ())}
    if hint is None or hint is type(None):
        return {("None", ())}
    name = getattr(origin or hint, "__name__", str(hint))
    if name in ("Callable", "AsyncCallable") or name.endswith("Callable"):
        return {("Callable", ())}
    inner = tuple(
        tuple(sorted(parts(argument)))
        for argument in typing.get_args(hint)
        if argument is not Ellipsis
    )
    return {(RENAMED.get(name, name), inner)}


#: Each name, and those that stand for it as well.
WIDER = {
    "list": ("Sequence", "Collection", "Iterable", "List"),
    "tuple": ("Sequence", "Iterable", "Tuple"),
    "dict": ("Mapping", "Dict"),
    "int": ("float",),
    "Iterator": ("Generator",),
}
#: Types by another name.
ALIASES = {
    "ContextSync": "Context",
    "StepSync": "Step",
    "GroupSync": "Group",
    "Client": "Inngest",
    "Adapter": "BaseAdapter",
}


def covers(wide, narrow):
    if "Any" in (wide[0], narrow[0]) or wide == narrow:
        return True
    names = [ALIASES.get(name, name) for name in (narrow[0], *WIDER.get(narrow[0], ()))]
    if ALIASES.get(wide[0], wide[0]) not in names:
        return False
    return all(
        all(any(covers(a, b) for a in one) for b in other)
        for one, other in zip(wide[1], narrow[1])
    )


def narrower_parts(wanted, found):
    """The parts of a type that another type has not."""
    found = parts(found)
    missing = {part for part in parts(wanted) if not any(covers(own, part) for own in found)}
    return sorted(name for name, _ in missing)


# -- what is compared ----------------------------------------------------


def compare():
    """Compare the two packages."""
    found = Comparison()
    theirs, mine = observe(official), observe(ours)
    instances = {name: (theirs[name], mine[name]) for name in theirs}
    found.names_of("", official, ours, instances)
    for name, one, other in [
        ("GroupSync", step_lib.GroupSync, ours.GroupSync),
        ("StepSync.ai", step_sync.AI, AI),
        (
            "TransformOutputStepInfo",
            TransformOutputStepInfo,
            our_middleware.TransformOutputStepInfo,
        ),
        ("StepMemos.Output", step_base.Output, our_middleware.StepMemo),
        ("StepMemos.MemoizedError", step_base.MemoizedError, our_middleware.StepMemoError),
        ("Opcode", server_lib.Opcode, ours.Opcode),
    ]:
        found.one_class(name, one, other, instances.get(name))
    for name, one in vars(official_errors).items():
        if isinstance(one, type) and issubclass(one, Exception) and not name.startswith("_"):
            if not hasattr(official, name):
                found.agree(
                    f"errors.{name}", hasattr(our_errors, name), RENAMED.get(name, "missing")
                )
    found.signature("flask.serve", inngest.flask.serve, inngest_wsgi.flask.serve)
    found.signature("django.serve", inngest.django.serve, inngest_wsgi.django.serve)
    found.extras["serve()"] = found.extras.pop("flask.serve()")
    assert found.extras.pop("django.serve()") == found.extras["serve()"]
    compare_experimental(found)
    return found


def compare_experimental(found):
    import inngest.experimental.ai as their_ai

    import inngest_wsgi.experimental.ai as our_ai

    found.names_of("experimental", inngest.experimental, ours.experimental, {})
    found.one_class("experimental.ai.BaseAdapter", their_ai.BaseAdapter, our_ai.BaseAdapter)
    for module in pkgutil.iter_modules(their_ai.__path__):
        if module.name != "base":
            name = "experimental.ai." + module.name
            one = importlib.import_module("inngest." + name).Adapter
            other = getattr(our_ai, module.name).Adapter
            found.one_class(name + ".Adapter", one, other)
    for prefix, package in (("", official), ("experimental.", inngest.experimental)):
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_") and module.name not in ("ai", "experimental"):
                where = f"{prefix}{module.name} (module)"
                found.agree(where, has_module("inngest_wsgi." + prefix + module.name))


def has_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def environment():
    """The official SDK's variables, and the variables that we read."""
    theirs = {key.value for key in const.EnvKey}
    mine = {
        value
        for name, value in vars(_protocol).items()
        if name.startswith("ENV_") and isinstance(value, str)
    }
    mine.update(_protocol.ENV_BRANCHES)
    return sorted(theirs & mine), sorted(theirs - mine), sorted(mine - theirs)


# -- the page ------------------------------------------------------------


def page(found):
    """Write the page.

    :raises ValueError: a difference has no reason, or a reason no difference
    """
    both, not_here, only_here = environment()
    differences = dict(found.differences)
    for name in not_here:
        differences[name + " (environment)"] = "not read"
    rows, problems = [], []
    for patterns, why in reasons.REASONS:
        matched = {}
        for pattern in patterns:
            names = [name for name in differences if fnmatch.fnmatchcase(name, pattern)]
            if not names:
                problems.append(f"nothing differs that is called {pattern!r}: {why}")
            matched.update((name, differences.pop(name)) for name in names)
        rows.append((matched, why))
    problems += [f"no reason for {name}: {how}" for name, how in differences.items()]
    if problems:
        raise ValueError("reasons.py:\n  " + "\n  ".join(problems))
    version = importlib.metadata.version("inngest")
    lines = [
        "<!-- Written by tests/official/compare_api.py; change reasons.py beside it. -->",
        reasons.INTRODUCTION.format(version=version, same=found.same),
        "## What differs",
        "",
        "| official name | here | why, and what to do |",
        "|---|---|---|",
    ]
    for matched, why in rows:
        names = by_class(matched)
        how = "; ".join(dict.fromkeys(matched.values()))
        lines.append(f"| {names} | {cell(how)} | {cell(why)} |")
    lines += [
        "",
        "## Same name, other behaviour",
        "",
        "| | official SDK | here |",
        "|---|---|---|",
        *(f"| {' | '.join(map(cell, row))} |" for row in reasons.BEHAVIOUR),
        "",
        "## The environment",
        "",
        f"The official SDK and this package read {code(both)}. This package also reads "
        f"{code(only_here)}. Values, compared with the official SDKs for Python and JavaScript:",
        "",
        "| variable | value | official SDK | here |",
        "|---|---|---|---|",
        *(f"| {' | '.join(map(cell, row))} |" for row in reasons.ENVIRONMENT),
        "",
        "## Only here",
        "",
        "| | members or parameters |",
        "|---|---|",
        *(f"| `{name}` | {code(names)} |" for name, names in shown(found.extras).items()),
    ]
    return "\n".join(lines) + "\n"


def shown(extras):
    """The members of our own that users are to know."""
    found = {}
    for name, members in extras.items():
        kept = [
            member
            for member in members
            if not any(
                fnmatch.fnmatchcase(f"{name}.{member}", pattern) for pattern in reasons.NOT_SHOWN
            )
        ]
        if kept:
            found[name] = kept
    return found


def by_class(names):
    """Write names, with the classes together that have the same members."""
    members = {}
    for name in names:
        owner, dot, member = name.rpartition(".")
        members.setdefault(owner + dot, []).append(member)
    classes = {}
    for owner, found in members.items():
        classes.setdefault(tuple(found), []).append(owner)
    return "; ".join(
        code(owners[0] + member for member in found)
        if len(owners) == 1
        else f"{code(found)} of {code(owner.rstrip('.') for owner in owners)}"
        for found, owners in classes.items()
    )


def code(names):
    return ", ".join(f"`{name}`" for name in names)


def cell(text):
    return re.sub(r"\s+", " ", text).replace("|", "\\|")
