"""Write JSON in the canonical form of RFC 8785, over which the server signs
in-band syncs (PROTOCOL section 3).

orjson cannot do it, with ``OPT_SORT_KEYS`` either: it orders keys by their
UTF-8, and writes floats and large integers in other forms."""

from __future__ import annotations

import json
import re
import typing as t

# RFC 8785 section 3.2.2.2: short escapes where JSON has them, \u00xx in lower
# case for other control characters, everything else as it is.
_ESCAPED = re.compile(r'[\x00-\x1f"\\]')
_SHORT = {
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
    '"': '\\"',
    "\\": "\\\\",
}
_LITERALS = {None: "null", True: "true", False: "false"}


def canonical(value: t.Any) -> bytes:
    """Write a value that was read from JSON in its canonical form, as UTF-8.

    :raises ValueError: a number is out of range, a string has no form in
        UTF-8, or the value is nested too deeply
    """
    parts: t.List[str] = []
    try:
        _write(value, parts.append)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return "".join(parts).encode("utf-8")


def reread(raw: bytes) -> t.Any:
    """Read JSON as it would be read from its canonical form: numbers as
    doubles, keys in the order of section 3.2.3.

    :param raw: UTF-8 without lone surrogates
    :raises ValueError: as :func:`canonical`
    """
    try:
        return _reader.decode(raw.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _reread_number(text: str) -> t.Union[int, float]:
    if len(text) < 16 and text.lstrip("-").isdigit():
        # exact as a double; "-0" is 0
        return int(text)
    written = _number(float(text))
    return float(written) if "." in written or "e" in written else int(written)


def _in_order(pairs: t.List[t.Tuple[str, t.Any]]) -> t.Dict[str, t.Any]:
    return dict(sorted(dict(pairs).items(), key=_key_order))


def _key_order(pair: t.Tuple[str, t.Any]) -> bytes:
    return _utf16(pair[0])


_reader = json.JSONDecoder(
    object_pairs_hook=_in_order, parse_float=_reread_number, parse_int=_reread_number
)


def _write(value: t.Any, emit: t.Callable[[str], None]) -> None:
    if value is None or isinstance(value, bool):
        emit(_LITERALS[value])
    elif isinstance(value, str):
        emit(_string(value))
    elif isinstance(value, (int, float)):
        emit(_number(value))
    elif isinstance(value, list):
        separator = "["
        for item in value:
            emit(separator)
            _write(item, emit)
            separator = ","
        emit("]" if value else "[]")
    else:
        separator = "{"
        # section 3.2.3: ordered by UTF-16 code units
        for key in sorted(value, key=_utf16):
            emit(separator)
            emit(_string(key))
            emit(":")
            _write(value[key], emit)
            separator = ","
        emit("}" if value else "{}")


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


def _string(text: str) -> str:
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: t.Match[str]) -> str:
    char = match.group()
    return _SHORT.get(char) or f"\\u{ord(char):04x}"


def _number(value: t.Union[int, float]) -> str:
    """Write a number in ECMAScript's shortest form (section 3.2.2.3).
    Python's ``repr`` has the same digits and uses exponents elsewhere."""
    try:
        value = float(value)
    except OverflowError:
        raise ValueError("a number is out of range") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("a number is out of range")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    # the value is 0.digits times ten to the power of point
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        if len(digits) <= point:
            return sign + digits.ljust(point, "0")
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    power = point - 1
    tail = "." + digits[1:] if len(digits) > 1 else ""
    return "{}{}{}e{}{}".format(sign, digits[0], tail, "+" if power > 0 else "-", abs(power))
