"""WSGI (PEP 3333) on one side, messages on the other."""

from __future__ import annotations

import datetime
import functools
import logging
import typing as t
import urllib.parse

from werkzeug.http import HTTP_STATUS_CODES

from . import _protocol as p, errors
from ._endpoint import address
from ._endpoint.call_context import Maker
from ._endpoint.router import Handler
from ._endpoint.streaming import Streams
from ._messages import Address, Request
from ._server_api.client import Pool
from ._settings import Settings
from .client import Inngest
from .function import Function

Environ = t.Dict[str, t.Any]
StartResponse = t.Callable[..., t.Any]

#: The largest request that is read, in bytes. The server sends at most 4 MB
#: and lets the rest be fetched (PROTOCOL section 6).
MAX_BODY_BYTES = 8 * 1024 * 1024

#: Where WSGI keeps the headers that are read.
_HEADERS = tuple(
    ("HTTP_" + name.upper().replace("-", "_"), name.lower())
    for name in (
        p.HEADER_ACCEPT,
        p.HEADER_ORIGIN,
        p.HEADER_REFERER,
        p.HEADER_SEC_FETCH_SITE,
        p.HEADER_SERVER_KIND,
        p.HEADER_SIGNATURE,
        p.HEADER_SYNC_KIND,
        p.HEADER_TRACEPARENT,
        p.HEADER_TRACESTATE,
    )
) + (("CONTENT_TYPE", p.HEADER_CONTENT_TYPE.lower()),)
#: The address of a request whose address nobody will ask for.
_NOT_ASKED = Address()
_STATUS = {code: "{} {}".format(code, text) for code, text in HTTP_STATUS_CODES.items()}

_log = logging.getLogger("inngest_wsgi")


