"""Compare how runs ended in two plays of the same test."""

from __future__ import annotations

import json
import typing as t

from .._model import state
from .._model.state import RunState
from .timeline import error_of, shown, timeline

_Path = t.Tuple[t.Any, ...]
#: A run in a play: its function, what triggered it, and which one of these it is.
_Key = t.Tuple[str, str, int]


class Ended(t.NamedTuple):
    """The end of a run.

    :ivar trigger: the name and the data of its event, as a text.
    :ivar value: its output, or the name of the error that failed it.
    :ivar told: its timeline.
    """

    function_id: str
    trigger: str
    status: str
    value: t.Any
    told: t.Callable[[], str]


def ended(run: RunState) -> Ended:
    """Return the end of a run, or how it is now."""
    event = run.events[0]
    value = error_of(run)["name"] if run.status == state.FAILED else run.output
    if run.status == state.FAILED and value == "LocalServerError":
        value = f"{value}: {error_of(run)['message']}"
    return Ended(
        run.function.function_id,
        json.dumps([event.name, event.data], sort_keys=True),
        run.status,
        value,
        lambda: timeline(run),
    )


def variable(one: t.Sequence[Ended], other: t.Sequence[Ended]) -> t.Dict[t.Any, t.Set[t.Any]]:
    """Return the places in outputs that are not the same in two plays without a
    difference that matters: ids and times. By the run's key."""
    found: t.Dict[t.Any, t.Set[t.Any]] = {}
    both = _keyed(other)
    for key, run in _keyed(one).items():
        if key in both:
            found[key] = set(_unequal(run.value, both[key].value, ()))
    return found


def differences(
    one: t.Sequence[Ended], other: t.Sequence[Ended], ignored: t.Mapping[t.Any, t.Set[t.Any]]
) -> t.Optional[str]:
    """Return a text that says which run ended in another way; None if none did.

    Runs that are in one play alone do not count: what sends an event may do so twice.

    :param one: the play without faults.
    :param ignored: of :func:`variable`.
    """
    both = _keyed(other)
    for key, run in _keyed(one).items():
        again = both.get(key)
        if again is None or state.RUNNING in (run.status, again.status):
            # a run that is stuck has failed; this one was not waited for
            continue
        if run.status != again.status:
            value = f" ({shown(again.value)})" if again.status == state.FAILED else ""
            return (
                f"a run of {run.function_id} is {again.status}{value}, and {run.status} without "
                "faults and in the order of time. Its function, or the test, depends on the order "
                "in which things happen, or on how long they take"
            )
        paths = [
            path
            for path in _unequal(run.value, again.value, ())
            if not any(path[: len(known)] == known for known in ignored.get(key, ()))
        ]
        if paths:
            where = "".join(f"[{part!r}]" for part in paths[0])
            return (
                f"the output{where} of a run of {run.function_id} is "
                f"{shown(_at(again.value, paths[0]))}, and "
                f"{shown(_at(run.value, paths[0]))} without faults and in the order of time. "
                "Something outside of its steps has another value or another effect when the "
                "function is called again, or depends on the order in which branches end"
            )
    return None


def _keyed(runs: t.Sequence[Ended]) -> t.Dict[_Key, Ended]:
    found: t.Dict[_Key, Ended] = {}
    for run in runs:
        number = 0
        while (run.function_id, run.trigger, number) in found:
            number += 1
        found[(run.function_id, run.trigger, number)] = run
    return found


def _unequal(one: t.Any, other: t.Any, path: _Path) -> t.Iterator[_Path]:
    """Yield the places where two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from _unequal(one[key], other[key], (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for position, (left, right) in enumerate(zip(one, other)):
            yield from _unequal(left, right, (*path, position))
    elif one != other or isinstance(one, bool) != isinstance(other, bool):
        yield path


def _at(value: t.Any, path: _Path) -> t.Any:
    for part in path:
        value = value[part]
    return value
