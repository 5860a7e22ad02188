"""Check that a server can read a cron expression.

No function is started by a cron expression: the test does that, with
:meth:`LocalServer.fire_cron`. The name of a time zone is looked up only where
Python has a database of time zones.
"""

from __future__ import annotations

import re
import typing as t

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
_MAX_BYTES = 255
_ZONE = re.compile(r"(?:CRON_)?TZ=([^ ]*) (.*)", re.DOTALL)
_SPACES = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_NOT_SPACES = re.compile(f"[^{_SPACES}]+")
#: Whatever follows a hyphen after ``*`` is not read.
_ANY = re.compile(r"[*?](?:-[^/]*)?(?:/\+?([0-9]+))?")
_RANGE = re.compile(r"(\+?\w+)(?:-(\+?\w+))?(?:/\+?([0-9]+))?", re.ASCII)


def is_cron(text: str) -> bool:
    """Return True for five fields, with a time zone before them or without
    (W79). A word like ``@daily`` is none."""
    if len(text.encode("utf-8", "surrogatepass")) > _MAX_BYTES:
        return False
    if text.startswith(("TZ=", "CRON_TZ=")):
        found = _ZONE.fullmatch(text)
        if found is None or not _is_zone(found.group(1)):
            return False
        text = found.group(2)
    fields = _NOT_SPACES.findall(text)
    return len(fields) == len(_FIELDS) and all(
        _is_part(part, *limits)
        for field, limits in zip(fields, _FIELDS)
        for part in field.split(",")
        if part
    )


def _is_part(part: str, least: int, most: int, names: t.Tuple[str, ...]) -> bool:
    found = _ANY.fullmatch(part)
    if found is not None:
        return _is_step(found.group(1))
    found = _RANGE.fullmatch(part)
    if found is None or not _is_step(found.group(3)):
        return False
    ends = [_value(end, least, names) for end in found.group(1, 2) if end is not None]
    return all(least <= end <= most for end in ends) and ends == sorted(ends)


def _is_step(text: t.Optional[str]) -> bool:
    return text is None or (len(text.lstrip("0")) < 20 and 0 < int(text) < 2**63)


def _value(text: str, least: int, names: t.Tuple[str, ...]) -> int:
    """Return the value of a number or a name; -1 if it is neither."""
    if text.lower() in names:
        return names.index(text.lower()) + least
    digits = text[1:] if text.startswith("+") else text
    return int(digits) if digits.isdecimal() and len(digits.lstrip("0")) < 20 else -1


def _is_zone(name: str) -> bool:
    if name in ("", "UTC", "Local"):
        return True
    try:
        import zoneinfo
    except ImportError:
        return True
    return not zoneinfo.available_timezones() or name in zoneinfo.available_timezones()
