"""Answer a request to the endpoint.

The way of a request, from top to bottom: read it, authenticate its sender,
dispatch by its method, sign the response. A call of a function is carried out
by :class:`~inngest_wsgi._execution.call.Calls`, in this thread or, where its
answer is streamed, in a thread of its own.

The only module in which an exception that leaves the others becomes a response.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import threading
import time
import typing as t

from .. import _protocol as p, errors
from .._codec import encode
from .._execution import failures
from .._execution.call import Calls, Watch
from .._execution.interrupt import Interrupt, stray_interrupt_error
from .._execution.step_contexts import StepContexts
from .._logs import log as _log
from .._messages import Call, Environ, Request, Response
from .._server_api.client import Http
from .._settings import Settings
from ..client import Inngest
from ..function import Function
from . import introspection, redirects, sync
from .authentication import Caller, authenticate, wants_in_band
from .call_context import CallContext, Maker
from .functions import Functions
from .streaming import Streams

if t.TYPE_CHECKING:
    from .._dev_page.page import Landing

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT")
_ALLOW = ("Allow", ", ".join(METHODS))

_NO_CONTEXT: t.ContextManager[t.Any] = contextlib.nullcontext()
#: No cache may keep what was for somebody with a key.
_NO_STORE = ("Cache-Control", "no-store")
_NO_HEADERS: t.Sequence[t.Tuple[str, str]] = ()


class Router:
    """Answers the requests to one endpoint.

    :param functions: with the failure handlers
    :param streams: None where every call is answered in one piece
    :param contexts: make the context managers entered around each call
    :param watch: takes part in calls, in a test
    :param step_contexts: entered around each run of a step's function; None if
        there are none
    """

    def __init__(
        self,
        settings: Settings,
        functions: Functions,
        http: Http,
        client: Inngest,
        streams: t.Optional[Streams] = None,
        contexts: t.Sequence[Maker] = (),
        watch: t.Optional[Watch] = None,
        step_contexts: t.Optional[StepContexts] = None,
    ) -> None:
        self._settings = settings
        self._functions = functions
        self._http = http
        self._streams = streams
        self._contexts = tuple(contexts)
        #: what each response has that is not for a stranger
        self._sdk_headers = (
            *settings.sdk_headers,
            (p.HEADER_REQ_VERSION, p.REQ_VERSION),
            (p.HEADER_SDK_HANDLED, "true"),
        )
        self._headers = (_NO_STORE, *self._sdk_headers)
        #: who sent a request that could not even be read
        self._unknown = Caller(settings.is_dev, None, None, None, None)
        self._landing: t.Optional[Landing] = None
        if settings.is_dev and settings.landing_page:
            # its modules are not needed in production
            from .._dev_page.page import Landing

            self._landing = Landing(settings, functions, http, client)
        observe = None if self._landing is None else self._landing.saw
        self._calls = Calls(settings, functions, http, client, observe, watch, step_contexts)

    def respond(self, environ: Environ) -> Response:
        """Answer one request.

        ``SystemExit``, ``KeyboardInterrupt`` and ``GreenletExit`` pass;
        everything else that is raised is answered.
        """
        caller, extra = self._unknown, _NO_HEADERS
        started: t.Optional[float] = None
        ran = False
        try:
            method = environ["REQUEST_METHOD"]
            if method not in METHODS:
                raise errors.MethodError(f"{method!a} is not a method of this endpoint.")
            if method == "OPTIONS":
                # without CORS headers: no page of another origin may ask
                response = Response(200, [_ALLOW], b"")
            else:
                request, caller = authenticate(environ, self._settings)
                if caller.refusal is not None:
                    raise caller.refusal
                # HEAD is read as GET
                method = request.method
                if method == "GET":
                    redirects.check(request, self._settings)
                if self._landing is not None and self._landing.answers(request):
                    extra = self._landing.headers
                    response = self._landing.respond(request)
                elif method == "GET":
                    response = introspection.respond(
                        self._settings, len(self._functions), caller.authenticated
                    )
                elif method == "PUT":
                    response = self._sync(request, caller)
                elif request.query.get(p.QUERY_PROBE) == p.PROBE_TRUST:
                    response = Response(200, [(p.HEADER_CONTENT_TYPE, "text/plain")], b"")
                else:
                    started = time.perf_counter()
                    call, function = self._calls.accept(request)
                    # the body may be large, and the function may take long
                    del request
                    response = self._call(call, function, environ, caller)
                    ran = True
        except BaseException as exc:
            response = _error_response(exc)
        return self._finish(response, caller, started, ran, extra)

    def _sync(self, request: Request, caller: Caller) -> Response:
        if wants_in_band(request, self._settings):
            return sync.in_band(request, self._settings, self._functions)
        answer = sync.out_of_band(
            request, self._settings, self._functions, self._http, caller.trusted
        )
        if self._landing is not None:
            self._landing.synced(answer)
        return answer

    # -- a call ------------------------------------------------------------

    def _call(
        self, call: Call, function: Function[t.Any], environ: Environ, caller: Caller
    ) -> Response:
        """Answer a call, or begin the stream that ends in its answer."""
        context = CallContext(environ, self._contexts) if self._contexts else None
        if self._streams is not None:
            work = functools.partial(self._stream, call, function, caller, context)
            stream = self._streams.open(environ, call, work)
            if stream is not None:
                return dataclasses.replace(encode.stream_head(), stream=stream)
        if context is None:
            return encode.outcome(self._calls.run(call, function, environ), call.fn_id)
        with context:
            outcome = self._calls.run(call, function, environ, None, context.ended)
            # before they are left: that it is too large fails the call too
            return encode.outcome(outcome, call.fn_id)

    def _stream(
        self,
        call: Call,
        function: Function[t.Any],
        caller: Caller,
        context: t.Optional[CallContext],
        environ: Environ,
        disconnected: threading.Event,
    ) -> bytes:
        """Carry out a streamed call in the thread of its function.

        :param environ: a copy, for the server may use its own for the next
            request before this call ends
        :param disconnected: set when the client has gone
        :returns: the last chunk of the stream
        """
        fn_id = call.fn_id
        started = time.perf_counter()
        ran = False
        try:
            with context or _NO_CONTEXT:
                ended = None if context is None else context.ended
                outcome = self._calls.run(call, function, environ, disconnected, ended)
                ran = True
                response = encode.outcome(outcome, fn_id)
        except BaseException as exc:
            response = _thread_error_response(exc, fn_id)
        try:
            return encode.streamed(self._finish(response, caller, started, ran))
        except errors.OutputError as problem:
            _log.error("Function %s: %s", fn_id, problem)
            return encode.streamed(self._finish(encode.error(problem), caller, started, ran))

    # -- the way out -------------------------------------------------------

    def _finish(
        self,
        response: Response,
        caller: Caller,
        started: t.Optional[float] = None,
        ran: bool = False,
        extra: t.Sequence[t.Tuple[str, str]] = (),
    ) -> Response:
        """Add the headers that each response has, and sign it.

        :param started: when the call began, by ``time.perf_counter()``; None
            for what is no call
        :param ran: whether a function ran
        :param extra: further headers
        """
        if not caller.trusted:
            # a stranger is told nothing of us
            headers = [*response.headers, *extra]
            headers = [header for header in headers if header[0] != p.HEADER_NO_RETRY]
            headers.append((p.HEADER_SDK_HANDLED, "true"))
            return dataclasses.replace(response, headers=headers)
        # further headers have what is said of caches among them
        own = (*extra, *self._sdk_headers) if extra else self._headers
        headers = [*response.headers, *own]
        if response.stream is not None:
            # its last chunk has a response of its own, timed and signed
            return dataclasses.replace(response, headers=headers)
        if started is not None:
            elapsed_ms = (time.perf_counter() - started) * 1000
            headers.append((p.HEADER_SERVER_TIMING, f"call;dur={elapsed_ms:.1f}"))
        if caller.key is not None:
            # an answer without a run keeps the request's time: with a new one,
            # whoever recorded a request could renew its signature for ever
            stamp = str(int(time.time())) if ran or not caller.signed_at else caller.signed_at
            headers.append((p.HEADER_SIGNATURE, caller.key.sign(response.body, stamp)))
        return Response(response.status, headers, response.body)


def _error_response(exc: BaseException) -> Response:
    """Log an exception, and make the response that says what was wrong.

    What ends a process is raised again.
    """
    if isinstance(exc, errors.RequestError):
        # a run fails over what is answered with 500
        level = logging.ERROR if exc.status >= 500 else logging.WARNING
        _log.log(level, "Request refused: %s: %s", exc.code, exc)
        response = encode.error(exc)
        return response.adding(_ALLOW) if isinstance(exc, errors.MethodError) else response
    if isinstance(exc, Interrupt):
        exc = stray_interrupt_error(exc)
    if isinstance(exc, errors.Error):
        _log.error("Request failed: %s: %s", exc.code, exc, exc_info=exc)
        return encode.error(exc)
    if failures.is_process_exit(exc):
        raise exc
    _log.error("Request failed by an error in inngest_wsgi or its settings", exc_info=exc)
    return encode.error(errors.Error("Internal error; see the application's log."))


def _thread_error_response(exc: BaseException, fn_id: str) -> Response:
    """Do as :func:`_error_response` for a streamed call. What ends a process
    would end only the thread there, so it is answered too."""
    try:
        return _error_response(exc)
    except BaseException:
        _log.error("Function %s ended its thread", fn_id, exc_info=exc)
        said = f"Function {fn_id} ended its thread: {type(exc).__name__}"
        return encode.error(errors.Error(said))
