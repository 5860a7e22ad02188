"""The life of a request, from :class:`~._messages.Request` to signed
:class:`~._messages.Response`. The only place where an exception becomes a
response.

A call goes through two halves: :meth:`Handler.accept` verifies, decodes and
fetches; :meth:`Handler.finish` replays, encodes and signs.
"""

from __future__ import annotations

import logging
import time
import typing as t

from . import _decode, _encode, _failure, _introspect, _register, errors
from . import _protocol as p
from ._engine import Engine
from ._http import FETCH_RETRY, Http
from ._messages import Call, Headers, Request, Response
from ._settings import Settings
from ._signing import Keyring, SigningKey
from .context import Context, Logger
from .event import Event
from .function import Function
from .step import Step

METHODS = ("GET", "POST", "PUT")

_log = logging.getLogger("inngest_wsgi")


class Accepted(t.NamedTuple):
    """A call that is to be carried out.

    :ivar key: what it was signed with, and its answer is to be
    """

    call: Call
    function: Function[t.Any]
    key: t.Optional[SigningKey]


class Handler:
    """Answers requests to one endpoint.

    :param logger: becomes ``ctx.logger``
    """

    def __init__(
        self,
        settings: Settings,
        functions: t.Sequence[Function[t.Any]],
        http: Http,
        logger: Logger,
    ) -> None:
        self._settings = settings
        self._functions = functions
        self._by_id = {f.full_id(settings.app_id): f for f in functions}
        self._http = http
        self._logger = logger
        self._keyring = Keyring(settings.signing_key, settings.signing_key_fallback)
        self._sdk_headers = _sdk_headers(settings)

    def respond(self, read: t.Callable[[], Request]) -> Response:
        """Answer one request.

        :param read: gives the request, or raises
            :exc:`~inngest_wsgi.errors.RequestError`
        """
        # until a signature was verified, nobody is told what runs here
        trusted, key = self._settings.is_dev, None
        try:
            request = read()
            if request.method not in METHODS:
                raise errors.MethodError(
                    "{} is not a method of this endpoint.".format(request.method)
                )
            key = self._authenticate(request)
            trusted = True
            response = self._answer(request, key)
        except errors.Error as problem:
            response = _encode.error(problem)
            if isinstance(problem, errors.MethodError):
                response = response.adding(("Allow", ", ".join(METHODS)))
            _log.warning("Request refused: %s: %s", problem.code, problem)
        except Exception:
            _log.exception("Request failed by an error in inngest_wsgi or its settings")
            response = _encode.error(errors.Error("Internal error; see the application's log."))
        if not trusted:
            return response.adding((p.HEADER_SDK_HANDLED, "true"))
        return self._signed(response, key)

    # -- who asks --------------------------------------------------------

    def _authenticate(self, request: Request) -> t.Optional[SigningKey]:
        """The key that the request is signed with; None where it need not be
        signed.

        :raises errors.SignatureError: it must be, and is not
        """
        in_band = request.method == "PUT" and _register.is_in_band(request, self._settings)
        signature = request.headers.get(p.HEADER_SIGNATURE.lower())
        if self._settings.is_dev and not (in_band and self._keyring.keys and signature):
            return None
        if signature is None and request.method == "PUT" and not in_band:
            _register.check_unsigned(self._settings)
            return None
        return self._keyring.verify(
            signature, request.body, time.time(), canonicalize=request.method == "PUT"
        )

    def _check_server_kind(self, request: Request) -> None:
        kind = request.headers.get(p.HEADER_SERVER_KIND.lower())
        if kind in (p.CLOUD, p.DEV) and kind != self._settings.mode:
            raise errors.ServerKindError(
                "The request is from a {} server, but this application is in {} mode. "
                "{}".format(kind, self._settings.mode, _WAY_OUT[self._settings.mode])
            )

    # -- what is asked ---------------------------------------------------

    def _answer(self, request: Request, key: t.Optional[SigningKey]) -> Response:
        if request.method == "POST":
            if request.query.get(p.QUERY_PROBE) == p.PROBE_TRUST:
                return Response(200, [], b"")
            return self.finish(self.accept(request, key))
        self._check_server_kind(request)
        if request.method == "GET":
            return _introspect.respond(
                self._settings, len(self._functions), self._authenticated(request, key)
            )
        if _register.is_in_band(request, self._settings):
            return _register.in_band(request, self._settings, self._functions)
        return _register.out_of_band(request, self._settings, self._functions, self._http)

    def _authenticated(self, request: Request, key: t.Optional[SigningKey]) -> t.Optional[bool]:
        """What an introspection says of its own signature. In dev mode it
        need not have one, but if it has, we say whether it is right."""
        if key is not None:
            return True
        signature = request.headers.get(p.HEADER_SIGNATURE.lower())
        if signature is None:
            return None
        try:
            self._keyring.verify(signature, request.body, time.time())
        except errors.SignatureError:
            return False
        return True

    # -- a call ----------------------------------------------------------

    def accept(self, request: Request, key: t.Optional[SigningKey]) -> Accepted:
        """Read a call, find its function, and fetch what the server left
        out.

        :raises errors.RequestError: it cannot be carried out
        :raises errors.ApiError: what was left out cannot be had
        """
        call = _decode.call(request)
        function = self._by_id.get(call.fn_id)
        if function is None:
            raise errors.FunctionNotFoundError(
                "Function {!r} is not served here. Sync the app again if it was renamed or "
                "removed.".format(call.fn_id[:200])
            )
        if call.events is None:
            call = self._fetch(call)
        return Accepted(call, function, key)

    def _fetch(self, call: Call) -> Call:
        found = []
        for part in ("batch", "actions"):
            path = "{}{}/{}".format(p.PATH_RUN_V0, _path_segment(call.run_id), part)
            answer = self._http.api("GET", path, headers=call.trace, retry=FETCH_RETRY)
            if answer.status != 200:
                raise errors.ApiError(
                    "The state of run {} cannot be fetched: {}".format(
                        call.run_id, answer.error()
                    ),
                    answer.status,
                )
            found.append(answer.json())
        return _decode.fetched(call, *found)

    def finish(self, accepted: Accepted) -> Response:
        """Call the function, and answer what the call ended in."""
        call, function, _ = accepted
        engine = Engine(call, time.time_ns)
        context = self._context(call, engine)
        started = time.perf_counter()
        outcome = engine.replay(function.handler, context)
        elapsed_ms = (time.perf_counter() - started) * 1000
        if engine.exception is not None and not _failure.is_quiet(engine.exception):
            _log.error(
                "Function %s failed (run %s, attempt %d)",
                call.fn_id,
                call.run_id,
                call.attempt,
                exc_info=engine.exception,
            )
        if engine.swallowed:
            _log.error(_SWALLOWED, call.fn_id, call.run_id)
        timing = (p.HEADER_SERVER_TIMING, "function;dur=%.1f" % elapsed_ms)
        return _encode.outcome(outcome).adding(timing)

    def _context(self, call: Call, engine: Engine) -> Context:
        try:
            events = [Event.from_wire(event) for event in call.events or ()]
        except ValueError as error:
            raise errors.BodyError("body_invalid", "{}.".format(error)) from None
        return Context(
            attempt=call.attempt,
            event=events[0],
            events=events,
            logger=self._logger,
            run_id=call.run_id,
            step=Step(engine),
        )

    # -- the way out -----------------------------------------------------

    def _signed(self, response: Response, key: t.Optional[SigningKey]) -> Response:
        response = response.adding(*self._sdk_headers)
        if key is None:
            return response
        return response.adding((p.HEADER_SIGNATURE, key.sign(response.body, time.time())))


