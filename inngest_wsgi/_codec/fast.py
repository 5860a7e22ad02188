"""Read and write JSON with orjson, where it gives what :mod:`.json` does
without it.

orjson is faster, and has no options for where it differs: it writes some
floats in another form, and NaN, enums and UUIDs, which :mod:`.json` refuses; it
reads large integers as floats. So it is asked for what is certainly the same.
It may read 1,024 levels, some more than Python does.

Importing this module fails without orjson (the extra ``speed``).
"""

from __future__ import annotations

import math
import typing as t

import orjson

_OPTIONS = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)

#: Makes each digit a "0", what may be before a number a "-", and all else
#: something else.
_KINDS = bytes(
    ord("0") if byte in b"0123456789" else ord("-") if byte in b"-[:, \t\r\n" else 1
    for byte in range(256)
)
#: So many digits in a row may be an integer of more than 64 bits. In a text they
#: are not: one hash of a step in a thousand has so many.
_LONG = b"0" * 19
_LONG_NUMBER = b"-" + _LONG

# types themselves, since orjson refuses some of their subclasses
_SAME = frozenset([str, int, bool, type(None)])
_NUMBERS = frozenset([int, float, bool])
_NESTED = frozenset([dict, list, tuple])

#: orjson takes memory of some 12 times the bytes that it reads, and where these
#: are mostly long texts it is not faster.
_MOST_BYTES = 256 * 1024

#: A list or dict of more values is looked at as a whole.
_LARGE = 256


def loads(raw: bytes) -> t.Any:
    """Read JSON.

    :raises ValueError: it is not JSON, or orjson might read it differently, or
        need much memory
    """
    if len(raw) > _MOST_BYTES:
        raise ValueError("orjson would need much memory")
    kinds = raw.translate(_KINDS)
    if _LONG_NUMBER in kinds or kinds.startswith(_LONG):
        raise ValueError("an integer may be too long")
    return orjson.loads(raw)


def dumps(value: t.Any) -> t.Optional[bytes]:
    """Write JSON; return None for a value that orjson refuses, or may write
    differently."""
    try:
        text: bytes = orjson.dumps(value, None, _OPTIONS)
    except (TypeError, ValueError, RecursionError):
        return None
    # only now: it contains itself nowhere
    return text if type(value) in _SAME or _is_same([value]) else None


def _is_same(values: t.List[t.Any]) -> bool:
    """Return True if orjson writes some values as Python does. The keys of all
    dicts in them are texts."""
    pending: t.List[t.Any] = [values]
    for found in pending:
        items = found.values() if type(found) is dict else found
        if len(found) > _LARGE:
            # in C, for there may be a million
            kinds = set(map(type, items))
            if kinds <= _SAME:
                continue
            if kinds <= _NUMBERS:
                if not _are_same_numbers(items):
                    return False
                continue
        for item in items:
            kind = type(item)
            if kind in _SAME:
                continue
            if kind is float:
                # alike without an exponent; NaN and infinity have no form
                if item and not 1e-4 <= abs(item) < 1e16:
                    return False
            elif kind in _NESTED:
                pending.append(item)
            else:
                return False
    return True


def _are_same_numbers(items: t.Iterable[float]) -> bool:
    sizes = list(filter(None, map(abs, items)))
    return not sizes or (1e-4 <= min(sizes) and max(sizes) < 1e16 and math.isfinite(sum(sizes)))
