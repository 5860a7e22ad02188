"""Parallel groups of steps, as ``ctx.group``."""

from __future__ import annotations

import enum
import typing as t

from . import _protocol as p, errors
from ._execution.engine import Engine

T = t.TypeVar("T")
T1 = t.TypeVar("T1")
T2 = t.TypeVar("T2")
T3 = t.TypeVar("T3")
T4 = t.TypeVar("T4")
T5 = t.TypeVar("T5")
T6 = t.TypeVar("T6")
T7 = t.TypeVar("T7")
T8 = t.TypeVar("T8")

#: A branch of a parallel group.
Branch = t.Callable[[], T]


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

    # how checkers see parallel(): the result has the types of the branches, up to eight
    if t.TYPE_CHECKING:

        @t.overload
        def parallel(
            self, callables: t.Tuple[Branch[T1]], parallel_mode: ParallelMode = ...
        ) -> t.Tuple[T1]: ...

        @t.overload
        def parallel(
            self, callables: t.Tuple[Branch[T1], Branch[T2]], parallel_mode: ParallelMode = ...
        ) -> t.Tuple[T1, T2]: ...

        @t.overload
        def parallel(
            self,
            callables: t.Tuple[Branch[T1], Branch[T2], Branch[T3]],
            parallel_mode: ParallelMode = ...,
        ) -> t.Tuple[T1, T2, T3]: ...

        @t.overload
        def parallel(
            self,
            callables: t.Tuple[Branch[T1], Branch[T2], Branch[T3], Branch[T4]],
            parallel_mode: ParallelMode = ...,
        ) -> t.Tuple[T1, T2, T3, T4]: ...

        @t.overload
        def parallel(
            self,
            callables: t.Tuple[Branch[T1], Branch[T2], Branch[T3], Branch[T4], Branch[T5]],
            parallel_mode: ParallelMode = ...,
        ) -> t.Tuple[T1, T2, T3, T4, T5]: ...

        @t.overload
        def parallel(
            self,
            callables: t.Tuple[
                Branch[T1], Branch[T2], Branch[T3], Branch[T4], Branch[T5], Branch[T6]
            ],
            parallel_mode: ParallelMode = ...,
        ) -> t.Tuple[T1, T2, T3, T4, T5, T6]: ...

        @t.overload
        def parallel(
            self,
            callables: t.Tuple[
                Branch[T1], Branch[T2], Branch[T3], Branch[T4], Branch[T5], Branch[T6], Branch[T7]
            ],
            parallel_mode: ParallelMode = ...,
        ) -> t.Tuple[T1, T2, T3, T4, T5, T6, T7]: ...

        @t.overload
        def parallel(
            self,
            callables: t.Tuple[
                Branch[T1],
                Branch[T2],
                Branch[T3],
                Branch[T4],
                Branch[T5],
                Branch[T6],
                Branch[T7],
                Branch[T8],
            ],
            parallel_mode: ParallelMode = ...,
        ) -> t.Tuple[T1, T2, T3, T4, T5, T6, T7, T8]: ...

        @t.overload
        def parallel(
            self, callables: t.Sequence[Branch[T]], parallel_mode: ParallelMode = ...
        ) -> t.Tuple[T, ...]: ...

    def parallel(
        self,
        callables: t.Sequence[Branch[t.Any]],
        parallel_mode: ParallelMode = ParallelMode.WAIT,
    ) -> t.Tuple[t.Any, ...]:
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
