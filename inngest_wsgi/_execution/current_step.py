"""The steps of the current call, for code that is not given ``ctx``."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import typing as t

from ..step import Step

if t.TYPE_CHECKING:
    from .._typing import Json

#: A function that is not ``async def``, whose result a step may have.
F = t.TypeVar("F", bound="t.Callable[..., Json]")

#: The steps of the call that runs in this thread.
current: "contextvars.ContextVar[Step]" = contextvars.ContextVar("inngest_wsgi_step")


def get_step_context() -> Step:
    """Return the steps of the current call.

    :raises LookupError: no call runs in this thread
    """
    return current.get()


def trace() -> t.Sequence[t.Tuple[str, str]]:
    """Return the tracing headers of the current call; none outside of a call."""
    steps = current.get(None)
    return () if steps is None else steps._call.trace


@contextlib.contextmanager
def set_step_context(step: Step) -> t.Generator[None, None, None]:
    """Make these the steps of the current call."""
    token = current.set(step)
    try:
        yield
    finally:
        current.reset(token)


def step(step_id: str) -> t.Callable[[F], F]:
    """Make a step of a function::

        @step("send-receipt")
        def send_receipt(order_id):
            ...

    Within a call, calling it is ``ctx.step.run(step_id, ...)``. Elsewhere, in
    a unit test for instance, it is the plain function; also in a thread that
    the call's function has started, because that has no current call.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: t.Any, **kwargs: t.Any) -> t.Any:
            steps = current.get(None)
            if steps is None:
                return function(*args, **kwargs)
            # not passed on to run(): they may have the names of its own arguments
            work = functools.partial(function, **kwargs) if kwargs else function
            return steps.run(step_id, work, *args)

        return t.cast(F, wrapped)

    return decorate
