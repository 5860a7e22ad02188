"""Read what a test says about time."""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta, timezone

from .._wire.times import parse_date, parse_duration

#: Seconds, a ``timedelta``, or a text such as ``"3d"`` or ``"1h30m"``.
Duration = t.Union[int, float, timedelta, str]
#: Unix seconds, a ``datetime`` (local time if it has no time zone), or a text
#: such as ``"2030-01-31"`` or ``"2030-01-31T12:00:00Z"``.
Moment = t.Union[int, float, datetime, str]


def seconds_of(duration: Duration) -> float:
    """Return the seconds of a duration.

    :raise ValueError: it is negative, or not a duration.
    """
    seconds: t.Optional[float] = None
    if isinstance(duration, timedelta):
        seconds = duration.total_seconds()
    elif isinstance(duration, str):
        seconds = parse_duration(duration)
    elif isinstance(duration, (int, float)) and not isinstance(duration, bool):
        seconds = float(duration)
    if seconds is None:
        raise ValueError(
            f"{duration!r} is not a duration: use seconds, a timedelta, or a text such as '3d', "
            "'1h30m' or '500ms'"
        )
    # written in this way, it refuses what is not a number, too
    if not seconds >= 0:
        raise ValueError(f"time cannot go back: {duration!r} is less than nothing")
    return seconds


def unix_seconds_of(moment: Moment) -> float:
    """Return the unix seconds of a moment.

    :raise ValueError: it is not a moment.
    """
    found: t.Optional[datetime] = None
    if isinstance(moment, datetime):
        found = moment
    elif isinstance(moment, str):
        found = parse_date(moment, zone_required=False)
    elif isinstance(moment, (int, float)) and not isinstance(moment, bool):
        return float(moment)
    if found is None:
        raise ValueError(
            f"{moment!r} is not a moment: use a datetime, unix seconds, or a text such as "
            "'2030-01-31' or '2030-01-31T12:00:00Z'"
        )
    return found.timestamp()


def utc(unix_seconds: float) -> datetime:
    """Return a moment as a ``datetime`` in UTC."""
    return datetime.fromtimestamp(unix_seconds, timezone.utc)


def readable(seconds: float) -> str:
    """Return a duration for people: ``3d 2h``, ``41s``, ``0.25s``."""
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    left = round(seconds)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts)
