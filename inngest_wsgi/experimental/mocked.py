"""Run one function in a test, as the official SDK's module of this name does::

    from inngest_wsgi.experimental import mocked

    client = mocked.Inngest(app_id="test")

    def test_welcome():
        result = mocked.trigger(welcome, inngest.Event("user/created"), client)
        assert result.status is mocked.Status.COMPLETED

It is for tests that were written for that module. New ones can do more with
:class:`inngest_wsgi.testing.TestServer`, on which this is built. Therefore it
is stricter than the official one: each step has retries of its own, the
function may catch the error of a step, and what a step returns goes through
JSON.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
import typing as t

from .. import errors
from ..client import Inngest as _Inngest
from ..event import Event
from ..function import Function
from ..testing import TIMEOUT, TestRun, TestServer
from ..testing._toolkit.stubs import Stub
from ..wsgi import serve

#: The stub of a step that waits for an event: none comes in time.
Timeout: object = TIMEOUT

_EVENT_ID = "00000000000000000000000000"
#: Kinds of steps that only a server can carry out, and that need a stub.
_MUST_BE_STUBBED = ("wait_for_event", "wait_for_signal", "invoke", "fetch", "ai.infer")


class Status(enum.Enum):
    """How a run ended."""

    COMPLETED = "Completed"
    FAILED = "Failed"


class UnstubbedStepError(Exception):
    """Raised if a function comes to a step that needs a stub and has none."""

    def __init__(self, step_id: str) -> None:
        super().__init__(f"step {step_id} is not stubbed: add it to step_stubs")


class Inngest(_Inngest):
    """A client whose events are sent nowhere.

    The arguments are those of :class:`inngest_wsgi.Inngest`. Its mode is the
    dev mode, unless one is given, so that it needs no keys.
    """

    def __init__(self, app_id: str, **options: t.Any) -> None:
        options.setdefault("is_production", False)
        super().__init__(app_id, **options)

    def send(
        self, events: t.Union[Event, t.Sequence[Event]], *, skip_middleware: bool = False
    ) -> t.List[str]:
        """Send nothing, and return as many ids as there are events."""
        return [_EVENT_ID] * (1 if isinstance(events, Event) else len(events))

    send_sync = send


@dataclasses.dataclass
class Result:
    """How a run ended.

    :ivar error: the exception that failed the function; None if it completed
    :ivar output: what the function returned; None if it failed
    """

    error: t.Optional[Exception]
    output: t.Any
    status: Status


class _Spy(Stub):
    """Remembers the exceptions of the steps that have no stub."""

    def __init__(self) -> None:
        super().__init__("", None, optional=True)
        self.raised: t.Dict[str, Exception] = {}

    def fits(self, function_id: str, app_id: str, step_id: str, index: int) -> bool:
        return True

    def act(
        self, key: t.Any, real: t.Callable[..., t.Any], args: t.Tuple[t.Any, ...], **more: t.Any
    ) -> t.Any:
        try:
            return real(*args, **more)
        except Exception as error:
            self.raised[key[1]] = error
            raise


class _Recorded:
    """A copy of a function that remembers what it returned or raised last.

    It has no failure handler, which the official ``trigger`` does not call either.
    """

    def __init__(self, function: Function[t.Any]) -> None:
        self.output: t.Any = None
        self.error: t.Optional[Exception] = None
        self.function = copy.copy(function)
        self.function._on_failure = None
        self.function.handler = self._call
        self._handler = function.handler

    def _call(self, ctx: t.Any) -> t.Any:
        try:
            self.output = self._handler(ctx)
        except Exception as error:
            self.error = error
            raise
        return self.output


def trigger(
    fn: Function[t.Any],
    event: t.Union[Event, t.List[Event]],
    client: Inngest,
    *,
    step_stubs: t.Optional[t.Dict[str, object]] = None,
) -> Result:
    """Run a function until it has ended, in virtual time.

    :param fn: from ``create_function`` of any client
    :param event: the event that starts the run, or several for a batch
    :param client: its middleware is used
    :param step_stubs: the results of steps by their ids; :data:`Timeout` for a
        ``wait_for_event`` that times out
    :raises UnstubbedStepError: a step of ``wait_for_event``, ``invoke`` or the like
        has no stub
    :raises ValueError: there is no event
    """
    stubs = step_stubs or {}
    recorded, spy = _Recorded(fn), _Spy()
    events = event if isinstance(event, list) else [event]
    with TestServer() as server:
        server._binding.answer_events = _ids_of
        server.serve(serve(client, [recorded.function]), path="/")
        server._stubs.add(spy)
        for step_id, value in stubs.items():
            server.stub(step_id, value, optional=True)
        run = server.start_run(fn.fn_id, events)
        server.run_until_idle()
        for step in run.steps:
            if step.kind in _MUST_BE_STUBBED and step.id not in stubs:
                raise UnstubbedStepError(step.id)
    if run.status == Status.COMPLETED.value:
        return Result(None, _output(run, recorded.output), Status.COMPLETED)
    return Result(_error(run, recorded.error, spy), None, Status.FAILED)


def _output(run: TestRun, returned: t.Any) -> t.Any:
    """Return what the function returned, unless middleware has changed it."""
    try:
        same = json.loads(json.dumps(returned)) == run.output
    except (TypeError, ValueError):
        same = False
    return returned if same else run.output


def _error(run: TestRun, raised: t.Optional[Exception], spy: _Spy) -> t.Optional[Exception]:
    """Return the exception that failed a run: that of the step, if one has."""
    if isinstance(raised, errors.StepError):
        return spy.raised.get(raised.step_id or "", raised)
    if raised is not None and run.error is not None and run.error.message == str(raised):
        return raised
    return run.error


def _ids_of(body: bytes) -> t.List[str]:
    return [_EVENT_ID] * len(json.loads(body))
