"""The functions that a server has and cel-python has not, and those that differ."""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import typing as t

from celpy import celtypes

from .._wire.times import parse_date, parse_duration
from . import values
from .values import no_overload

#: Ints from which on date() reads seconds, milliseconds and nanoseconds.
_EARLIEST, _SECONDS, _MILLISECONDS = 946_684_800, 9_999_999_999, 9_999_999_999_999


def _int(now: float, value: t.Any) -> t.Any:
    if isinstance(value, (celtypes.BoolType, bool)):
        return no_overload("int(bool)")
    if isinstance(value, datetime.datetime):
        return celtypes.IntType(int(value.timestamp()))
    return celtypes.IntType(int(float(value)) if isinstance(value, float) else value)


def _string(now: float, value: t.Any) -> t.Any:
    if value is None or isinstance(value, (list, dict)):
        return no_overload("string()")
    if isinstance(value, datetime.datetime):
        moment = value.astimezone(datetime.timezone.utc).isoformat()
        return celtypes.StringType(moment.replace("+00:00", "Z"))
    if isinstance(value, datetime.timedelta):
        return celtypes.StringType(f"{values.number_text(value.total_seconds())}s")
    if isinstance(value, bytes):
        return celtypes.StringType(value.decode("utf-8"))
    return celtypes.StringType(values.text(value))


def _date(now: float, value: t.Any) -> t.Any:
    moment = None
    if isinstance(value, str):
        moment = parse_date(str(value), zone_required=False)
    elif isinstance(value, int) and value >= _EARLIEST:
        scale = 1 if value < _SECONDS else 1e3 if value < _MILLISECONDS else 1e9
        moment = datetime.datetime.fromtimestamp(int(value) / scale, datetime.timezone.utc)
    return no_overload("date()") if moment is None else celtypes.TimestampType(moment)


def _now(now: float) -> t.Any:
    return celtypes.TimestampType(datetime.datetime.fromtimestamp(now, datetime.timezone.utc))


def _later(now: float, sign: int, text: t.Any) -> t.Any:
    seconds = parse_duration(str(text))
    return no_overload("now_plus()") if seconds is None else _now(now + sign * seconds)


def _contains(now: float, text: t.Any, part: t.Any) -> t.Any:
    if not isinstance(text, str) or not isinstance(part, str):
        return no_overload("contains()")
    return celtypes.BoolType(str(part) in str(text))


def _decode(text: t.Any) -> str:
    try:
        return base64.b64decode(str(text), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _json(text: t.Any) -> t.Any:
    try:
        value = json.loads(str(text))
    except ValueError:
        value = {}
    return values.as_cel(value if isinstance(value, dict) else {})


def _bool(now: float, value: t.Any) -> t.Any:
    if isinstance(value, str) and str(value) in ("true", "false"):
        return celtypes.BoolType(str(value) == "true")
    return value if isinstance(value, celtypes.BoolType) else no_overload("bool()")


_OF_ONE_VALUE: t.Dict[str, t.Callable[[float, t.Any], t.Any]] = {
    "b64decode": lambda now, text: celtypes.StringType(_decode(text)),
    "bool": _bool,
    "date": _date,
    "int": _int,
    "json_parse": lambda now, text: _json(text),
    "lowercase": lambda now, text: celtypes.StringType(str(text).lower()),
    "now_minus": lambda now, text: _later(now, -1, text),
    "now_plus": lambda now, text: _later(now, 1, text),
    "string": _string,
    "uppercase": lambda now, text: celtypes.StringType(str(text).upper()),
}
#: The functions by name; each is given the unix seconds of now first.
OWN: t.Dict[str, t.Callable[..., t.Any]] = {
    **_OF_ONE_VALUE,
    "contains": _contains,
    "now": _now,
}
