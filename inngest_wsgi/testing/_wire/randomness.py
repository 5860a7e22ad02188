"""Draw what is random: from the system, or from a seed where a test needs it again.

A server of a test that is deterministic sets :data:`source` while it works.
"""

from __future__ import annotations

import contextvars
import random
import typing as t
import uuid

#: Draws all random numbers of this thread's server.
source: "contextvars.ContextVar[random.Random]" = contextvars.ContextVar(
    "inngest_wsgi_testing_random", default=random.SystemRandom()
)


def bits(count: int) -> int:
    """Return so many random bits as a number."""
    return source.get().getrandbits(count)


def token_bytes(count: int) -> bytes:
    """Return so many random bytes."""
    return bits(8 * count).to_bytes(count, "big")


def token_hex(count: int) -> str:
    """Return so many random bytes as hexadecimal digits."""
    return token_bytes(count).hex()


def uniform(least: float, most: float) -> float:
    """Return a random number between two."""
    return source.get().uniform(least, most)


def uuid4() -> str:
    """Return a random UUID."""
    return str(uuid.UUID(int=bits(128), version=4))


__all__: t.List[str] = ["bits", "source", "token_bytes", "token_hex", "uniform", "uuid4"]
