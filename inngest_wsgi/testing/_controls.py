"""Pause functions, cancel many runs, and read what was published: a part of
:class:`LocalServer`."""

from __future__ import annotations

import typing as t
from datetime import datetime

from ._flow.bulk import CancellationRefused
from ._model.messages import Message
from ._store import Store
from ._wire.times import rfc3339


class FunctionControls:
    """What a person does to functions on a server's pages."""

    _store: Store

    def pause(self, function_id: str) -> None:
        """Pause a function: it gets no new runs, and those it has make no calls.

        The page of Inngest Cloud does that; there is no API for it.

        :param function_id: the full id, ``<app>-<function>``.
        :raise LookupError: no such function.
        """
        with self._store.changed:
            self._store.runs.pauses.pause(self._store.function(function_id))

    def unpause(self, function_id: str) -> None:
        """Let a paused function go on: its runs make the calls that have waited.

        Events that came meanwhile have started no runs, and do not later.

        :raise LookupError: no such function.
        """
        with self._store.changed:
            runs = self._store.runs
            function = self._store.function(function_id)
            for call in runs.pauses.unpause(function, runs.now()):
                runs.put(call)

    def cancel_many(
        self,
        function_id: str,
        *,
        started_before: t.Optional[datetime] = None,
        started_after: t.Optional[datetime] = None,
        if_exp: t.Optional[str] = None,
    ) -> t.List[str]:
        """Cancel the runs of a function, as by ``POST /v1/cancellations``.

        :param function_id: the full id, ``<app>-<function>``.
        :param started_before: now if None; a run that began later goes on.
        :param started_after: a run that began earlier goes on.
        :param if_exp: a CEL expression on the ``event`` of a run.
        :return: the ids of the runs that were cancelled.
        :raise LookupError: no such function.
        :raise ValueError: the API would refuse it.
        """
        with self._store.changed:
            runs = self._store.runs
            function = self._store.function(function_id)
            body: t.Dict[str, t.Any] = {
                "app_id": function.app_id,
                "function_id": function_id,
                "started_before": _text(started_before) or rfc3339(runs.now() + 1),
                "started_after": _text(started_after),
                "if": if_exp,
            }
            before = runs.running(function)
            try:
                self._store.cancellations.create(runs, [function], body)
            except CancellationRefused as refused:
                raise ValueError(str(refused)) from None
            return [run.run_id for run in before if run.ended]

    def published(self, channel: t.Optional[str] = None) -> t.List[Message]:
        """Return what apps published to a channel, or to all of them, oldest first."""
        with self._store.changed:
            return [m for m in self._store.published if channel in (None, m.channel)]


def _text(moment: t.Optional[datetime]) -> t.Optional[str]:
    return None if moment is None else rfc3339(moment.timestamp())
