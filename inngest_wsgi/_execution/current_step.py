"""The steps of the call that is under way, for code that is not given
``ctx``."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import typing as t

from ..step import Step

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

current: "contextvars.ContextVar[Step]" = contextvars.ContextVar("inngest_wsgi_step")


def get_step_context() -> Step:
    """The steps of the call that is under way.

    :raises LookupError: none is
    """
    return current.get()


def trace() -> t.Sequence[t.Tuple[str, str]]:
    """The tracing headers of the call that is under way; none if none is."""
    steps = current.get(None)
    return () if steps is None else steps._call.trace


@contextlib.contextmanager
def set_step_context(steps: Step) -> t.Iterator[None]:
    """Make these the steps of the call that is under way."""
    token = current.set(steps)
    try:
        yield
    finally:
        current.reset(token)


def step(step_id: str) -> t.Callable[[F], F]:
    """Make a step of a function::

        @step("send-receipt")
        def send_receipt(order_id):
            ...

    Within a call, calling it is ``ctx.step.run(step_id, ...)``; elsewhere, in
    a unit test for instance, it is the plain function. So it is in another
    thread than the call's, which knows nothing of the call.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: t.Any, **kwargs: t.Any) -> t.Any:
            steps = current.get(None)
            if steps is None:
                return function(*args, **kwargs)
            # not as arguments of run(), whose own names they may have
            work = functools.partial(function, **kwargs) if kwargs else function
            return steps.run(step_id, work, *args)

        return t.cast(F, wrapped)

    return decorate
