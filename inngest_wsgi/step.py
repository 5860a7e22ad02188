"""What a function calls: builds an op, and asks the engine.

The times in this room are milliseconds (``int``), a ``timedelta``, a time
string (``"1h30m"``) or, where a point in time will do, a ``datetime``, which
without a time zone is taken as UTC; none is longer than 366 days. A relative
time is sent as it is, so the two machines' clocks need not agree.
"""

from __future__ import annotations

import datetime
import inspect
import time
import typing as t

from . import _protocol as p, errors
from ._codec import durations, encode, json as _json
from ._execution import memos
from ._execution.engine import Engine
from ._messages import Call, Idempotency, Op, StepId
from .ai import AI
from .event import Event
from .function import Function
from .serializer import Serializer, deserialized, serialized

T = t.TypeVar("T")


class Sender(t.Protocol):
    """What steps that speak to the server need of it."""

    def send_events(
        self,
        events: t.Union[Event, t.Sequence[Event]],
        idempotency: t.Optional[Idempotency] = None,
    ) -> t.List[str]:
        """Send events; gives their ids."""

    def send_signal(self, signal: str, data: t.Any) -> t.Optional[str]:
        """Send a signal; gives the id of the run that waited for it."""


class FetchResponse(t.NamedTuple):
    """What :meth:`Step.fetch` got.

    :ivar status: the HTTP status code
    :ivar headers: as the server passes them on
    :ivar body: as text
    :ivar url: what was fetched
    """

    status: int
    headers: t.Mapping[str, str]
    body: str
    url: str

    def json(self) -> t.Any:
        """The body, read as JSON.

        :raises ValueError: it is not JSON
        """
        return _json.loads(self.body.encode("utf-8"))


