"""Read the body of the server's answer within a limit.

A small answer may be very large once it is decompressed, and urllib3
decompresses all that it has read at once. So the bytes are read as they are,
and decompressed here in pieces.
"""

from __future__ import annotations

import socket
import time
import typing as t
import zlib

#: The largest answer of the server, in bytes, once decompressed.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
#: The largest part of a run's state. A run may have 32 MiB, which JSON's
#: escapes make longer.
MAX_STATE_BYTES = 64 * 1024 * 1024

_CHUNK = 64 * 1024
#: ``wbits`` for zlib, by ``Content-Encoding``: both kinds, by their headers.
_WBITS = {"gzip": 47, "x-gzip": 47, "deflate": 47}


class BodyProblem(Exception):
    """The body of an answer cannot be used. The message completes "the answer
    ..."."""


def read(response: t.Any, limit: int, at: float) -> bytes:
    """Read a body.

    :param response: urllib3's, not yet read; or that of a user's own
        ``http``, which may have nothing but ``data``
    :param limit: in bytes, once decompressed
    :param at: the latest time, by ``time.monotonic()``
    :raises BodyProblem: the body is too large, or malformed
    :raises socket.timeout: it took too long
    """
    if not callable(getattr(response, "read", None)):
        return _whole(response, limit)
    headers = getattr(response, "headers", {})
    encoding = headers.get("Content-Encoding", "").strip().lower()
    decoder = None
    if encoding not in ("", "identity"):
        if encoding not in _WBITS:
            # nobody asked for it
            raise BodyProblem(f"has the Content-Encoding {ascii(encoding[:40])}")
        decoder = zlib.decompressobj(_WBITS[encoding])
    chunks: t.List[bytes] = []
    size = raw_size = 0
    while True:
        raw = response.read(_CHUNK, decode_content=False)
        if not raw:
            break
        raw_size += len(raw)
        pieces = [raw] if decoder is None else _decompress(decoder, raw)
        for piece in pieces:
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            chunks.append(piece)
        if raw_size > limit:
            raise _too_large(limit)
        if time.monotonic() > at:
            raise socket.timeout("timed out")
    if decoder is not None and raw_size and not decoder.eof:
        raise BodyProblem("ended within its compressed data")
    if not raw_size:
        # a pool of the user's may have read it already
        return _whole(response, limit)
    return b"".join(chunks)


def _whole(response: t.Any, limit: int) -> bytes:
    whole = bytes(response.data)
    if len(whole) > limit:
        raise _too_large(limit)
    return whole


def _decompress(decoder: t.Any, raw: bytes) -> t.Iterator[bytes]:
    while raw and not decoder.eof:
        try:
            yield decoder.decompress(raw, _CHUNK)
        except zlib.error:
            raise BodyProblem("is not compressed as it says") from None
        raw = decoder.unconsumed_tail


def _too_large(limit: int) -> BodyProblem:
    return BodyProblem(f"is larger than {limit // (1024 * 1024)} MiB")
