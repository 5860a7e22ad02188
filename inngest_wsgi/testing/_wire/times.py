"""Read durations, dates and ``Retry-After`` as a server does.

An independent reading of W29 and W36: nothing is shared with
the SDK's own parser.
"""

from __future__ import annotations

import email.utils
import re
import typing as t
from datetime import datetime, timedelta, timezone

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "\u00b5s": 1e-6,
    "\u03bcs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 7 * 86400.0,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h|d|w)")
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)?)?\Z",
    re.ASCII,
)
_SECONDS = re.compile(r"\d{1,7}\Z", re.ASCII)

#: The shortest and longest delay a ``Retry-After`` can ask for, in seconds.
RETRY_AFTER_LEAST = 1.0
RETRY_AFTER_MOST = 86400.0

#: The longest sleep in seconds; a longer one fails the run (W36).
LONGEST_SLEEP = 366 * 86400.0


def parse_duration(text: str) -> t.Optional[float]:
    """Return the seconds of a duration such as ``1h30m``; None if it is not one."""
    sign = 1.0
    rest = text
    if rest[:1] in ("+", "-"):
        sign = -1.0 if rest[0] == "-" else 1.0
        rest = rest[1:]
    if rest == "0":
        return 0.0
    if not rest:
        return None
    total, position = 0.0, 0
    while position < len(rest):
        match = _PART.match(rest, position)
        if match is None:
            return None
        total += float(match.group(1)) * _UNITS[match.group(2)]
        position = match.end()
    return sign * total


def parse_date(text: str, zone_required: bool = True) -> t.Optional[datetime]:
    """Read an RFC 3339 time or a plain date (midnight UTC); None if it is neither.

    :param zone_required: whether a time without a zone is refused; else it
        is read as UTC.
    """
    match = _DATE.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if hour is not None and zone is None and zone_required:
        return None
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "").ljust(6, "0")[:6]),
            tzinfo=timezone.utc,
        )
        return moment - _offset(zone)
    except (ValueError, OverflowError):
        return None


def _offset(zone: t.Optional[str]) -> timedelta:
    if zone is None or zone in "Zz":
        return timedelta(0)
    delta = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    return -delta if zone[0] == "-" else delta


def parse_sleep(text: str, now: float) -> t.Optional[float]:
    """Return the seconds to sleep for a duration or a date; None if it is neither.

    :param now: unix seconds on the clock by which the date was made.
    """
    if not text:
        return 0.0
    seconds = parse_duration(text)
    if seconds is not None:
        return seconds
    moment = parse_date(text)
    return None if moment is None else moment.timestamp() - now


def parse_retry_after(text: t.Optional[str], now: float) -> t.Optional[float]:
    """Return the seconds until the next attempt that a ``Retry-After`` asks for (W29).

    Clipped to between one second and one day.

    :param now: unix seconds on the clock by which a date was made.
    :return: None when absent or in a form that a server ignores.
    """
    if not text:
        return None
    text = text.strip()
    if _SECONDS.match(text):
        wanted = float(text)
        if not wanted:
            return None
    else:
        moment = parse_date(text, zone_required=False) or _http_date(text)
        if moment is None:
            return None
        wanted = moment.timestamp() - now
    return min(max(wanted, RETRY_AFTER_LEAST), RETRY_AFTER_MOST)


def _http_date(text: str) -> t.Optional[datetime]:
    if not text.endswith("GMT"):
        return None
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment


def rfc3339(unix_seconds: float) -> str:
    """Format a UTC time with milliseconds, as the REST API does."""
    moment = datetime.fromtimestamp(unix_seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
