"""Describe functions and their options in English.

A sentence is a list of text and code in turn. Code is what the user wrote; it
is displayed unchanged.
"""

from __future__ import annotations

import re
import typing as t

from .. import _protocol as p
from .._codec import durations
from ..function import Function
from . import samples

Parts = t.List[str]
Wire = t.Dict[str, t.Any]

#: The server's default for ``retries``.
DEFAULT_RETRIES = 4

_UNITS = (
    ("day", 86400000),
    ("hour", 3600000),
    ("minute", 60000),
    ("second", 1000),
    ("millisecond", 1),
)
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_CRON = re.compile(r"(?:(?:CRON_)?TZ=(\S+)\s+)?(.*)", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,2}", re.ASCII)
_EVERY = re.compile(r"\*/([0-9]{1,2})", re.ASCII)


def functions(declared: t.Sequence[Function[t.Any]], app_id: str) -> t.List[Wire]:
    """Describe the functions of an app. A failure handler is described with
    its function.

    :param declared: with the failure handlers
    """
    failures = {f.fn_id: f.failure_handler(app_id) for f in declared}
    handlers = {failure.fn_id for failure in failures.values() if failure is not None}
    found = []
    for function in declared:
        if function.fn_id not in handlers:
            failure = failures[function.fn_id]
            described = _function(function.registration(app_id, ""))
            described["on_failure"] = None if failure is None else failure.full_id(app_id)
            found.append(described)
    return found


def duration(text: str) -> str:
    """Write a time string in words: ``1h30m`` becomes ``1 hour 30 minutes``."""
    rest = durations.milliseconds(text)
    words = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            words.append("{} {}{}".format(count, unit, "" if count == 1 else "s"))
    return " ".join(words) or "0 seconds"


def schedule(cron: str) -> Parts:
    """Describe when a cron expression is due, in words if it is simple."""
    zone, expression = t.cast("re.Match[str]", _CRON.fullmatch(cron)).groups()
    zone = zone or "UTC"
    said = _cron_words(expression.split())
    if said is None:
        return ["On the schedule ", cron, "" if zone != "UTC" else " (UTC)"]
    where = " ({})".format(zone.replace("_", " "))
    return [said + (where if ":" in said else "") + ": ", cron]


def _function(wire: Wire) -> Wire:
    expressions = [trigger.get("expression") for trigger in wire["triggers"]]
    hints = [text for text in expressions if text] + list(_expressions(wire))
    settings = [
        {"name": name, "text": sentence}
        for option, name, say in _SENTENCES
        if option in wire
        for sentence in say(wire[option])
    ]
    return {
        "id": wire["id"],
        "name": wire["name"],
        "triggers": [_trigger(trigger, hints) for trigger in wire["triggers"]],
        "retries": _retries(wire["steps"][p.STEP].get("retries", {}).get("attempts")),
        "settings": settings,
    }


def _trigger(wire: Wire, hints: t.Sequence[str]) -> Wire:
    if "cron" in wire:
        said = schedule(wire["cron"])
        if "jitter" in wire:
            said = _ending(said, ", up to {} later".format(duration(wire["jitter"])))
        return {"event": None, "text": said}
    said = ["When ", wire["event"], " is sent"]
    expression = wire.get("expression")
    if expression is not None:
        said = _ending(said, ", if ") + [expression]
    # this trigger's condition first: other triggers' may contradict it
    own = [expression] if expression is not None else []
    return {
        "event": wire["event"],
        "condition": expression,
        "text": said,
        "sample": samples.data(own + list(hints)),
    }


def _retries(attempts: t.Optional[int]) -> Parts:
    if attempts == 0:
        return ["None: each step is tried once"]
    count = DEFAULT_RETRIES if attempts is None else attempts
    return [
        "{}{}: each step is tried up to {} times".format(
            count, ", by default" if attempts is None else "", count + 1
        )
    ]


# -- one sentence for each option ----------------------------------------


def _checkpoint(wire: Wire) -> t.Iterator[Parts]:
    text = f"One call runs steps for up to {duration(wire['max_runtime'])}"
    steps = wire["batch_steps"]
    if steps > 1:
        text += f", and the server stores {steps} of them at a time"
    if "batch_interval" in wire:
        text += f", or what there is after {duration(wire['batch_interval'])}"
    yield [text]


def _concurrency(rules: t.Sequence[Wire]) -> t.Iterator[Parts]:
    for rule in rules:
        limit = rule["limit"]
        if limit == 0:
            yield _for_each(["No limit but the account's"], rule)
            continue
        said = _for_each([f"At most {limit} {_steps(limit)} at once"], rule)
        yield _ending(said, _SCOPES.get(rule.get("scope", "fn"), ""))


def _throttle(wire: Wire) -> t.Iterator[Parts]:
    said = _for_each([f"At most {_runs_in(wire)}"], wire)
    burst = wire.get("burst", 1)
    together = f", {burst} of them at the same moment" if burst > 1 else ""
    yield _ending(said, together + "; the others wait")


def _rate_limit(wire: Wire) -> t.Iterator[Parts]:
    said = _for_each([f"At most {_runs_in(wire)}"], wire)
    yield _ending(said, "; further events start none")


