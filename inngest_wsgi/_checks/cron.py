"""Check cron expressions as the server reads them.

A server reads five fields, with an optional time zone in front, and refuses a
registration with one that it cannot read without saying which function it is
(W79). The rules are those of the library that it reads them with,
https://github.com/robfig/cron (v3), without its ``@`` words.
"""

from __future__ import annotations

import re
import typing as t

from . import timezones

#: The longest expression, in bytes.
MAX_BYTES = 255

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class _Field(t.NamedTuple):
    name: str
    least: int
    most: int
    names: t.Tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)
_ORDER = "minute, hour, day of month, month, day of week"
#: What Go takes for white space; str.split() takes more.
_SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_MOST = 2**63 - 1
_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def check(text: str) -> None:
    """Check a cron expression.

    :raises ValueError: a server cannot read it; the message begins with
        "must", and says what to write
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ValueError(f"must be no longer than {MAX_BYTES} bytes")
    schedule = _without_zone(text)
    fields = [field for field in _SPACE.split(schedule) if field]
    if fields and fields[0].startswith("@"):
        raise ValueError(_instead_of_a_word(fields))
    if len(fields) != len(_FIELDS):
        raise ValueError(_wrong_number(text, len(fields)))
    for field, rules in zip(fields, _FIELDS):
        for part in field.split(","):
            # the server passes over empty parts
            fault = _fault(part, rules) if part else None
            if fault is not None:
                raise ValueError(
                    f"must be one that the server can read, not {text!r}: {fault} in the field "
                    f"{rules.name}"
                )


def _without_zone(text: str) -> str:
    if not text.startswith(("TZ=", "CRON_TZ=")):
        return text
    zone, space, schedule = text.partition("=")[2].partition(" ")
    if not space:
        raise ValueError(
            f"must have a space and five fields ({_ORDER}) after the time zone, not {text!r}"
        )
    if not timezones.is_known(zone):
        closest = timezones.closest(zone)
        instead = "" if closest is None else f"; write {closest} if that is meant"
        raise ValueError(
            "must begin with a time zone of the IANA database, as TZ=Europe/Berlin, and "
            f"{zone!r} is none{instead}"
        )
    return schedule


def _instead_of_a_word(fields: t.Sequence[str]) -> str:
    instead = _WORDS.get(fields[0])
    example = f'"{instead}"' if instead else '"*/15 * * * *" for every 15 minutes'
    return f"must be five fields ({_ORDER}): the server reads no {fields[0]}. Write {example}"


def _wrong_number(text: str, count: int) -> str:
    there = f"must be five fields ({_ORDER}), not {count}: {text!r}"
    if count == 6:
        return f"{there}. There is no field for seconds: leave the first out"
    return f'{there}. Write * for each field that may have any value, as "0 9 * * *"'


def _fault(part: str, rules: _Field) -> t.Optional[str]:
    """Return what is wrong with one part of a field, and what to write; None
    if nothing is."""
    span, *steps = part.split("/")
    if len(steps) > 1:
        return f"{part!r} has two slashes"
    if steps:
        step = _number(steps[0])
        if step is None or step == 0:
            return f"{part!r} has the step {steps[0]!r}, which must be a number from 1"
    ends = span.split("-")
    if ends[0] in ("*", "?"):
        return None
    if len(ends) > 2:
        return f"{part!r} has two hyphens"
    values = []
    for end in ends:
        value = _value(end, rules)
        if value is None or not rules.least <= value <= rules.most:
            return _bad_value(end, value, rules)
        values.append(value)
    if values[0] > values[-1]:
        return (
            f"{part!r} ends before it begins: write two ranges, "
            f"{ends[0]}-{rules.most},{rules.least}-{ends[1]}"
        )
    return None


def _bad_value(text: str, value: t.Optional[int], rules: _Field) -> str:
    least, most = rules.least, rules.most
    if value == 7 and rules.names == _DAYS:
        return "7 is no day: write 0 for Sunday"
    allowed = f"{least} to {most}"
    if rules.names:
        allowed += f", or {rules.names[0]} to {rules.names[-1]}"
    return f"{text!r} is not one of {allowed}"


def _value(text: str, rules: _Field) -> t.Optional[int]:
    lower = text.lower()
    if lower in rules.names:
        return rules.names.index(lower) + rules.least
    return _number(text)


def _number(text: str) -> t.Optional[int]:
    """Read a number as Go's ``strconv.Atoi`` does, and refuse negative ones."""
    if not _NUMBER.fullmatch(text):
        return None
    # a number of any length costs no time: leading zeros aside, 19 digits are enough
    digits = text.lstrip("+-").lstrip("0") or "0"
    if len(digits) > 19 or int(digits) > _MOST or (text[0] == "-" and digits != "0"):
        return None
    return int(digits)
