"""Find the equalities that an expression cannot be true without.

``event.data.id == async.data.id`` is the usual one: with it, an event can be
looked up among thousands of waits, and only those that it may end are asked.
"""

from __future__ import annotations

import re
import typing as t

#: Keys and indices that lead to a value.
Path = t.Tuple[t.Union[str, int], ...]

#: The :func:`lookup_key` of a value that cannot be looked up.
NO_KEY = object()

_PATH = re.compile(r"(event|async)((?:\.[A-Za-z_]\w*|\[\d{1,15}\]|\[\"[^\"]*\"\]|\['[^']*'\])+)")
_KEY = re.compile(r"\.(\w+)|\[(\d+)\]|\[[\"']([^\"']*)[\"']\]")
_TEXT = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d+)?")
_PIECE = re.compile(r"\"[^\"]*\"|'[^']*'|&&|\|\||==|[?(){}\[\]]|[^\"'&|=?(){}\[\]]+|.", re.DOTALL)
#: Text in which quotes may not be what they seem: it is not looked at.
_UNCLEAR = re.compile(r"\\|\"\"\"|'''|//")


class Equality(t.NamedTuple):
    """A value of the event that is awaited, and what it has to be equal to."""

    awaited: Path
    #: Path of the value in the first event of the run; None for a constant.
    own: t.Optional[Path]
    constant: t.Any = None


def equalities(text: str) -> t.Tuple[Equality, ...]:
    """Return equalities that hold whenever an expression is true.

    Not all of them are found: an expression that is not a plain ``a && b``
    at its outside has none.
    """
    if _UNCLEAR.search(text):
        return ()
    found = (_equality(part) for part in _conjunction(text))
    return tuple(equality for equality in found if equality is not None)


def _conjunction(text: str) -> t.List[str]:
    """Return the texts between ``&&``; none if these are not the outermost operators."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        if depth == 0 and piece in ("||", "?"):
            return []
        if depth == 0 and piece == "&&":
            parts.append("")
            continue
        if piece in ("(", "[", "{"):
            depth += 1
        elif piece in (")", "]", "}"):
            depth -= 1
        parts[-1] += piece
    return parts


def _equality(text: str) -> t.Optional[Equality]:
    left, sign, right = text.partition("==")
    if not sign:
        return None
    sides = [_side(left.strip()), _side(right.strip())]
    for (root, path), (other_root, other) in (sides, reversed(sides)):
        if root == "async" and other_root == "event":
            return Equality(path, other)
        if root == "async" and other_root == "":
            return Equality(path, None, other)
    return None


def _side(text: str) -> t.Tuple[t.Optional[str], t.Any]:
    """Return the root and the path; an empty root and a constant; or None twice."""
    match = _PATH.fullmatch(text)
    if match is not None:
        keys = [
            int(index) if index else name or quoted
            for name, index, quoted in _KEY.findall(match.group(2))
        ]
        return match.group(1), tuple(keys)
    match = _TEXT.fullmatch(text)
    if match is not None:
        return "", match.group(1) or match.group(2) or ""
    if _NUMBER.fullmatch(text):
        return "", float(text)
    return None, None


def lookup_key(value: t.Any) -> t.Any:
    """Return a value that is the same for values that are equal in an expression.

    :return: :data:`NO_KEY` for lists and objects, for which there is none.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return (value,)
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return NO_KEY
    return value if isinstance(value, str) else NO_KEY


def value_at(form: t.Any, path: Path) -> t.Any:
    """Return the :func:`lookup_key` of what is at a path of an event.

    A path without a value is equal to null.
    """
    value = form
    for key in path:
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return lookup_key(value)
