"""Convert, compare, add and write the values of expressions as a server does.

A server relaxes the types of CEL: every number of an event is a double,
numbers of different types are compared by value, and a sum of two types is
their text. An error and a path without a value are the same here: a
``CELEvalError``, which is returned and not raised.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import operator
import typing as t

from celpy import celtypes
from celpy.evaluation import CELEvalError


def is_error(value: t.Any) -> bool:
    """Return True for an error, and for a path without a value."""
    return isinstance(value, CELEvalError)


def no_value(what: str) -> t.Any:
    return CELEvalError(what, KeyError, None)


def no_overload(what: str) -> t.Any:
    return CELEvalError(f"no such overload: {what}", TypeError, None)


def as_cel(value: t.Any) -> t.Any:
    """Return the CEL value of a JSON value."""
    if value is None:
        return None
    if isinstance(value, bool):
        return celtypes.BoolType(value)
    if isinstance(value, (int, float)):
        return celtypes.DoubleType(value)
    if isinstance(value, str):
        return celtypes.StringType(value)
    if isinstance(value, list):
        return celtypes.ListType([as_cel(element) for element in value])
    return celtypes.MapType({celtypes.StringType(k): as_cel(v) for k, v in value.items()})


def _is_bool(value: t.Any) -> bool:
    return isinstance(value, (celtypes.BoolType, bool))


def _is_number(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not _is_bool(value)


def truthy(value: t.Any) -> bool:
    """Return what an operand of ``&&``, ``||`` and ``?:`` counts as."""
    if value is None or is_error(value):
        return False
    if isinstance(value, (list, dict)):
        return True
    return bool(value)


def equal(left: t.Any, right: t.Any) -> bool:
    """Return ``left == right``; values of unlike types differ."""
    if left is None or right is None:
        return left is right
    if is_error(left) or is_error(right):
        return False
    if _is_bool(left) or _is_bool(right):
        return _is_bool(left) and _is_bool(right) and bool(left) is bool(right)
    if _is_number(left) and _is_number(right):
        return bool(_bare(left) == _bare(right))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    kind = _kind(left, right)
    return bool(left is right if kind is None else kind.__eq__(left, right))


def _kind(left: t.Any, right: t.Any) -> t.Any:
    """Return the Python type that two values have in common, without its CEL type."""
    kinds = (str, bytes, datetime.datetime, datetime.timedelta)
    return next((k for k in kinds if isinstance(left, k) and isinstance(right, k)), None)


def _bare(number: t.Any) -> t.Any:
    """Return a number without its CEL type, whose comparisons are strict."""
    return float(number) if isinstance(number, float) else int(number)


_ZEROS: t.Tuple[t.Tuple[t.Any, t.Any], ...] = ((str, ""), (float, 0.0), (int, 0))


def ordered(sign: str, left: t.Any, right: t.Any) -> t.Any:
    """Return ``left < right``, or the same for ``<=``, ``>`` and ``>=``.

    A path without a value is less than everything, and null counts as the
    zero of the other side's type.
    """
    if is_error(left) or is_error(right):
        return celtypes.BoolType(is_error(left) is ("<" in sign))
    if left is None or right is None:
        left, right = _zero(left, right), _zero(right, left)
    order = _order(left, right)
    if order is None:
        return no_overload(f"_{sign}_")
    return celtypes.BoolType(
        {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[sign]
    )


def _zero(value: t.Any, other: t.Any) -> t.Any:
    if value is not None or _is_bool(other):
        return value
    return next((zero for kind, zero in _ZEROS if isinstance(other, kind)), None)


def _order(left: t.Any, right: t.Any) -> t.Optional[int]:
    if _is_number(left) and _is_number(right):
        left, right = _bare(left), _bare(right)
    elif _is_bool(left) and _is_bool(right):
        left, right = bool(left), bool(right)
    else:
        kind = _kind(left, right)
        if kind is None:
            return None
        below, above = kind.__lt__(left, right), kind.__gt__(left, right)
        return int(bool(above)) - int(bool(below))
    return int(left > right) - int(left < right)


def within(item: t.Any, container: t.Any) -> t.Any:
    """Return ``item in container``; False if there is no container."""
    if is_error(item) or is_error(container):
        return celtypes.BoolType(False)
    if isinstance(container, dict):
        return celtypes.BoolType(isinstance(item, str) and item in container)
    if isinstance(container, list):
        return celtypes.BoolType(any(equal(item, element) for element in container))
    return no_overload("_in_")


def add(left: t.Any, right: t.Any) -> t.Any:
    """Return ``left + right``; a path without a value adds nothing."""
    if is_error(left) or is_error(right):
        return next((v for v in (left, right) if not is_error(v)), celtypes.BoolType(False))
    same = type(left) is type(right) and not _is_bool(left)
    dates = isinstance(left, (datetime.datetime, datetime.timedelta)) and isinstance(
        right, (datetime.datetime, datetime.timedelta)
    )
    if left is not None and not isinstance(left, dict) and (same or dates):
        one, other = t.cast(t.Any, left), t.cast(t.Any, right)
        return _native(lambda: one + other)
    if same:
        return no_overload("_+_")
    return celtypes.StringType(text(left) + text(right))


_SIGNS: t.Dict[str, t.Callable[[t.Any, t.Any], t.Any]] = {
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


def arithmetic(sign: str, left: t.Any, right: t.Any) -> t.Any:
    """Return ``left - right``, or the same for ``*``, ``/`` and ``%``.

    The types must be the same; False if there is no value.
    """
    if is_error(left) or is_error(right):
        return celtypes.BoolType(False)
    if sign == "-" and isinstance(left, datetime.datetime):
        return _native(lambda: left - right)
    if type(left) is not type(right) or not (
        _is_number(left) or (sign == "-" and isinstance(left, datetime.timedelta))
    ):
        return no_overload(f"_{sign}_")
    if isinstance(left, float):
        if sign == "%":
            return no_overload("_%_")
        if sign == "/" and not right:
            return celtypes.DoubleType(math.copysign(math.inf, left) if left else math.nan)
        return celtypes.DoubleType(_SIGNS[sign](float(left), float(right)))
    return _native(lambda: _SIGNS[sign](left, right))


def negated(value: t.Any) -> t.Any:
    """Return ``-value``; False if there is no value."""
    if is_error(value):
        return celtypes.BoolType(False)
    if isinstance(value, celtypes.UintType) or not _is_number(value):
        return no_overload("-_")
    return _native(lambda: type(value)(-_bare(value)))


def _native(work: t.Callable[[], t.Any]) -> t.Any:
    try:
        return work()
    except (ArithmeticError, TypeError, ValueError) as error:
        return CELEvalError(str(error), type(error), error.args)


def text(value: t.Any) -> str:
    """Return a value as a server writes it into a text or a key."""
    if value is None:
        return "NULL_VALUE"
    if _is_bool(value):
        return "true" if value else "false"
    if isinstance(value, float):
        return number_text(float(value))
    if isinstance(value, (list, dict)):
        return json.dumps(value, sort_keys=True, default=str)
    return str(value)


def number_text(number: float) -> str:
    """Return a double in Go's shortest form: ``3``, ``2.5``, ``1.7e+12``."""
    if not math.isfinite(number):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(number, "NaN")
    sign, figures, exponent = decimal.Decimal(repr(number)).normalize().as_tuple()
    power = len(figures) - 1 + int(exponent)
    if -4 <= power < 6 or not number:
        return f"{decimal.Decimal(repr(number)).normalize():f}"
    first, rest = figures[0], "".join(map(str, figures[1:]))
    fraction = f".{rest}" if rest else ""
    return f"{'-' * sign}{first}{fraction}e{power:+03d}"


def is_whole(value: t.Any) -> bool:
    """Return True for a number that can be an index."""
    return _is_number(value) and float(value).is_integer()


def plain(value: t.Any) -> t.Any:
    """Return a value as a boolean, an int, or its text; False if there is none."""
    if is_error(value):
        return False
    if _is_bool(value):
        return bool(value)
    if isinstance(value, int):
        return int(value)
    return text(value)
