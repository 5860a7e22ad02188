"""Have the clock of the app follow the server's."""

from __future__ import annotations

import typing as t

from .._run.clock import TestClock

_MISSING = (
    "freeze_app_time needs the package time-machine: pip install time-machine. With freezegun "
    "write instead, within its freeze_time() as frozen: server.on_time(frozen.move_to)"
)


class AppTime:
    """Sets the clock of this process to the server's, until it is stopped.

    :raise RuntimeError: time-machine is not installed.
    """

    def __init__(self, clock: TestClock) -> None:
        try:
            import time_machine
        except ImportError:
            raise RuntimeError(_MISSING) from None
        self._clock = clock
        self._travel: t.Any = time_machine.travel(clock.now(), tick=False)
        self._traveller: t.Any = self._travel.start()
        clock.followers.append(self._follow)

    def stop(self) -> None:
        """Let time go on as it does."""
        self._clock.followers.remove(self._follow)
        self._travel.stop()

    def _follow(self, now: float) -> None:
        self._traveller.move_to(now)
