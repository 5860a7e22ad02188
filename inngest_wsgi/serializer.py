"""From objects to JSON and back, for those that ask for it with an
``output_type``."""

from __future__ import annotations

import functools
import typing as t


class Serializer(t.Protocol):
    """What the client's ``serializer`` must have.

    It is asked only where an ``output_type`` is given, to a function or a
    step; everything else must be JSON as it is.
    """

    def serialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        """The JSON value (dict, list, str, int, float, bool, None) of an
        object.

        :param typ: the ``output_type``
        :raises Exception: whatever it raises, the output cannot be sent and
            is not tried again
        """
        ...

    def deserialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        """The object of a JSON value; otherwise as :meth:`serialize`."""
        ...


class PydanticSerializer:
    """Serializes whatever pydantic knows: its models, dataclasses, datetimes,
    Decimals, UUIDs, bytes, sets, and containers of them.

    Pydantic 2 must be installed; nothing else of this package needs it.

    :raises ImportError: it is not
    """

    def __init__(self) -> None:
        import pydantic

        self._make_adapter: t.Callable[[t.Any], t.Any] = pydantic.TypeAdapter
        # making an adapter is slow, and types are few
        self._kept = functools.lru_cache(maxsize=512)(self._make_adapter)

    def _adapter(self, typ: t.Any) -> t.Any:
        try:
            hash(typ)
        except TypeError:
            return self._make_adapter(typ)
        return self._kept(typ)

    def serialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        """As :meth:`Serializer.serialize`."""
        return self._adapter(typ).dump_python(obj, mode="json")

    def deserialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        """As :meth:`Serializer.deserialize`."""
        return self._adapter(typ).validate_python(obj)
