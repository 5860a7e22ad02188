"""Read and write JSON (RFC 8259).

``NaN`` and infinity are refused both ways. Written JSON is one line of UTF-8
without spaces, because the server's limits count bytes.
"""

from __future__ import annotations

import json
import math
import typing as t

from .. import errors

JSON = t.Any

#: The longest integer that Python writes has 4300 digits, some 14280 bits.
_MAX_BITS = 14000

# limits of the search for a faulty value, which begins in Python:
#: a list or dict of more items is given to the encoder
_LARGE = 256
#: after so many values, each list or dict is
_MAX_WALKED = 10000
#: so often halves are tried; each time may encode most of the whole value
_MAX_SEARCHES = 8


def _refuse_constant(text: str) -> t.NoReturn:
    raise ValueError(f"{text} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def loads(raw: bytes) -> JSON:
    """Read JSON.

    :param raw: UTF-8
    :raises ValueError: not JSON, or nested too deeply
    """
    try:
        return _decode(raw.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: JSON) -> bytes:
    """Write JSON.

    A lone surrogate in a string becomes U+FFFD: it has no form in UTF-8, and
    its escape would make the server fail the run (W70).

    :raises errors.OutputError: the value cannot be JSON; the message has the
        path of the faulty part (``$.items[3].price``)
    """
    try:
        return _encode(value).encode("utf-8")
    except UnicodeEncodeError:
        # by way of UTF-16, two surrogates become one character, and a lone
        # one becomes U+FFFD
        units = _encode(value).encode("utf-16-le", "surrogatepass")
        return units.decode("utf-16-le", "replace").encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        path, why = _find_fault(value) or ("$", "it is nested too deeply, or contains itself")
        raise errors.OutputError(f"{path} is not JSON: {why}") from None


def _find_fault(root: JSON) -> t.Optional[t.Tuple[str, str]]:
    """Find a value that cannot be written, and return its path and the reason.

    Walking a million floats in Python would take longer than the encoder,
    which is written in C. So a large list or dict is given to the encoder,
    and if it is at fault, halves of it, until one item is left. Not recursive,
    because the value may be nested too deeply.
    """
    pending: t.List[t.Tuple[str, JSON, t.FrozenSet[int]]] = [("$", root, frozenset())]
    walked = searches = 0
    while pending:
        path, value, inside = pending.pop()
        walked += 1
        why = _reason(value, inside)
        if why is not None:
            return path, why
        if not isinstance(value, (dict, list, tuple)):
            continue
        if len(inside) > 500:
            return None
        within = inside | {id(value)}
        keys: t.Optional[t.List[t.Any]] = None
        items: t.Any = value
        if isinstance(value, dict):
            keys, items = list(value), list(value.values())
        is_large = False
        if len(items) > (_LARGE if walked < _MAX_WALKED else 1):
            # of the root it is known
            if inside and _is_writable(value):
                continue
            # the fault is in this one
            del pending[:]
            searches += 1
            if searches > _MAX_SEARCHES:
                return path, "a value in it has no form in JSON"
            is_large = True
        wrong = None if keys is None else _wrong_key(keys)
        if wrong is not None:
            return path, f"a key of it is {wrong}"
        numbers: t.Sequence[int] = (_first_fault(items),) if is_large else range(len(items))
        for n in reversed(numbers):
            step = f"[{n}]" if keys is None else f".{keys[n]}"
            pending.append((path + step, items[n], within))
    return None


def _reason(value: JSON, inside: t.Container[int]) -> t.Optional[str]:
    """Tell why a value cannot be written; None if it can be, or something in
    it cannot.

    :param inside: the ids of the values that it is in
    """
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return f"an integer of {value.bit_length()} bits is too large"
    if value is None or isinstance(value, (str, bool, int)):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value!r} has no form in JSON"
    if not isinstance(value, (dict, list, tuple)):
        return f"{type(value).__name__} has no form in JSON"
    return "it contains itself" if id(value) in inside else None


def _wrong_key(keys: t.Sequence[t.Any]) -> t.Optional[str]:
    """Return the first key that no object of JSON can have, or its type."""
    # types are few: a dict of a million texts has one
    for kind in dict.fromkeys(map(type, keys)):
        if issubclass(kind, float):
            for key in keys:
                if isinstance(key, float) and not math.isfinite(key):
                    return repr(key)
        elif not issubclass(kind, (str, int, type(None))):
            return kind.__name__
    return None


def _first_fault(items: t.Sequence[JSON]) -> int:
    """Return the number of the first item that cannot be written.

    :param items: one of them cannot
    """
    low, high = 0, len(items)
    while high - low > 1:
        middle = (low + high) // 2
        if _is_writable(items[low:middle]):
            low = middle
        else:
            high = middle
    return low


def _is_writable(value: JSON) -> bool:
    try:
        _encode(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


_write_text: t.Callable[[str], str] = json.encoder.encode_basestring


def text(value: str) -> bytes:
    """Write a string as JSON; otherwise as :func:`dumps`, which is slower."""
    try:
        return _write_text(value).encode("utf-8")
    except UnicodeEncodeError:
        return dumps(value)
