"""The steps of one call, as a function calls them.

A duration is milliseconds (``int``), a ``timedelta`` or a time string
(``"1h30m"``). Where a point in time is possible too, it is a ``datetime``;
without a time zone it is local time. None may be more than 366 days ahead. A
duration is sent as a duration, so the two machines' clocks need not agree.
"""

from __future__ import annotations

import datetime
import functools
import inspect
import typing as t

from . import _protocol as p, errors
from ._codec import durations, encode, json as _json
from ._execution import memos, options, server_ops
from ._execution.engine import Engine
from ._execution.recall import NOT_RECALLED, recall
from ._execution.sender import Sender
from ._messages import Call, Idempotency
from .ai import AI
from .event import Event, event_list
from .function import Function
from .serializer import Serializer, deserialized, serialized

if t.TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._typing import Args, P, SyncJSON

T = t.TypeVar("T")


class FetchResponse(t.NamedTuple):
    """The response to a :meth:`Step.fetch`.

    :ivar status: the HTTP status code
    :ivar headers: as the server passes them on
    :ivar body: as text
    :ivar url: the address that was fetched
    """

    status: int
    headers: t.Mapping[str, str]
    body: str
    url: str

    def json(self) -> t.Any:
        """Return the body, read as JSON.

        :raises ValueError: it is not JSON
        """
        return _json.loads(self.body.encode("utf-8"))


