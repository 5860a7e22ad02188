"""Events, which users send and functions receive."""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import datetime
import json
import typing as t

from ._codec import durations, validate


@dataclasses.dataclass(init=False)
class Event:
    """An event.

    Its methods ``model_dump``, ``model_validate`` and so on are those of
    pydantic's models, which the official SDK's events are.

    :param name: the kind of event, for example ``"shop/order.placed"``
    :param data: the event's data, as a dict that JSON can hold; None for an
        empty one. The dict and what it holds directly are copied
    :param id: a unique id; a second event with the same id starts no run. If
        it is empty, the server makes one
    :param ts: the time of the event, in milliseconds since the epoch; 0 for
        now. A ``datetime``, local time if it has no time zone, is converted.
        If it is in the future, the runs that the event starts begin then
    :param user: the user concerned; deprecated by Inngest in favour of
        ``data``
    :param v: the version of the data's schema
    :param others: ignored, as by the official SDK: an event of its API has
        more fields than these
    :raises ValueError: the name is empty, or a field has the wrong type
    """

    name: str
    data: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    id: str = ""
    ts: int = 0
    user: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    v: t.Optional[str] = None

    def __init__(
        self,
        name: str,
        data: t.Optional[t.Mapping[str, t.Any]] = None,
        id: str = "",
        ts: t.Union[int, datetime.datetime] = 0,
        user: t.Optional[t.Mapping[str, t.Any]] = None,
        v: t.Optional[str] = None,
        **others: t.Any,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError("an event needs a name, for example 'shop/order.placed'")
        self.name = name
        self.data = self._mapping("data", data) if data else {}
        self.user = self._mapping("user", user) if user else {}
        if v is not None and not isinstance(v, str):
            raise ValueError(f"v of event {name!r} must be a string")
        if not isinstance(id, str):
            raise ValueError(f"id of event {name!r} must be a string")
        # the first half is quick, and nearly always enough
        if type(ts) is not int and isinstance(ts, datetime.datetime):
            ts = durations.unix_milliseconds(ts)
        elif type(ts) is not int and not validate.is_whole_number(ts):
            raise ValueError(f"ts of event {name!r} must be milliseconds since the epoch")
        self.id = id
        self.ts = ts
        self.v = v

    def _mapping(self, field: str, value: t.Any) -> t.Dict[str, t.Any]:
        # the first half is quick, and nearly always enough
        if type(value) is not dict and not isinstance(value, collections.abc.Mapping):
            raise ValueError(f"{field} of event {self.name!r} must be a dict")
        # one who sends it may go on to change what it was made of
        return {
            key: item.copy() if type(item) is dict or type(item) is list else item
            for key, item in value.items()
        }

    # -- the wire --------------------------------------------------------

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
        get = wire.get
        name, id, ts = get("name"), get("id"), get("ts")
        # by position, which takes half the time
        event = cls(
            "" if name is None else name,
            None,
            "" if id is None else id,
            0 if ts is None else ts,
            None,
            get("v"),
        )
        # what was read from JSON is nobody else's, and need not be copied
        data, user = get("data"), get("user")
        if data:
            event.data = data if type(data) is dict else event._mapping("data", data)
        if user:
            event.user = user if type(user) is dict else event._mapping("user", user)
        return event

    # -- the official SDK's methods --------------------------------------

    def model_dump(
        self,
        *,
        mode: t.Literal["json", "python"] = "python",
        include: t.Optional[t.Iterable[str]] = None,
        exclude: t.Optional[t.Iterable[str]] = None,
        by_alias: t.Optional[bool] = None,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
    ) -> t.Dict[str, t.Any]:
        """Return the fields as a dict, with copies of what they hold. ``user``
        and ``v``, which the official SDK does not know, are there if they are
        set.

        :param mode: ``"json"`` for values as JSON has them: a tuple is a list
        :param include: the names of the fields; all if None
        :param exclude: the names of fields to leave out
        :param by_alias: has no effect: no field has another name
        :param exclude_defaults: leave out the fields that have their default
        :param exclude_none: leave out the fields that are None
        :raises TypeError: in the mode ``"json"``: the data is not JSON
        :raises ValueError: likewise, because of a NaN
        """
        found: t.Dict[str, t.Any] = {
            "data": self.data,
            "id": self.id,
            "name": self.name,
            "ts": self.ts,
        }
        found.update((n, v) for n, v in (("user", self.user), ("v", self.v)) if v)
        names = set(found if include is None else include).difference(exclude or ())
        if exclude_defaults:
            names = {name for name in names if name == "name" or found.get(name)}
        dumped = {
            name: value
            for name, value in found.items()
            if name in names and not (exclude_none and value is None)
        }
        return t.cast(
            t.Dict[str, t.Any],
            json.loads(json.dumps(dumped, allow_nan=False))
            if mode == "json"
            else copy.deepcopy(dumped),
        )

    def model_dump_json(self, **options: t.Any) -> str:
        """Return the fields as JSON text; otherwise as :meth:`model_dump`."""
        fields = self.model_dump(**options)
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    def model_copy(
        self, *, update: t.Optional[t.Mapping[str, t.Any]] = None, deep: bool = False
    ) -> "Event":
        """Return a copy.

        :param update: other values for fields, which are checked
        :param deep: copy whatever the data holds
        """
        event = copy.deepcopy(self) if deep else self
        return dataclasses.replace(event, **(update or {}))

    @classmethod
    def model_validate(cls, obj: t.Any) -> "Event":
        """Make an event of a dict of its fields. An event is returned as it
        is.

        :raises ValueError: a field is missing or has the wrong type
        """
        if isinstance(obj, cls):
            return obj
        if not isinstance(obj, collections.abc.Mapping):
            raise ValueError(f"an event is made of a dict, not of {type(obj).__name__}")
        fields: t.Dict[str, t.Any] = dict({"name": ""}, **obj)
        return cls(**fields)

    @classmethod
    def model_validate_json(cls, json_data: t.Union[str, bytes, bytearray]) -> "Event":
        """Make an event of JSON text; otherwise as :meth:`model_validate`."""
        return cls.model_validate(json.loads(json_data))

    @classmethod
    def from_raw(cls, raw: object) -> t.Union["Event", Exception]:
        """Make an event of a dict or of JSON text, and return the error where
        :meth:`model_validate` raises one."""
        try:
            if isinstance(raw, (str, bytes)):
                return cls.model_validate_json(raw)
            return cls.model_validate(raw)
        except Exception as error:
            return error

    def to_dict(self) -> t.Union[t.Dict[str, t.Any], Exception]:
        """Return the fields as JSON has them. If the data is not JSON, the
        error is returned, and not raised."""
        try:
            return self.model_dump(mode="json")
        except Exception as error:
            return error


def event_list(events: t.Any) -> t.List[Event]:
    """Return the events that a user has given.

    :raises TypeError: it is neither an event nor a list of them
    """
    if isinstance(events, Event):
        return [events]
    # those of a text or a dict would be letters or keys
    if isinstance(events, (str, bytes, t.Mapping)) or not isinstance(events, t.Iterable):
        raise _no_event(events)
    found = list(events)
    for event in found:
        if not isinstance(event, Event):
            raise _no_event(event)
    return found


def _no_event(given: object) -> TypeError:
    return TypeError(
        f"only an Event or a list of them can be sent, not {given!r}: write "
        "inngest_wsgi.Event(name, data)"
    )
