"""Make and read identifiers in the forms a server uses: ULIDs, job ids, UUIDs.

Everything here is a pure function, except for random ids.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
import typing as t
import uuid

from . import randomness

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z", re.IGNORECASE)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "inngest_wsgi.testing")


def ulid(milliseconds: int, entropy: t.Optional[bytes] = None) -> str:
    """Return a ULID.

    :param milliseconds: its time, in unix milliseconds.
    :param entropy: its ten other bytes; random ones if None.
    """
    if entropy is None:
        entropy = randomness.token_bytes(10)
    number = (milliseconds & ((1 << 48) - 1)) << 80 | int.from_bytes(entropy, "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    return _ULID.match(text) is not None


def parse_seed(header: str) -> t.Optional[t.Tuple[int, int]]:
    """Read ``<unix ms>,<base64 of ten bytes>`` (PROTOCOL section 8).

    :return: the time and the bytes as one number, or None when malformed,
        which a server ignores.
    """
    stamp, comma, encoded = header.partition(",")
    if not comma or not stamp.isdigit():
        return None
    try:
        entropy = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(entropy) != 10:
        return None
    return int(stamp), int.from_bytes(entropy, "big")


def seeded_ulid(seed: t.Tuple[int, int], position: int) -> str:
    """Return the id of the n-th event that was sent with a seed: seed plus n (W64).

    :param position: n, from 1.
    """
    number = (seed[1] + position) % (1 << 80)
    return ulid(seed[0], number.to_bytes(10, "big"))


def job_id() -> str:
    """Return a random base 36 token of the length a server's job ids have."""
    number = randomness.bits(64)
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits or "0"


def queue_item_id(job: str) -> str:
    """Return the ``qi_id`` of a call: base64 of ``<job id>::default`` (W6)."""
    return base64.b64encode(f"{job}::default".encode("ascii")).decode("ascii")


def job_of(queue_item: str) -> str:
    """Return the job id in a ``qi_id``; empty if there is none."""
    try:
        text = base64.b64decode(queue_item, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return text.partition("::")[0]


@functools.lru_cache(maxsize=1024)
def app_uuid(app_id: str) -> str:
    """Return the ``app_id`` that a server answers; registering again keeps it."""
    return str(uuid.uuid5(_NAMESPACE, f"app {app_id}"))


@functools.lru_cache(maxsize=1024)
def function_uuid(function_id: str) -> str:
    """Return ``ctx.fn_id``: a UUID, never the readable id (W3)."""
    return str(uuid.uuid5(_NAMESPACE, f"function {function_id}"))


def made_seed(milliseconds: int, entropy: bytes) -> str:
    """Return the text that :func:`parse_seed` reads."""
    return f"{milliseconds},{base64.b64encode(entropy).decode('ascii')}"