class Step:
    """The steps of one call, as ``ctx.step``.

    The result of a step is remembered by the step's id: keep the id when the
    code around it changes. An id may be used again, in a loop for instance;
    the uses are told apart by their order.

    Every method raises :exc:`~inngest_wsgi.errors.StepError` if the step has
    failed for good, and :exc:`~inngest_wsgi.errors.StepConfigError` if the step
    cannot be called here, or its options cannot be sent.
    """

    def __init__(
        self,
        engine: Engine,
        app_id: str,
        call: Call,
        make_sender: t.Callable[[], Sender],
        serializer: t.Optional[Serializer],
    ) -> None:
        self._engine = engine
        self._app_id = app_id
        self._call = call
        self._make_sender = make_sender
        self._serializer = serializer

    @functools.cached_property
    def ai(self) -> AI:
        """The steps that call AI models."""
        return AI(self._engine)

    # -- steps that run in this process ----------------------------------

    # how checkers see run(); a keyword of our own cannot stand between P.args and P.kwargs
    if t.TYPE_CHECKING:

        @t.overload
        def run(
            self,
            step_id: str,
            handler: t.Callable[P, SyncJSON],
            *handler_args: P.args,
            **handler_kwargs: P.kwargs,
        ) -> SyncJSON: ...

        @t.overload
        def run(
            self,
            step_id: str,
            handler: t.Callable[[Unpack[Args]], T],
            *handler_args: Unpack[Args],
            output_type: t.Any,
        ) -> T: ...

    def run(
        self,
        step_id: str,
        handler: t.Callable[..., t.Any],
        *handler_args: object,
        output_type: t.Any = None,
        **handler_kwargs: object,
    ) -> t.Any:
        """Run ``handler(*handler_args, **handler_kwargs)`` once, and remember
        what it returns.

        :param step_id: see :class:`Step`
        :param handler: not a coroutine function. It must return something that
            JSON can hold, unless there is an ``output_type``
        :param output_type: the type by which the client's serializer turns the
            result into JSON and back
        :returns: what the handler returned, after a way through JSON: a tuple
            is a list, ``1.0`` is ``1``
        """
        engine = self._engine
        if output_type is not None:
            return self._run_typed(step_id, handler, handler_args, output_type, handler_kwargs)
        if engine.state.unread:
            found = recall(engine, step_id)
            if found is not NOT_RECALLED:
                return found
        if not callable(handler):
            raise options.no_function(step_id, handler)
        if engine.replace is not None:
            handler = engine.replaced(handler)
        if handler_kwargs:
            handler = functools.partial(handler, **handler_kwargs)
        return engine.run(step_id, None, handler, handler_args)

    def _run_typed(
        self,
        step_id: str,
        handler: t.Callable[..., t.Any],
        args: t.Tuple[t.Any, ...],
        output_type: t.Any,
        kwargs: t.Dict[str, t.Any],
    ) -> t.Any:
        """Do as :meth:`run` with an ``output_type``."""
        if self._serializer is None:
            raise errors.StepConfigError(
                step_id, "output_type needs a serializer; give the client one"
            )
        if not callable(handler):
            raise options.no_function(step_id, handler)

        def work(*args: t.Any) -> t.Any:
            value = handler(*args, **kwargs)
            if inspect.iscoroutine(value):
                # the engine refuses it
                return value
            return serialized(self._serializer, value, output_type, self._name(step_id))

        engine, value = self._engine, NOT_RECALLED
        if engine.replace is not None:
            handler = engine.replaced(handler)
        if engine.state.unread:
            value = recall(engine, step_id)
        if value is NOT_RECALLED:
            value = engine.run(step_id, None, work, args)
        return deserialized(self._serializer, value, output_type, self._name(step_id))

    def send_event(self, step_id: str, events: t.Union[Event, t.Sequence[Event]]) -> t.List[str]:
        """Send one event or several. Another attempt of the step sends them
        with the same ids, so that none starts a run twice.

        :returns: the ids of the events
        :raises StepError: not all events were accepted. An event of more than
            3 MiB fails the step at once, before any is sent; so do more events
            than have room for their ids in the output of one step, some
            140,000
        """

        def work() -> t.List[str]:
            batch = event_list(events)
            if len(batch) > encode.MAX_IDS:
                raise errors.StepConfigError(
                    step_id,
                    f"it sends {len(batch)} events, and a step's output has room for the ids of "
                    f"{encode.MAX_IDS}. Send them in several steps",
                )
            key = f"{self._call.run_id} {self._engine.running.hashed}"
            ts = (self._call.events or [{}])[0].get("ts")
            idempotency = Idempotency(key, ts) if isinstance(ts, int) and ts > 0 else None
            try:
                return self._make_sender().send_events(batch, idempotency)
            except errors.SendEventsError as error:
                raise errors.SendEventsError(
                    f"step {step_id!r}: {error.message}",
                    error.ids,
                    error.http_status,
                    error.too_large,
                ) from None

        return t.cast(
            t.List[str],
            self._engine.run(step_id, p.TYPE_SEND_EVENT, self._engine.replaced(work), ()),
        )

    def send_signal(self, step_id: str, *, signal: str, data: t.Any = None) -> t.Optional[str]:
        """Send a signal, once, to the run that waits for it.

        :param data: anything JSON can hold
        :returns: the id of the run that waited; None if no run waited
        """
        options.text(step_id, "signal", signal)

        def work() -> t.Optional[str]:
            return self._make_sender().send_signal(signal, data)

        found = self._engine.run(step_id, p.TYPE_SEND_SIGNAL, self._engine.replaced(work), ())
        return t.cast(t.Optional[str], found)

    # -- steps that the server carries out -------------------------------

    def sleep(self, step_id: str, duration: durations.Duration) -> None:
        """Sleep. The process is free meanwhile."""
        if isinstance(duration, datetime.datetime):
            raise errors.StepConfigError(step_id, "use sleep_until() for a point in time")
        self._engine.ask(step_id, lambda step: server_ops.sleep(step, duration))

    def sleep_until(self, step_id: str, until: datetime.datetime) -> None:
        """Sleep until a point in time; not at all if it has passed.

        :param until: local time if it has no time zone
        """
        if not isinstance(until, datetime.datetime):
            raise errors.StepConfigError(
                step_id, f"until must be a datetime, not {type(until).__name__}"
            )
        self._engine.ask(step_id, lambda step: server_ops.sleep(step, until))

    def wait_for_event(
        self,
        step_id: str,
        *,
        event: str,
        if_exp: t.Optional[str] = None,
        timeout: durations.Time,
    ) -> t.Optional[Event]:
        """Wait for an event.

        :param event: the event's name
        :param if_exp: a CEL expression that must hold: ``event`` is the event
            that started this run, ``async`` the one to wait for, for example
            ``"async.data.id == event.data.id"``
        :param timeout: how long to wait, or until when
        :returns: the event; None if it did not come in time
        """

        found = self._engine.ask(
            step_id, lambda step: server_ops.wait_for_event(step, event, if_exp, timeout)
        )
        return Event.from_wire(found) if isinstance(found, dict) else None

    def wait_for_signal(
        self,
        step_id: str,
        *,
        signal: str,
        timeout: durations.Time,
        on_conflict: t.Literal["fail", "replace"] = "fail",
    ) -> t.Optional[t.Dict[str, t.Any]]:
        """Wait for a signal. Only one run at a time can wait for it.

        :param timeout: how long to wait, or until when
        :param on_conflict: if another run waits for it already: ``"fail"``
            fails this run, ``"replace"`` waits in the other's place
        :returns: ``{"signal": ..., "data": ...}``; None if it did not come in
            time
        """

        found = self._engine.ask(
            step_id, lambda step: server_ops.wait_for_signal(step, signal, timeout, on_conflict)
        )
        return t.cast(t.Optional[t.Dict[str, t.Any]], memos.unwrapped(found))

    def invoke(
        self,
        step_id: str,
        *,
        function: Function[T],
        data: t.Optional[t.Mapping[str, t.Any]] = None,
        timeout: t.Optional[durations.Duration] = None,
        v: t.Optional[str] = None,
    ) -> T:
        """Run another function of this app, and wait until it has returned.

        :param data: becomes ``ctx.event.data`` there
        :param timeout: how long to wait; the other function goes on all the
            same
        :param v: becomes ``ctx.event.v`` there
        :returns: what it returned, through its ``output_type`` if it has one
        :raises StepError: it failed or was cancelled, is not known, or took
            longer than ``timeout``
        """
        if not isinstance(function, Function):
            raise errors.StepConfigError(
                step_id,
                "function must be one from client.create_function; to invoke a function by its "
                "id use invoke_by_id()",
            )
        found = self.invoke_by_id(
            step_id, function_id=function.fn_id, data=data, timeout=timeout, v=v
        )
        what = self._name(step_id)
        return t.cast(T, deserialized(self._serializer, found, function.output_type, what))

    def invoke_by_id(
        self,
        step_id: str,
        *,
        function_id: str,
        app_id: t.Optional[str] = None,
        data: t.Optional[t.Mapping[str, t.Any]] = None,
        timeout: t.Optional[durations.Duration] = None,
        v: t.Optional[str] = None,
    ) -> t.Any:
        """Run a function of any app; otherwise as :meth:`invoke`.

        :param function_id: its ``fn_id``
        :param app_id: the app that has it; this one by default
        """

        of_app = self._app_id if app_id is None else app_id
        found = self._engine.ask(
            step_id, lambda step: server_ops.invoke(step, of_app, function_id, data, timeout, v)
        )
        if memos.is_cancelled(found):
            raise errors.StepError(
                "the invoked function was cancelled", "FunctionCancelled", step_id=step_id
            )
        return memos.unwrapped(found)

    def fetch(
        self,
        step_id: str,
        url: str,
        *,
        method: str = "GET",
        headers: t.Optional[t.Mapping[str, str]] = None,
        body: t.Optional[str] = None,
    ) -> FetchResponse:
        """Have the server make an HTTP request. The process is free meanwhile.

        :param url: of ``http`` or ``https``, that the server can reach
        :raises StepError: there was no response. A response of any status is
            returned, also a 404
        """

        memo = self._engine.ask(
            step_id, lambda step: server_ops.fetch(step, url, method, headers, body)
        )
        found = memos.unwrapped(memo) or {}
        return FetchResponse(
            found.get("status_code", 0),
            found.get("headers") or {},
            found.get("body") or "",
            found.get("url") or url,
        )

    def _name(self, step_id: str) -> str:
        """Name a step in a message."""
        return f"step {step_id!r} of function {self._call.fn_id}"
