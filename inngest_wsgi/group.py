"""Parallel groups of steps, as ``ctx.group``."""

from __future__ import annotations

import enum
import typing as t

from . import _protocol as p, errors
from ._execution.engine import Engine

T = t.TypeVar("T")


class ParallelMode(enum.Enum):
    """Sets when the server calls the function again for a parallel group."""

    #: when all steps that were reported have ended
    WAIT = p.PARALLEL_WAIT
    #: when any of them has ended, so that no branch waits for another
    RACE = p.PARALLEL_RACE


class Group:
    """The parallel groups of one call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def parallel(
        self,
        callables: t.Sequence[t.Callable[[], T]],
        parallel_mode: ParallelMode = ParallelMode.WAIT,
    ) -> t.Tuple[T, ...]:
        """Run branches side by side, and wait for all of them::

            a, b = ctx.group.parallel((
                lambda: ctx.step.run("a", fetch_a),
                lambda: ctx.step.run("b", fetch_b),
            ))

        :param callables: the branches; each may have several steps, and code
            between them
        :param parallel_mode: with branches of several steps, ``RACE`` lets
            each branch go on by itself, at the price of more calls
        :returns: what the branches returned, in their order
        :raises Exception: once all branches have ended: what the first branch
            raised that raised anything
        """
        if not isinstance(callables, (list, tuple)) or not all(map(callable, callables)):
            raise errors.StepConfigError(
                "parallel", "callables must be a tuple of functions without arguments"
            )
        if not isinstance(parallel_mode, ParallelMode):
            raise errors.StepConfigError("parallel", "parallel_mode must be a ParallelMode")
        return self._engine.parallel(callables, parallel_mode.value)
