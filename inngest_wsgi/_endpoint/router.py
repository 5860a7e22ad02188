"""The life of a request, from :class:`~._messages.Request` to signed
:class:`~._messages.Response`. The only place where an exception becomes a
response.

A call goes through two halves: :meth:`Handler.accept` reads it and finds its
function; :meth:`Handler.finish` fetches what the server left out, replays and
encodes. A streamed call does the second half in a thread of its own.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
import typing as t

from .. import _protocol as p, errors
from .._codec import decode, encode
from .._dev_page.page import PAGE_HEADERS, Landing
from .._execution import failures, logger
from .._execution.current_step import set_step_context
from .._execution.engine import Engine, Interrupt, misused
from .._messages import Call, Headers, Op, Outcome, Request, Response
from .._security.signing import Keyring, SigningKey
from .._server_api.client import FETCH_RETRY, Http
from .._server_api.events import Sender
from .._settings import Settings
from ..client import Inngest
from ..context import Context
from ..event import Event
from ..function import Function
from ..group import Group
from ..middleware import Stack, StepMemos, TransformOutputResult, TransformOutputStepInfo
from ..serializer import serialized
from ..step import Step
from . import introspection, redirects, sync
from .authentication import Caller
from .call_context import CallContext, Maker
from .streaming import Streams

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT")
_ALLOW = ("Allow", ", ".join(METHODS))

#: Around a call that has nothing around it.
_NOTHING = contextlib.nullcontext()

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
    :param streams: None where every call is answered in one piece
    :param contexts: what each call has around it
    """

    def __init__(
        self,
        settings: Settings,
        functions: t.Sequence[Function[t.Any]],
        http: Http,
        client: Inngest,
        streams: t.Optional[Streams] = None,
        contexts: t.Sequence[Maker] = (),
    ) -> None:
        self._settings = settings
        self._functions = functions
        self._by_id = {f.full_id(settings.app_id): f for f in functions}
        self._http = http
        self._client = client
        self._streams = streams
        self._contexts = tuple(contexts)
        self._keyring = Keyring(settings.signing_key, settings.signing_key_fallback)
        self._sdk_headers = _sdk_headers(settings)
        self._landing: t.Optional[Landing] = None
        if settings.is_dev and settings.landing_page:
            self._landing = Landing(settings, functions, http, client)

    def respond(self, read: t.Callable[[], Request]) -> Response:
        """Answer one request.

        :param read: gives the request, or raises
            :exc:`~inngest_wsgi.errors.RequestError`
        """
        caller = Caller(self._settings, self._keyring)
        response = self._guarded(functools.partial(self._answer, read, caller))
        if caller.trusted:
            return self._signed(response, caller.key)
        return _bare(response).adding((p.HEADER_SDK_HANDLED, "true"))

    def _guarded(self, work: t.Callable[[], Response]) -> Response:
        """What it answers; where it raises, what to answer instead."""
        try:
            return work()
        except errors.RequestError as problem:
            # a run fails over what is answered with 500
            level = logging.ERROR if problem.status >= 500 else logging.WARNING
            _log.log(level, "Request refused: %s: %s", problem.code, problem)
            response = encode.error(problem)
            if isinstance(problem, errors.MethodError):
                response = response.adding(_ALLOW)
        except errors.Error as problem:
            _log.error("Request failed: %s: %s", problem.code, problem, exc_info=problem)
            response = encode.error(problem)
        except Interrupt as exc:
            misuse = misused(exc)
            _log.error("Request failed: %s", misuse, exc_info=misuse)
            response = encode.error(misuse)
        except BaseException as exc:
            if failures.is_process_exit(exc):
                raise
            _log.exception("Request failed by an error in inngest_wsgi or its settings")
            response = encode.error(errors.Error("Internal error; see the application's log."))
        return response

    # -- what is asked ---------------------------------------------------

    def _answer(self, read: t.Callable[[], Request], caller: Caller) -> Response:
        request = read()
        if request.method not in METHODS:
            raise errors.MethodError(
                "{!a} is not a method of this endpoint.".format(request.method)
            )
        if request.method == "OPTIONS":
            # without a word of CORS: no page of another origin may ask
            return Response(200, [_ALLOW], b"")
        caller.identify(request)
        redirects.check(request, self._settings)
        if self._landing is not None and self._landing.answers(request):
            work = functools.partial(self._landing.respond, request)
            return self._guarded(work).adding(*PAGE_HEADERS)
        if request.method != "GET":
            caller.check_no_page(request)
        if request.method == "POST":
            if request.query.get(p.QUERY_PROBE) == p.PROBE_TRUST:
                return Response(200, [(p.HEADER_CONTENT_TYPE, "text/plain")], b"")
            return self._called(self.accept(request), caller.key)
        caller.check_server_kind(request)
        if request.method == "GET":
            # where no signature is needed, we still say what we think of one
            signed = p.HEADER_SIGNATURE.lower() in request.headers
            authenticated = caller.key is not None if signed else None
            return introspection.respond(self._settings, len(self._functions), authenticated)
        if sync.is_in_band(request, self._settings):
            return sync.in_band(request, self._settings, self._functions)
        answer = sync.out_of_band(
            request, self._settings, self._functions, self._http, caller.trusted
        )
        if self._landing is not None:
            self._landing.synced(answer)
        return answer

    # -- a call ----------------------------------------------------------

    def accept(self, request: Request) -> Accepted:
        """Read a call, and find its function.

        :raises errors.RequestError: it cannot be carried out
        """
        call = decode.call(request)
        function = self._by_id.get(call.fn_id)
        if function is None:
            raise errors.FunctionNotFoundError(
                "Function {!r} is not served here. Sync the app again if it was renamed or "
                "removed.".format(call.fn_id[:200])
            )
        return Accepted(call, function, request.raw)

    def _called(self, accepted: Accepted, key: t.Optional[SigningKey]) -> Response:
        """The answer to a call, or the stream that will end in it."""
        around = CallContext(accepted.raw, self._contexts) if self._contexts else _NOTHING
        if self._streams is not None:
            work = functools.partial(self._streamed, accepted, key, around)
            stream = self._streams.open(accepted.raw, accepted.call, work)
            if stream is not None:
                return encode.stream_head()._replace(stream=stream)
        return self._carried_out(accepted, around)

    def _carried_out(
        self,
        accepted: Accepted,
        around: t.ContextManager[None],
        disconnected: t.Optional[threading.Event] = None,
    ) -> Response:
        started = time.perf_counter()

        def work() -> Response:
            with around:
                return self.finish(accepted, disconnected)

        response = self._guarded(work)
        elapsed_ms = (time.perf_counter() - started) * 1000
        return response.adding((p.HEADER_SERVER_TIMING, "call;dur=%.1f" % elapsed_ms))

    def _streamed(
        self,
        accepted: Accepted,
        key: t.Optional[SigningKey],
        around: t.ContextManager[None],
        environ: t.Any,
        disconnected: threading.Event,
    ) -> bytes:
        """What a streamed call ends in, in the thread of the function.

        :param environ: ours alone; the server's is used again when it has
            given up the request
        """
        fn_id = accepted.call.fn_id
        try:
            kept = accepted._replace(raw=environ)
            response = self._carried_out(kept, around, disconnected)
        except BaseException as exc:
            # SystemExit, say, which ends nothing but a thread here
            _log.exception("Function %s ended its thread", fn_id)
            said = "Function {} ended its thread: {}".format(fn_id, type(exc).__name__)
            response = encode.error(errors.Error(said))
        try:
            return encode.streamed(self._signed(response, key))
        except errors.OutputError as problem:
            _log.error("Function %s: %s", fn_id, problem)
            return encode.streamed(self._signed(encode.error(problem), key))

    def _fetch(self, call: Call) -> Call:
        found = []
        for part in ("batch", "actions"):
            path = "{}{}/{}".format(p.PATH_RUN_V0, _run_id(call.run_id), part)
            answer = self._http.api("GET", path, headers=call.trace, retry=FETCH_RETRY)
            if answer.status != 200:
                raise errors.ApiError(
                    "The state of run {} cannot be fetched: {}".format(
                        call.run_id, answer.error()
                    ),
                    answer.status,
                )
            found.append(answer.json())
        return decode.fetched(call, *found)

    def finish(
        self, accepted: Accepted, disconnected: t.Optional[threading.Event] = None
    ) -> Response:
        """Fetch what the server left out, call the function, and answer what
        the call ended in.

        :param disconnected: set when nobody waits for the answer any more
        :raises errors.ApiError: what was left out cannot be had
        """
        call, function, raw = accepted
        if call.events is None:
            call = self._fetch(call)
        if self._landing is not None:
            self._landing.saw(call)
        stack = Stack(self._client.middleware + function.middleware, self._client, raw)
        try:
            outcome = self._replay(call, function, stack, disconnected)
            stack.forward("before_response")
        finally:
            stack.close()
        return encode.outcome(outcome, call.fn_id)

    def _replay(
        self,
        call: Call,
        function: Function[t.Any],
        stack: Stack,
        disconnected: t.Optional[threading.Event],
    ) -> Outcome:
        hooks = _CallHooks(stack, disconnected)
        engine = Engine(call, time.time_ns, hooks)
        context = self._context(call, engine, hooks, stack, disconnected)
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
        if engine.exception is not None and not failures.is_quiet(engine.exception):
            _log.error(
                "Function %s failed (run %s, attempt %d)",
                call.fn_id,
                call.run_id,
                call.attempt,
                exc_info=engine.exception,
            )
        return outcome

    def _context(
        self,
        call: Call,
        engine: Engine,
        hooks: "_CallHooks",
        stack: Stack,
        disconnected: t.Optional[threading.Event],
    ) -> Context:
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
            logger=logger.for_call(self._client.logger, hooks.replay, facts),
            request_id=call.request_id,
            run_id=call.run_id,
            step=Step(engine, self._settings.app_id, call, sender, self._client.serializer),
            _disconnected=disconnected,
        )

    # -- the way out -----------------------------------------------------

    def _signed(self, response: Response, key: t.Optional[SigningKey]) -> Response:
        response = response.adding(*self._sdk_headers)
        if key is None or response.stream is not None:
            # a stream is signed within
            return response
        return response.adding((p.HEADER_SIGNATURE, key.sign(response.body, time.time())))


class _CallHooks:
    """What the engine tells, for the middleware and the logger of a call."""

    def __init__(self, stack: Stack, disconnected: t.Optional[threading.Event]) -> None:
        self._stack = stack
        # where the answer is in one piece, nobody can tell
        self.is_lost = bool if disconnected is None else disconnected.is_set
        self.replay = logger.Replay()

    def new_code(self) -> None:
        self.replay.over = True
        self._stack.forward("before_execution")

    def replaying(self, on: bool) -> None:
        self.replay.over = not on

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


def _bare(response: Response) -> Response:
    """Without what only a trusted caller is told."""
    kept = [(name, value) for name, value in response.headers if name != p.HEADER_NO_RETRY]
    return response._replace(headers=kept)


def _run_id(text: str) -> str:
    """A run id that could lead elsewhere is no run id."""
    if not decode.RUN_ID.fullmatch(text):
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
