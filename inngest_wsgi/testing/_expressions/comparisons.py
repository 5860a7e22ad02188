"""Compare and add the values of expressions, without raising.

The values are those of JSON, and one for a path without a value.
"""

from __future__ import annotations

import typing as t


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


#: The value of a path that does not exist.
MISSING = _Missing()


def follow(value: t.Any, keys: t.List[t.Any]) -> t.Any:
    """Return the value at the end of a path of keys and indices."""
    for key in keys:
        if isinstance(value, dict) and isinstance(key, str) and key in value:
            value = value[key]
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return MISSING
    return value


def _is_number(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(left: t.Any, right: t.Any) -> bool:
    if left is MISSING or right is MISSING:
        return left is None or right is None
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[k], right[k]) for k in left)
    return bool(left == right)


def _ordered(compare: t.Callable[[t.Any, t.Any], bool]) -> t.Callable[[t.Any, t.Any], bool]:
    def ordered(left: t.Any, right: t.Any) -> bool:
        alike = (_is_number(left) and _is_number(right)) or (
            isinstance(left, str) and isinstance(right, str)
        )
        return alike and compare(left, right)

    return ordered


def _within(left: t.Any, right: t.Any) -> bool:
    if isinstance(right, dict):
        return isinstance(left, str) and left in right
    return isinstance(right, list) and any(_equal(left, element) for element in right)


def add(left: t.Any, right: t.Any) -> t.Any:
    """Return ``left + right``, or :data:`MISSING` if they cannot be added.

    A value plus a path without a value is that value.
    """
    if left is MISSING or right is MISSING:
        return right if left is MISSING else left
    if _is_number(left) and _is_number(right):
        return left + right
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return MISSING


#: The operators that compare, by their sign.
COMPARE: t.Dict[str, t.Callable[[t.Any, t.Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(lambda left, right: bool(left < right)),
    "<=": _ordered(lambda left, right: bool(left <= right)),
    ">": _ordered(lambda left, right: bool(left > right)),
    ">=": _ordered(lambda left, right: bool(left >= right)),
    "in": _within,
}
