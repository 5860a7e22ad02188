"""Serializers: convert the values of functions and steps that have an
``output_type`` to JSON, and back."""

from __future__ import annotations

import functools
import json
import math
import typing as t

from . import errors


class Serializer(t.Protocol):
    """The type of the client's ``serializer``.

    It is used only for functions and steps with an ``output_type``; other
    values must be JSON as they are.
    """

    def serialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        """Convert an object to a JSON value (dict, list, str, int, float,
        bool, None).

        :param typ: the ``output_type``
        :raises Exception: any exception fails the function or step, without
            a retry
        """
        ...

    def deserialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        """Convert a JSON value to an object; otherwise as :meth:`serialize`."""
        ...


class PydanticSerializer:
    """Serializes the types that pydantic supports: its models, dataclasses,
    datetimes, Decimals, UUIDs, bytes that are UTF-8, sets, and containers of
    them.

    Needs pydantic 2, which nothing else in this package needs.

    :raises ImportError: pydantic is not installed
    """

    def __init__(self) -> None:
        import pydantic

        self._make_adapter: t.Callable[[t.Any], t.Any] = pydantic.TypeAdapter
        # making an adapter is slow, and types are few
        self._cached_adapter = functools.lru_cache(maxsize=512)(self._make_adapter)

    def _adapter(self, typ: t.Any) -> t.Any:
        try:
            hash(typ)
        except TypeError:
            return self._make_adapter(typ)
        return self._cached_adapter(typ)

    def serialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        """Convert an object to a JSON value, as :meth:`Serializer.serialize`.

        :raises ValueError: the object is not of the type and could not be
            deserialized, or it contains a float that is not finite, which
            pydantic would convert to ``null``
        """
        adapter = self._adapter(typ)
        _refuse_non_finite(adapter.dump_python(obj, mode="python", warnings="error"))
        found = adapter.dump_python(obj, mode="json", warnings="error")
        # from an object of another type pydantic silently takes what fits
        adapter.validate_python(found)
        return found

    def deserialize(self, obj: t.Any, typ: t.Any) -> t.Any:
        """Convert a JSON value to an object, as
        :meth:`Serializer.deserialize`."""
        return self._adapter(typ).validate_python(obj)


def _refuse_non_finite(value: t.Any) -> None:
    """Refuse a value that contains a float that is not finite.

    The encoder of :mod:`json` looks at every float, and does so in C. Only a
    value that it cannot encode, such as a dict with dates as keys, is walked in
    Python.

    :raises ValueError: it contains one
    """
    try:
        _look_at_floats(value)
        return
    except ValueError as problem:
        if "float" in str(problem):
            raise ValueError("nan and infinity have no form in JSON") from None
    except (TypeError, RecursionError):
        pass
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value!r} has no form in JSON")
        if isinstance(value, dict):
            pending += list(value) + list(value.values())
        elif isinstance(value, (list, tuple, set, frozenset)):
            pending += value


def _contents(value: t.Any) -> t.Any:
    return list(value) if isinstance(value, (set, frozenset)) else None


_look_at_floats = json.JSONEncoder(allow_nan=False, default=_contents).encode


def deserialized(
    serializer: t.Optional[Serializer], value: t.Any, output_type: t.Any, what: str
) -> t.Any:
    """Deserialize a value if it has an ``output_type``.

    :param what: the function or step of the value, for the message
    :raises OutputError: the serializer raised
    """
    if serializer is None or output_type is None:
        return value
    try:
        return serializer.deserialize(value, output_type)
    except Exception as exc:
        raise errors.OutputError(
            f"The stored output of {what} cannot be read: the serializer raised "
            f"{type(exc).__name__}: {exc}"
        ) from exc


def serialized(
    serializer: t.Optional[Serializer], value: t.Any, output_type: t.Any, what: str
) -> t.Any:
    """Serialize an output if it has an ``output_type``.

    :param what: the function or step of the output, for the message
    :raises OutputError: the serializer raised
    """
    if serializer is None or output_type is None:
        return value
    try:
        return serializer.serialize(value, output_type)
    except Exception as exc:
        raise errors.OutputError(
            f"The output of {what} cannot be sent: the serializer cannot convert this "
            f"{type(value).__name__} to JSON: {exc}"
        ) from exc