def serve(
    client: Inngest,
    functions: t.Sequence[Function[t.Any]],
    *,
    app_id: t.Optional[str] = None,
    signing_key: t.Optional[str] = None,
    signing_key_fallback: t.Optional[str] = None,
    serve_origin: t.Optional[str] = None,
    serve_host: t.Optional[str] = None,
    serve_path: t.Optional[str] = None,
    streaming: t.Union[str, bool, None] = None,
    keepalive_interval: t.Union[int, str, datetime.timedelta, None] = None,
    max_streams: t.Optional[int] = None,
    call_context: t.Sequence[Maker] = (),
    log_level: t.Optional[str] = None,
    base_url: t.Optional[str] = None,
    http: t.Optional[Pool] = None,
    landing_page: t.Optional[bool] = None,
    sync_retries: t.Optional[int] = None,
    sync_timeout: t.Union[int, str, datetime.timedelta, None] = None,
) -> "Application":
    """The endpoint, as a WSGI application object.

    Mount it where the framework mounts WSGI applications, or run it as it
    is. Each setting can also be given to the client or in the environment;
    an argument here beats both (PROTOCOL section 1).

    :param client: the app
    :param functions: declared with ``client.create_function``
    :param app_id: stands in for the client's, so that one client can be
        served as several apps
    :param signing_key: ``INNGEST_SIGNING_KEY``, where it better stays
    :param signing_key_fallback: ``INNGEST_SIGNING_KEY_FALLBACK``: the key
        that is being rotated in or out
    :param serve_origin: ``INNGEST_SERVE_ORIGIN``: where the server reaches
        this endpoint, ``https://example.com``
    :param serve_host: older name of ``serve_origin``
    :param serve_path: ``INNGEST_SERVE_PATH``: the path there,
        ``/api/inngest``
    :param streaming: ``INNGEST_STREAMING``: ``"force"`` answers every call
        with a stream, ``"allow"`` where the WSGI server can deliver one, and
        False, the default, none (PROTOCOL section 7)
    :param keepalive_interval: the time between two spaces of a stream, as
        milliseconds (``int``), a ``timedelta`` or a time string; 3 s by
        default. Shorter than the shortest idle timeout on the way
    :param max_streams: how many functions of streamed calls may run at once
        in this process, 64 by default; a call beyond them is answered in one
        piece
    :param call_context: what each call has around it, in the thread in which
        its function runs, be it streamed or not: functions that are called
        with the environ in the request's thread, and give a context manager
    :param log_level: ``INNGEST_LOG_LEVEL``: level of the logger
        ``inngest_wsgi``: ``fatal error warn info debug silent``
    :param base_url: ``INNGEST_BASE_URL``: origin of both the API and the
        event API, for what this endpoint does; ``client.send`` goes by the
        client's
    :param http: makes this endpoint's requests to the server instead of a
        ``urllib3.PoolManager`` of our own: anything with its ``request()``.
        A pool of your own is yours to keep from being shared after a fork
    :param landing_page: ``INNGEST_LANDING_PAGE``: False for JSON alone, where
        a browser that opens the endpoint in dev mode is shown a page
    :param sync_retries: how often a sync is tried again when the server
        cannot be reached, or answers 429 or 5xx: from 0 to 10, 2 by default,
        the waits between doubling from 0.2 s
    :param sync_timeout: how long a sync goes on, its retries included, as
        milliseconds (``int``), a ``timedelta`` or a time string; 20 s by
        default. What is left of it, or the client's ``request_timeout`` if
        that is shorter, is how long an attempt waits for each part of the
        answer
    :raises SettingsError: names the setting and the way out
    :raises FunctionConfigError: two functions have one id
    """
    if not isinstance(client, Inngest):
        raise errors.SettingsError("client", "must be an Inngest object")
    arguments = {
        "app_id": app_id,
        "signing_key": signing_key,
        "signing_key_fallback": signing_key_fallback,
        "serve_origin": serve_origin,
        "serve_host": serve_host,
        "serve_path": serve_path,
        "streaming": streaming,
        "keepalive_interval": keepalive_interval,
        "max_streams": max_streams,
        "log_level": log_level,
        "base_url": base_url,
        "landing_page": landing_page,
        "sync_retries": sync_retries,
        "sync_timeout": sync_timeout,
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
    checked = _checked_functions(functions)
    settings, requests = client._serve(arguments, http)
    if settings.log_level is not None:
        logging.getLogger("inngest_wsgi").setLevel(settings.log_level)
    found = _with_failure_handlers(checked, settings)
    streams = _streams(settings)
    return Application(Handler(settings, found, requests, client, streams, call_context))


def _streams(settings: Settings) -> t.Optional[Streams]:
    if not settings.streaming:
        return None
    force = settings.streaming == "force"
    return Streams(force, settings.keepalive_interval, settings.max_streams)


def _checked_functions(
    functions: t.Sequence[Function[t.Any]],
) -> t.Tuple[Function[t.Any], ...]:
    if not isinstance(functions, (list, tuple)) or not functions:
        raise errors.SettingsError(
            "functions", "must be a list of at least one function, from client.create_function"
        )
    for function in functions:
        if not isinstance(function, Function):
            raise errors.SettingsError(
                "functions",
                "{!r} is not a function of Inngest's; decorate it with "
                "@client.create_function(...)".format(function),
            )
    return tuple(functions)


def _check_ids(functions: t.Sequence[Function[t.Any]]) -> None:
    seen: t.Set[str] = set()
    for function in functions:
        if function.fn_id in seen:
            raise errors.FunctionConfigError(
                function.fn_id, "two functions have this fn_id; give each its own"
            )
        seen.add(function.fn_id)


def _with_failure_handlers(
    functions: t.Sequence[Function[t.Any]], settings: Settings
) -> t.List[Function[t.Any]]:
    found: t.List[Function[t.Any]] = []
    for function in functions:
        found.append(function)
        failure = function.failure_handler(settings.app_id)
        if failure is not None:
            found.append(failure)
    _check_ids(found)
    return found


class Application:
    """The endpoint: a WSGI application object, as :func:`serve` makes it.

    It keeps no state of a request, but that the page of dev mode knows the
    last sync and of which functions the last runs are. It may be called by any
    number of threads and processes at once.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, environ: Environ, start_response: StartResponse) -> t.Iterable[bytes]:
        response = self._handler.respond(functools.partial(_read, environ))
        if response.stream is not None:
            try:
                start_response(_STATUS[response.status], response.headers)
            except BaseException:
                response.stream.close()
                raise
            return response.stream
        headers = response.headers + [("Content-Length", str(len(response.body)))]
        start_response(_STATUS[response.status], headers)
        # not every server keeps the body of an answer to HEAD to itself
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]


def _read(environ: Environ) -> Request:
    """The whole request.

    :raises errors.BodyError: its body cannot be read
    """
    method = environ["REQUEST_METHOD"]
    query = dict(reversed(urllib.parse.parse_qsl(environ.get("QUERY_STRING") or "")))
    landing = p.QUERY_LANDING in query
    redirected = method in ("GET", "HEAD") and (query or "HTTP_REFERER" in environ)
    asked = method == "PUT" or landing or redirected
    return Request(
        # RFC 9110, 9.3.2: the same but for the body, which is left out below
        method="GET" if method == "HEAD" else method,
        query=query,
        headers={name: environ[key] for key, name in _HEADERS if key in environ},
        body=_read_body(environ),
        address=address.of(environ) if asked else _NOT_ASKED,
        raw=environ,
        concurrent=not landing or _is_concurrent(environ),
    )


def _read_body(environ: Environ) -> bytes:
    stated = (environ.get("CONTENT_LENGTH") or "").strip()
    if environ.get("wsgi.input_terminated"):
        # the server knows where the body ends, be it chunked
        body = _read_stream(environ, MAX_BODY_BYTES + 1)
        _check_size(len(body))
        _check_whole(body, stated)
        return body
    if not stated:
        if "HTTP_TRANSFER_ENCODING" in environ:
            raise errors.BodyError(
                "length_required", "The request must have a Content-Length.", status=411
            )
        return b""
    if not (stated.isascii() and stated.isdigit()):
        raise errors.BodyError("body_invalid", "The Content-Length is not a number.")
    length = int(stated[:20])
    _check_size(length)
    body = _read_stream(environ, length)
    _check_whole(body, stated)
    return body


def _check_whole(body: bytes, stated: str) -> None:
    if stated.isdigit() and len(body) < int(stated[:20]):
        raise errors.BodyError("body_unreadable", "The body ended before its Content-Length.")


def _read_stream(environ: Environ, length: int) -> bytes:
    """At most so many bytes; fewer only where the stream ends."""
    stream = environ["wsgi.input"]
    chunks = []
    while length > 0:
        try:
            chunk = stream.read(length)
        except Exception as exc:
            # a client that went away, or chunks that are none: each server
            # has exceptions of its own
            raise errors.BodyError(
                "body_unreadable", "The body cannot be read: {}.".format(type(exc).__name__)
            ) from exc
        if not chunk:
            break
        chunks.append(chunk)
        length -= len(chunk)
    return b"".join(chunks)


def _check_size(length: int) -> None:
    if length > MAX_BODY_BYTES:
        raise errors.BodyError(
            "body_too_large",
            "The body is larger than {} bytes.".format(MAX_BODY_BYTES),
            status=413,
        )


def _is_concurrent(environ: Environ) -> bool:
    return bool(environ.get("wsgi.multithread", True) or environ.get("wsgi.multiprocess", True))
