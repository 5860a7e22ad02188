"""The public face of the local server."""
from __future__ import annotations

import json
import logging
import time
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Dict, Iterable, Iterator, List, Optional, Type, Union

from .. import _protocol
from . import _ids
from ._api import Api
from ._calls import BODY_LIMIT, Caller
from ._clock import Clock, SystemClock
from ._front import Front
from ._signing import SigningKey
from ._state import Event, HistoryEntry, Run, RunState
from ._store import Store
from ._sync import SYNC_TIMEOUT, SyncResult, sync

logger = logging.getLogger("inngest_wsgi.testing")

#: Seconds that :meth:`LocalServer.stop` waits for calls in flight.
_GRACE = 2.0
_MOST_WORKERS = 8


class LocalServer:
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
    :raise ValueError: the signing key is not one.
    :raise OSError: the address is taken.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        signing_key: Optional[str] = None,
        event_keys: Optional[Iterable[str]] = None,
        retry_interval: Optional[float] = None,
        clock: Optional[Clock] = None,
        max_workers: int = _MOST_WORKERS,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self._signing_key = signing_key
        self._host = host
        self._store = Store(
            clock or SystemClock(),
            None if signing_key is None else SigningKey(signing_key),
            event_keys, retry_interval, max_workers, body_limit,
        )
        self._front = Front(host, port, Api(self._store))
        self._syncs = Caller(timeout=SYNC_TIMEOUT)
        self._started = False
        self._stopped = False

    # -- life --------------------------------------------------------------

    def start(self) -> None:
        """Begin to serve and to call. Called by ``with``.

        :raise RuntimeError: it was started before.
        """
        if self._started:
            raise RuntimeError("a LocalServer starts once")
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
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Origin of both APIs, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._front.port}"

    @property
    def signing_key(self) -> Optional[str]:
        """The signing key, as it was given. Assigning one rotates it.

        What is called or asked from then on goes by the new key.
        """
        return self._signing_key

    @signing_key.setter
    def signing_key(self, value: Optional[str]) -> None:
        self._store.key = None if value is None else SigningKey(value)
        self._signing_key = value

    # -- apps and events ---------------------------------------------------

    def sync(self, url: str) -> SyncResult:
        """Ask the app at this URL to register, as a server does (W51).

        :raise SyncError: the app could not be reached, said no, or said yes
            without having registered here.
        :raise RuntimeError: the server is not running.
        """
        if not self._started or self._stopped:
            raise RuntimeError("the local server is not running; an app cannot register")
        return sync(self._store, self._syncs, self.url, url)

    def send(self, events: Union[Dict[str, Any], List[Dict[str, Any]]]) -> List[str]:
        """Send one event or a list of them, as by ``POST /e/<key>``.

        :return: the ids that the server gave them, in order.
        :raise ValueError: the event API would refuse an event; those before
            it in the list were accepted.
        """
        ids, error = self._store.accept_events(json.dumps(events), None)
        if error is not None:
            raise ValueError(error)
        return ids

    def fire_cron(self, function_id: str) -> str:
        """Start a cron-triggered function now; none starts by itself here.

        :param function_id: the full id, ``<app>-<function>``.
        :return: the id of the run.
        :raise LookupError: no such function, or it has no cron trigger.
        """
        with self._store.changed:
            for function in self._store.functions():
                if function.function_id == function_id:
                    break
            else:
                raise LookupError(f"no function {function_id!r} is registered")
            if not function.crons:
                raise LookupError(f"the function {function_id!r} has no cron trigger")
            now = int(self._store.executor.now())
            moment = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            event = Event(
                internal_id=_ids.ulid(now * 1000),
                name=_protocol.EVENT_SCHEDULED_TIMER,
                data={"cron": function.crons[0], "fireAt": moment, "scheduledAt": moment},
                id=moment,
                ts=now * 1000,
            )
            return self._store.fire(function, event).run_id

    # -- runs --------------------------------------------------------------

    def runs(self, event_id: Optional[str] = None) -> List[Run]:
        """The runs that an event triggered, or all of them, oldest first.

        :param event_id: an id from :meth:`send`, or one that the sender gave.
        """
        with self._store.changed:
            if event_id is None:
                found = list(self._store.executor.runs.values())
            else:
                found = self._store.runs_of(event_id)
            return [run.snapshot() for run in found]

    def wait_for_run(self, event_id: str, timeout: float = 10) -> Run:
        """Wait for the first run that an event triggered to end.

        :param event_id: as for :meth:`runs`, or the id of a run.
        :param timeout: real seconds.
        :raise TimeoutError: it has not ended; the text says how far it came.
        :raise LookupError: the event came, and triggered no function.
        :raise RuntimeError: the server was stopped.
        """
        deadline = time.monotonic() + timeout
        with self._store.changed:
            while True:
                run = self._find(event_id)
                if run is not None and run.ended:
                    return run.snapshot()
                if run is None and self._store.knows_event(event_id):
                    raise LookupError(
                        f"the event {event_id} triggered no run: no registered function "
                        "has its name as a trigger, or its id was used before"
                    )
                self._wait(deadline, f"event {event_id}", run)

    def follow(self, run_id: str, timeout: float = 30) -> Iterator[HistoryEntry]:
        """Yield the entries of a run's history as they come, until it ends.

        :param timeout: real seconds, for the whole run.
        :raise LookupError: there is no such run.
        :raise TimeoutError: it has not ended; the text says how far it came.
        :raise RuntimeError: the server was stopped.
        """
        deadline = time.monotonic() + timeout
        position = 0
        while True:
            with self._store.changed:
                run = self._store.executor.runs.get(run_id)
                if run is None:
                    raise LookupError(f"there is no run {run_id!r}")
                while position >= len(run.history):
                    if run.ended:
                        return
                    self._wait(deadline, f"run {run_id}", run)
                entry = run.history[position]
            position += 1
            yield entry

    def _find(self, event_or_run_id: str) -> Optional[RunState]:
        run = self._store.executor.runs.get(event_or_run_id)
        if run is not None:
            return run
        found = self._store.runs_of(event_or_run_id)
        return found[0] if found else None

    def _wait(self, deadline: float, what: str, run: Optional[RunState]) -> None:
        """Wait for a change; needs the lock."""
        if self._stopped:
            raise RuntimeError("the local server was stopped")
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(_so_far(what, run))
        self._store.changed.wait(left)


def _so_far(what: str, run: Optional[RunState]) -> str:
    if run is None:
        return f"{what}: no such event has come"
    lines = [f"{what}: run {run.run_id} of {run.function.function_id} is still {run.status}"]
    for entry in run.history:
        step = "" if entry.step is None else f" {entry.step!r}"
        detail = "" if entry.detail is None else f": {entry.detail}"
        lines.append(f"  {entry.at:>8} ms  {entry.kind}{step}{detail}")
    return "\n".join(lines)
