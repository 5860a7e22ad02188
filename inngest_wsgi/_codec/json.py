"""Read and write JSON (RFC 8259).

``NaN`` and infinity are refused both ways. Written JSON is one line of UTF-8
without spaces, because the server's limits count bytes.
"""

from __future__ import annotations

import json
import math
import typing as t

from .. import errors

try:
    from . import fast as _installed
except ImportError:
    _fast: t.Any = None
else:
    _fast = _installed

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


def _refuse_type(value: t.Any) -> t.NoReturn:
    raise TypeError(type(value).__name__)


def _make_encode() -> t.Callable[[t.Any], str]:
    """Return a function that writes JSON as text.

    ``json.JSONEncoder.encode()`` makes several functions and lists each time,
    which takes longer than to write a small value.
    """
    make: t.Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        # not CPython
        return json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    write_text = json.encoder.encode_basestring

    def encode(value: t.Any) -> str:
        if type(value) is str:
            return write_text(value)
        # the dict has the values that the encoder is in
        write = make({}, _refuse_type, write_text, None, ":", ",", False, False, False)
        return "".join(write(value, 0))

    return encode


_encode = _make_encode()
_decoder: t.Any = json.JSONDecoder(parse_constant=_refuse_constant)
_scan = _decoder.scan_once

_CONTAINERS = (dict, list, tuple)
#: Types of values that contain no others.
_SIMPLE = frozenset([str, int, float, bool, type(None)])
_TEXT = frozenset([str])


def loads(raw: bytes) -> JSON:
    """Read JSON.

    :param raw: UTF-8
    :raises ValueError: not JSON, or nested too deeply
    """
    if _fast is not None:
        try:
            return _fast.loads(raw)
        except ValueError:
            # it is read below, or the reason is found there
            pass
    text = raw.decode("utf-8")
    try:
        try:
            value, end = _scan(text, 0)
        except StopIteration:
            # there is a space before it, or nothing that begins a value
            value, end = None, -1
        return value if end == len(text) else _decoder.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: JSON) -> bytes:
    """Write JSON.

    A lone surrogate in a string becomes U+FFFD: it has no form in UTF-8, and
    its escape would make the server fail the run (W70).

    A dict whose keys become equal, as those of ``{1: "a", "1": "b"}`` do, is
    refused: whoever reads it would get one of the values, and not know.

    :raises errors.OutputError: the value cannot be JSON; the message has the
        path of the faulty part (``$.items[3].price``)
    """
    if _fast is not None:
        written: t.Optional[bytes] = _fast.dumps(value)
        if written is not None:
            return written
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError):
        path, why = _find_fault(value) or ("$", "it is nested too deeply, or contains itself")
        raise errors.OutputError(f"{path} is not JSON: {why}") from None
    try:
        written = text.encode("utf-8")
        has_surrogates = False
    except UnicodeEncodeError:
        written = _without_surrogates(text)
        has_surrogates = True
    if isinstance(value, _CONTAINERS):
        _refuse_equal_keys(value, has_surrogates)
    return written


def _without_surrogates(text: str) -> bytes:
    """Write text as UTF-8, with U+FFFD for each lone surrogate."""
    # by way of UTF-16, two surrogates become one character
    units = text.encode("utf-16-le", "surrogatepass")
    return units.decode("utf-16-le", "replace").encode("utf-8")


def _refuse_equal_keys(root: JSON, has_surrogates: bool) -> None:
    """Look for a dict two of whose keys are written alike.

    :param root: can be written, so it does not contain itself
    :param has_surrogates: also keys of one type may be written alike
    """
    pending = [root]
    for value in pending:
        items: t.Iterable[t.Any] = value
        if isinstance(value, dict):
            if has_surrogates or not _TEXT.issuperset(map(type, value)):
                _compare_keys(value, root, has_surrogates)
            items = value.values()
        if len(value) > _LARGE and _SIMPLE.issuperset(map(type, items)):
            continue
        for item in items:
            if type(item) not in _SIMPLE and isinstance(item, _CONTAINERS):
                pending.append(item)


def _compare_keys(value: t.Dict[t.Any, JSON], root: JSON, has_surrogates: bool) -> None:
    if len(set(map(type, value))) < 2 and not has_surrogates:
        return
    seen = set()
    for key in value:
        text = _without_surrogates(_encode({key: 0})[1:-3])
        if text in seen:
            raise errors.OutputError(
                f"{_path_of(value, root)} is not JSON: two of its keys become "
                + text.decode("utf-8")
            )
        seen.add(text)


def _path_of(wanted: JSON, root: JSON) -> str:
    pending, path = [("$", root)], "$"
    for path, value in pending:
        if value is wanted:
            break
        if isinstance(value, dict):
            pending += [(f"{path}.{key}", item) for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            pending += [(f"{path}[{n}]", item) for n, item in enumerate(value)]
    return path


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
