"""Write JSON in RFC 8785 (JCS) form, and read JSON as a server does.

A server sends every call body in this form, in dev mode too (W4). Kept apart
from the SDK's own writer on purpose: two readings of one standard can
disagree, and then a test fails; one reading cannot.
"""

from __future__ import annotations

import json
import math
import re
import typing as t
from json.encoder import encode_basestring

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_TWO_LONE_SURROGATES = re.compile("[\ud800-\udfff]{2}")
_EXACT_INTEGER = 2**53


def canonical(value: t.Any) -> bytes:
    """Write a JSON value in JCS form, UTF-8 encoded.

    Integers beyond 2**53 lose digits and ``1.0`` becomes ``1``, because every
    number is a double to a server. A lone surrogate becomes U+FFFD, as it
    does in a server's JSON reader.

    :raise ValueError: NaN, an infinity, an integer no double can hold, or a
        value nested too deeply.
    :raise TypeError: not a JSON value, or an object key that is no string.
    """
    pieces: t.List[str] = []
    try:
        _write(value, pieces.append)
    except RecursionError:
        raise ValueError("the value is nested too deeply") from None
    return "".join(pieces).encode("utf-8")


def joined(members: t.Dict[str, bytes]) -> bytes:
    """Write a JSON object in JCS form from values that are in that form already."""
    pieces = [b"%b:%b" % (_string(key).encode("utf-8"), members[key]) for key in _sorted(members)]
    return b"{%b}" % b",".join(pieces)


def normalised(value: t.Any) -> t.Any:
    """Return a value as an app gets it back from a server: after one JCS round trip."""
    return json.loads(canonical(value))


def transformed(value: t.Any) -> t.Any:
    """Return the output of a step as it is sent with later calls.

    It is stored as the app wrote it, and only then read by the server's JCS
    writer, which takes two escaped surrogates for one character, whatever
    they are, and fails on a single one (W70).

    :raise ValueError: there is a single one.
    """
    if isinstance(value, str):
        value = _TWO_LONE_SURROGATES.sub("\ufffd", value)
        if _LONE_SURROGATE.search(value):
            raise ValueError("Missing surrogate")
        return value
    if isinstance(value, (list, tuple)):
        return [transformed(element) for element in value]
    if isinstance(value, dict):
        return {transformed(key): transformed(element) for key, element in value.items()}
    return value


def loads(text: t.Any) -> t.Any:
    """Read JSON, refusing what Python lets pass and :func:`canonical` does not.

    That is ``NaN``, ``Infinity``, and numbers that no double can hold.

    :param text: str or bytes (UTF-8).
    :raise ValueError: not JSON.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        return DECODER.decode(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _refuse_constant(name: str) -> t.Any:
    raise ValueError(f"{name} is not JSON")


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too big for a JSON number")
    return number


def _read_int(text: str) -> int:
    if len(text) > 15:
        _read_float(text)
    return int(text)


#: The decoder of :func:`loads`.
DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_read_float, parse_int=_read_int
)


def _write(value: t.Any, emit: t.Any) -> None:
    if value is None:
        emit("null")
    elif value is True:
        emit("true")
    elif value is False:
        emit("false")
    elif isinstance(value, str):
        emit(_string(value))
    elif isinstance(value, int):
        emit(_integer(value))
    elif isinstance(value, float):
        emit(_number(value))
    elif isinstance(value, dict):
        _write_object(value, emit)
    elif isinstance(value, (list, tuple)):
        separator = "["
        for element in value:
            emit(separator)
            _write(element, emit)
            separator = ","
        emit("]" if value else "[]")
    else:
        raise TypeError(f"{type(value).__name__} is not a JSON value")


def _write_object(value: t.Dict[t.Any, t.Any], emit: t.Any) -> None:
    separator = "{"
    for key in _sorted(value):
        emit(f"{separator}{_string(key)}:")
        _write(value[key], emit)
        separator = ","
    emit("}" if value else "{}")


def _sorted(members: t.Dict[t.Any, t.Any]) -> t.List[str]:
    try:
        plain = "".join(members).isascii()
    except TypeError:
        raise TypeError("an object key must be a string") from None
    # RFC 8785 sorts by UTF-16 code units, which differs from sorting by code
    # point once a key holds characters beyond the basic plane.
    return sorted(members) if plain else sorted(members, key=_utf16)


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


def _string(value: str) -> str:
    if not value.isascii() and _LONE_SURROGATE.search(value):
        value = _LONE_SURROGATE.sub("\ufffd", value)
    return encode_basestring(value)


def _integer(value: int) -> str:
    if -_EXACT_INTEGER <= value <= _EXACT_INTEGER:
        return str(int(value))
    try:
        return _number(float(value))
    except OverflowError:
        raise ValueError("an integer is too big for a JSON number") from None


def _number(value: float) -> str:
    """Write a double as ECMAScript's ``Number::toString`` does."""
    if not math.isfinite(value):
        raise ValueError("NaN and infinities are not JSON")
    if value == 0:
        return "0"
    if value < 0:
        return "-" + _number(-value)
    # repr() gives the shortest digits that round-trip, which are the digits
    # ECMAScript wants; only where the point and the exponent go differs.
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0)
    if whole == "0":
        point -= len(fraction) - len(fraction.lstrip("0")) + 1
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    sign = "+" if point > 0 else "-"
    rest = "." + digits[1:] if count > 1 else ""
    return f"{digits[0]}{rest}e{sign}{abs(point - 1)}"
