"""Events, which users send and functions receive."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ._codec import durations, validate


@dataclasses.dataclass
class Event:
    """An event.

    :param name: the kind of event, for example ``"shop/order.placed"``
    :param data: the event's data, as a dict that JSON can hold
    :param id: a unique id; a second event with the same id starts no run. If
        it is empty, the server makes one
    :param ts: the time of the event, in milliseconds since the epoch; 0 for
        now. A ``datetime``, local time if it has no time zone, is converted
    :param user: the user concerned; deprecated by Inngest in favour of
        ``data``
    :param v: the version of the data's schema
    :raises ValueError: the name is empty, or a field has the wrong type
    """

    name: str
    data: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    id: str = ""
    ts: int = 0
    user: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    v: t.Optional[str] = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError("an event needs a name, for example 'shop/order.placed'")
        for field in ("data", "user"):
            if not isinstance(getattr(self, field), dict):
                raise ValueError(f"{field} of event {self.name!r} must be a dict")
        if self.v is not None and not isinstance(self.v, str):
            raise ValueError(f"v of event {self.name!r} must be a string")
        if not isinstance(self.id, str):
            raise ValueError(f"id of event {self.name!r} must be a string")
        # the first half is quick, and nearly always enough
        if type(self.ts) is not int and isinstance(self.ts, datetime.datetime):
            self.ts = durations.unix_milliseconds(self.ts)
        elif type(self.ts) is not int and not validate.is_whole_number(self.ts):
            raise ValueError(f"ts of event {self.name!r} must be milliseconds since the epoch")

    def to_wire(self) -> t.Dict[str, t.Any]:
        """Return the event as the event API accepts it (PROTOCOL section 8)."""
        optional = {"id": self.id, "ts": self.ts, "user": self.user, "v": self.v}
        wire: t.Dict[str, t.Any] = {"name": self.name, "data": self.data}
        wire.update((name, value) for name, value in optional.items() if value)
        return wire

    @classmethod
    def from_wire(cls, wire: t.Mapping[str, t.Any]) -> "Event":
        """Make an event of one in a call. Fields that are missing or ``null``
        get their default.

        :raises ValueError: a field has the wrong type
        """
        found: t.Dict[str, t.Any] = {"name": ""}
        for name, value in wire.items():
            if value is not None and name in _FIELDS:
                found[name] = value
        return cls(**found)


_FIELDS = frozenset(field.name for field in dataclasses.fields(Event))
