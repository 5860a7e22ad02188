"""Read events as the event API does, and refuse invalid ones.

The texts of the refusals are part of the wire: recorded answers of
a real server, which tests compare against (W62, W63).
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from .._wire import ids
from .._wire.canonical import DECODER, normalised
from .state import Event

#: The most events that one request may carry.
MOST_EVENTS = 5000

#: The largest event, in bytes as sent.
EVENT_LIMIT = 3 * 1024 * 1024

#: The years 1980 to 2099, in milliseconds; an event's time must be in them.
_FIRST_TIME = 315532800000
_LAST_TIME = 4102444800000

_RESERVED = "inngest/"
_BLANK = " \t\r\n"
_NOT_EVENTS = "Request body must contain an event object or an array of event objects"
_KINDS = (
    (bool, "bool"),
    (str, "string"),
    ((int, float), "number"),
    (list, "array"),
    (dict, "object"),
)


class Refused(Exception):
    """Raised if an event is not acceptable; the text is the API's ``error``."""


@dataclass
class Batch:
    """The events of one request to the event API."""

    #: The acceptable events, up to the first that is not.
    events: t.List[Event] = field(default_factory=list)
    #: Why the rest was refused; None if nothing was.
    error: t.Optional[str] = None


def read_batch(text: str, seed: t.Optional[t.Tuple[int, int]], now: float) -> Batch:
    """Read the body of a request to the event API.

    :param text: the body.
    :param seed: of the seed header, for ids that a retry gets again (W64).
    :param now: unix seconds by the server's clock.
    """
    batch = Batch()
    try:
        entries = _split(text)
        for position, (value, size) in enumerate(entries, 1):
            if position > MOST_EVENTS:
                raise Refused(f"Cannot have more than {MOST_EVENTS} events in a batch")
            if size > EVENT_LIMIT:
                raise Refused(
                    f"Event is over the max size: Max {EVENT_LIMIT} bytes / Size {size} bytes"
                )
            batch.events.append(_read_event(value, seed, position, now))
    except (Refused, ValueError) as refusal:
        batch.error = str(refusal)
    return batch


def _split(text: str) -> t.List[t.Tuple[t.Any, int]]:
    """Return the values in the body, each with its size in bytes as sent."""
    text = text.strip(_BLANK)
    if not text:
        return []
    if text[0] not in "[{":
        raise Refused(_NOT_EVENTS)
    try:
        if text[0] == "[":
            return _split_list(text)
        value, end = DECODER.raw_decode(text)
    except RecursionError:
        raise Refused("exceeded max depth") from None
    except json.JSONDecodeError as error:
        if error.pos >= len(text) - 1 or error.msg.startswith("Unterminated"):
            raise Refused(
                "unexpected EOF" if text[0] == "[" else "unexpected end of JSON input"
            ) from None
        raise Refused(f"invalid JSON: {error.msg}") from None
    except ValueError as error:
        raise Refused(str(error)) from None
    if end != len(text):
        raise Refused("invalid JSON: data after the event")
    return [(value, len(text.encode("utf-8", "replace")))]


def _split_list(text: str) -> t.List[t.Tuple[t.Any, int]]:
    DECODER.decode(text)
    entries: t.List[t.Tuple[t.Any, int]] = []
    position = 1
    while True:
        while text[position] in _BLANK + ",":
            position += 1
        if text[position] == "]":
            return entries
        value, end = DECODER.raw_decode(text, position)
        entries.append((value, len(text[position:end].encode("utf-8", "replace"))))
        position = end


def _read_event(
    value: t.Any, seed: t.Optional[t.Tuple[int, int]], position: int, now: float
) -> Event:
    if not isinstance(value, dict):
        raise Refused(_NOT_EVENTS)
    name = _typed(value, "name", str, "string") or ""
    data = _typed(value, "data", dict, "map[string]interface {}") or {}
    user = _typed(value, "user", dict, "map[string]interface {}")
    custom_id = _typed(value, "id", str, "string")
    ts = _typed(value, "ts", int, "int64")
    version = _typed(value, "v", str, "string")
    if not name:
        raise Refused("event name is empty")
    if ts and ts < _FIRST_TIME:
        raise Refused("timestamp is before Jan 1, 1980")
    if ts and ts > _LAST_TIME:
        raise Refused("timestamp is after Jan 1, 2100")
    if name.startswith(_RESERVED):
        raise Refused(f"event name is reserved for internal use: {name}")
    milliseconds = int(now * 1000)
    if seed is None:
        internal_id = ids.ulid(milliseconds)
    else:
        internal_id = ids.seeded_ulid(seed, position)
    return Event(
        internal_id=internal_id,
        name=name,
        data=normalised(data),
        id=custom_id or internal_id,
        ts=ts or milliseconds,
        user=normalised(user) if user else None,
        v=version or None,
    )


def _typed(event: t.Any, key: str, wanted: type, go_type: str) -> t.Any:
    value = event.get(key)
    if value is None:
        return None
    if isinstance(value, wanted) and not isinstance(value, bool):
        return value
    kind = next(name for types, name in _KINDS if isinstance(value, types))
    if kind == "number" and go_type == "int64":
        kind = f"number {value}"
    raise Refused(
        f"json: cannot unmarshal {kind} into Go struct field raw.{key} of type {go_type}"
    )
