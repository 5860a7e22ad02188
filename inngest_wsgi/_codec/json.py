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
    """Find the first value that cannot be written, and return its path and
    the reason. Not recursive, because the value may be nested too deeply."""
    pending: t.List[t.Tuple[str, JSON, t.FrozenSet[int]]] = [("$", root, frozenset())]
    while pending:
        path, value, inside = pending.pop()
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            return path, f"an integer of {value.bit_length()} bits is too large"
        if value is None or isinstance(value, (str, bool, int)):
            continue
        if isinstance(value, float):
            if math.isfinite(value):
                continue
            return path, f"{value!r} has no form in JSON"
        if not isinstance(value, (dict, list, tuple)):
            return path, f"{type(value).__name__} has no form in JSON"
        if id(value) in inside:
            return path, "it contains itself"
        if len(inside) > 500:
            return None
        within = inside | {id(value)}
        if isinstance(value, dict):
            for key, item in reversed(list(value.items())):
                if not (key is None or isinstance(key, (str, bool, int, float))):
                    return path, f"a key of it is {type(key).__name__}"
                if isinstance(key, float) and not math.isfinite(key):
                    return path, f"a key of it is {key!r}"
                pending.append((f"{path}.{key}", item, within))
        else:
            for n, item in reversed(list(enumerate(value))):
                pending.append((f"{path}[{n}]", item, within))
    return None
