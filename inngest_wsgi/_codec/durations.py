"""Read durations and times, and write them in the form of the protocol.

A duration is written as a time string, decimal numbers with the units ``ns us
ms s m h d w``; a time as RFC 3339 in UTC (PROTOCOL sections 5 and 6).
"""

from __future__ import annotations

import datetime
import decimal
import math
import re
import typing as t

Duration = t.Union[int, str, datetime.timedelta]
#: A duration from now, or a time.
Time = t.Union[int, str, datetime.timedelta, datetime.datetime]

_MS_PER_UNIT = {
    "ns": decimal.Decimal("0.000001"),
    "us": decimal.Decimal("0.001"),
    "ms": decimal.Decimal(1),
    "s": decimal.Decimal(1000),
    "m": decimal.Decimal(60 * 1000),
    "h": decimal.Decimal(3600 * 1000),
    "d": decimal.Decimal(86400 * 1000),
    "w": decimal.Decimal(7 * 86400 * 1000),
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h|d|w)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_HOUR_MS = 3600000
_UNITS_DOWN = (("d", 86400000), ("h", _HOUR_MS), ("m", 60000), ("s", 1000), ("ms", 1))

#: The server's limit for a sleep or a wait, in milliseconds: a year
#: (PROTOCOL section 6).
YEAR_MS = 366 * 86400 * 1000


def milliseconds(value: Duration) -> int:
    """Convert a duration to milliseconds, rounded up, so that no wait ends
    too early.

    :param value: milliseconds (``int``), a ``timedelta`` or a time string
    :raises ValueError: not a duration, or negative
    """
    if isinstance(value, bool):
        raise ValueError("a duration is milliseconds, a timedelta or a time string, not a bool")
    if isinstance(value, int):
        ms = value
    elif isinstance(value, datetime.timedelta):
        seconds = value.days * 86400 + value.seconds
        ms = seconds * 1000 - (-value.microseconds // 1000)
    elif isinstance(value, str):
        if len(value) > 100 or not _WHOLE.fullmatch(value):
            raise ValueError(
                f"{value[:100]!r} is not a time string; write numbers with the units "
                'ns us ms s m h d w, for example "1h30m"'
            )
        ms = math.ceil(
            sum(decimal.Decimal(n) * _MS_PER_UNIT[unit] for n, unit in _PART.findall(value))
        )
    else:
        raise ValueError(
            "a duration is milliseconds (int), a timedelta or a time string, not "
            f"{type(value).__name__}"
        )
    if ms < 0:
        raise ValueError("a duration cannot be negative")
    return ms


def to_timestr(value: Duration) -> str:
    """Write a duration as a time string: ``5400000`` becomes ``1h30m``.

    :raises ValueError: as :func:`milliseconds`
    """
    rest = milliseconds(value)
    out = []
    for unit, size in _UNITS_DOWN:
        count, rest = divmod(rest, size)
        if count:
            out.append(f"{count}{unit}")
    return "".join(out) or "0s"


def optional(value: t.Optional[Duration]) -> t.Optional[str]:
    """Write a duration as a time string; None stays None.

    :raises ValueError: as :func:`milliseconds`
    """
    return None if value is None else to_timestr(value)


def optional_in_hours(value: t.Optional[Duration]) -> t.Optional[str]:
    """Write a duration without days, for the one setting that a server reads
    with Go's ``time.ParseDuration``; None stays None.

    :raises ValueError: as :func:`milliseconds`
    """
    if value is None:
        return None
    hours, rest = divmod(milliseconds(value), _HOUR_MS)
    return f"{hours}h{to_timestr(rest) if rest else ''}" if hours else to_timestr(rest)


def within_a_year(value: Time, now: float) -> str:
    """Write the time or duration of a wait. A duration stays one, so that the
    server's clock need not agree with ours.

    :param now: seconds since the epoch
    :raises ValueError: not a time or duration, negative, or over a year ahead
    """
    if isinstance(value, datetime.datetime):
        try:
            aware = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
            ahead_ms = (aware.timestamp() - now) * 1000
            text = to_rfc3339(aware)
        except OverflowError:
            raise ValueError(f"{value} is out of range") from None
    else:
        ahead_ms = milliseconds(value)
        text = to_timestr(value)
    if ahead_ms > YEAR_MS:
        raise ValueError("the longest time is 366 days")
    return text


def to_rfc3339(value: datetime.datetime) -> str:
    """Write a time as RFC 3339, in UTC with milliseconds.

    :param value: in UTC if it has no time zone
    """
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.timezone.utc)
    value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value.isoformat(timespec="milliseconds") + "Z"


def to_datetime(value: Time) -> datetime.datetime:
    """Convert a time, or a duration from now, to a ``datetime`` with a time
    zone.

    :raises ValueError: as :func:`milliseconds`
    """
    if isinstance(value, datetime.datetime):
        return value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        return now + datetime.timedelta(milliseconds=milliseconds(value))
    except OverflowError:
        raise ValueError(f"{value!r} is too long") from None


def retry_after(value: Time) -> str:
    """Write the value of a ``Retry-After`` header.

    A duration is written in whole seconds, so that the server's clock need
    not agree with ours. The server ignores ``0``, so the least is ``1``.

    :raises ValueError: as :func:`milliseconds`
    """
    if isinstance(value, datetime.datetime):
        return to_rfc3339(value)
    return str(max(1, -(-milliseconds(value) // 1000)))