def _debounce(wire: Wire) -> t.Iterator[Parts]:
    text = "Starts once no event has come for {}".format(duration(wire["period"]))
    late = ""
    if "timeout" in wire:
        late = "; after {} in any case".format(duration(wire["timeout"]))
    yield _ending(_for_each([text], wire), ", with the last event" + late)


def _batch(wire: Wire) -> t.Iterator[Parts]:
    text = "One run for up to {} events".format(wire["maxSize"])
    if "timeout" in wire:
        text += ", or those of {}".format(duration(wire["timeout"]))
    said = _for_each([text], wire)
    yield _ending(said, ", of the events with ") + [wire["if"]] if "if" in wire else said


def _priority(wire: Wire) -> t.Iterator[Parts]:
    yield ["A run is put ahead by as many seconds as ", wire["run"], " says"]


def _singleton(wire: Wire) -> t.Iterator[Parts]:
    then = "; an event during it starts none"
    if wire["mode"] == "cancel":
        then = "; an event during it cancels it and starts another"
    yield _ending(_for_each(["One run at a time"], wire), then)


def _idempotency(expression: str) -> t.Iterator[Parts]:
    yield ["One run in 24 hours for each ", expression]


def _cancel(rules: t.Sequence[Wire]) -> t.Iterator[Parts]:
    for rule in rules:
        said = ["By the event ", rule["event"]]
        if "if" in rule:
            said += [", if ", rule["if"]]
        if "timeout" in rule:
            said.append(", within {} of the run's start".format(duration(rule["timeout"])))
        yield said


def _timeouts(wire: Wire) -> t.Iterator[Parts]:
    if "start" in wire:
        yield ["Cancelled unless started within {}".format(duration(wire["start"]))]
    if "finish" in wire:
        yield ["Cancelled unless finished {} after its start".format(duration(wire["finish"]))]


#: Each option's name in a registration, its heading, and the function that
#: makes its sentences.
_SENTENCES: t.Tuple[t.Tuple[str, str, t.Callable[[t.Any], t.Iterator[Parts]]], ...] = (
    ("concurrency", "Concurrency", _concurrency),
    ("throttle", "Throttle", _throttle),
    ("rateLimit", "Rate limit", _rate_limit),
    ("debounce", "Debounce", _debounce),
    ("batchEvents", "Batch", _batch),
    ("priority", "Priority", _priority),
    ("singleton", "Singleton", _singleton),
    ("idempotency", "Idempotency", _idempotency),
    ("cancel", "Cancelled", _cancel),
    ("timeouts", "Timeouts", _timeouts),
    ("checkpoint", "Checkpointing", _checkpoint),
)
_SCOPES = {
    "env": ", shared by all functions of the environment with the same key",
    "account": ", shared by the whole account",
}


def _for_each(said: Parts, wire: Wire) -> Parts:
    return _ending(said, " for each ") + [wire["key"]] if "key" in wire else said


def _ending(said: Parts, text: str) -> Parts:
    """Return the sentence with a text added at its end."""
    if not text:
        return said
    return said + [text] if len(said) % 2 == 0 else said[:-1] + [said[-1] + text]


def _steps(count: int) -> str:
    return "step" if count == 1 else "steps"


def _runs_in(wire: Wire) -> str:
    limit = wire["limit"]
    verb = "run starts" if limit == 1 else "runs start"
    return "{} {} in {}".format(limit, verb, duration(wire["period"]))


def _cron_words(fields: t.Sequence[str]) -> t.Optional[str]:
    """Describe when an expression of five fields is due; None if that takes
    more words than the expression is worth."""
    if len(fields) != 5:
        return None
    minute, hour, day, month, weekday = fields
    if month != "*":
        return None
    if (hour, day, weekday) == ("*", "*", "*"):
        every = _EVERY.fullmatch(minute)
        if every is not None and int(every.group(1)) > 1:
            return f"Every {int(every.group(1))} minutes"
        if _NUMBER.fullmatch(minute):
            return f"Every hour, at minute {int(minute)}"
        return "Every minute" if minute in ("*", "*/1") else None
    if not _NUMBER.fullmatch(minute) or not _NUMBER.fullmatch(hour):
        return None
    when = _cron_day(day, weekday)
    return when and f"{when} at {int(hour):02d}:{int(minute):02d}"


def _cron_day(day: str, weekday: str) -> t.Optional[str]:
    if (day, weekday) == ("*", "*"):
        return "Every day"
    if day == "*" and re.fullmatch("[0-6]", weekday):
        return f"Every {_DAYS[int(weekday)]}"
    if day == "*" and re.fullmatch("[0-6]-[0-6]", weekday):
        return f"{_DAYS[int(weekday[0])]} to {_DAYS[int(weekday[2])]}"
    if weekday == "*" and _NUMBER.fullmatch(day):
        return f"On day {int(day)} of each month"
    return None


def _expressions(wire: Wire) -> t.Iterator[str]:
    """Iterate over the expressions in the options of a function."""
    for option, _, _ in _SENTENCES:
        value = wire.get(option, ())
        for rule in value if isinstance(value, list) else [value]:
            if isinstance(rule, str):
                yield rule
            elif isinstance(rule, dict):
                yield from (rule[name] for name in ("key", "run", "if") if name in rule)
