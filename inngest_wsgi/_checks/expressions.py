"""Check CEL expressions: their quotes, their brackets and their characters.

The tokens are those of the grammar of CEL in https://github.com/google/cel-go
(``parser/gen/CEL.g4``), which the server reads expressions with. The order of
the tokens is not checked here: see :mod:`~inngest_wsgi._checks.suspicions`.
"""

from __future__ import annotations

import re
import typing as t

_ESCAPE = (
    r"\\(?:[abfnrtv\"'\\?`]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7][0-7])"
)
#: What may be between two quotes: see :func:`_pattern`.
_STRICT = (_ESCAPE, r"\n\r")
_LIFTED = (r"\\(?s:.)", "")


def _pattern(escape: str, no_line_end: str) -> t.Pattern[str]:
    """Make the pattern of a token. Its alternatives are in such an order that
    the first that matches is the longest, as the grammar wants it."""
    return re.compile(
        rf"""
        (?P<space>[\t\ \r\n\f]+|//[^\n]*)
        |(?P<text>[bB]?(?:
            [rR](?:\"\"\"(?s:.*?)\"\"\"|'''(?s:.*?)'''|"[^"\n\r]*"|'[^'\n\r]*')
            |\"\"\"(?:[^\\]|{escape})*?\"\"\"
            |'''(?:[^\\]|{escape})*?'''
            |"(?:[^\\"{no_line_end}]|{escape})*"
            |'(?:[^\\'{no_line_end}]|{escape})*'
        ))
        |(?P<number>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+
            |\.[0-9]+(?:[eE][+-]?[0-9]+)?|0x[0-9a-fA-F]+[uU]?|[0-9]+[uU]?)
        |(?P<name>[A-Za-z_][A-Za-z0-9_]*|`[A-Za-z0-9_.\-/\ ]+`)
        |(?P<bracket>[()\[\]{{}}])
        |(?P<sign>==|!=|<=|>=|&&|\|\||[<>.,\-!?:+*/%])
        """,
        re.VERBOSE,
    )


_TOKEN = _pattern(*_STRICT)
_LIFTED_TOKEN = _pattern(*_LIFTED)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_QUOTE = re.compile(r"[bB]?(?P<raw>[rR]?)(?P<quote>\"\"\"|'''|[\"'])")
#: With a third quote after it, the beginning of a text that does not end.
_EMPTY = re.compile(r"[bB]?[rR]?(?:\"\"|'')")
_INSTEAD = {
    "=": "to compare, write ==",
    "&": "write && for and",
    "|": "write || for or",
    "`": "text must be in \" or ' quotes",
}


class Token(t.NamedTuple):
    """A token of an expression; white space and comments are none.

    :ivar kind: "text", "number", "name", "bracket" or "sign"
    """

    kind: str
    text: str


def check(text: str, lifted: bool = False) -> None:
    """Check that an expression's quotes and brackets close, and that CEL has
    its characters.

    :param lifted: whether it is one of those whose texts the server takes out
        before it reads them: there, a text may have line ends, and any
        character after a backslash
    :raises ValueError: no server can read it; the message begins with "must"
    """
    tokens(text, lifted)


def tokens(text: str, lifted: bool = False) -> t.List[Token]:
    """Split an expression into its tokens.

    :raises ValueError: as :func:`check`
    """
    pattern = _LIFTED_TOKEN if lifted else _TOKEN
    found: t.List[Token] = []
    opened: t.List[t.Tuple[str, int]] = []
    at = 0
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            raise _error(text, _unreadable(text, at))
        token = Token(t.cast(str, match.lastgroup), match.group())
        if _EMPTY.fullmatch(token.text) and text[match.end() :][:1] == token.text[-1]:
            raise _error(text, _unclosed(token.text[-1] * 3, at))
        if token.kind == "bracket":
            _follow(text, token.text, at, opened)
        at = match.end()
        if token.kind != "space":
            found.append(token)
    if opened:
        bracket, place = opened[-1]
        raise _error(
            text,
            f"{bracket} at character {place + 1} is not closed: {_CLOSING[bracket]} is missing",
        )
    return found


def _follow(text: str, bracket: str, at: int, opened: t.List[t.Tuple[str, int]]) -> None:
    if bracket in _CLOSING:
        opened.append((bracket, at))
        return
    if not opened:
        raise _error(text, f"{bracket} at character {at + 1} closes nothing")
    before, place = opened.pop()
    if bracket != _CLOSING[before]:
        raise _error(
            text,
            f"{bracket} at character {at + 1} cannot close the {before} at character {place + 1}",
        )


def _unreadable(text: str, at: int) -> str:
    """Say why no token begins at a place."""
    match = _QUOTE.match(text, at)
    if match is None:
        instead = _INSTEAD.get(text[at])
        there = f"{text[at]!r} at character {at + 1} is no part of CEL"
        return there if instead is None else f"{there}: {instead}"
    quote = match.group("quote")
    if not match.group("raw"):
        rest = re.sub(r"\\(?s:.)", "  ", text[match.end() :])
        end = rest.find(quote)
        if end >= 0 and (len(quote) == 3 or "\n" not in rest[:end]):
            return (
                f"a backslash in the text at character {at + 1} is followed by a character that "
                r"CEL has no meaning for. Write \\ for a backslash, or r before the quote"
            )
    return _unclosed(quote, at)


def _unclosed(quote: str, at: int) -> str:
    return f"the quote {quote} at character {at + 1} is not closed: write {quote} where it ends"


def _error(text: str, fault: str) -> ValueError:
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    return ValueError(f"must be a CEL expression that can be read, not {shown!r}: {fault}")
