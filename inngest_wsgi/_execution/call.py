"""Carry out one call of a function: fetch what the server left out, make the
context, enter the middleware, and replay."""

from __future__ import annotations

import functools
import threading
import time
import typing as t

from .. import _protocol as p, errors
from .._codec import decode
from .._logs import log, printable
from .._messages import Call, Environ, Op, Outcome, Request, StepId
from .._server_api.body import MAX_STATE_BYTES
from .._server_api.client import Http
from .._server_api.events import EventApi
from .._server_api.retry import FETCH_RETRY
from .._settings import Settings
from ..client import Inngest
from ..context import LAZY, Context
from ..event import Event
from ..function import Function
from ..group import Group
from ..middleware import Opcode, StepMemos, TransformOutputResult, TransformOutputStepInfo
from ..serializer import serialized
from ..step import Step
from . import logger
from .checkpoint import Checkpoint, Checkpoints
from .current_step import current
from .engine import Engine
from .failure_log import log_failure
from .middleware_sender import MiddlewareSender
from .middleware_stack import Stack
from .next_call import NextCall
from .step_contexts import StepContexts

_SWALLOWED = (
    "Function %s went on after a step had ended its call (run %s). Something in it catches "
    "everything: an except without a class, except BaseException, a finally that returns, or "
    "a context manager that suppresses. Let BaseException pass."
)


#: Told the outcome of a call, and the exception of the user's code that it is
#: about, if any.
Ended = t.Callable[[Outcome, t.Optional[BaseException]], None]


class Watch(t.NamedTuple):
    """The functions by which a test takes part in calls.

    :ivar replace: returns what is called in place of a step's code: given the
        call, the step, and the code
    :ivar replayed: told after each call of a function how often it used each id
        of a step, and if it went on after an interrupt
    """

    replace: t.Callable[[Call, StepId, t.Callable[..., t.Any]], t.Callable[..., t.Any]]
    replayed: t.Callable[[Call, t.Mapping[str, int], bool], None]


