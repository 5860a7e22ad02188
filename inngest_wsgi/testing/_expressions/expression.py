"""Compile and evaluate expressions in the small part of CEL that is supported.

Literals (text, numbers, booleans, null, lists of these), paths
from ``event`` and, where something is awaited, ``async``; ``== != < <= > >=
in && || !``, ``+``, ``a ? b : c``, ``has(path)`` and parentheses.

A path without a value counts as null for ``==`` and ``!=``, as it does to
a server, except that two of them are not equal; it is neither less nor
greater than anything (a server takes it for less than everything). No
expression raises when it is evaluated. Nothing is ever given to ``eval``.
"""

from __future__ import annotations

import json
import re
import typing as t

from .comparisons import COMPARE, MISSING, add, follow

Scope = t.Dict[str, t.Any]
Node = t.Callable[[Scope], t.Any]

#: The root names of paths.
EVENT = "event"
ASYNC = "async"

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:()\[\]{},.])
    )""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
_LITERALS: t.Dict[str, t.Any] = {"true": True, "false": False, "null": None}
_DEEPEST = 100


class ExpressionError(ValueError):
    """Raised if a text is not an expression."""


class UnsupportedExpression(ExpressionError):
    """Raised if a text may be CEL, but is outside the part that is supported."""


class Expression:
    """A compiled expression.

    :param text: the source.
    :param roots: the names that paths may begin with.
    :raise ExpressionError: it cannot be read.
    """

    def __init__(self, text: str, roots: t.Tuple[str, ...] = (EVENT,)) -> None:
        self.text = text
        self._node = _Parser(text, roots).parse()

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def matches(self, event: t.Any, awaited: t.Any = None) -> bool:
        """Return True if the value is ``true``, and not merely something other than false."""
        return self._node({EVENT: event, ASYNC: awaited}) is True

    def key(self, event: t.Any) -> str:
        """Return the value as a text that is the same for the same value."""
        value = self._node({EVENT: event, ASYNC: None})
        return "" if value is MISSING else json.dumps(value, sort_keys=True)


