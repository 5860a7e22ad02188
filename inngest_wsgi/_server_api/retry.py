"""The policies by which requests to the server are tried again."""

from __future__ import annotations

import math
import random
import time
import typing as t


class Retry(t.NamedTuple):
    """A policy for trying a request again.

    Five attempts, with waits of up to 0.2, 0.4, 0.8 and 1.6 seconds between
    them::

        Retry(attempts=5, backoff_s=0.2)

    One attempt, for a request that somebody waits for and can repeat::

        Retry(attempts=1)

    The wait doubles with each attempt and is drawn from its upper half, so
    that many clients that failed together do not return together. An answer
    with status 429 or 5xx is tried again, as is a request without an answer.

    :ivar attempts: the number of attempts at most, the first one included
    :ivar backoff_s: the longest wait before the second attempt, in seconds
    :ivar max_wait_s: the limit of every wait, in seconds
    """

    attempts: int
    backoff_s: float = 0.2
    max_wait_s: float = 5.0

    def is_last(self, attempt: int) -> bool:
        """Return True if no attempt follows this one, counted from 1."""
        return attempt >= self.attempts

    def is_retriable(self, status: int) -> bool:
        """Return True if another attempt may get a better answer than one
        with this status."""
        return status == 429 or status >= 500

    def wait_s(self, attempt: int) -> float:
        """Draw the wait after an attempt, counted from 1, in seconds."""
        longest = min(self.max_wait_s, self.backoff_s * 2 ** (attempt - 1))
        return random.uniform(longest / 2, longest)


#: For events (PROTOCOL section 8).
SEND_RETRY = Retry(attempts=5)
#: For signals: only the first attempt that arrives resumes the waiting run.
SIGNAL_RETRY = Retry(attempts=3)
#: For checkpoints, each of which holds a call up.
CHECKPOINT_RETRY = Retry(attempts=3, backoff_s=0.1)
#: For the state of a call. The server calls again where it cannot be fetched.
FETCH_RETRY = Retry(attempts=3)


class Deadline:
    """The time by which all attempts of a request must be over.

    :param seconds: from now; None for no deadline
    """

    __slots__ = ("at",)

    def __init__(self, seconds: t.Optional[float]) -> None:
        #: by ``time.monotonic()``; infinite if there is no deadline
        self.at = math.inf if seconds is None else time.monotonic() + seconds

    def remaining_s(self) -> t.Optional[float]:
        """Return the seconds that are left, negative once the deadline has
        passed; None if there is no deadline."""
        return None if self.at == math.inf else self.at - time.monotonic()

    def is_over(self, wait_s: float = 0.0) -> bool:
        """Return True if the deadline has passed, or will have after a wait."""
        return time.monotonic() + wait_s >= self.at
