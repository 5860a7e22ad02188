"""Act on runs from outside: a part of :class:`LocalServer` and :class:`TestServer`."""

from __future__ import annotations

import json
import typing as t

from ._controls import FunctionControls
from ._flow.schedules import cron_event
from ._model.events import read_batch
from ._model.state import RunState
from ._store import Store


class Acting(FunctionControls):
    """The methods of a server that act on runs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start_run(self, function_id: str, events: t.Sequence[t.Dict[str, t.Any]]) -> str:
        """Start a run of a function, whatever its triggers and its flow control are.

        :param function_id: the full id, ``<app>-<function>``.
        :param events: at least one; of several, a batch is made.
        :return: the id of the run.
        :raise LookupError: there is no such function.
        :raise ValueError: the event API would refuse an event, or there is none.
        """
        with self._store.changed:
            runs = self._store.runs
            batch = read_batch(json.dumps(list(events), allow_nan=False), None, runs.now())
            if batch.error is not None or not batch.events:
                raise ValueError(batch.error or "a run needs at least one event")
            return runs.begin(self._store.function(function_id), batch.events).run_id

    def fire_cron(self, function_id: str) -> str:
        """Start a cron-triggered function now, whatever its schedule.

        :param function_id: the full id, ``<app>-<function>``.
        :return: the id of the run.
        :raise LookupError: no such function, it has no cron trigger, or one
            of its settings forbids another run (its singleton is running).
        """
        with self._store.changed:
            function = self._store.function(function_id)
            if not function.crons:
                reason = "; ".join(function.faults) or "it has no cron trigger"
                raise LookupError(f"the function {function_id!r} cannot be started: {reason}")
            event = cron_event(function.crons[0].text, self._store.runs.now())
            return self._store.fire(function, event).run_id

    def signal(self, name: str, data: t.Any = None) -> str:
        """Send a signal, as by ``POST /v1/signals``.

        :param data: any JSON value.
        :return: the id of the run that waited for it.
        :raise LookupError: no run waits for it.
        :raise ValueError: the data is not JSON.
        """
        data = json.loads(json.dumps(data, allow_nan=False))
        with self._store.changed:
            run = self._store.runs.signal(name, data)
        if run is None:
            raise LookupError(f"no run waits for the signal {name!r}")
        return run.run_id

    def cancel(self, run_id: str) -> bool:
        """Cancel a run, as by ``DELETE /v1/runs/<id>``.

        A call in flight is not broken off; its answer is ignored.

        :return: whether the run had not ended yet.
        :raise LookupError: there is no such run.
        """
        with self._store.changed:
            return self._store.runs.cancel(self._run(run_id), "by the test")

    def rerun(
        self,
        run_id: str,
        from_step: t.Optional[str] = None,
        input: t.Optional[t.List[t.Any]] = None,
    ) -> str:
        """Start a run like an old one, with the same events.

        :param run_id: the old run; it may have ended.
        :param from_step: display name of the step to begin with; the results
            of the steps that were finished before it are taken over, and the
            first call targets it (W16). All of the run if None.
        :param input: arguments for that step in place of its own; the app
            gets them as ``{"input": [...]}``.
        :return: the id of the new run.
        :raise LookupError: there is no such run, or it reported no such step.
        :raise ValueError: an input without a step, or one that is not JSON.
        """
        if input is not None and from_step is None:
            raise ValueError("rerun() with input needs from_step, the step that the input is for")
        override = None
        if input is not None:
            override = {"input": json.loads(json.dumps(list(input), allow_nan=False))}
        with self._store.changed:
            old = self._run(run_id)
            step_id = None
            if from_step is not None:
                found = [key for key, name in old.names.items() if name == from_step]
                if not found:
                    raise LookupError(f"run {run_id} reported no step {from_step!r}")
                step_id = found[0]
            return self._store.runs.rerun(old, step_id, override).run_id

    def _run(self, run_id: str) -> RunState:
        run = self._store.runs.by_id.get(run_id)
        if run is None:
            raise LookupError(f"there is no run {run_id!r}")
        return run