_SWALLOWED = (
    "Function %s went on after a step had ended its call (run %s). Something in it catches "
    "everything: an except without a class, except BaseException, a finally that returns, or "
    "a context manager that suppresses. Let BaseException pass."
)

_WAY_OUT = {
    p.CLOUD: "Set {}=1 in the application to develop with a dev server.".format(p.ENV_DEV),
    p.DEV: "Unset {} and is_production in the application to run it in "
    "cloud mode.".format(p.ENV_DEV),
}


def _path_segment(text: str) -> str:
    """A run id that could lead elsewhere is no run id."""
    if not text.isalnum() or not text.isascii():
        raise errors.BodyError("body_invalid", "ctx.run_id is not a run id.")
    return text


def _sdk_headers(settings: Settings) -> Headers:
    headers = [
        (p.HEADER_SDK, p.SDK_IDENTITY),
        (p.HEADER_USER_AGENT, p.SDK_IDENTITY),
        (p.HEADER_FRAMEWORK, p.FRAMEWORK),
        (p.HEADER_REQ_VERSION, p.REQ_VERSION),
        (p.HEADER_SDK_HANDLED, "true"),
    ]
    if settings.env is not None:
        headers.append((p.HEADER_ENV, settings.env))
    if settings.platform is not None:
        headers.append((p.HEADER_PLATFORM, settings.platform))
    return headers
