"""Tell the time to a :class:`~inngest_wsgi.testing.LocalServer`: real or virtual."""

from __future__ import annotations

import time
import typing as t


class Clock:
    """Base class of clocks. Times are unix seconds, as floats."""

    def now(self) -> float:
        """Return the time by this clock."""
        raise NotImplementedError

    def app_now(self) -> float:
        """Return the time by the clock of the apps, by which they make dates."""
        return time.time()

    def wait(self, due: float, idle: bool) -> t.Optional[float]:
        """Return how long to wait for something that is due in the future.

        :param due: when the next thing is due.
        :param idle: whether no call is in flight, and nobody holds the
            server (:meth:`LocalServer.hold`): a clock may jump.
        :return: real seconds, or None to wait until something changes.
        """
        raise NotImplementedError


class SystemClock(Clock):
    """Real time; a sleep of an hour takes an hour."""

    def __init__(self) -> None:
        # Anchored once and then monotonic, so that a correction of the
        # machine's clock neither skips nor repeats what is scheduled.
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()

    def wait(self, due: float, idle: bool) -> t.Optional[float]:
        return max(due - self.now(), 0.0)


class VirtualClock(Clock):
    """Time that stands still while there is something to do, and then jumps.

    Whenever no call is in flight and nothing is due, the clock jumps to the
    next thing that is: a sleep of a week, or a retry in an hour, costs no
    real time. One clock serves one server.

    That holds for the timeout of a wait, too: it fires before a test can send
    the event. A test that has to act while a run waits does so within
    :meth:`LocalServer.hold`, during which time does not jump.

    Two things go by real time whatever the clock says. *Signatures* do,
    because the app checks their age by its own clock. *Dates that the app
    works out* do too (a ``Sleep`` until a date, a ``Retry-After`` with a
    date): the server reads them as a distance from the real time at which
    the answer came, and sleeps that long in virtual time. So "in one hour" is
    one hour however far the clock has jumped before, while "on the first of
    May" is as far away as it really is, counted from the virtual now.

    :param start: unix seconds to start at; the real time if None.
    """

    def __init__(self, start: t.Optional[float] = None) -> None:
        self._now = time.time() if start is None else float(start)

    def now(self) -> float:
        return self._now

    def wait(self, due: float, idle: bool) -> t.Optional[float]:
        if not idle:
            return None
        self._now = max(self._now, due)
        return 0.0


class TestClock(VirtualClock):
    """Virtual time that a test moves, and that the dates of the apps are in.

    :param start: unix seconds to start at; the real time if None.
    """

    __test__ = False

    def __init__(self, start: t.Optional[float] = None) -> None:
        super().__init__(start)
        #: Called with the new time whenever it has moved.
        self.followers: t.List[t.Callable[[float], t.Any]] = []

    def app_now(self) -> float:
        return self._now

    def move(self, to: float) -> None:
        """Move time forward; it never goes back."""
        if to > self._now:
            self._now = to
            for follower in self.followers:
                follower(to)
