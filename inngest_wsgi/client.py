"""The client: declares functions and sends events."""

from __future__ import annotations

import datetime
import logging
import typing as t

from . import _settings, errors, flow
from ._execution import current_step
from ._execution.middleware_sender import MiddlewareSender
from ._execution.middleware_stack import Stack, checked_middleware
from ._server_api.client import Http, Pool
from ._server_api.events import EventApi
from ._sources import Arguments
from .checkpointing import Option
from .context import Context
from .event import Event
from .function import Function, Options
from .middleware import Factory
from .serializer import Serializer
from .trigger import Trigger

if t.TYPE_CHECKING:
    from ._declare import Declare, GivenType
    from ._typing import Json


class Inngest:
    """The client of one Inngest app.

    Every setting but ``app_id`` can come from the environment, and usually
    should; an argument beats the environment (PROTOCOL section 1).

    :param app_id: the app's name. It is a part of every function's id: with
        another name it is another app
    :param app_version: shown by Inngest with each sync
    :param api_base_url: ``INNGEST_API_BASE_URL``: the API's address
    :param checkpointing: ``INNGEST_CHECKPOINTING``: go on after a step instead
        of being called again: True (the default), False, or a
        :class:`Checkpointing` with the details
    :param event_api_base_url: ``INNGEST_EVENT_API_BASE_URL``: the event API's
        address
    :param env: ``INNGEST_ENV``: the name of the branch environment; by
        default the branch, if the hosting platform names it in the environment
    :param event_key: ``INNGEST_EVENT_KEY``; needed to send events in cloud
        mode
    :param is_production: True for cloud mode, False for dev mode; None to use
        ``INNGEST_DEV``, and cloud mode if that is not set
    :param logger: the logger behind ``ctx.logger``; by default
        ``logging.getLogger("inngest_wsgi")``
    :param middleware: classes of :class:`Middleware`, for every function and
        every ``send``
    :param request_timeout: the limit for each request of ours to the server,
        for connecting and again for the whole answer, as milliseconds
        (``int``), a ``timedelta`` or a time string; 30 s by default
    :param serializer: converts values with an ``output_type`` to JSON
    :param signing_key: ``INNGEST_SIGNING_KEY``; needed to serve in cloud mode
    :raises SettingsError: names the setting and says how to correct it
    """

    def __init__(
        self,
        app_id: str,
        *,
        app_version: t.Optional[str] = None,
        api_base_url: t.Optional[str] = None,
        checkpointing: Option = None,
        event_api_base_url: t.Optional[str] = None,
        env: t.Optional[str] = None,
        event_key: t.Optional[str] = None,
        is_production: t.Optional[bool] = None,
        logger: t.Any = None,
        middleware: t.Optional[t.Sequence[Factory]] = None,
        request_timeout: t.Union[int, str, datetime.timedelta, None] = None,
        serializer: t.Optional[Serializer] = None,
        signing_key: t.Optional[str] = None,
    ) -> None:
        self._arguments: Arguments = {
            "app_id": app_id,
            "app_version": app_version,
            "api_base_url": api_base_url,
            "checkpointing": checkpointing,
            "event_api_base_url": event_api_base_url,
            "env": env,
            "event_key": event_key,
            "is_production": is_production,
            "request_timeout": request_timeout,
            "signing_key": signing_key,
        }
        self._settings = _settings.resolve(self._arguments)
        self._event_api = EventApi(self._settings, Http(self._settings))
        self._bound_to: t.Optional[Pool] = None
        self.logger = logging.getLogger("inngest_wsgi") if logger is None else logger
        self.middleware: t.Tuple[Factory, ...] = checked_middleware("the client", middleware)
        self.serializer: t.Optional[Serializer] = _checked_serializer(serializer)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.app_id!r}>"

    @property
    def app_id(self) -> str:
        """The app's name."""
        return self._settings.app_id

    @property
    def app_version(self) -> t.Optional[str]:
        """The app's version."""
        return self._settings.app_version

    @property
    def env(self) -> t.Optional[str]:
        """The name of the branch environment."""
        return self._settings.env

    @property
    def api_origin(self) -> str:
        """The API's address."""
        return self._settings.api_origin

    @property
    def event_api_origin(self) -> str:
        """The event API's address."""
        return self._settings.event_api_origin

    @property
    def event_key(self) -> t.Optional[str]:
        """The event key."""
        return self._settings.event_key

    @property
    def signing_key(self) -> t.Optional[str]:
        """The signing key."""
        return self._settings.signing_key

    @property
    def signing_key_fallback(self) -> t.Optional[str]:
        """The signing key that is being rotated in or out."""
        return self._settings.signing_key_fallback

    @property
    def is_production(self) -> bool:
        """True in cloud mode, False in dev mode."""
        return not self._settings.is_dev

    def add_middleware(self, middleware: Factory) -> None:
        """Add a middleware after those that the client has.

        :raises SettingsError: it is not a Middleware class
        """
        self.middleware += checked_middleware("the client", [middleware])

    def set_logger(self, logger: t.Any) -> None:
        """Replace the logger."""
        self.logger = logger

    def create_function(
        self,
        *,
        fn_id: str,
        trigger: t.Union[Trigger, t.Sequence[Trigger]],
        name: t.Optional[str] = None,
        retries: t.Optional[int] = None,
        on_failure: t.Optional[t.Callable[[Context], Json]] = None,
        batch_events: t.Optional[flow.Batch] = None,
        cancel: t.Optional[t.Sequence[flow.Cancel]] = None,
        checkpointing: Option = None,
        concurrency: t.Optional[t.Sequence[flow.Concurrency]] = None,
        debounce: t.Optional[flow.Debounce] = None,
        idempotency: t.Optional[str] = None,
        middleware: t.Optional[t.Sequence[Factory]] = None,
        output_type: t.Optional[GivenType] = None,
        priority: t.Optional[flow.Priority] = None,
        rate_limit: t.Optional[flow.RateLimit] = None,
        singleton: t.Optional[flow.Singleton] = None,
        throttle: t.Optional[flow.Throttle] = None,
        timeouts: t.Optional[flow.Timeouts] = None,
    ) -> Declare[GivenType]:
        """Declare a function::

            @client.create_function(fn_id="welcome", trigger=TriggerEvent("user/created"))
            def welcome(ctx):
                ...

        :param fn_id: the function's id within the app: with another id it is
            another function
        :param trigger: the trigger that starts a run, or a list of at most 10
        :param name: the name that Inngest shows; the id by default
        :param retries: the number of retries of each step, and of the code
            outside of steps, from 0 to 20; the server's default is 4
        :param on_failure: called when a run has failed for good, with the
            event ``inngest/function.failed``. It becomes a function of its
            own, ``<fn_id>-failure``, which may have steps and is not retried
        :param batch_events: start one run for several events
        :param cancel: events that cancel a run; at most 5, and not together
            with ``batch_events``
        :param checkpointing: go on after a step instead of being called again:
            True, False, or a :class:`Checkpointing` with the details; without
            it the setting of ``serve()`` applies
        :param concurrency: limit the steps that run at once; at most 2 rules
        :param debounce: start a run once no event has arrived for a period
        :param idempotency: a CEL expression on ``event``; each of its values
            starts one run in 24 hours
        :param middleware: for this function, after the client's
        :param output_type: the type that the client's serializer converts
            the function's output from and to
        :param priority: order the runs that wait
        :param rate_limit: limit the runs in a period; further events are
            dropped
        :param singleton: allow one run at a time
        :param throttle: limit the runs in a period; further events wait
        :param timeouts: cancel runs that wait or run for too long
        :raises FunctionConfigError: names the function and the option, and
            says what is wrong
        """
        # the parameters are the fields of Options; a test compares them
        arguments = dict(locals())
        del arguments["self"]
        if output_type is not None and self.serializer is None:
            raise errors.FunctionConfigError(
                fn_id, "output_type needs a serializer; give the client one"
            )
        arguments["middleware"] = checked_middleware(f"function {fn_id!r}", middleware)
        options = Options(**arguments)

        def declare(handler: t.Callable[[Context], t.Any]) -> Function[t.Any]:
            return Function(handler, options, self.app_id)

        return t.cast("Declare[GivenType]", declare)

    def send(
        self, events: t.Union[Event, t.Sequence[Event]], *, skip_middleware: bool = False
    ) -> t.List[str]:
        """Send events, from anywhere. Within a function, use
        ``ctx.step.send_event``, which sends them once for all attempts.

        Up to five attempts are made, with about two seconds of waiting in
        all. Each asks for the same ids, so that an event which arrived
        although the answer was lost is not doubled (PROTOCOL section 8). More
        than 5,000 events are sent in several requests.

        :param skip_middleware: do not call the client's middleware
        :returns: the ids that the server gave the events, in their order
        :raises SendEventsError: not all were accepted; its ``ids`` are those
            of the accepted ones. If an event has more than 3 MiB, none is sent
        :raises SettingsError: there is no event key, in cloud mode
        :raises OutputError: the data of an event cannot be JSON
        :raises MiddlewareError: a hook raised
        :raises TypeError: an argument is not an event
        """
        factories = () if skip_middleware else self.middleware
        stack = Stack(factories, self, None)
        try:
            return MiddlewareSender(self._event_api, stack, current_step.trace()).send_events(
                events
            )
        finally:
            stack.close()

    #: The official SDK's name for :meth:`send`.
    send_sync = send

    def _bind(self, pool: Pool, sleep: t.Callable[[float], t.Any]) -> t.Callable[[], None]:
        """Send by another pool, without a key, until the returned function is
        called: for a test's server.

        :raises RuntimeError: the client sends to another server already
        """
        if self._bound_to is pool:
            return lambda: None
        if self._bound_to is not None:
            raise RuntimeError(
                f"{self!r} is bound to another test server, which is still open. Close that "
                "one first: use it as a context manager, or use the fixture inngest_server"
            )
        before = self._event_api
        settings = _settings.in_test(self._settings)
        self._event_api = EventApi(settings, Http(settings, pool, sleep))
        self._bound_to = pool

        def unbind() -> None:
            self._event_api, self._bound_to = before, None

        return unbind

    def _serve(
        self, arguments: Arguments, pool: t.Optional[Pool]
    ) -> t.Tuple[_settings.Settings, Http]:
        """Resolve the settings of an endpoint for this client, and prepare
        its requests to the server."""
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
