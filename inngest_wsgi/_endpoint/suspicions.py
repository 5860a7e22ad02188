"""Find what a server may refuse in a registration.

A server refuses the functions of an app together, and names neither the
function nor the fault (W55): only its log does. These checks are those that it
makes and that :meth:`inngest_wsgi.Inngest.create_function` leaves to it.
"""

from __future__ import annotations

import json
import typing as t

from .._checks import grammar
from .._codec import durations

Wire = t.Mapping[str, t.Any]

#: The longest name of an event, in bytes.
_MAX_NAME_BYTES = 255
_SECOND_MS = 1000
_MAX_JITTER_MS = 5 * 60 * _SECOND_MS
#: What cannot go together with ``batchEvents``.
_NOT_WITH_BATCH = ("debounce", "priority", "singleton")
_LOG_LINE = "error registering functions"


def summary(functions: t.Sequence[Wire]) -> str:
    """Say in one line which functions of a registration a server may have
    refused, and why.

    :param functions: as they are registered
    """
    found = [
        "function {!r}: {}".format(function["id"], "; ".join(faults))
        for function in functions
        for faults in [list(_faults(function))]
        if faults
    ]
    if found:
        return f"What may be wrong: {'. '.join(found)}."
    return (
        "This application finds nothing wrong with any of them; the log of the Inngest server "
        f'says what is, in its line "{_LOG_LINE}".'
    )


def _faults(function: Wire) -> t.Iterator[str]:
    yield from _triggers(function["triggers"])
    if "batchEvents" in function:
        yield from _batch(function)
    for place, expression, check in _expressions(function):
        fault = check(expression)
        if fault is not None:
            yield f"{place} {expression!r}: {fault}"


def _triggers(triggers: t.Sequence[Wire]) -> t.Iterator[str]:
    seen = set()
    for trigger in triggers:
        if "cron" in trigger:
            key = trigger["cron"]
            jitter = durations.milliseconds(trigger.get("jitter", "0s"))
            if jitter and not _SECOND_MS <= jitter <= _MAX_JITTER_MS:
                yield f"the jitter of the cron {key!r} must be from 1 second to 5 minutes"
        else:
            key = json.dumps(trigger, sort_keys=True)
            if len(trigger["event"].encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
                yield f"the name of an event may have {_MAX_NAME_BYTES} bytes, and one has more"
        if key in seen:
            yield f"two triggers are the same: {trigger.get('cron') or trigger['event']!r}"
        seen.add(key)


def _batch(function: Wire) -> t.Iterator[str]:
    batch = function["batchEvents"]
    if batch["maxSize"] < 2:
        yield "max_size of batch_events must be 2 or more"
    if "timeout" not in batch:
        yield 'timeout of batch_events is missing, for example timeout="10s"'
    elif durations.milliseconds(batch["timeout"]) < _SECOND_MS:
        yield "timeout of batch_events must be 1 second or more"
    for option in _NOT_WITH_BATCH:
        if option in function:
            yield f"batch_events and {option} cannot go together"


def _expressions(
    function: Wire,
) -> t.Iterator[t.Tuple[str, str, t.Callable[[str], grammar.Fault]]]:
    """Iterate over the expressions that a server reads when it registers a
    function, with their places and the checks for them."""
    for trigger in function["triggers"]:
        if "expression" in trigger:
            yield "the trigger's expression", trigger["expression"], grammar.fault
    for cancel in function.get("cancel", ()):
        if "if" in cancel:
            yield "if_exp of a Cancel", cancel["if"], grammar.fault_of_cancel
    for limit in function.get("concurrency", ()):
        if "key" in limit:
            yield "key of a Concurrency", limit["key"], grammar.fault_of_key
    if "idempotency" in function:
        yield "idempotency", function["idempotency"], grammar.fault
    for option, name in (
        ("batchEvents", "batch_events"),
        ("debounce", "debounce"),
        ("rateLimit", "rate_limit"),
    ):
        found = function.get(option, {})
        for field, argument in (("key", "key"), ("if", "if_exp")):
            if field in found:
                yield f"{argument} of {name}", found[field], grammar.fault
    if "priority" in function:
        yield "run of priority", function["priority"]["run"], grammar.fault
