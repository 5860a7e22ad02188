"""Refuse parsed expressions that a server refuses when a function is registered.

The rules are those of a server's type checker that can be seen in the tree of
an expression: names, functions, and the escapes in texts.
"""

from __future__ import annotations

import re
import typing as t

_ROOTS = {"event", "async", "vars"}
_TYPES = set("bool bytes double int list map null_type string type uint".split())
_MACROS = {"all", "exists", "exists_one", "filter", "map"}
_CONVERSIONS = {"int", "uint", "double"}
_FUNCTIONS = {
    *_CONVERSIONS,
    *"bool bytes duration dyn has size string timestamp type".split(),
    *"b64decode date json_parse lowercase now now_minus now_plus uppercase".split(),
}
_METHODS = {
    *_MACROS,
    *"contains endsWith matches size startsWith".split(),
    *"getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours".split(),
    *"getMilliseconds getMinutes getMonth getSeconds".split(),
}
_OPERATIONS = {"addition", "multiplication"}
_TEXT = re.compile("([bBrR]*)(\"\"\"|'''|\"|')")
_ESCAPE = re.compile(
    r"\\(?:[abfnrtv\\?\"'`]|[0-3][0-7]{2}|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
)


def check(tree: t.Any, restricted: bool) -> None:
    """Refuse what a server refuses.

    :param restricted: only comparisons and ``&& || ! in ?:`` are allowed.
    :raise ValueError: it is not allowed; says why.
    """
    _visit(tree, set())
    if restricted:
        _restrict(tree)


def _visit(tree: t.Any, variables: t.Set[str]) -> None:
    children = [child for child in tree.children if hasattr(child, "data")]
    if tree.data == "ident":
        name = tree.children[0].value
        if name not in _ROOTS | _TYPES | variables:
            raise ValueError(f"the name {name!r} is unknown; a path begins with event or async")
    elif tree.data == "literal":
        _check_text(tree.children[0])
    elif tree.data == "ident_arg":
        _check_function(tree, _FUNCTIONS)
    elif tree.data == "member_dot_arg":
        name = _check_function(tree, _METHODS)
        if name in _MACROS:
            variables = variables | _variables(children)
            if name == "map" and len(children[-1].children) > 2:
                raise NotImplementedError("map() with a condition")
    elif tree.data in ("conditionalor", "conditionaland") and len(children) == 2:
        for child in children:
            literal = only_literal(child)
            if literal is not None and literal.type != "BOOL_LIT":
                raise ValueError(f"{literal.value} is no operand for && and ||")
    for child in children:
        _visit(child, variables)


def _variables(children: t.List[t.Any]) -> t.Set[str]:
    """Return the variable of a macro, which is its first argument."""
    arguments = children[-1].children if children[-1].data == "exprlist" else []
    found = list(arguments[0].find_data("ident")) if arguments else []
    return {ident.children[0].value for ident in found[:1]}


def _check_function(tree: t.Any, known: t.Set[str]) -> str:
    position = 0 if tree.data == "ident_arg" else 1
    name: str = tree.children[position].value
    if name not in known:
        raise ValueError(f"the function {name}() is unknown")
    if name == "has" and not _is_field(tree.children[-1]):
        raise ValueError("has() wants a path that ends with a name")
    return name


def _is_field(tree: t.Any) -> bool:
    while hasattr(tree, "data") and tree.data != "member_dot" and len(tree.children) == 1:
        tree = tree.children[0]
    return hasattr(tree, "data") and bool(tree.data == "member_dot")


def _check_text(token: t.Any) -> None:
    found = _TEXT.match(token.value)
    if found is None:
        return
    raw, quote = "r" in found.group(1).lower(), found.group(2)
    inner = token.value[found.end() : -len(quote)]
    if raw and quote in inner:
        raise ValueError(f"{token.value} goes on after its closing quote")
    if not raw and "\\" in _ESCAPE.sub("", inner):
        raise ValueError(f"{token.value} has an escape that CEL does not know")


def _restrict(tree: t.Any) -> None:
    for node in tree.iter_subtrees():
        negated = node.data == "unary" and len(node.children) == 2
        if node.data in _OPERATIONS and len(node.children) > 1:
            raise ValueError("+ - * / and % are not allowed here")
        if negated and node.children[0].data == "unary_neg" and only_literal(node) is None:
            raise ValueError("- is not allowed here")
        if node.data == "member_dot_arg":
            raise ValueError(f"the function {node.children[1].value}() is not allowed here")
        if node.data == "ident_arg" and node.children[0].value not in _CONVERSIONS:
            raise ValueError(f"the function {node.children[0].value}() is not allowed here")


def only_literal(tree: t.Any) -> t.Any:
    """Return the token of an expression that is nothing but a literal; else None."""
    while tree.data != "literal":
        if not tree.children or not hasattr(tree.children[-1], "data"):
            return None
        if len(tree.children) > 1 and tree.data != "unary":
            return None
        tree = tree.children[-1]
    return tree.children[0]