class Calls:
    """Carries out the calls of one endpoint's functions.

    :param functions: with the failure handlers
    :param observe: given each call before its function runs
    :param watch: takes part in calls, in a test
    :param step_contexts: entered around each run of a step's function; None if
        there are none
    """

    def __init__(
        self,
        settings: Settings,
        functions: t.Sequence[Function[t.Any]],
        http: Http,
        client: Inngest,
        observe: t.Optional[t.Callable[[Call], None]] = None,
        watch: t.Optional[Watch] = None,
        step_contexts: t.Optional[StepContexts] = None,
    ) -> None:
        self._settings = settings
        self._watch = watch
        self._step_contexts = step_contexts
        self._functions = {f.full_id(settings.app_id): f for f in functions}
        self._policies = {f: f.checkpoint_policy(settings.checkpointing) for f in functions}
        self._http = http
        self._event_api = EventApi(settings, http)
        # a test's app has no thread but the test's
        self._checkpoints = Checkpoints(http, timers=watch is None)
        self._client = client
        self._observe = observe
        self._no_middleware = Stack((), client, None)

    def accept(self, request: Request) -> t.Tuple[Call, Function[t.Any]]:
        """Read a call, and find its function.

        :raises errors.RequestError: the call cannot be carried out
        """
        call = decode.call(request)
        function = self._functions.get(call.fn_id)
        if function is None:
            raise errors.FunctionNotFoundError(
                f"Function {call.fn_id[:200]!r} is not served here. Sync the app again if it was "
                "renamed or removed."
            )
        return call, function

    def run(
        self,
        call: Call,
        function: Function[t.Any],
        raw: Environ,
        disconnected: t.Optional[threading.Event] = None,
        ended: t.Optional[Ended] = None,
    ) -> Outcome:
        """Carry out a call in this thread.

        :param raw: the WSGI environ, for middleware
        :param disconnected: set when nobody waits for the answer any more;
            None where that cannot be told
        :param ended: told what the function ended in
        :raises errors.ApiError: what the server left out cannot be fetched
        :raises errors.MiddlewareError: a hook raised outside of the function
        """
        if call.events is None:
            call = self._fetch(call)
        if self._observe is not None:
            self._observe(call)
        factories = self._client.middleware + function.middleware
        if not factories:
            return self._replay(call, function, self._no_middleware, disconnected, ended)
        stack = Stack(factories, self._client, raw)
        try:
            outcome = self._replay(call, function, stack, disconnected, ended)
            stack.forward("before_response")
        finally:
            stack.close()
        return outcome

    def _fetch(self, call: Call) -> Call:
        """Fetch the events and memos that the server left out (``use_api``)."""
        if not decode.RUN_ID.fullmatch(call.run_id):
            # it becomes a part of the path
            raise errors.BodyError("body_invalid", "ctx.run_id is not a run id.")
        found = []
        for part in ("batch", "actions"):
            path = f"{p.PATH_RUN_V0}{call.run_id}/{part}"
            answer = self._http.api(
                "GET",
                path,
                headers=call.trace,
                retry=FETCH_RETRY,
                deadline_s=self._settings.request_timeout,
                max_bytes=MAX_STATE_BYTES,
            )
            if answer.status != 200:
                raise errors.ApiError(
                    f"The state of run {call.run_id} cannot be fetched: {answer.error()}",
                    answer.status,
                )
            found.append(answer.json())
        return decode.fetched(call, *found)

    def _context(
        self,
        call: Call,
        stack: Stack,
        hooks: "_Hooks",
        disconnected: t.Optional[threading.Event],
        engine: t.Optional[Engine],
        raw_events: t.Optional[t.Sequence[t.Dict[str, t.Any]]],
        checkpoint: t.Optional[Checkpoint] = None,
    ) -> t.Tuple[Context, Engine]:
        """Make the argument of the function.

        :param engine: None to make one, with the checkpoint
        :param raw_events: as JSON
        """
        try:
            events = [Event.from_wire(event) for event in raw_events or ()]
        except ValueError as error:
            raise errors.BodyError("body_invalid", f"{error}.") from None
        if engine is None:
            engine = Engine(call, time.time_ns, hooks, checkpoint)
            if self._watch is not None:
                engine.replace = functools.partial(self._watch.replace, call)
            if self._step_contexts is not None:
                has_hook = stack.uses("transform_output")
                state, contexts = engine.state, self._step_contexts
                if contexts.surround:
                    engine.around = functools.partial(contexts.run, call, state, has_hook)
                state.watch = contexts.watch(call)
        found = engine
        app_id, serializer = self._settings.app_id, self._client.serializer
        # not by its __init__(), which would need all attributes
        context = Context.__new__(Context)
        context.attempt = call.attempt
        context.event = events[0]
        context.events = events
        context.job_id = call.job_id
        context.request_id = call.request_id
        context.run_id = call.run_id
        context.step = Step(
            engine,
            app_id,
            call,
            lambda: MiddlewareSender(self._event_api, stack, call.trace),
            serializer,
        )
        context.max_attempts = call.max_attempts
        context._disconnected = disconnected
        context._make = lambda name: self._make(name, found, hooks, call)
        return context, engine

    def _make(self, name: str, engine: Engine, hooks: "_Hooks", call: Call) -> t.Any:
        """Make an attribute of :data:`~inngest_wsgi.context.LAZY`."""
        if name == "group":
            return Group(engine)
        run_id = call.run_id
        facts = {
            # the id of the run is the only one that a stranger may have made up
            "inngest_run_id": run_id if run_id.isprintable() else printable(run_id),
            "inngest_function_id": call.fn_id,
            "inngest_attempt": call.attempt,
        }
        return logger.for_call(self._client.logger, hooks.replay, facts)

    def _complete_context(self, *args: t.Any) -> t.Tuple[Context, Engine]:
        """Make another argument of the same call, to see what middleware changes
        in it; so with all attributes."""
        context, engine = self._context(*args)
        for name in LAZY:
            getattr(context, name)
        return context, engine

    def _replay(
        self,
        call: Call,
        function: Function[t.Any],
        stack: Stack,
        disconnected: t.Optional[threading.Event],
        ended: t.Optional[Ended],
    ) -> Outcome:
        checkpoint, policy = None, self._policies[function]
        if policy is not None and call.queue_item is not None:
            checkpoint = self._checkpoints.begin(call, policy)
        hooks = _Hooks(stack, disconnected)
        context, engine = self._context(
            call, stack, hooks, disconnected, None, call.events, checkpoint
        )
        if hooks.has_middleware:
            # for a failure handler, the function that has it
            declared = function.declared
            if checkpoint is not None and stack.uses("transform_input"):
                again = functools.partial(
                    self._complete_context, call, stack, hooks, disconnected, engine
                )
                hooks.remember(context, declared, call, again)
            steps = {} if call.steps is None else call.steps
            stack.forward("transform_input", context, declared, StepMemos(steps))
        run = function.handler
        if function.output_type is not None:
            run = functools.partial(self._run_typed, function, call.fn_id)
        token = current.set(context.step)
        try:
            outcome = engine.replay(run, context)
        finally:
            current.reset(token)
            if checkpoint is not None:
                checkpoint.close()
            if engine.swallowed:
                log.error(_SWALLOWED, call.fn_id, call.run_id)
            if self._watch is not None:
                self._watch.replayed(call, engine.state.uses, engine.swallowed)
        if engine.exception is not None:
            log_failure(call, outcome, engine.exception)
        if ended is not None:
            ended(outcome, engine.exception)
        return outcome

    def _run_typed(self, function: Function[t.Any], fn_id: str, context: Context) -> t.Any:
        """Call a function that has an ``output_type``."""
        output = function.handler(context)
        what = f"function {fn_id}"
        return serialized(self._client.serializer, output, function.output_type, what)


