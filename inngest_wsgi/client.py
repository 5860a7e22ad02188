"""The client: declares functions and sends events."""

from __future__ import annotations

import datetime
import logging
import typing as t

from . import _settings, errors, flow, middleware as _middleware
from ._execution import current_step
from ._server_api.client import Http, Pool
from ._server_api.events import Sender
from .context import Context
from .event import Event
from .function import Function, Options
from .serializer import Serializer
from .trigger import Trigger

T = t.TypeVar("T")


class Inngest:
    """An app of Inngest's.

    Everything but ``app_id`` can come from the environment, and usually
    should; an argument beats the environment (PROTOCOL section 1).

    :param app_id: the name of the app, part of every function's id: changing
        it makes another app of it
    :param app_version: shown by Inngest with each sync
    :param api_base_url: ``INNGEST_API_BASE_URL``
    :param event_api_base_url: ``INNGEST_EVENT_API_BASE_URL``
    :param env: name of the branch environment, ``INNGEST_ENV``
    :param event_key: ``INNGEST_EVENT_KEY``; needed to send events in cloud
        mode
    :param is_production: True is cloud mode, False dev mode; None lets
        ``INNGEST_DEV`` decide, without which it is cloud mode
    :param logger: what ``ctx.logger`` logs to; by default
        ``logging.getLogger("inngest_wsgi")``
    :param middleware: classes of :class:`Middleware`, for every function and
        every ``send``
    :param request_timeout: for one request of ours to the server, as
        milliseconds (``int``), a ``timedelta`` or a time string; 30 s by default
    :param serializer: makes JSON of what has an ``output_type``
    :param signing_key: ``INNGEST_SIGNING_KEY``; needed to serve in cloud mode
    :raises SettingsError: names the setting and the way out
    """

    def __init__(
        self,
        app_id: str,
        *,
        app_version: t.Optional[str] = None,
        api_base_url: t.Optional[str] = None,
        event_api_base_url: t.Optional[str] = None,
        env: t.Optional[str] = None,
        event_key: t.Optional[str] = None,
        is_production: t.Optional[bool] = None,
        logger: t.Any = None,
        middleware: t.Optional[t.Sequence[_middleware.Factory]] = None,
        request_timeout: t.Union[int, str, datetime.timedelta, None] = None,
        serializer: t.Optional[Serializer] = None,
        signing_key: t.Optional[str] = None,
    ) -> None:
        self._arguments: _settings.Arguments = {
            "app_id": app_id,
            "app_version": app_version,
            "api_base_url": api_base_url,
            "event_api_base_url": event_api_base_url,
            "env": env,
            "event_key": event_key,
            "is_production": is_production,
            "request_timeout": request_timeout,
            "signing_key": signing_key,
        }
        self._settings = _settings.resolve(self._arguments)
        self._http = Http(self._settings)
        self.logger = logging.getLogger("inngest_wsgi") if logger is None else logger
        self.middleware = _middleware.checked("the client", middleware)
        self.serializer = _checked_serializer(serializer)

    def __repr__(self) -> str:
        return "<{} {!r}>".format(type(self).__name__, self.app_id)

    @property
    def app_id(self) -> str:
        """The name of the app."""
        return self._settings.app_id

    @property
    def app_version(self) -> t.Optional[str]:
        """The app's version."""
        return self._settings.app_version

    @property
    def env(self) -> t.Optional[str]:
        """The branch environment."""
        return self._settings.env

    @property
    def api_origin(self) -> str:
        """Where our requests go."""
        return self._settings.api_origin

    @property
    def event_api_origin(self) -> str:
        """Where our events go."""
        return self._settings.event_api_origin

    @property
    def event_key(self) -> t.Optional[str]:
        """The event key."""
        return self._settings.event_key

    @property
    def signing_key(self) -> t.Optional[str]:
        """The signing key."""
        return self._settings.signing_key

    def add_middleware(self, middleware: _middleware.Factory) -> None:
        """Add a middleware, inside of those that are there.

        :raises SettingsError: not a Middleware class
        """
        self.middleware += _middleware.checked("the client", [middleware])

    def set_logger(self, logger: t.Any) -> None:
        """Log to another logger from now on."""
        self.logger = logger

    def create_function(
        self,
        *,
        fn_id: str,
        trigger: t.Union[Trigger, t.Sequence[Trigger]],
        name: t.Optional[str] = None,
        retries: t.Optional[int] = None,
        on_failure: t.Optional[t.Callable[[Context], t.Any]] = None,
        batch_events: t.Optional[flow.Batch] = None,
        cancel: t.Optional[t.Sequence[flow.Cancel]] = None,
        concurrency: t.Optional[t.Sequence[flow.Concurrency]] = None,
        debounce: t.Optional[flow.Debounce] = None,
        idempotency: t.Optional[str] = None,
        middleware: t.Optional[t.Sequence[_middleware.Factory]] = None,
        output_type: t.Any = None,
        priority: t.Optional[flow.Priority] = None,
        rate_limit: t.Optional[flow.RateLimit] = None,
        singleton: t.Optional[flow.Singleton] = None,
        throttle: t.Optional[flow.Throttle] = None,
        timeouts: t.Optional[flow.Timeouts] = None,
    ) -> t.Callable[[t.Callable[[Context], T]], Function[T]]:
        """Declare a function::

            @client.create_function(fn_id="welcome", trigger=TriggerEvent("user/created"))
            def welcome(ctx):
                ...

        :param fn_id: its id within the app; changing it makes another
            function of it
        :param trigger: what runs it: one, or a list of at most 10
        :param name: what a person reads; the id by default
        :param retries: how often a step, or the function outside of steps, is
            tried again, from 0 to 20; the server's default is 4
        :param on_failure: called when the function has failed for good, with
            the event ``inngest/function.failed``. It is a function of its
            own, ``<fn_id>-failure``, which may have steps and is not retried
        :param batch_events: one run for many events
        :param cancel: events that cancel a run; at most 5, and not together
            with ``batch_events``
        :param concurrency: how many steps may run at once; at most 2 rules
        :param debounce: run when no event has come for a while
        :param idempotency: a CEL expression on ``event``; for each of its
            values there is one run in 24 hours
        :param middleware: for this function, inside of the client's
        :param output_type: what the client's serializer makes JSON of
        :param priority: which run goes first
        :param rate_limit: how many runs may start in a while
        :param singleton: one run at a time
        :param throttle: how many runs may start in a while; the others wait
        :param timeouts: when a run is cancelled for taking too long
        :raises FunctionConfigError: says what about which function cannot work
        """
        if output_type is not None and self.serializer is None:
            raise errors.FunctionConfigError(
                fn_id, "output_type needs a serializer; give the client one"
            )
        options = Options(
            fn_id=fn_id,
            trigger=trigger,
            name=name,
            retries=retries,
            on_failure=on_failure,
            batch_events=batch_events,
            cancel=cancel,
            concurrency=concurrency,
            debounce=debounce,
            idempotency=idempotency,
            middleware=_middleware.checked("function {!r}".format(fn_id), middleware),
            output_type=output_type,
            priority=priority,
            rate_limit=rate_limit,
            singleton=singleton,
            throttle=throttle,
            timeouts=timeouts,
        )

        def declare(handler: t.Callable[[Context], T]) -> Function[T]:
            return Function(handler, options, self.app_id)

        return declare

    def send(
        self, events: t.Union[Event, t.Sequence[Event]], *, skip_middleware: bool = False
    ) -> t.List[str]:
        """Send events, from anywhere; within a function ``ctx.step.send_event``
        sends them once.

        The same ids are asked for at every attempt, so that an event which
        arrived although its answer did not is not doubled (PROTOCOL section
        8). Up to five attempts are made, within about two seconds and the
        time that the server takes. More than 5,000 events are sent in
        several requests.

        :param skip_middleware: leave out the client's middleware
        :returns: the ids that the server gave them, in their order
        :raises SendEventsError: not all were accepted; its ``ids`` are those
            of the ones that were. An event of more than 3 MiB is refused
            before any is sent
        :raises SettingsError: no event key, in cloud mode
        :raises OutputError: the data of an event cannot be JSON
        :raises MiddlewareError: a hook raised
        :raises TypeError: not events
        """
        factories = () if skip_middleware else self.middleware
        stack = _middleware.Stack(factories, self, None)
        try:
            sender = Sender(self._settings, self._http, stack, current_step.trace())
            return sender.send_events(events)
        finally:
            stack.close()

    #: The official SDK's name for :meth:`send`.
    send_sync = send

    def _serve(
        self, arguments: _settings.Arguments, pool: t.Optional[Pool]
    ) -> t.Tuple[_settings.Settings, Http]:
        """The settings of an endpoint for this client, and its way to the
        server."""
        settings = _settings.resolve(self._arguments, arguments)
        return settings, Http(settings, pool)


def _checked_serializer(serializer: t.Optional[Serializer]) -> t.Optional[Serializer]:
    if serializer is not None and not all(
        callable(getattr(serializer, name, None)) for name in ("serialize", "deserialize")
    ):
        raise errors.SettingsError(
            "serializer", "must have the methods serialize(obj, typ) and deserialize(obj, typ)"
        )
    return serializer
