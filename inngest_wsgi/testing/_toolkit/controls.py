"""Do things to runs, as a person does on the pages of a server."""

from __future__ import annotations

import typing as t
from datetime import datetime

from .._model.messages import Message
from .core import Core
from .recorded import read
from .replay import Replay, Replayer, find_function
from .stubs import is_named
from .views import TestRun


class Controls(Core):
    """The methods of a :class:`~.server.TestServer` that do something to runs."""

    def start_run(self, function: str, events: t.Any) -> TestRun:
        """Start a run of a function, whatever its triggers and its flow control are.

        :param function: its id, with the app's or without.
        :param events: an ``Event``, a dict, or a list of them, for one run.
        :raise LookupError: there is no such function.
        :raise ValueError: an event is not one, or there is none.
        """
        events = events if isinstance(events, (list, tuple)) else [events]
        with self._drawing():
            run = self._acting.start_run(self._full_id(function), [wire_of(e) for e in events])
        return self._view(run)

    def _full_id(self, function: str) -> str:
        """Return the id of a function with its app's, if there is one."""
        for each in self._store.functions():
            if is_named(function, each.function_id, each.app_id):
                return each.function_id
        return function

    def signal(self, name: str, data: t.Any = None) -> TestRun:
        """Send a signal, and do all that is due then.

        :param data: any JSON value.
        :return: the run that waited for it.
        :raise LookupError: no run waits for it.
        """
        with self._drawing():
            return self._view(self._acting.signal(name, data))

    def cancel(self, run: t.Union[TestRun, str]) -> bool:
        """Cancel a run, given it or its id.

        :return: whether the run had not ended yet.
        :raise LookupError: there is no such run.
        """
        with self._drawing():
            cancelled = self._acting.cancel(run if isinstance(run, str) else run.id)
        self._settle()
        return cancelled

    def fire_cron(self, function: str) -> TestRun:
        """Start a function that has a cron trigger, and do all that is due then.

        :param function: its id, with the app's or without.
        :raise LookupError: no such function, it has no cron trigger, or one
            of its settings forbids another run.
        """
        with self._drawing():
            return self._view(self._acting.fire_cron(self._full_id(function)))

    def replay(self, recorded: t.Any, function: t.Optional[str] = None) -> Replay:
        """Replay a recorded run against the functions that are served, before a deploy::

            report = server.replay("recorded-run.json", "fulfil-order")
            assert report.matches, report

        The function is called at each moment of the recorded run, with the results that
        there were. No step runs, but the code outside of steps does.

        :param recorded: of ``run.to_json()`` or :func:`fetch_run`; the body of a call as a
            server sends it; a run or a call of a test; or the path of a JSON file.
        :param function: its id, with the app's or without; if it is not recorded and there
            is more than one.
        :return: says what no longer matches.
        :raise LookupError: there is no such function.
        :raise ValueError: it is no recorded run.
        """
        run = read(recorded)
        found = find_function(self._store.functions(), function, run.function)
        with self._drawing():
            return Replayer(self._stepper, found, run).replay()

    def pause(self, function: str) -> None:
        """Pause a function: it gets no new runs, and those it has make no calls.

        :param function: its id, with the app's or without.
        :raise LookupError: no such function.
        """
        self._acting.pause(self._full_id(function))

    def unpause(self, function: str) -> None:
        """Let a paused function go on, and do all that is due then.

        :raise LookupError: no such function.
        """
        with self._drawing():
            self._acting.unpause(self._full_id(function))
        self._settle()

    def cancel_many(
        self,
        function: str,
        *,
        started_before: t.Optional[datetime] = None,
        started_after: t.Optional[datetime] = None,
        if_exp: t.Optional[str] = None,
    ) -> t.List[TestRun]:
        """Cancel the runs of a function; see :meth:`LocalServer.cancel_many`.

        :param function: its id, with the app's or without.
        :return: the runs that were cancelled.
        """
        with self._drawing():
            cancelled = self._acting.cancel_many(
                self._full_id(function),
                started_before=started_before,
                started_after=started_after,
                if_exp=if_exp,
            )
        self._settle()
        return [self._view(run_id) for run_id in cancelled]

    def published(self, channel: t.Optional[str] = None) -> t.List[Message]:
        """Return what apps published to a channel, or to all of them, oldest first."""
        return self._acting.published(channel)

    def _view(self, run_id: str) -> TestRun:
        self._settle()
        return next(self._views([self._store.runs.by_id[run_id]]))


def wire_of(event: t.Any) -> t.Any:
    """Return an event as the event API takes it."""
    to_wire = getattr(event, "to_wire", None)
    return event if to_wire is None else to_wire()
