"""A declared function, and its registration."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing as t

from . import _protocol as p
from . import errors

#: The most retries that the server keeps; more are cut to this.
MAX_RETRIES = 20
#: The most triggers that a function may have (PROTOCOL section 5).
MAX_TRIGGERS = 10


@dataclasses.dataclass(frozen=True)
class TriggerEvent:
    """Runs the function when an event is sent.

    :param event: the event's name
    :param expression: a CEL expression on ``event`` that must hold too, for
        example ``"event.data.total > 100"``
    :raises ValueError: the name is empty
    """

    event: str
    expression: t.Optional[str] = None

    def __post_init__(self) -> None:
        _require_text(self, "event")
        if self.expression is not None:
            _require_text(self, "expression")

    def to_wire(self) -> t.Dict[str, t.Any]:
        return _without_none({"event": self.event, "expression": self.expression})


@dataclasses.dataclass(frozen=True)
class TriggerCron:
    """Runs the function on a schedule.

    :param cron: a cron expression, with a time zone in front if not UTC:
        ``"TZ=Europe/Berlin 0 9 * * 1-5"``
    :raises ValueError: the expression is empty
    """

    cron: str

    def __post_init__(self) -> None:
        _require_text(self, "cron")

    def to_wire(self) -> t.Dict[str, t.Any]:
        return {"cron": self.cron}


Trigger = t.Union[TriggerEvent, TriggerCron]
T = t.TypeVar("T")


class Function(t.Generic[T]):
    """A function, as ``create_function`` declares it.

    :ivar fn_id: its id within the app
    :ivar name: what a person reads
    :ivar handler: the Python function itself, to be called in unit tests
    """

    def __init__(
        self,
        handler: t.Callable[[t.Any], T],
        *,
        fn_id: str,
        trigger: t.Union[Trigger, t.Sequence[Trigger]],
        name: t.Optional[str] = None,
        retries: t.Optional[int] = None,
    ) -> None:
        if not isinstance(fn_id, str) or not fn_id.strip():
            raise errors.FunctionConfigError(
                fn_id, 'fn_id must be text, and not empty, for example "send-invoice"'
            )
        self.fn_id = fn_id
        self.name = fn_id if name is None else name
        if not isinstance(self.name, str) or not self.name:
            raise errors.FunctionConfigError(fn_id, "name must be text, and not empty")
        self.handler = handler
        self._retries = _checked_retries(fn_id, retries)
        self._triggers = _checked_triggers(fn_id, trigger)
        _check_handler(fn_id, handler)

    def __repr__(self) -> str:
        return "<{} {!r}>".format(type(self).__name__, self.fn_id)

    def full_id(self, app_id: str) -> str:
        """The id on the wire, ``<app>-<fn>``."""
        return "{}-{}".format(app_id, self.fn_id)

    def registration(self, app_id: str, url: str) -> t.Dict[str, t.Any]:
        """The function as the server registers it (PROTOCOL section 5). Only
        what is set: never a ``null``.

        :param url: where the server is to call, with ``fnId`` and ``stepId``
        """
        step: t.Dict[str, t.Any] = {
            "id": p.STEP,
            "name": p.STEP,
            "runtime": {"type": "http", "url": url},
        }
        if self._retries is not None:
            step["retries"] = {"attempts": self._retries}
        return {
            "id": self.full_id(app_id),
            "name": self.name,
            "triggers": [trigger.to_wire() for trigger in self._triggers],
            "steps": {p.STEP: step},
        }


def _checked_retries(fn_id: str, retries: t.Optional[int]) -> t.Optional[int]:
    if retries is None:
        return None
    if (
        not isinstance(retries, int)
        or isinstance(retries, bool)
        or not 0 <= retries <= MAX_RETRIES
    ):
        raise errors.FunctionConfigError(
            fn_id, "retries must be a whole number from 0 to {}".format(MAX_RETRIES)
        )
    return retries


def _checked_triggers(
    fn_id: str, trigger: t.Union[Trigger, t.Sequence[Trigger]]
) -> t.Tuple[Trigger, ...]:
    if isinstance(trigger, (TriggerEvent, TriggerCron)):
        return (trigger,)
    triggers = tuple(trigger) if isinstance(trigger, (list, tuple)) else ()
    if not triggers or not all(isinstance(x, (TriggerEvent, TriggerCron)) for x in triggers):
        raise errors.FunctionConfigError(
            fn_id, "trigger must be a TriggerEvent, a TriggerCron, or a list of them"
        )
    if len(triggers) > MAX_TRIGGERS:
        raise errors.FunctionConfigError(
            fn_id, "has {} triggers; the most is {}".format(len(triggers), MAX_TRIGGERS)
        )
    return triggers


def _check_handler(fn_id: str, handler: object) -> None:
    if not callable(handler):
        raise errors.FunctionConfigError(fn_id, "{!r} cannot be called".format(handler))
    plain: t.Any = handler
    while isinstance(plain, functools.partial):
        plain = plain.func
    if not inspect.isroutine(plain):
        plain = type(plain).__call__
    if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
        raise errors.FunctionConfigError(
            fn_id,
            "is async def. WSGI is synchronous: a coroutine would never be run. Write it "
            "with def; for an async application use the official SDK",
        )
    if inspect.isgeneratorfunction(plain):
        raise errors.FunctionConfigError(
            fn_id,
            "has a yield in it, so calling it runs none of its code. Move the yield into a "
            "function of its own",
        )


def _require_text(owner: object, field: str) -> None:
    value = getattr(owner, field)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(
            "{} of a {} must be text, and not empty".format(field, type(owner).__name__)
        )


def _without_none(fields: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    return {name: value for name, value in fields.items() if value is not None}
