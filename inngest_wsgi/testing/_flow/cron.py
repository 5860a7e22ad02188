"""Read cron expressions as a server does, and tell when they fire.

The fields are read here, because a server reads some that no library does;
cronsim, of the extra ``testing``, finds the times. The name of a time zone is
looked up only where Python has a database of time zones.
"""

from __future__ import annotations

import importlib
import math
import re
import typing as t
from datetime import datetime, timedelta, timezone, tzinfo

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
#: Time zones that are UTC here; a server's own is taken to be that.
_UTC = ("", "UTC", "Local")
_ZONE = re.compile(r"(?:CRON_)?TZ=([^ ]*) (.*)", re.DOTALL)
_SPACES = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_NOT_SPACES = re.compile(f"[^{_SPACES}]+")
#: Whatever follows a hyphen after ``*`` is not read.
_ANY = re.compile(r"[*?](?:-[^/]*)?(?:/\+?([0-9]+))?")
_RANGE = re.compile(r"(\+?\w+)(?:-(\+?\w+))?(?:/\+?([0-9]+))?", re.ASCII)


#: How far the clocks of a time zone are put back at the most, and then some.
_SHIFT = timedelta(hours=3)
#: A server looks no further ahead.
_HORIZON = timedelta(days=5 * 366)
_MISSING = (
    "{} is not installed, and cron schedules need it: "
    "install it with pip install 'inngest-wsgi[testing]'"
)


class CronUnsupported(Exception):
    """Raised if a server can read a cron expression, but this one cannot."""


class Schedule:
    """The times of a cron expression.

    A time that the clocks of its zone pass over does not fire, and one that
    they show twice fires twice, as on a server.

    :param text: for which :func:`is_cron` is true.
    :raise CronUnsupported: the library for it is not installed.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        zone, fields = _split(text) or ("", [])
        self._zone = _zone(zone)
        listed = [_listed(field, *limits) for field, limits in zip(fields, _FIELDS)]
        for one, other in ((2, 4), (4, 2)):
            if not listed[one] and listed[other] not in ("", "*"):
                # Of two fields for days either may fit, and this one never does.
                listed[one] = "*"
        self._fields = listed
        try:
            import cronsim
        except ImportError:
            raise CronUnsupported(_MISSING.format("cronsim")) from None
        self._library = cronsim

    def after(self, moment: float) -> t.Optional[float]:
        """Return when it fires next after a moment; None if it does not.

        :param moment: unix seconds, like what is returned.
        """
        start = datetime.fromtimestamp(moment, self._zone).replace(tzinfo=None)
        fixed = self._zone is timezone.utc
        found: t.Optional[float] = None
        for wall in self._walls(start if fixed else start - _SHIFT):
            if wall - start > _HORIZON:
                return found
            if found is not None and wall - _SHIFT > self._wall(found):
                return found
            for fold in (0, 1):
                time = wall.replace(tzinfo=self._zone, fold=fold).timestamp()
                if time > moment and self._wall(time) == wall and time < (found or math.inf):
                    found = time
            if fixed and found is not None:
                return found
        return found

    def _wall(self, time: float) -> datetime:
        return datetime.fromtimestamp(time, self._zone).replace(tzinfo=None)

    def _walls(self, start: datetime) -> t.Iterator[datetime]:
        """Yield the times after a moment, as the clocks of the zone show them."""
        if not all(self._fields):
            return
        try:
            yield from self._library.CronSim(" ".join(self._fields), start)
        except self._library.CronSimError:
            # no month has such a day
            return


def is_cron(text: str) -> bool:
    """Return True for five fields, with a time zone before them or without
    (W79). A word like ``@daily`` is none."""
    if len(text.encode("utf-8", "surrogatepass")) > _MAX_BYTES:
        return False
    found = _split(text)
    if found is None or not _is_zone(found[0]):
        return False
    return len(found[1]) == len(_FIELDS) and all(
        _is_part(part, *limits)
        for field, limits in zip(found[1], _FIELDS)
        for part in field.split(",")
        if part
    )


def _split(text: str) -> t.Optional[t.Tuple[str, t.List[str]]]:
    """Return the name of the time zone, and the fields."""
    zone = ""
    if text.startswith(("TZ=", "CRON_TZ=")):
        found = _ZONE.fullmatch(text)
        if found is None:
            return None
        zone, text = found.groups()
    return zone, _NOT_SPACES.findall(text)


def _listed(field: str, least: int, most: int, names: t.Tuple[str, ...]) -> str:
    """Return a field as a list of its values, or a star if it has one."""
    values: t.Set[int] = set()
    for part in field.split(","):
        star, numbers = _ANY.fullmatch(part), _RANGE.fullmatch(part)
        if star is not None:
            step = int(star[1] or 1)
            if step == 1:
                return "*"
            values.update(range(least, most + 1, step))
        elif numbers is not None:
            step = int(numbers[3] or 1)
            first = _value(numbers[1], least, names)
            last = first if numbers[3] is None else most
            last = last if numbers[2] is None else _value(numbers[2], least, names)
            values.update(range(first, last + 1, step))
    return ",".join(map(str, sorted(values)))


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
    if name in _UTC:
        return True
    zoneinfo = _zoneinfo()
    if zoneinfo is None or not zoneinfo.available_timezones():
        return True
    return name in zoneinfo.available_timezones()


def _zone(name: str) -> tzinfo:
    if name in _UTC:
        return timezone.utc
    zoneinfo = _zoneinfo()
    if zoneinfo is None:
        raise CronUnsupported(_MISSING.format("backports.zoneinfo"))
    try:
        found: tzinfo = zoneinfo.ZoneInfo(name)
    except zoneinfo.ZoneInfoNotFoundError:
        raise CronUnsupported(f"the time zone {name} is not installed; install tzdata") from None
    return found


def _zoneinfo() -> t.Any:
    for name in ("zoneinfo", "backports.zoneinfo"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