class _Parser:
    def __init__(self, text: str, roots: t.Tuple[str, ...]) -> None:
        self._roots = roots
        self._tokens = _tokens(text)
        self._position = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._ternary()
        kind, text = self._next()
        if kind != "end":
            raise _unexpected(text)
        return node

    # -- tokens ----------------------------------------------------------------

    def _peek(self) -> t.Tuple[str, str]:
        return self._tokens[self._position]

    def _next(self) -> t.Tuple[str, str]:
        token = self._tokens[self._position]
        if token[0] != "end":
            self._position += 1
        return token

    def _take(self, *signs: str) -> t.Optional[str]:
        kind, text = self._peek()
        if kind in ("sign", "name") and text in signs:
            self._position += 1
            return text
        return None

    def _expect(self, sign: str) -> None:
        if self._take(sign) is None:
            raise _unexpected(self._peek()[1])

    # -- the grammar, loosest first ----------------------------------------------

    def _ternary(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnsupportedExpression("nested too deeply")
        condition = self._any()
        if self._take("?"):
            yes = self._ternary()
            self._expect(":")
            no = self._ternary()
            node: Node = lambda scope: (  # noqa: E731
                yes(scope) if condition(scope) is True else no(scope)
            )
        else:
            node = condition
        self._depth -= 1
        return node

    def _any(self) -> Node:
        parts = [self._all()]
        while self._take("||"):
            parts.append(self._all())
        if len(parts) == 1:
            return parts[0]
        return lambda scope: any(part(scope) is True for part in parts)

    def _all(self) -> Node:
        parts = [self._comparison()]
        while self._take("&&"):
            parts.append(self._comparison())
        if len(parts) == 1:
            return parts[0]
        return lambda scope: all(part(scope) is True for part in parts)

    def _comparison(self) -> Node:
        left = self._sum()
        sign = self._take(*COMPARE)
        if sign is None:
            return left
        right = self._sum()
        if self._peek()[1] in COMPARE and self._peek()[0] != "string":
            raise UnsupportedExpression("more than one comparison in a row")
        compare = COMPARE[sign]
        return lambda scope: compare(left(scope), right(scope))

    def _sum(self) -> Node:
        node = self._unary()
        while self._take("+"):
            node = _sum(node, self._unary())
        return node

    def _unary(self) -> Node:
        if self._take("!"):
            inner = self._unary()
            return lambda scope: inner(scope) is not True
        if self._take("-"):
            kind, text = self._next()
            if kind != "number":
                raise UnsupportedExpression("'-' before something that is not a number")
            return _constant(-_number(text))
        return self._primary()

    def _primary(self) -> Node:
        kind, text = self._next()
        if kind == "number":
            return _constant(_number(text))
        if kind == "string":
            return _constant(_string(text))
        if kind == "name":
            return self._named(text)
        if text == "(":
            node = self._ternary()
            self._expect(")")
            return node
        if text == "[":
            return self._list()
        raise _unexpected(text)

    def _named(self, name: str) -> Node:
        if name in _LITERALS:
            return _constant(_LITERALS[name])
        if self._peek() == ("sign", "("):
            if name != "has":
                raise UnsupportedExpression(f"the function {name}()")
            self._expect("(")
            kind, root = self._next()
            if kind != "name":
                raise _unexpected(root)
            path = self._path(root)
            self._expect(")")
            return lambda scope: path(scope) is not MISSING
        return self._path(name)

    def _path(self, root: str) -> Node:
        if root not in self._roots:
            known = " or ".join(self._roots)
            raise UnsupportedExpression(f"the name {root!r}; a path begins with {known}")
        keys: t.List[t.Any] = []
        while True:
            if self._take("."):
                kind, text = self._next()
                if kind != "name":
                    raise _unexpected(text)
                if self._peek() == ("sign", "("):
                    raise UnsupportedExpression(f"the function {text}()")
                keys.append(text)
            elif self._take("["):
                kind, text = self._next()
                if kind == "string":
                    keys.append(_string(text))
                elif kind == "number" and text.isdigit() and len(text) < 16:
                    keys.append(int(text))
                else:
                    raise _unexpected(text)
                self._expect("]")
            else:
                return lambda scope: follow(scope[root], keys)

    def _list(self) -> Node:
        parts: t.List[Node] = []
        while not self._take("]"):
            if parts:
                self._expect(",")
            parts.append(self._ternary())
        return lambda scope: [part(scope) for part in parts]


def _tokens(text: str) -> t.List[t.Tuple[str, str]]:
    tokens: t.List[t.Tuple[str, str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"unreadable at {text[position : position + 20]!r}")
        kind = str(match.lastgroup)
        tokens.append((kind, match.group(kind)))
        position = match.end()
    return tokens + [("end", "")]


def _unexpected(text: str) -> ExpressionError:
    if not text:
        return ExpressionError("the end is missing")
    if text in ("-", "*", "/", "%", "{", "}"):
        return UnsupportedExpression(f"the sign {text!r}")
    return ExpressionError(f"unexpected {text!r}")


def _number(text: str) -> t.Any:
    return int(text) if text.isdigit() and len(text) < 16 else float(text)


def _string(text: str) -> str:
    def plain(match: "re.Match[str]") -> str:
        escape = match.group(1)
        if escape[0] == "u" and len(escape) == 5:
            return chr(int(escape[1:], 16))
        if escape not in _ESCAPED:
            raise UnsupportedExpression(f"the escape \\{escape}")
        return _ESCAPED[escape]

    return _ESCAPE.sub(plain, text[1:-1])


def _constant(value: t.Any) -> Node:
    return lambda scope: value


def _sum(left: Node, right: Node) -> Node:
    return lambda scope: add(left(scope), right(scope))
