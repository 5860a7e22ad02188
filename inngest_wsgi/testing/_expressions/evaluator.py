"""Evaluate a parsed expression the way a server does, with cel-python.

A server changes CEL: a path without a value is no error, and every operator
has a value for it; ``&&``, ``||`` and ``?:`` take operands of any type.
"""

from __future__ import annotations

import functools
import re
import typing as t

from celpy import celtypes
from celpy.celparser import CELParseError, CELParser
from celpy.evaluation import Activation, CELEvalError, Evaluator, base_functions

from . import values
from .checks import check as check, only_literal
from .functions import OWN
from .values import is_error, no_overload, no_value, plain as plain, truthy

_RELATIONS = {"relation_lt": "<", "relation_le": "<=", "relation_gt": ">", "relation_ge": ">="}
_ARITHMETIC = {
    "addition_sub": "-",
    "multiplication_mul": "*",
    "multiplication_div": "/",
    "multiplication_mod": "%",
}
#: A comma before a closing bracket, which cel-python does not read, or a text.
_COMMA = re.compile(r""",(?=\s*[\]}])|//[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'""")


def _without_comma(match: "re.Match[str]") -> str:
    return " " if match.group() == "," else match.group()


@functools.lru_cache(maxsize=256)
def parse(text: str) -> t.Any:
    """Return the tree of an expression; the same one for the same text.

    :raise ValueError: it is not CEL.
    """
    try:
        tree: t.Any = CELParser().parse(_COMMA.sub(_without_comma, text))
    except (CELParseError, AssertionError) as error:
        # Old versions of cel-python cannot describe every error.
        words = " ".join(str(error.args[0] if error.args else "").split())
        raise ValueError(f"it is no CEL: {words[:200]}") from None
    if any(node.children[1].value == "in" for node in tree.find_data("member_dot")):
        raise ValueError("it is no CEL: in is no name")
    return tree


def evaluate(
    tree: t.Any, scope: t.Dict[str, t.Any], now: float, interpolates: bool = False
) -> t.Any:
    """Return the value of an expression; an error, or no value, is an exception object.

    :param scope: the JSON values that paths begin with.
    :param now: unix seconds, for ``now()``.
    :param interpolates: True for an expression that waits for another event.
    """
    try:
        return _Evaluator(tree, Activation(), scope, now, interpolates).visit(tree)
    except CELEvalError as error:
        return error
    except Exception as error:
        return CELEvalError(repr(error), type(error), error.args)