class Step:
    """The steps of one call, as ``ctx.step``.

    The id of a step is what its result is remembered by: keep it when the
    code around it changes. An id may be used again, in a loop for instance;
    the uses are told apart by their order.

    Every method raises :exc:`StepError` where what is remembered of the step
    is that it failed, and :exc:`StepConfigError` where a step cannot be, or
    its options cannot be sent.
    """

    def __init__(
        self,
        engine: Engine,
        app_id: str,
        call: Call,
        sender: Sender,
        serializer: t.Optional[Serializer],
    ) -> None:
        self._engine = engine
        self._app_id = app_id
        self._call = call
        self._sender = sender
        self._serializer = serializer
        #: steps that call AI models
        self.ai = AI(engine)

    # -- steps that run here ---------------------------------------------

    def run(
        self,
        step_id: str,
        handler: t.Callable[..., T],
        *handler_args: t.Any,
        output_type: t.Any = None,
        **handler_kwargs: t.Any,
    ) -> T:
        """Run ``handler(*handler_args, **handler_kwargs)`` once, and remember
        what it returns.

        :param step_id: see :class:`Step`
        :param handler: not a coroutine function; what it returns must be
            JSON, unless there is an ``output_type``
        :param output_type: what the client's serializer makes JSON of, and
            of JSON again
        :returns: what it returned, as it is after a way through JSON: a tuple
            is a list, ``1.0`` is ``1``
        """
        if output_type is not None and self._serializer is None:
            raise errors.StepConfigError(
                step_id, "output_type needs a serializer; give the client one"
            )
        what = "step {!r} of function {}".format(step_id, self._call.fn_id)

        def work(*args: t.Any) -> t.Any:
            value = handler(*args, **handler_kwargs)
            if inspect.iscoroutine(value):
                value.close()
                raise errors.OutputError(
                    "{!r} is async def: it was called, but WSGI is synchronous and nothing "
                    "would run it. Write it with def.".format(handler)
                )
            return serialized(self._serializer, value, output_type, what)

        value = self._engine.run(step_id, p.TYPE_RUN, work, handler_args)
        return t.cast(T, deserialized(self._serializer, value, output_type, what))

    def send_event(self, step_id: str, events: t.Union[Event, t.Sequence[Event]]) -> t.List[str]:
        """Send one event or several, once: another attempt of the step asks
        for the same ids.

        :returns: their ids
        :raises StepError: not all were accepted. An event of more than 3 MiB,
            and more events than have room for their ids in one step's output,
            some 140,000, fail the step at once, before any is sent
        """

        def work() -> t.List[str]:
            batch = [events] if isinstance(events, Event) else list(events)
            if len(batch) > encode.MAX_IDS:
                raise errors.StepConfigError(
                    step_id,
                    "it sends {} events, and a step's output has room for the ids of {}. Send "
                    "them in several steps".format(len(batch), encode.MAX_IDS),
                )
            key = "{} {}".format(self._call.run_id, self._engine.running.hashed)
            ts = (self._call.events or [{}])[0].get("ts")
            idempotency = Idempotency(key, ts) if isinstance(ts, int) and ts > 0 else None
            try:
                return self._sender.send_events(batch, idempotency)
            except errors.SendEventsError as error:
                raise errors.SendEventsError(
                    "step {!r}: {}".format(step_id, error.message),
                    error.ids,
                    error.http_status,
                    error.too_large,
                ) from None

        return t.cast(t.List[str], self._engine.run(step_id, p.TYPE_SEND_EVENT, work, ()))

    def send_signal(self, step_id: str, *, signal: str, data: t.Any = None) -> t.Optional[str]:
        """Send a signal, once, to the run that waits for it.

        :param data: anything JSON can hold
        :returns: the id of the run that waited; None if none did
        """
        _require_text(step_id, "signal", signal)
        found = self._engine.run(
            step_id, p.TYPE_SEND_SIGNAL, lambda: self._sender.send_signal(signal, data), ()
        )
        return t.cast(t.Optional[str], found)

    # -- steps that the server carries out -------------------------------

    def sleep(self, step_id: str, duration: durations.Duration) -> None:
        """Sleep, without occupying this process."""
        if isinstance(duration, datetime.datetime):
            raise errors.StepConfigError(step_id, "use sleep_until() for a point in time")
        self._engine.ask(step_id, lambda step: _sleep_op(step, duration))

    def sleep_until(self, step_id: str, until: datetime.datetime) -> None:
        """Sleep until a point in time; one that is past does not sleep."""
        if not isinstance(until, datetime.datetime):
            raise errors.StepConfigError(
                step_id, "until must be a datetime, not {}".format(type(until).__name__)
            )
        self._engine.ask(step_id, lambda step: _sleep_op(step, until))

    def wait_for_event(
        self,
        step_id: str,
        *,
        event: str,
        if_exp: t.Optional[str] = None,
        timeout: durations.Time,
    ) -> t.Optional[Event]:
        """Wait for an event.

        :param event: its name
        :param if_exp: a CEL expression that must hold: ``event`` is what
            started this run, ``async`` what is waited for, for example
            ``"async.data.id == event.data.id"``
        :param timeout: how long, or until when
        :returns: the event; None if it did not come in time
        """

        def describe(step: StepId) -> Op:
            _require_text(step_id, "event", event)
            opts = {"event": event, "timeout": _time(step_id, "timeout", timeout)}
            if if_exp is not None:
                # the server fails the run over an empty one
                opts["if"] = _require_text(step_id, "if_exp", if_exp)
            return Op(p.OP_WAIT_FOR_EVENT, step, event, opts)

        found = self._engine.ask(step_id, describe)
        return Event.from_wire(found) if isinstance(found, dict) else None

    def wait_for_signal(
        self, step_id: str, *, signal: str, timeout: durations.Time, on_conflict: str = "fail"
    ) -> t.Optional[t.Dict[str, t.Any]]:
        """Wait for a signal, which is for one waiting run alone.

        :param timeout: how long, or until when
        :param on_conflict: if another run waits for it already: ``"fail"``
            fails this one, ``"replace"`` waits in its place
        :returns: ``{"signal": ..., "data": ...}``; None if it did not come in
            time
        """

        def describe(step: StepId) -> Op:
            _require_text(step_id, "signal", signal)
            if on_conflict not in ("fail", "replace"):
                raise errors.StepConfigError(step_id, 'on_conflict must be "fail" or "replace"')
            opts = {
                "signal": signal,
                "timeout": _time(step_id, "timeout", timeout),
                "conflict": on_conflict,
            }
            return Op(p.OP_WAIT_FOR_SIGNAL, step, signal, opts)

        found = self._engine.ask(step_id, describe)
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
        """Run another function of this app, and wait for what it returns.

        :param data: becomes ``ctx.event.data`` there
        :param timeout: how long to wait; the other goes on all the same
        :param v: becomes ``ctx.event.v`` there
        :returns: what it returned, through its ``output_type`` if it has one
        :raises StepError: it failed or was cancelled, is not known, or took
            longer than ``timeout``
        """
        if not isinstance(function, Function):
            raise errors.StepConfigError(
                step_id,
                "function must be one from client.create_function; by its id a "
                "function is invoked with invoke_by_id()",
            )
        found = self.invoke_by_id(
            step_id, function_id=function.fn_id, data=data, timeout=timeout, v=v
        )
        what = "step {!r} of function {}".format(step_id, self._call.fn_id)
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
        :param app_id: the app it is of; this one by default
        """

        def describe(step: StepId) -> Op:
            _require_text(step_id, "function_id", function_id)
            full_id = "{}-{}".format(self._app_id if app_id is None else app_id, function_id)
            # without a payload, even an empty one, the server never answers
            payload: t.Dict[str, t.Any] = {"data": _payload(step_id, data)}
            if v is not None:
                payload["v"] = v
            opts: t.Dict[str, t.Any] = {"function_id": full_id, "payload": payload}
            if timeout is not None:
                opts["timeout"] = _time(step_id, "timeout", timeout)
            return Op(p.OP_INVOKE_FUNCTION, step, step_id, opts)

        found = self._engine.ask(step_id, describe)
        if memos.is_cancelled(found):
            raise errors.StepError("the invoked function was cancelled", "FunctionCancelled")
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
        """Have the server make an HTTP request; nothing waits here meanwhile.

        :param url: of ``http`` or ``https``, that the server can reach
        :raises StepError: there was no answer; any answer, also a 404, is one
        """

        def describe(step: StepId) -> Op:
            if not isinstance(url, str) or not url.startswith(("http://", "https://")):
                raise errors.StepConfigError(
                    step_id, 'url must begin with "https://" or "http://"'
                )
            _require_text(step_id, "method", method)
            texts = [body or "", *(headers or {}), *(headers or {}).values()]
            if not all(isinstance(text, str) for text in texts):
                raise errors.StepConfigError(step_id, "headers and body must be text")
            opts: t.Dict[str, t.Any] = {
                "url": url,
                "method": method.upper(),
                "headers": dict(headers or {}),
            }
            if body is not None:
                opts["body"] = body
            return Op(p.OP_GATEWAY, step, step_id, opts)

        found = memos.unwrapped(self._engine.ask(step_id, describe)) or {}
        return FetchResponse(
            found.get("status_code", 0),
            found.get("headers") or {},
            found.get("body") or "",
            found.get("url") or url,
        )


def _sleep_op(step: StepId, value: durations.Time) -> Op:
    text = _time(step.user_id, "the time", value)
    # the server reads opts, and name where there is none
    return Op(p.OP_SLEEP, step, text, {"duration": text})


def _time(step_id: str, name: str, value: durations.Time) -> str:
    try:
        return durations.within_a_year(value, time.time())
    except ValueError as error:
        raise errors.StepConfigError(step_id, "{}: {}".format(name, error)) from None


def _require_text(step_id: str, name: str, value: t.Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise errors.StepConfigError(step_id, "{} must be text, and not empty".format(name))
    return value


def _payload(step_id: str, data: t.Optional[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
    if data is not None and not isinstance(data, t.Mapping):
        raise errors.StepConfigError(step_id, "data must be a dict")
    found = dict(data or {})
    _check_json(step_id, "data", found)
    return found


def _check_json(step_id: str, name: str, value: t.Any) -> None:
    try:
        _json.dumps(value)
    except errors.OutputError as error:
        raise errors.StepConfigError(step_id, "{}: {}".format(name, error)) from None
