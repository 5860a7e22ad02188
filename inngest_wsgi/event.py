"""Events: what a user sends, and what a function is given."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass
class Event:
    """An event.

    :param name: what happened, for example ``"shop/order.placed"``
    :param data: anything about it, as a dict that JSON can hold
    :param id: a unique id; a second event with the same id starts no run.
        Empty: the server makes one
    :param ts: when it happened, in milliseconds since the epoch. 0: now
    :param user: about whom it is; deprecated by Inngest in favour of ``data``
    :param v: a version of the event's shape
    :raises ValueError: the name is empty, or a field is not of its type
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
                raise ValueError("{} of event {!r} must be a dict".format(field, self.name))
        if self.v is not None and not isinstance(self.v, str):
            raise ValueError("v of event {!r} must be a string".format(self.name))
        if not isinstance(self.id, str):
            raise ValueError("id of event {!r} must be a string".format(self.name))
        if not isinstance(self.ts, int) or isinstance(self.ts, bool):
            raise ValueError(
                "ts of event {!r} must be milliseconds since the epoch".format(self.name)
            )

    def to_wire(self) -> t.Dict[str, t.Any]:
        """The event as the event API takes it (PROTOCOL section 8)."""
        optional = {"id": self.id, "ts": self.ts, "user": self.user, "v": self.v}
        wire: t.Dict[str, t.Any] = {"name": self.name, "data": self.data}
        wire.update((name, value) for name, value in optional.items() if value)
        return wire

    @classmethod
    def from_wire(cls, wire: t.Mapping[str, t.Any]) -> "Event":
        """The event as a call carries it. What the server left out, or sent
        as ``null``, is empty.

        :raises ValueError: a field is not of its type
        """
        found = {k: v for k, v in wire.items() if v is not None and k in _FIELDS}
        found.setdefault("name", "")
        return cls(**found)


_FIELDS = frozenset(field.name for field in dataclasses.fields(Event))