class _Evaluator(Evaluator):
    """cel-python's evaluator with a server's rules."""

    def __init__(
        self,
        tree: t.Any,
        activation: t.Any,
        scope: t.Dict[str, t.Any],
        now: float,
        interpolates: bool,
    ) -> None:
        super().__init__(tree, activation)
        self._scope = scope
        self._now = now
        self._interpolates = interpolates

    def sub_evaluator(self, ast: t.Any) -> t.Any:
        return _Evaluator(ast, self.activation, self._scope, self._now, self._interpolates)

    # -- paths and literals ------------------------------------------------------

    def ident_value(self, name: str, root_scope: bool = False) -> t.Any:
        if name in self._scope:
            return values.as_cel(self._scope[name])
        return super().ident_value(name, root_scope)

    def member_dot(self, tree: t.Any) -> t.Any:
        return self._at(tree, lambda: tree.children[1].value)

    def member_index(self, tree: t.Any) -> t.Any:
        return self._at(tree, lambda: t.cast(t.Any, self.visit(tree.children[1])))

    def _at(self, tree: t.Any, key: t.Callable[[], t.Any]) -> t.Any:
        path = self._path(tree)
        if path is not None:
            return self._follow(path)
        container, name = self.visit(tree.children[0]), key()
        if is_error(container) or is_error(name):
            return no_value("no such key")
        if isinstance(container, dict):
            return container[name] if name in container else no_value("no such key")
        if isinstance(container, list) and values.is_whole(name):
            return (
                container[int(name)] if 0 <= name < len(container) else no_value("no such index")
            )
        return no_overload("_[_]")

    def _path(self, tree: t.Any) -> t.Optional[t.List[str]]:
        """Return the names of a path into an event, from its root; None for any other."""
        while tree.data == "member":
            tree = tree.children[0]
        if tree.data in ("member_dot", "member_index"):
            before = self._path(tree.children[0])
            if before is None:
                return None
            if tree.data == "member_dot":
                return [*before, tree.children[1].value]
            literal = only_literal(tree.children[1])
            name = None if literal is None else _text_of(literal)
            return None if name is None else [*before, name]
        child = tree.children[0] if tree.data == "primary" else None
        if child is not None and child.data == "ident" and child.children[0].value in self._scope:
            return [child.children[0].value]
        return None

    def _follow(self, path: t.List[str]) -> t.Any:
        value: t.Any = self._scope
        for name in path:
            # Only the whole of the path counts: it does not exist below a value.
            if not isinstance(value, dict) or name not in value:
                return no_value(f"no such key: {'.'.join(path)}")
            value = value[name]
        return values.as_cel(value)

    def literal(self, tree: t.Any) -> t.Any:
        text = _text_of(tree.children[0])
        return super().literal(tree) if text is None else celtypes.StringType(text)

    def macro_has_eval(self, exprlist: t.Any) -> t.Any:
        found = self.visit(exprlist.children[0])
        return found if is_error(found) else celtypes.BoolType(True)

    # -- operators ---------------------------------------------------------------

    def expr(self, tree: t.Any) -> t.Any:
        if len(tree.children) == 1:
            return self.visit(tree.children[0])
        chosen = 1 if truthy(self.visit(tree.children[0])) else 2
        return self.visit(tree.children[chosen])

    def conditionalor(self, tree: t.Any) -> t.Any:
        return self._logical(tree, True)

    def conditionaland(self, tree: t.Any) -> t.Any:
        return self._logical(tree, False)

    def _logical(self, tree: t.Any, wanted: bool) -> t.Any:
        """Return the first operand that decides, or else the last one."""
        value: t.Any = None
        for child in tree.children:
            value = self.visit(child)
            if truthy(value) is wanted:
                break
        return value

    def relation(self, tree: t.Any) -> t.Any:
        if len(tree.children) == 1:
            return self.visit(tree.children[0])
        sign, left, right = self._sides(tree)
        if self._interpolates and is_error(left) and sign != "relation_in":
            left, right = self._interpolated(tree, right)
        if sign == "relation_in":
            return values.within(left, right)
        if sign in _RELATIONS:
            return values.ordered(_RELATIONS[sign], left, right)
        if is_error(left) or is_error(right):
            # No value is equal to null, and to nothing else.
            same = left is None or right is None
        else:
            same = values.equal(left, right)
        return celtypes.BoolType(same is (sign == "relation_eq"))

    def _interpolated(self, tree: t.Any, right: t.Any) -> t.Tuple[t.Any, t.Any]:
        """Return the sides of a comparison whose left side has no value.

        Before a server waits for an event, it writes the values of the first one
        into the expression: null where there is none, on the left side only,
        and then a path on the other side comes first.
        """
        operation, other = tree.children
        path = _path_alone(operation.children[0], self._path)
        if path is None or path[0] != "event":
            return no_value("no such key"), right
        return (None, right) if _path_alone(other, self._path) is None else (right, None)

    def addition(self, tree: t.Any) -> t.Any:
        if len(tree.children) == 1:
            return self.visit(tree.children[0])
        sign, left, right = self._sides(tree)
        if sign == "addition_add":
            return values.add(left, right)
        return values.arithmetic(_ARITHMETIC[sign], left, right)

    def multiplication(self, tree: t.Any) -> t.Any:
        if len(tree.children) == 1:
            return self.visit(tree.children[0])
        sign, left, right = self._sides(tree)
        return values.arithmetic(_ARITHMETIC[sign], left, right)

    def _sides(self, tree: t.Any) -> t.Tuple[str, t.Any, t.Any]:
        operation, right = tree.children
        return operation.data, self.visit(operation.children[0]), self.visit(right)

    def unary(self, tree: t.Any) -> t.Any:
        if len(tree.children) == 1:
            return self.visit(tree.children[0])
        value = self.visit(tree.children[1])
        if tree.children[0].data == "unary_neg":
            return values.negated(value)
        if is_error(value):
            return celtypes.BoolType(False)
        if not isinstance(value, celtypes.BoolType):
            return no_overload("!_")
        return celtypes.BoolType(not value)

    # -- functions ---------------------------------------------------------------

    def function_eval(self, name_token: t.Any, exprlist: t.Any = None) -> t.Any:
        return self._call(name_token.value, exprlist)

    def method_eval(self, object: t.Any, method_ident: t.Any, exprlist: t.Any = None) -> t.Any:
        if is_error(exprlist):
            return self._call(method_ident.value, exprlist)
        return self._call(method_ident.value, [object, *(exprlist or [])])

    def _call(self, name: str, arguments: t.Any) -> t.Any:
        arguments = [arguments] if is_error(arguments) else list(arguments or [])
        if any(map(is_error, arguments)):
            return celtypes.IntType(0) if name == "size" else celtypes.BoolType(False)
        own = OWN.get(name)
        try:
            if own is not None:
                return own(self._now, *arguments)
            return base_functions[name](*arguments)
        except Exception as error:
            return CELEvalError(f"{name}(): {error}", type(error), error.args)


def _path_alone(
    tree: t.Any, read: t.Callable[[t.Any], t.Optional[t.List[str]]]
) -> t.Optional[t.List[str]]:
    """Return the path that a side of a comparison is, and nothing more; else None."""
    while tree.data not in ("member", "primary") and len(tree.children) == 1:
        tree = tree.children[0]
    return read(tree) if tree.data in ("member", "primary") else None


def _text_of(token: t.Any) -> t.Optional[str]:
    """Return the text of a literal that a server takes out before it parses,
    which leaves its escapes as they are; None for any other literal."""
    return token.value[1:-1] if token.type == "STRING_LIT" and token.value[0] in "'\"" else None