class _Hooks:
    """Tells the middleware and the logger of a call what the engine does."""

    __slots__ = ("has_middleware", "is_lost", "replay", "_stack", "_next_call")

    def __init__(self, stack: Stack, disconnected: t.Optional[threading.Event]) -> None:
        self._stack = stack
        self.has_middleware = bool(stack.entries)
        # where the answer is in one piece, nobody can tell: bool() is False
        self.is_lost = bool if disconnected is None else disconnected.is_set
        self.replay = logger.Replay()
        #: for the calls that this one stands for; None if there are none, or if
        #: no middleware looks at their input
        self._next_call: t.Optional[NextCall] = None

    def remember(
        self,
        context: Context,
        function: Function[t.Any],
        call: Call,
        make_context: t.Callable[[t.Any], t.Tuple[Context, Engine]],
    ) -> None:
        """Remember what a next call would bring, before middleware changes it.

        :param make_context: returns another context of the same call, with the
            events that it is given as JSON
        """
        self._next_call = NextCall(context, function, call, make_context)

    def new_code(self) -> None:
        self.replay.over = True
        if self.has_middleware:
            self._stack.forward("before_execution")

    def replaying(self, on: bool) -> None:
        self.replay.over = not on

    def ended(self) -> None:
        self._stack.backward("after_execution")

    def answered(self) -> None:
        if self.has_middleware:
            try:
                self._stack.forward("before_response")
            finally:
                self._stack.close()

    def called_again(
        self, memos: t.Dict[str, t.Any], hashed_id: str, memo: t.Any
    ) -> t.Dict[str, t.Any]:
        if self._next_call is None:
            memos[hashed_id] = memo
        if not self.has_middleware:
            return memos
        self.replay.over = False
        self._stack.enter()
        if self._next_call is None:
            return memos
        try:
            return self._next_call.transform_input(self._stack, hashed_id, memo)
        except BaseException:
            # as in a call that ends here: before_response() is not called
            self._stack.close()
            raise

    def output(
        self, error: t.Optional[BaseException], value: t.Any, op: t.Optional[Op]
    ) -> t.Tuple[t.Optional[BaseException], t.Any]:
        step = None
        if op is not None:
            opts = None if op.opts is None else dict(op.opts)
            step = TransformOutputStepInfo(op.id.user_id, Opcode(op.op), opts)
        result = TransformOutputResult(error, value, step)
        self._stack.backward("transform_output", result)
        if result.error is not None and not isinstance(result.error, BaseException):
            problem = TypeError(f"it made result.error {result.error!r}, no exception")
            raise errors.MiddlewareError("transform_output()", problem)
        return result.error, result.output
