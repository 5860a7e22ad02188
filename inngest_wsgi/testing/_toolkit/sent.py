"""Find the runs of events that a test has sent."""

from __future__ import annotations

import typing as t

from .views import TestRun


class Sent:
    """Events that were sent, and their runs.

    :param runs: returns the runs that the events have started so far.
    :param explain: returns why there may be no other.
    :ivar ids: the ids that the server gave the events.
    """

    def __init__(
        self,
        ids: t.List[str],
        runs: t.Callable[[], t.List[TestRun]],
        explain: t.Callable[[], str],
    ) -> None:
        self.ids = ids
        self._runs = runs
        self._explain = explain

    @property
    def runs(self) -> t.List[TestRun]:
        """The runs that the events have started so far, oldest first."""
        return self._runs()

    def run(self, function: t.Optional[str] = None) -> TestRun:
        """Return the run of a function that the events started.

        :param function: its id, with the app's or without; None if there is
            only one run.
        :raise LookupError: there is no such run, or there are several.
        """
        return only(self._runs(), function, self._explain)

    def __repr__(self) -> str:
        return f"<sent {', '.join(self.ids)}: {self.runs}>"


def only(
    runs: t.List[TestRun], function: t.Optional[str], explain: t.Callable[[], str]
) -> TestRun:
    """Return the only run, of a function.

    :param explain: returns why there may be none.
    :raise LookupError: there is no run, or there are several.
    """
    found = [run for run in runs if function is None or run.is_of(function)]
    if len(found) == 1:
        return found[0]
    of = "" if function is None else f" of {function!r}"
    if found:
        raise LookupError(f"there are {len(found)} runs{of}, not one: {found}")
    others = f", but {runs}" if runs else ""
    raise LookupError(f"there is no run{of}{others}. {explain()}")
