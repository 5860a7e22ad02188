"""``serve()`` and the WSGI application object that it returns (PEP 3333)."""

from __future__ import annotations

import datetime
import logging
import typing as t

from werkzeug.http import HTTP_STATUS_CODES

from . import _protocol as p, errors
from ._endpoint.binding import Endpoint
from ._endpoint.call_context import Maker
from ._endpoint.functions import collect
from ._endpoint.router import Router
from ._endpoint.streaming import Streams
from ._execution.step_contexts import Maker as StepMaker, StepContexts, checked_makers
from ._messages import Environ
from ._server_api.client import Pool
from ._settings import LogLevel, Settings, Streaming, StreamingMode
from .checkpointing import Option
from .client import Inngest
from .function import Function

StartResponse = t.Callable[..., t.Any]

_STATUS = {code: f"{code} {text}" for code, text in HTTP_STATUS_CODES.items()}


def serve(
    client: Inngest,
    functions: t.Sequence[Function[t.Any]],
    *,
    app_id: t.Optional[str] = None,
    signing_key: t.Optional[str] = None,
    signing_key_fallback: t.Optional[str] = None,
    checkpointing: Option = None,
    serve_origin: t.Optional[str] = None,
    serve_host: t.Optional[str] = None,
    serve_path: t.Optional[str] = None,
    streaming: t.Union[Streaming, StreamingMode, None] = None,
    keepalive_interval: t.Union[int, str, datetime.timedelta, None] = None,
    max_streams: t.Optional[int] = None,
    call_context: t.Sequence[Maker] = (),
    step_context: t.Sequence[StepMaker] = (),
    log_level: t.Optional[LogLevel] = None,
    base_url: t.Optional[str] = None,
    http: t.Optional[Pool] = None,
    landing_page: t.Optional[bool] = None,
    enable_unauthed_sync: t.Optional[bool] = None,
    sync_retries: t.Optional[int] = None,
    sync_timeout: t.Union[int, str, datetime.timedelta, None] = None,
    max_body_bytes: t.Optional[int] = None,
) -> "Application":
    """Return the endpoint, as a WSGI application object.

    Mount it where the framework mounts WSGI applications, or run it as it
    is. Each setting can also be given to the client or in the environment;
    an argument here beats both (PROTOCOL section 1).

    :param client: the app
    :param functions: declared with ``client.create_function``
    :param app_id: replaces the client's, so that one client can be served as
        several apps
    :param signing_key: ``INNGEST_SIGNING_KEY``; keep it in the environment
    :param signing_key_fallback: ``INNGEST_SIGNING_KEY_FALLBACK``: the key
        that is being rotated in or out
    :param checkpointing: ``INNGEST_CHECKPOINTING``: go on after a step instead
        of being called again: True (the default), False, or a
        :class:`Checkpointing` with the details
    :param serve_origin: ``INNGEST_SERVE_ORIGIN``: where the server reaches
        this endpoint, ``https://example.com``
    :param serve_host: older name of ``serve_origin``
    :param serve_path: ``INNGEST_SERVE_PATH``: the path there,
        ``/api/inngest``
    :param streaming: ``INNGEST_STREAMING``: ``"force"`` answers every call
        with a stream, ``"allow"`` where the WSGI server can deliver one, and
        False, the default, none (PROTOCOL section 7); or a :class:`Streaming`
    :param keepalive_interval: of a stream, as milliseconds (``int``), a
        ``timedelta`` or a time string; 3 s by default. Choose one that is
        shorter than the shortest idle timeout between server and endpoint
    :param max_streams: the most functions of streamed calls that may run at
        once in this process, 64 by default; a call beyond them is answered in
        one piece
    :param call_context: functions that return a context manager. Each is
        called with the environ, in the request's thread; the context manager
        is entered around the call, in the thread in which its function runs.
        It is told how the call ended: an exception if the function or a step
        has failed, an :exc:`Interrupt` if the function is called again
    :param step_context: functions that return a context manager. Each is
        called with a :class:`RunningStep`; the context manager is entered
        around the step's function, and left before the step is reported. A
        database transaction is one: see docs/transactions.md
    :param log_level: ``INNGEST_LOG_LEVEL``: level of the logger
        ``inngest_wsgi``: ``fatal error warn info debug silent``
    :param base_url: ``INNGEST_BASE_URL``: the origin of both the API and the
        event API for this endpoint's requests; ``client.send`` uses the
        client's
    :param http: makes this endpoint's requests to the server, in place of our
        own ``urllib3.PoolManager``: any object with the same ``request()``.
        Make sure that it is not shared by processes after a fork
    :param landing_page: ``INNGEST_LANDING_PAGE``: False for JSON only; by
        default a browser that opens the endpoint in dev mode is shown a page
    :param enable_unauthed_sync: ``INNGEST_ENABLE_UNAUTHED_SYNC``: False if in
        cloud mode only a signed PUT may start a sync
    :param sync_retries: how often a sync is tried again when the server
        cannot be reached, or answers 429 or 5xx: from 0 to 10, 2 by default.
        The waits between double from 0.2 s
    :param sync_timeout: the longest time of a sync, its retries included, as
        milliseconds (``int``), a ``timedelta`` or a time string; 20 s by
        default. An attempt ends with this time, or after the client's
        ``request_timeout``, if that is shorter
    :param max_body_bytes: the largest body of a request to this endpoint, in
        bytes, 8 MiB by default; nothing is read of a request that states
        more. The server sends up to 4 MB
    :raises SettingsError: names the setting and the way out
    :raises FunctionConfigError: two functions have one id
    """
    if not isinstance(client, Inngest):
        raise errors.SettingsError("client", "must be an Inngest object")
    arguments = {
        "app_id": app_id,
        "signing_key": signing_key,
        "signing_key_fallback": signing_key_fallback,
        "checkpointing": checkpointing,
        "serve_origin": serve_origin,
        "serve_host": serve_host,
        "serve_path": serve_path,
        "streaming": streaming,
        "keepalive_interval": keepalive_interval,
        "max_streams": max_streams,
        "log_level": log_level,
        "base_url": base_url,
        "landing_page": landing_page,
        "enable_unauthed_sync": enable_unauthed_sync,
        "sync_retries": sync_retries,
        "sync_timeout": sync_timeout,
        "max_body_bytes": max_body_bytes,
    }
    if http is not None and not callable(getattr(http, "request", None)):
        raise errors.SettingsError(
            "http", "must have urllib3's request(), as a urllib3.PoolManager has"
        )
    if not isinstance(call_context, (list, tuple)) or not all(map(callable, call_context)):
        raise errors.SettingsError(
            "call_context",
            "must be a list of functions that take the environ and give a context manager",
        )
    settings, requests = client._serve(arguments, http)
    if settings.log_level is not None:
        logging.getLogger("inngest_wsgi").setLevel(settings.log_level)
    served = collect(functions, settings.app_id)
    makers = checked_makers(step_context)
    contexts = StepContexts(makers) if makers else None
    streams = _streams(settings)
    router = Router(settings, served, requests, client, streams, call_context, None, contexts)
    return Application(router, Endpoint(settings, served, client, call_context, contexts))


def _streams(settings: Settings) -> t.Optional[Streams]:
    if not settings.streaming:
        return None
    force = settings.streaming == "force"
    return Streams(force, settings.keepalive_interval, settings.max_streams)


class Application:
    """The endpoint: a WSGI application object, as :func:`serve` makes it.

    It keeps no state between requests, except that the page of dev mode
    remembers the last sync and the last runs. Any number of threads and
    processes may call it at once.
    """

    def __init__(self, router: Router, endpoint: Endpoint) -> None:
        self._router = router
        self._endpoint = endpoint

    def __call__(self, environ: Environ, start_response: StartResponse) -> t.Iterable[bytes]:
        router = self._router
        if p.ENVIRON_TEST in environ:
            router = self._endpoint.bound_to(environ[p.ENVIRON_TEST]) or router
        response = router.respond(environ)
        if response.stream is not None:
            try:
                start_response(_STATUS[response.status], response.headers)
            except BaseException:
                response.stream.close()
                raise
            return response.stream
        headers = response.headers + [("Content-Length", str(len(response.body)))]
        start_response(_STATUS[response.status], headers)
        # some servers would send a body in answer to HEAD
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]
