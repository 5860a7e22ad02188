"""Bind an endpoint and its client to the server of a test.

A test's server calls the endpoint in the test's own thread, and hands it an
object in the WSGI environ (:data:`_protocol.ENVIRON_TEST`). Such a request is
answered by a router with settings of its own: nothing is signed, streamed or
sent over the network. All other requests are answered as ever.

Nothing can bind an endpoint from outside of its process: the headers of a
request have keys that begin with ``HTTP_`` (PEP 3333), and what a WSGI server
takes from its configuration is text, which is ignored here.
"""

from __future__ import annotations

import contextlib
import typing as t

from .. import _settings
from .._execution import options
from .._execution.call import Watch
from .._execution.step_contexts import StepContexts
from .._messages import Call, StepId
from .._server_api.client import Http
from .._settings import Settings
from ..client import Inngest
from .call_context import Maker
from .functions import Functions
from .router import Router

Body = t.Callable[..., t.Any]


class Binding(t.Protocol):
    """The object that a test's server hands to the endpoint."""

    def request(self, method: str, url: str, **options: t.Any) -> t.Any:
        """Make a request to the server, as urllib3's ``request()``.

        :param options: ``body`` and ``headers``, and others to ignore
        :returns: has ``status``, ``headers`` and ``data``
        """

    def sleep(self, seconds: float) -> None:
        """Do as ``time.sleep`` between two attempts of a request."""

    def now(self) -> float:
        """Return the present time by the server's clock, in seconds since the epoch."""
        ...

    def replace(self, run_id: str, step_id: str, index: int, body: Body) -> Body:
        """Return what is called in place of a step's code; called when the
        step runs.

        :param step_id: as the function calls it
        :param index: which use of the id it is, from 0
        """
        ...

    def replayed(self, run_id: str, uses: t.Mapping[str, int], swallowed: bool) -> None:
        """Note that a call of a function has ended.

        :param uses: how often it used each id of a step
        :param swallowed: True if it went on after a step had ended its call
        """

    def bound(self, unbind: t.Callable[[], None]) -> None:
        """Take the function that undoes the binding; called once for each
        endpoint."""


_METHODS = ("request", "sleep", "now", "replace", "replayed", "bound")


class Endpoint:
    """Makes the router for the requests of a test.

    :param functions: with the failure handlers
    :param contexts: make the context managers entered around each call
    :param step_contexts: entered around each run of a step's function; None if
        there are none
    """

    def __init__(
        self,
        settings: Settings,
        functions: Functions,
        client: Inngest,
        contexts: t.Sequence[Maker],
        step_contexts: t.Optional[StepContexts] = None,
    ) -> None:
        self._settings = settings
        self._functions = functions
        self._client = client
        self._contexts = contexts
        self._step_contexts = step_contexts
        self._bound: t.Optional[t.Tuple[Binding, Router]] = None

    def bound_to(self, binding: t.Any) -> t.Optional[Router]:
        """Return the router for a test's requests, and send what the client
        sends to the same server, until the binding is undone.

        :param binding: from the environ
        :returns: None if it is not a :class:`Binding`
        :raises RuntimeError: the endpoint or its client is bound to another
            test's server
        """
        if self._bound is not None and self._bound[0] is binding:
            return self._bound[1]
        if not all(callable(getattr(binding, name, None)) for name in _METHODS):
            return None
        settings = _settings.in_test(self._settings)
        http = Http(settings, binding, binding.sleep)

        def replace(call: Call, step: StepId, body: Body) -> Body:
            return t.cast(Body, binding.replace(call.run_id, step.user_id, step.repeat, body))

        def replayed(call: Call, uses: t.Mapping[str, int], swallowed: bool) -> None:
            binding.replayed(call.run_id, uses, swallowed)

        def by_clock(environ: t.Any) -> t.ContextManager[None]:
            return _by_clock(binding.now)

        contexts = (by_clock, *self._contexts)
        watch = Watch(replace, replayed)
        router = Router(
            settings,
            self._functions,
            http,
            self._client,
            None,
            contexts,
            watch,
            self._step_contexts,
        )
        # last: if the router cannot be made, the client is as before
        unbind_client = self._client._bind(binding, binding.sleep)
        self._bound = binding, router

        def unbind() -> None:
            self._bound = None
            unbind_client()

        binding.bound(unbind)
        return router


@contextlib.contextmanager
def _by_clock(now: t.Callable[[], float]) -> t.Generator[None, None, None]:
    """Compare the dates in steps with the time of another clock meanwhile."""
    token = options.clock.set(now)
    try:
        yield
    finally:
        options.clock.reset(token)
