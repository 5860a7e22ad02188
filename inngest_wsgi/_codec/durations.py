"""Read durations and times, and write them in the form of the protocol.

A duration is written as a time string, decimal numbers with the units ``ns us
ms s m h d w``; a time as RFC 3339 in UTC (PROTOCOL sections 5 and 6).

A ``datetime`` without a time zone is local time, as everywhere in Python and
in the official SDK. Where the clocks are changed, PEP 495 says which moment it
is: an hour that comes twice is the first, or with ``fold=1`` the second; a time
that is left out is counted on from the hour before, so 02:30 is 03:30.
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
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
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
        moment = in_utc(value)
        ahead_ms = (moment.timestamp() - now) * 1000
        text = to_rfc3339(moment)
    else:
        ahead_ms = milliseconds(value)
        text = to_timestr(value)
    if ahead_ms > YEAR_MS:
        raise ValueError("the longest time is 366 days")
    return text


def in_utc(value: datetime.datetime) -> datetime.datetime:
    """Convert a time to UTC.

    :param value: local time if it has no time zone
    :raises ValueError: it cannot be converted: near the years 1 and 9999,
        before 1970 on some systems, and with a time zone that has no offset
    """
    try:
        if value.utcoffset() is None:
            # astimezone() would take a time that is left out for an earlier one
            return _EPOCH + datetime.timedelta(seconds=value.timestamp())
        return value.astimezone(datetime.timezone.utc)
    except (OverflowError, OSError, ValueError):
        raise ValueError(f"{value} is out of range") from None
    except TypeError:
        raise ValueError(f"the time zone of {value} has no offset from UTC") from None


def to_rfc3339(value: datetime.datetime) -> str:
    """Write a time as RFC 3339, in UTC with milliseconds.

    :raises ValueError: as :func:`in_utc`
    """
    return in_utc(value).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def unix_milliseconds(value: datetime.datetime) -> int:
    """Convert a time to milliseconds since the epoch, rounded down.

    :raises ValueError: as :func:`in_utc`
    """
    return (in_utc(value) - _EPOCH) // datetime.timedelta(milliseconds=1)


def to_datetime(value: Time) -> datetime.datetime:
    """Convert a time, or a duration from now, to a ``datetime`` with a time
    zone.

    :raises ValueError: as :func:`milliseconds` and :func:`in_utc`
    """
    if isinstance(value, datetime.datetime):
        return in_utc(value) if value.utcoffset() is None else value
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        return now + datetime.timedelta(milliseconds=milliseconds(value))
    except OverflowError:
        raise ValueError(f"{value!r} is too long") from None


def retry_after(value: Time) -> str:
    """Write the value of a ``Retry-After`` header.

    A duration is written in whole seconds, so that the server's clock need
    not agree with ours. The server ignores ``0``, so the least is ``1``.

    :raises ValueError: as :func:`milliseconds` and :func:`in_utc`
    """
    if isinstance(value, datetime.datetime):
        return to_rfc3339(value)
    return str(max(1, -(-milliseconds(value) // 1000)))
