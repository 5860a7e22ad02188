"""Read runs, and wait for them: a part of :class:`LocalServer`."""

from __future__ import annotations

import time
import typing as t

from ._acting import Acting
from ._model.state import HistoryEntry, Run, RunState
from ._store import Store


class Watching(Acting):
    """The methods of a :class:`LocalServer` that read runs."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._stopped = False

    def runs(self, event_id: t.Optional[str] = None) -> t.List[Run]:
        """Return the runs that an event triggered, or all of them, oldest first.

        :param event_id: an id from :meth:`send`, or one that the sender gave.
        """
        with self._store.changed:
            if event_id is None:
                found = list(self._store.runs.by_id.values())
            else:
                found = self._store.runs_of(event_id)
            return [run.snapshot() for run in found]

    def wait_for_run(self, event_id: str, timeout: float = 10) -> Run:
        """Wait for the first run that an event triggered to end.

        :param event_id: as for :meth:`runs`, or the id of a run.
        :param timeout: real seconds.
        :raise TimeoutError: it has not ended; the text has its history so far.
        :raise LookupError: the event was received, and triggered no function.
        :raise RuntimeError: the server was stopped.
        """
        deadline = time.monotonic() + timeout
        with self._store.changed:
            while True:
                run = self._find(event_id)
                if run is not None and run.ended:
                    return run.snapshot()
                self._check_can_start(event_id, run)
                self._wait(deadline, lambda: _so_far(f"event {event_id}", run))

    def wait_for(
        self, event_id: str, kind: str, step: t.Optional[str] = None, timeout: float = 10
    ) -> HistoryEntry:
        """Wait for something to happen in a run, or to have happened.

        :param event_id: as for :meth:`wait_for_run`.
        :param kind: of a :class:`HistoryEntry`, such as ``waiting``.
        :param step: display name of the step; any if None.
        :param timeout: real seconds.
        :return: the first such entry of the run's history.
        :raise TimeoutError: it has not happened; the text says what has.
        :raise LookupError: the run ended without, or there is no run.
        :raise RuntimeError: the server was stopped.
        """
        found: t.List[HistoryEntry] = []

        def happened(run: Run) -> bool:
            found.extend(
                entry for entry in run.history if entry.kind == kind and step in (None, entry.step)
            )
            return bool(found)

        self.wait_until(event_id, happened, timeout)
        return found[0]

    def wait_until(
        self, event_id: str, predicate: t.Callable[[Run], bool], timeout: float = 10
    ) -> Run:
        """Wait for a run to be in some state.

        :param event_id: as for :meth:`wait_for_run`.
        :param predicate: called with the run whenever something has changed;
            it must not call the server.
        :param timeout: real seconds.
        :return: the run in that state.
        :raise TimeoutError: it is not in that state; the text has its history so far.
        :raise LookupError: the run ended without, or there is no run.
        :raise RuntimeError: the server was stopped.
        """
        deadline = time.monotonic() + timeout
        with self._store.changed:
            while True:
                run = self._find(event_id)
                if run is not None:
                    snapshot = run.snapshot()
                    if predicate(snapshot):
                        return snapshot
                    if run.ended:
                        raise LookupError(_so_far(f"event {event_id}", run))
                self._check_can_start(event_id, run)
                self._wait(deadline, lambda: _so_far(f"event {event_id}", run))

    def follow(self, run_id: str, timeout: float = 30) -> t.Iterator[HistoryEntry]:
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
                run = self._run(run_id)
                while position >= len(run.history):
                    if run.ended:
                        return
                    self._wait(deadline, lambda: _so_far(f"run {run_id}", run))
                entry = run.history[position]
            position += 1
            yield entry

    def _check_can_start(self, event_id: str, run: t.Optional[RunState]) -> None:
        """Raise LookupError if an event was received and cannot start a run any more."""
        if run is not None or not self._store.knows_event(event_id):
            return
        if not self._store.expects_run_of(event_id):
            reason = self._store.why_no_run(event_id)
            raise LookupError(f"the event {event_id} triggered no run: {reason}")

    def _find(self, event_or_run_id: str) -> t.Optional[RunState]:
        run = self._store.runs.by_id.get(event_or_run_id)
        if run is not None:
            return run
        return self._store.first_run_of(event_or_run_id)

    def _wait(self, deadline: float, so_far: t.Callable[[], str]) -> None:
        """Wait for a change, or raise; needs the lock."""
        if self._stopped:
            raise RuntimeError("the local server was stopped")
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(so_far())
        self._store.changed.wait(left)


def _so_far(what: str, run: t.Optional[RunState]) -> str:
    if run is None:
        return f"{what}: the server has received no such event, and has no such run"
    still = "" if run.ended else "still "
    lines = [f"{what}: run {run.run_id} of {run.function.function_id} is {still}{run.status}"]
    for entry in run.history:
        step = "" if entry.step is None else f" {entry.step!r}"
        detail = "" if entry.detail is None else f": {entry.detail}"
        lines.append(f"  {entry.at:>8} ms  {entry.kind}{step}{detail}")
    return "\n".join(lines)
