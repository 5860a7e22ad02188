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

from . import _decode, _encode, _failure, _introspect, _logger, _register, errors
from . import _protocol as p
from ._engine import Engine
from ._events import Sender
from ._http import FETCH_RETRY, Http
from ._messages import Call, Headers, Op, Request, Response
from ._outcome import Outcome
from ._settings import Settings
from ._signing import Keyring, SigningKey
from ._stepcontext import set_step_context
from .client import Inngest
from .context import Context
from .event import Event
from .function import Function
from .group import Group
from .middleware import Stack, StepMemos, TransformOutputResult, TransformOutputStepInfo
from .serializer import serialized
from .step import Step

METHODS = ("GET", "POST", "PUT")

_log = logging.getLogger("inngest_wsgi")


class Accepted(t.NamedTuple):
    """A call that is to be carried out.

    :ivar raw: the request as the server gave it, for middleware
    """

    call: Call
    function: Function[t.Any]
    raw: t.Any


class Handler:
    """Answers requests to one endpoint.

    :param functions: with the failure handlers
    """

    def __init__(
        self,
        settings: Settings,
        functions: t.Sequence[Function[t.Any]],
        http: Http,
        client: Inngest,
    ) -> None:
        self._settings = settings
        self._functions = functions
        self._by_id = {f.full_id(settings.app_id): f for f in functions}
        self._http = http
        self._client = client
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
                    "{!a} is not a method of this endpoint.".format(request.method)
                )
            key = self._authenticate(request)
            trusted = trusted or key is not None
            response = self._answer(request, key)
        except errors.RequestError as problem:
            _log.warning("Request refused: %s: %s", problem.code, problem)
            response = _encode.error(problem)
            if isinstance(problem, errors.MethodError):
                response = response.adding(("Allow", ", ".join(METHODS)))
        except errors.Error as problem:
            _log.error("Request failed: %s: %s", problem.code, problem, exc_info=problem)
            response = _encode.error(problem)
        except Exception:
            _log.exception("Request failed by an error in inngest_wsgi or its settings")
            response = _encode.error(errors.Error("Internal error; see the application's log."))
        if trusted:
            return self._signed(response, key)
        return _bare(response).adding((p.HEADER_SDK_HANDLED, "true"))

    # -- who asks --------------------------------------------------------

    def _authenticate(self, request: Request) -> t.Optional[SigningKey]:
        """The key that the request is signed with; None where it need not be
        signed.

        :raises errors.SignatureError: it must be, and is not
        """
        in_band = request.method == "PUT" and _register.is_in_band(request, self._settings)
        signature = request.headers.get(p.HEADER_SIGNATURE.lower())
        if self._settings.is_dev and not (in_band and self._keyring.keys):
            return self._key_of(request, signature)
        if signature is None and request.method == "PUT" and not in_band:
            _register.check_unsigned(self._settings)
            return None
        return self._keyring.verify(signature, request.body, time.time(), canonicalize=in_band)

    def _key_of(self, request: Request, signature: t.Optional[str]) -> t.Optional[SigningKey]:
        """The key of a request that need not be signed, but may be."""
        if signature is None or not self._keyring.keys:
            return None
        try:
            return self._keyring.verify(signature, request.body, time.time())
        except errors.SignatureError:
            return None

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
                return Response(200, [(p.HEADER_CONTENT_TYPE, "text/plain")], b"")
            return self.finish(self.accept(request))
        self._check_server_kind(request)
        if request.method == "GET":
            # where no signature is needed, we still say what we think of one
            signed = p.HEADER_SIGNATURE.lower() in request.headers
            authenticated = key is not None if signed else None
            return _introspect.respond(self._settings, len(self._functions), authenticated)
        if _register.is_in_band(request, self._settings):
            return _register.in_band(request, self._settings, self._functions)
        trusted = self._settings.is_dev or key is not None
        return _register.out_of_band(request, self._settings, self._functions, self._http, trusted)

    # -- a call ----------------------------------------------------------

    def accept(self, request: Request) -> Accepted:
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
        return Accepted(call, function, request.raw)

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
        call, function, raw = accepted
        started = time.perf_counter()
        stack = Stack(self._client.middleware + function.middleware, self._client, raw)
        try:
            outcome = self._replay(call, function, stack)
            stack.forward("before_response")
        finally:
            stack.close()
        elapsed_ms = (time.perf_counter() - started) * 1000
        timing = (p.HEADER_SERVER_TIMING, "function;dur=%.1f" % elapsed_ms)
        return _encode.outcome(outcome).adding(timing)

    def _replay(self, call: Call, function: Function[t.Any], stack: Stack) -> Outcome:
        hooks = _CallHooks(stack)
        engine = Engine(call, time.time_ns, hooks)
        context = self._context(call, engine, hooks, stack)
        stack.forward("transform_input", context, function, StepMemos(call.steps or {}))

        def run(context: Context) -> t.Any:
            output = function.handler(context)
            what = "function {}".format(call.fn_id)
            return serialized(self._client.serializer, output, function.output_type, what)

        try:
            with set_step_context(context.step):
                outcome = engine.replay(run, context)
        finally:
            if engine.swallowed:
                _log.error(_SWALLOWED, call.fn_id, call.run_id)
        if engine.exception is not None and not _failure.is_quiet(engine.exception):
            _log.error(
                "Function %s failed (run %s, attempt %d)",
                call.fn_id,
                call.run_id,
                call.attempt,
                exc_info=engine.exception,
            )
        return outcome

    def _context(self, call: Call, engine: Engine, hooks: "_CallHooks", stack: Stack) -> Context:
        try:
            events = [Event.from_wire(event) for event in call.events or ()]
        except ValueError as error:
            raise errors.BodyError("body_invalid", "{}.".format(error)) from None
        facts = {
            "inngest_run_id": call.run_id,
            "inngest_function_id": call.fn_id,
            "inngest_attempt": call.attempt,
        }
        sender = Sender(self._settings, self._http, stack, call.trace)
        return Context(
            attempt=call.attempt,
            event=events[0],
            events=events,
            group=Group(engine),
            job_id=call.job_id,
            logger=_logger.for_call(self._client.logger, hooks.replay, facts),
            request_id=call.request_id,
            run_id=call.run_id,
            step=Step(engine, self._settings.app_id, call, sender, self._client.serializer),
        )

    # -- the way out -----------------------------------------------------

    def _signed(self, response: Response, key: t.Optional[SigningKey]) -> Response:
        response = response.adding(*self._sdk_headers)
        if key is None:
            return response
        return response.adding((p.HEADER_SIGNATURE, key.sign(response.body, time.time())))


class _CallHooks:
    """What the engine tells, for the middleware and the logger of a call."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.replay = _logger.Replay()

    def new_code(self) -> None:
        self.replay.over = True
        self._stack.forward("before_execution")

    def ended(self) -> None:
        self._stack.backward("after_execution")

    def output(
        self, error: t.Optional[BaseException], value: t.Any, op: t.Optional[Op]
    ) -> t.Tuple[t.Optional[BaseException], t.Any]:
        if not self._stack:
            return error, value
        step = None if op is None else TransformOutputStepInfo(op.id.user_id, op.op, op.opts)
        result = TransformOutputResult(error, value, step)
        self._stack.backward("transform_output", result)
        if result.error is not None and not isinstance(result.error, BaseException):
            problem = TypeError("it made result.error {!r}, no exception".format(result.error))
            raise errors.MiddlewareError("transform_output()", problem)
        return result.error, result.output


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


def _bare(response: Response) -> Response:
    """Without what only a trusted caller is told."""
    kept = [(name, value) for name, value in response.headers if name != p.HEADER_NO_RETRY]
    return response._replace(headers=kept)


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
