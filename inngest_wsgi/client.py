"""The client: declares functions and sends events."""

from __future__ import annotations

import base64
import datetime
import logging
import os
import time
import typing as t

from . import _json, _settings, errors
from . import _protocol as p
from ._http import Answer, Http, Pool
from .context import Context, Logger
from .event import Event
from .function import Function, Trigger

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
    :param logger: becomes ``ctx.logger``; ``logging.getLogger("inngest_wsgi")``
        by default
    :param request_timeout: for one request of ours to the server, as
        milliseconds (``int``), a ``timedelta`` or a time string; 30 s by default
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
        logger: t.Optional[Logger] = None,
        request_timeout: t.Union[int, str, datetime.timedelta, None] = None,
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
        self.logger: Logger = logging.getLogger("inngest_wsgi") if logger is None else logger

    def __repr__(self) -> str:
        return "<{} {!r}>".format(type(self).__name__, self.app_id)

    @property
    def app_id(self) -> str:
        """The name of the app."""
        return self._settings.app_id

    def create_function(
        self,
        *,
        fn_id: str,
        trigger: t.Union[Trigger, t.Sequence[Trigger]],
        name: t.Optional[str] = None,
        retries: t.Optional[int] = None,
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
        :raises FunctionConfigError: says what about which function cannot work
        """

        def declare(handler: t.Callable[[Context], T]) -> Function[T]:
            return Function(handler, fn_id=fn_id, trigger=trigger, name=name, retries=retries)

        return declare

    def send(self, events: t.Union[Event, t.Sequence[Event]]) -> t.List[str]:
        """Send events.

        The same ids are asked for at every attempt, so that an event which
        arrived although its answer did not is not doubled (PROTOCOL section
        8). Up to five attempts are made, within about two seconds and the
        time that the server takes.

        :returns: the ids that the server gave them, in their order
        :raises SendEventsError: not all were accepted; its ``ids`` are those
            of the ones that were
        :raises SettingsError: no event key, in cloud mode
        :raises OutputError: the data of an event cannot be JSON
        """
        batch = [events] if isinstance(events, Event) else list(events)
        for event in batch:
            if not isinstance(event, Event):
                raise TypeError("send() takes Event objects, not {!r}".format(event))
        if not batch:
            return []
        if self._settings.event_key is None and not self._settings.is_dev:
            raise errors.SettingsError(
                "event_key",
                "is missing, and the mode is cloud. Set the environment variable {}; or, to "
                "develop without one, set {}=1".format(p.ENV_EVENT_KEY, p.ENV_DEV),
            )
        now = int(time.time() * 1000)
        body = _json.dumps([dict({"ts": now}, **event.to_wire()) for event in batch])
        seed = "{},{}".format(now, base64.b64encode(os.urandom(10)).decode("ascii"))
        try:
            answer = self._http.event_api(body, seed=seed)
        except errors.ApiError as error:
            raise errors.SendEventsError(error.message) from None
        return _accepted(answer, len(batch))

    #: The official SDK's name for :meth:`send`.
    send_sync = send

    def _serve(
        self, arguments: _settings.Arguments, pool: t.Optional[Pool]
    ) -> t.Tuple[_settings.Settings, Http]:
        """The settings of an endpoint for this client, and its way to the
        server."""
        settings = _settings.resolve(self._arguments, arguments)
        return settings, Http(settings, pool)


def _accepted(answer: Answer, count: int) -> t.List[str]:
    body = answer.json()
    said = body.get("ids") if isinstance(body, dict) else None
    # where it accepted nothing, the server lists one empty id
    ids = [x for x in said if isinstance(x, str) and x] if isinstance(said, list) else []
    if answer.status == 200 and len(ids) == count:
        return ids
    raise errors.SendEventsError(
        "{} of {} events were accepted: {}".format(len(ids), count, answer.error()),
        ids,
        answer.status,
    )
