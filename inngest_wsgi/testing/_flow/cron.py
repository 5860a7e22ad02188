"""Check that a server can read a cron expression.

No function is started by a cron expression: the test does that, with
:meth:`LocalServer.fire_cron`. Names of time zones are not checked.
"""

from __future__ import annotations

import re
import typing as t

from .._wire.times import parse_duration

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: Of each field the least and the greatest value, and names for the values.
_FIELDS: t.Tuple[t.Tuple[int, int, t.Tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_DESCRIPTORS = (
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
)
_ZONE = re.compile(r"(?:CRON_)?TZ=\S+\s+")
_PART = re.compile(r"(\*|\?|\w+)(?:-(\w+))?(?:/(\d+))?")


def is_cron(text: str) -> bool:
    """Return True for five fields, or a word like ``@daily`` (W79)."""
    text = _ZONE.sub("", text.strip(), count=1)
    if text.startswith("@every "):
        return parse_duration(text[len("@every ") :]) is not None
    if text.startswith("@"):
        return text in _DESCRIPTORS
    fields = text.split()
    return len(fields) == len(_FIELDS) and all(
        _is_part(part, *limits)
        for field, limits in zip(fields, _FIELDS)
        for part in field.split(",")
    )


def _is_part(part: str, least: int, most: int, names: t.Tuple[str, ...]) -> bool:
    found = _PART.fullmatch(part)
    if found is None or found.group(3) is not None and int(found.group(3)) == 0:
        return False
    first, last = found.group(1), found.group(2)
    if first in ("*", "?"):
        return last is None
    ends = [_value(end, least, names) for end in (first, last) if end is not None]
    return all(least <= end <= most for end in ends) and ends == sorted(ends)


def _value(text: str, least: int, names: t.Tuple[str, ...]) -> int:
    """Return the value of a number or a name; -1 if it is neither."""
    if text.lower() in names:
        return names.index(text.lower()) + least
    return int(text) if text.isdecimal() else -1
