"""Define what the queue holds: calls of functions, and timers."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ... import _protocol
from .._model.state import Config, RunState
from .._wire import ids


@dataclass(eq=False)
class Item:
    """An entry of the queue; subclasses add what is to be done."""

    #: The run that it belongs to; None if there is no run yet.
    run: t.Optional[RunState]
    #: When it is due, in unix seconds by the server's clock.
    due: float
    #: True while it is in the queue, and not taken or dropped.
    queued: bool = field(default=False, init=False)
    #: True if it keeps its run from being stuck while it is queued.
    keeps_alive: bool = field(default=True, init=False)

    @property
    def live(self) -> bool:
        return self.queued and (self.run is None or not self.run.ended)


@dataclass(eq=False)
class RunItem(Item):
    """An entry of the queue that belongs to a run."""

    # it is never assigned, so a narrower type holds
    run: RunState  # pyright: ignore[reportIncompatibleVariableOverride]


@dataclass(eq=False)
class Call(RunItem):
    """A call of a function: of the whole function (``step``), or of one targeted step."""

    step_id: str = _protocol.STEP
    #: Display name of the targeted step.
    name: t.Optional[str] = None
    attempt: int = 0
    generation: int = 1
    job_id: str = field(default_factory=ids.job_id)
    #: Id of the step whose end led to the call; a targeted call has that of
    #: the call that planned it. Empty for the first call of a run.
    after: str = ""
    #: True if the op that led to the call said ``parallelMode: race``.
    race: bool = False
    #: Names the group that a targeted step was planned in; empty for a step
    #: that was planned alone.
    group: str = ""
    #: ``disable_immediate_execution`` of the first attempt, where it is not
    #: that of the run (W42).
    disable: t.Optional[bool] = None

    @property
    def targeted(self) -> bool:
        return self.step_id != _protocol.STEP

    @property
    def config(self) -> Config:
        """Return the configuration that the call has if its request is built now."""
        if self.disable is None:
            return self.run.config
        return self.run.config._replace(disable=self.disable)

    @property
    def current(self) -> int:
        """Return ``ctx.stack.current``: the length of the stack when :attr:`after` ended (W7)."""
        stack = self.run.stack
        return stack.index(self.after) + 1 if self.after in stack else 0

    def again(self, due: float) -> "Call":
        """Return the next attempt: the same job, the next generation (W6)."""
        call = self.redone(due)
        call.attempt += 1
        return call

    def redone(self, due: float) -> "Call":
        """Return the same attempt by another worker: the next generation."""
        return Call(
            self.run,
            due,
            self.step_id,
            self.name,
            self.attempt,
            self.generation + 1,
            self.job_id,
            self.after,
            self.race,
            self.group,
        )


class Timer(Item):
    """An action of the server at a time.

    :param action: called with the lock held.
    :param background: if True, the run counts as stuck if nothing else is
        queued for it.
    """

    def __init__(
        self,
        run: t.Optional[RunState],
        due: float,
        action: t.Callable[[], None],
        background: bool = False,
    ) -> None:
        super().__init__(run, due)
        self.action = action
        self.keeps_alive = not background
