"""Bind an application to the server, by an object that its endpoint finds in the environ.

The endpoint calls the methods of the object; nothing of the SDK is imported here.
"""

from __future__ import annotations

import contextlib
import json
import typing as t
from urllib.parse import urlsplit

from ... import _protocol
from .._http.inprocess import call, environ_of
from .._wire import ids, randomness
from .api_faults import carry_out
from .injecting import FaultyStepper
from .stubs import Stubs

Body = t.Callable[..., t.Any]

_SEED = _protocol.HEADER_EVENT_ID_SEED.lower()


class Response:
    """The server's answer, with what an SDK reads of urllib3's."""

    def __init__(self, status: int, headers: t.Dict[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


class AppBinding:
    """Connects the endpoints of the test's apps with the server.

    :param around: entered around each request of an app; it makes what the
        server draws depend on the test's seed.
    """

    def __init__(
        self, stepper: FaultyStepper, stubs: Stubs, around: t.Callable[[], t.ContextManager[None]]
    ) -> None:
        self._stepper = stepper
        self._store = stepper.store
        self._stubs = stubs
        self._around = around
        #: Given the events that an app sends, returns their ids in place of the
        #: server, which does not get them then.
        self.answer_events: t.Optional[t.Callable[[bytes], t.List[str]]] = None
        self._seeds: t.Dict[str, str] = {}
        self._undo = contextlib.ExitStack()
        #: How many endpoints are bound.
        self.count = 0

    # -- what an endpoint calls ------------------------------------------------

    def request(
        self,
        method: str,
        url: str,
        body: t.Optional[bytes] = None,
        headers: t.Optional[t.Mapping[str, str]] = None,
        **options: t.Any,
    ) -> Response:
        """Make a request to the server's API, as urllib3's ``request()``."""
        if self.answer_events is not None and urlsplit(url).path.startswith(_protocol.PATH_EVENT):
            answered = {"ids": self.answer_events(body or b""), "status": 200}
            return Response(200, {}, json.dumps(answered).encode("ascii"))
        with self._around():
            pairs = [
                (name, self._seed_for(value) if name.lower() == _SEED else value)
                for name, value in (headers or {}).items()
            ]
            pairs.append(("Content-Length", str(len(body or b""))))
            answer = carry_out(
                self._stepper,
                urlsplit(url).path,
                body or b"",
                lambda body: call(self._stepper.api, environ_of(method, url, pairs, body)),
            )
        return Response(answer.status, answer.headers, answer.body)

    def sleep(self, seconds: float) -> None:
        """Do not wait: a test has no time for it."""

    def now(self) -> float:
        """Return the present moment of virtual time, in unix seconds."""
        return self._store.runs.now()

    def replace(self, run_id: str, step_id: str, index: int, body: Body) -> Body:
        """Return the code of a step, or what a stub puts in its place."""
        run = self._store.runs.by_id.get(run_id)
        if run is None:
            return body
        function = run.function
        stub = self._stubs.find(function.function_id, function.app_id, step_id, index)
        if stub is None:
            return self._stepper.around(run, step_id, index, body)

        def stubbed(*args: t.Any, **kwargs: t.Any) -> t.Any:
            return stub.act((run_id, step_id, index), body, args, **kwargs)

        return self._stepper.around(run, step_id, index, stubbed)

    def replayed(self, run_id: str, uses: t.Mapping[str, int], swallowed: bool) -> None:
        """Let whoever watches know which steps a call of a function came to."""
        if self._stepper.watcher is not None:
            self._stepper.watcher.replayed(uses, swallowed)

    def bound(self, unbind: t.Callable[[], None]) -> None:
        """Take the function that undoes the binding of one endpoint."""
        self._undo.callback(unbind)
        self.count += 1

    # -- what the server calls -------------------------------------------------

    def unbind(self) -> None:
        """Undo every binding, the newest first; one that fails keeps none of the others."""
        self.count = 0
        self._undo.close()

    def forget(self) -> None:
        """Forget the seeds of earlier requests."""
        self._seeds.clear()

    def _seed_for(self, seed: str) -> str:
        """Return a seed that the test's own decides, always the same for the same one.

        An app draws the seed at random, and the ids of events follow from it.
        """
        if seed not in self._seeds and ids.parse_seed(seed) is not None:
            now = int(self._store.runs.now() * 1000)
            self._seeds[seed] = ids.made_seed(now, randomness.token_bytes(10))
        return self._seeds.get(seed, seed)
