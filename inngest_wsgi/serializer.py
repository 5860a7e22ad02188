"""From objects to JSON and back, for those that ask for it with an
``output_type``."""

from __future__ import annotations

import functools
import math
import typing as t

from . import errors


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
    Decimals, UUIDs, bytes that are UTF-8, sets, and containers of them.

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
        """As :meth:`Serializer.serialize`.

        :raises ValueError: it is not of the type, so that it could not be
            read again, or has a float that JSON has no form for, which
            pydantic would make ``null`` of
        """
        adapter = self._adapter(typ)
        _refuse_non_finite(adapter.dump_python(obj, mode="python", warnings="error"))
        found = adapter.dump_python(obj, mode="json", warnings="error")
        # of an object of another type pydantic takes what fits, without a word
        adapter.validate_python(found)
        return found

    def deserialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        """As :meth:`Serializer.deserialize`."""
        return self._adapter(typ).validate_python(obj)


def _refuse_non_finite(plain: t.Any) -> None:
    pending = [plain]
    while pending:
        value = pending.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("{!r} has no form in JSON".format(value))
        if isinstance(value, dict):
            pending += list(value) + list(value.values())
        elif isinstance(value, (list, tuple, set, frozenset)):
            pending += value


def deserialized(
    serializer: t.Optional[Serializer], value: t.Any, output_type: t.Any, what: str
) -> t.Any:
    """What was serialized with an ``output_type``, as it was before.

    :raises OutputError: the serializer raised
    """
    if serializer is None or output_type is None:
        return value
    try:
        return serializer.deserialize(value, output_type)
    except Exception as exc:
        raise errors.OutputError(
            "What is remembered of {} cannot be read: the serializer raised {}: {}".format(
                what, type(exc).__name__, exc
            )
        ) from exc


def serialized(
    serializer: t.Optional[Serializer], value: t.Any, output_type: t.Any, what: str
) -> t.Any:
    """An output as JSON.

    :raises OutputError: the serializer raised
    """
    if serializer is None or output_type is None:
        return value
    try:
        return serializer.serialize(value, output_type)
    except Exception as exc:
        raise errors.OutputError(
            "The output of {} cannot be sent: the serializer cannot make JSON of this {}: "
            "{}".format(what, type(value).__name__, exc)
        ) from exc
