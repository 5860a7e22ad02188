"""Provide :class:`LocalServer`, the public class of the local server."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
import typing as t
from types import TracebackType

from ._http.api import Api
from ._http.caller import Caller
from ._http.front import Front
from ._http.sync import SYNC_TIMEOUT, SyncResult, sync
from ._run.clock import Clock, SystemClock
from ._run.request import BODY_LIMIT
from ._store import Store
from ._watching import Watching
from ._wire.signing import SigningKey

logger = logging.getLogger("inngest_wsgi.testing")

#: Seconds that :meth:`LocalServer.stop` waits for calls in flight.
_GRACE = 2.0
_MOST_WORKERS = 8


class LocalServer(Watching):
    """An Inngest server in memory, for tests and demos and nothing else.

    Usable as a context manager, which starts and stops it.

    :param host: address to listen on.
    :param port: port to listen on; 0 picks a free one.
    :param signing_key: None for dev mode: nothing is signed or checked. With
        a key, hex with or without a ``signkey-<env>-`` prefix, the server is
        of the kind ``cloud``: it signs, and wants bearers and signed answers.
    :param event_keys: in cloud mode the only event keys accepted; any if
        None. Dev mode takes any key.
    :param retry_interval: seconds between attempts; None for the schedule of
        a real server, which begins at 15 to 45 seconds (W30).
    :param clock: a :class:`SystemClock` (also if None) or a
        :class:`VirtualClock`.
    :param max_workers: how many calls may be under way at once.
    :param body_limit: bytes a call's body may have before the app has to
        fetch the state itself (``use_api``, W18).
    :param detect_stale_calls: answer 409 to the checkpoint of a call that was
        made again meanwhile, once the call is 10 seconds old (W48). Inngest
        Cloud decides this for each account; other servers do not by default.
    :param queue_delay: seconds between a job's becoming due and its call, by
        the clock, as a real server's queue takes time: some 0.15 between two
        steps. Also the first call of a run and each retry are such jobs, and
        each request that the server makes for the app. Calls whose delay has
        ended are made in the order of ``priority``.
    :raise ValueError: the signing key is not one, or the delay is negative or
        not finite.
    :raise OSError: the address is taken.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        signing_key: t.Optional[str] = None,
        event_keys: t.Optional[t.Iterable[str]] = None,
        retry_interval: t.Optional[float] = None,
        clock: t.Optional[Clock] = None,
        max_workers: int = _MOST_WORKERS,
        body_limit: int = BODY_LIMIT,
        detect_stale_calls: bool = False,
        queue_delay: float = 0.0,
    ) -> None:
        if not 0 <= queue_delay < math.inf:
            raise ValueError(f"queue_delay must be a number of 0 or more, not {queue_delay!r}")
        self._signing_key = signing_key
        self._host = host
        super().__init__(
            Store(
                clock or SystemClock(),
                None if signing_key is None else SigningKey(signing_key),
                event_keys,
                retry_interval,
                max_workers,
                body_limit,
            )
        )
        self._store.detect_stale = detect_stale_calls
        self._store.executor.queue.delay = queue_delay
        self._front = Front(host, port, Api(self._store))
        self._syncs = Caller(timeout=SYNC_TIMEOUT)
        self._started = False

    # -- start and stop --------------------------------------------------------------

    def start(self) -> None:
        """Start to serve requests and to call apps. Called by ``with``.

        :raise RuntimeError: it was started before.
        """
        if self._started or self._stopped:
            raise RuntimeError("a LocalServer can be started only once; create another one")
        self._started = True
        self._store.executor.start()
        self._front.start()

    def stop(self) -> None:
        """Stop everything and free the port; harmless a second time.

        Calls in flight are waited for, two seconds at most, then broken off.
        """
        if self._stopped:
            return
        self._stopped = True
        with self._store.changed:
            self._store.changed.notify_all()
        self._syncs.abort()
        if self._started:
            self._store.executor.stop(_GRACE)
        self._front.stop(_GRACE)

    def __enter__(self) -> "LocalServer":
        self.start()
        return self

    def __exit__(
        self,
        kind: t.Optional[t.Type[BaseException]],
        error: t.Optional[BaseException],
        trace: t.Optional[TracebackType],
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Return the origin of both APIs, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._front.port}"

    @property
    def signing_key(self) -> t.Optional[str]:
        """Return the signing key, as it was given. Assign another one to rotate it.

        Calls and requests from then on use the new key.
        """
        return self._signing_key

    @signing_key.setter
    def signing_key(self, value: t.Optional[str]) -> None:
        self._store.key = None if value is None else SigningKey(value)
        self._signing_key = value

    # -- apps and events ---------------------------------------------------

    def sync(self, url: str, *, signed: bool = True, in_band: bool = False) -> SyncResult:
        """Ask the app at this URL to register, as a server does (W51).

        :param signed: with a signing key, whether the request is signed: it
            is if the URL was given to the server when it was started, and is
            not if it was given to the server's page (W78).
        :param in_band: ask the app to answer with its functions, as Inngest
            Cloud does, instead of registering them by a request of its own.
        :raise SyncError: the app could not be reached, said no, or said yes
            without having registered here.
        :raise RuntimeError: the server is not running.
        """
        if not self._started or self._stopped:
            raise RuntimeError("the local server is not running: call start() before sync()")
        return sync(self._store, self._syncs, self.url, url, signed, in_band)

    def send(self, events: t.Union[t.Dict[str, t.Any], t.List[t.Dict[str, t.Any]]]) -> t.List[str]:
        """Send one event or a list of them, as by ``POST /e/<key>``.

        :return: the ids that the server gave them, in order.
        :raise ValueError: the event API would refuse an event; those before
            it in the list were accepted.
        """
        accepted, error = self._store.accept_events(json.dumps(events), None)
        if error is not None:
            raise ValueError(error)
        return accepted

    def reset(self) -> None:
        """Forget all events and runs, and all that is queued, for another test.

        Apps stay registered, and the clock is not set back. A call that is
        under way goes on in the app, but its answer is not used, and counts
        against no limit any more.
        """
        self._store.reset()

    # -- time --------------------------------------------------------------

    @contextlib.contextmanager
    def hold(self) -> t.Generator[None, None, None]:
        """Keep virtual time from jumping within a ``with`` block.

        What is due goes on, and what is due later stays in the future until
        the block ends, so that a test can act while a run sleeps or waits::

            with server.hold():
                [event_id] = server.send({"name": "shop/order.placed"})
                server.wait_for(event_id, "waiting")
                server.send({"name": "shop/order.paid"})
            run = server.wait_for_run(event_id)

        Within the block, do not wait for something that takes virtual time,
        unless it passes by :meth:`advance`. Blocks may be nested. A
        :class:`SystemClock` does not stop for it.
        """
        self._store.executor.hold(+1)
        try:
            yield
        finally:
            self._store.executor.hold(-1)

    def advance(self, seconds: float, timeout: float = 10) -> None:
        """Move virtual time forward within :meth:`hold`.

        All that is due meanwhile is done, at its time, and what follows from
        it; cron schedules fire. Waits for calls in flight.

        :param seconds: virtual seconds; with 0, what is due now is done.
        :param timeout: real seconds that this may take.
        :raise RuntimeError: the server is not held, or was stopped, or goes
            by real time.
        :raise TimeoutError: it took longer; the time may have passed in part.
        :raise ValueError: ``seconds`` is negative.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must be 0 or more, not {seconds!r}")
        deadline = time.monotonic() + timeout
        with self._store.changed:
            executor = self._store.executor
            if not executor.held:
                raise RuntimeError("advance() needs a VirtualClock, and works only within hold()")
            until = self._store.runs.now() + seconds
            self._store.schedules.move_to(until)
            arrived = executor.advance(until)
            while not arrived():
                self._wait(deadline, lambda: f"advance({seconds:g}) has not finished in time")
