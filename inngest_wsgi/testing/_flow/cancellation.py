"""Apply ``cancel`` and ``timeouts``: cancel runs by an event, or after a time."""

from __future__ import annotations

from .._model.functions import Cancelling
from .._model.state import Event, RunState
from .._run.items import Timer
from .._run.machinery import Machinery


def listen(machinery: Machinery, run: RunState) -> None:
    """Let events cancel a run from now on, until it has ended."""
    for number, entry in enumerate(run.function.cancelling):
        machinery.cancellations.add(
            (run, number), run, entry.event, entry.condition, run.events[0].sent()
        )


def cancel_by_event(machinery: Machinery, event: Event) -> None:
    """Cancel every run that an event cancels."""
    for run, number in machinery.cancellations.find(event.name, event.sent()):
        age = machinery.now() - run.began
        if _applies(run.function.cancelling[number], run, age, event):
            machinery.cancel(run, f"by the event {event.name}")


def _applies(entry: Cancelling, run: RunState, age: float, event: Event) -> bool:
    """Return True if an entry of ``cancel`` cancels a run.

    :param age: seconds since the run began.
    """
    if entry.timeout is not None and age > entry.timeout:
        return False
    condition = entry.condition
    return condition is None or condition.matches(run.events[0].sent(), event.sent())


def start_timeouts(machinery: Machinery, run: RunState) -> None:
    """Queue the cancellation of a run that starts or ends too late.

    A run with nothing else in the queue fails as stuck, in spite of these timers.
    """

    def start_timeout() -> None:
        if not run.called:
            machinery.cancel(run, "the run did not start within timeouts.start")

    def finish_timeout() -> None:
        machinery.cancel(run, "the run did not end within timeouts.finish")

    function = run.function
    for seconds, action in (
        (function.start_timeout, start_timeout),
        (function.finish_timeout, finish_timeout),
    ):
        if seconds is not None:
            machinery.put(Timer(run, machinery.now() + seconds, action, background=True))
