"""Read a request from a WSGI environ (PEP 3333)."""

from __future__ import annotations

import functools
import typing as t
import urllib.parse

from .. import _protocol as p, errors
from .._messages import Address, Environ, Request
from .address import address_of

#: Longer queries are not remembered, in characters.
_MAX_CACHED = 512

_INCOMPLETE = (
    "The body {}. Either the client has gone, or something in front of "
    "this app has read it, such as a middleware or hook with Django's request.body. Let it leave "
    "requests to this app alone; or give the body back: "
    'environ["wsgi.input"] = io.BytesIO(body).'
)

#: Stands in a request whose address nothing asks for.
_NO_ADDRESS = Address()


def read_head(environ: Environ, max_body_bytes: int) -> Request:
    """Read a request without its body.

    :param max_body_bytes: the largest body that is accepted
    :raises errors.BodyError: the length that the request states is malformed
        or too large
    """
    method = environ["REQUEST_METHOD"]
    text = environ.get("QUERY_STRING") or ""
    query = _query(text) if len(text) <= _MAX_CACHED else _query.__wrapped__(text)
    landing = p.QUERY_LANDING in query
    # a GET with a query may be a call that was redirected
    redirected = method in ("GET", "HEAD") and (query or "HTTP_REFERER" in environ)
    needs_address = method == "PUT" or landing or redirected
    length = _stated_length(environ)
    if length is not None and length > max_body_bytes:
        raise _too_large(max_body_bytes)
    return Request(
        # RFC 9110, 9.3.2: HEAD is GET, and its body is left out of the answer
        "GET" if method == "HEAD" else method,
        query,
        address_of(environ) if needs_address else _NO_ADDRESS,
        environ,
        not landing or _is_concurrent(environ),
        length,
        bool(length) or (length is None and "HTTP_TRANSFER_ENCODING" in environ),
        b"",
    )


@functools.lru_cache(maxsize=512)
def _query(text: str) -> t.Mapping[str, str]:
    """Return the parameters of a query, the first value of each. Calls of one
    function have the same query, over and over."""
    return dict(reversed(urllib.parse.parse_qsl(text)))


def read_body(request: Request, max_bytes: int) -> bytes:
    """Read the body of a request. Never more than one byte beyond the limit
    is read.

    :param request: as :func:`read_head` returned it
    :raises errors.BodyError: the body cannot be read, is too large, or was
        read by something in front of this app and is lost
    """
    environ, length = request.raw, request.length
    body = b""
    # a Werkzeug request, so Flask's too, keeps what it has read
    in_front = environ.get("werkzeug.request")
    if in_front is not None and "stream" in getattr(in_front, "__dict__", ()):
        body = _kept_by(in_front, max_bytes + 1 if length is None else length)
    elif "bottle.request.body" in environ:
        # a chunked body does not tell whether it was begun
        body = _read_again(environ["wsgi.input"], max_bytes + 1)
    elif length != 0:
        body = _read_stream(environ["wsgi.input"], max_bytes + 1 if length is None else length)
    if len(body) < (length or 0) or (request.has_body and not body):
        body = _read_again(environ["wsgi.input"], length or max_bytes + 1) or body
        if len(body) < (length or 0):
            ended = f"ended after {len(body)} of {length} bytes"
            raise errors.BodyError("body_unreadable", _INCOMPLETE.format(ended))
        if not body and request.method == "POST":
            # a sync may have none, and a proxy may send that in chunks
            raise errors.BodyError(
                "body_unreadable", _INCOMPLETE.format("has chunks, but is empty")
            )
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def _stated_length(environ: Environ) -> t.Optional[int]:
    """Return the length of the body; None if only its end will tell.

    :raises errors.BodyError: the length is not a number, or is needed
    """
    stated = (environ.get("CONTENT_LENGTH") or "").strip(" \t")
    if stated:
        # int() alone would take signs, underscores and other digits
        if not (stated.isascii() and stated.isdigit()):
            raise errors.BodyError("body_invalid", "The Content-Length is not a number.")
        if len(stated) > 20:
            # so many digits are too many whatever follows, and int() has a limit
            stated = stated.lstrip("0")[:20] or "0"
        return int(stated)
    if environ.get("wsgi.input_terminated"):
        # the server ends the input with the body, chunked or not
        return None
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise errors.BodyError(
            "length_required", "The request must have a Content-Length.", status=411
        )
    return 0


def _read_stream(stream: t.Any, length: int) -> bytes:
    """Read up to ``length`` bytes; fewer only where the stream ends."""
    chunks = []
    while length > 0:
        try:
            chunk = stream.read(length)
        except Exception as exc:
            # the client has gone, or its chunks are malformed: each server
            # raises exceptions of its own
            raise errors.BodyError(
                "body_unreadable", f"The body cannot be read: {type(exc).__name__}."
            ) from exc
        if not chunk:
            break
        chunks.append(chunk)
        length -= len(chunk)
    return b"".join(chunks)


def _kept_by(in_front: t.Any, length: int) -> bytes:
    """Return the body that a Werkzeug request has read from the input, or
    what its stream still has of it, up to ``length`` bytes."""
    # get_data() would read a stream that was only touched without a limit
    kept = getattr(in_front, "_cached_data", None)
    if kept is not None:
        return bytes(kept)
    try:
        return _read_stream(in_front.stream, length)
    except errors.BodyError:
        # the stream raises where it was read to its end, or is over the
        # limit that was set in front
        return b""


def _read_again(stream: t.Any, length: int) -> bytes:
    """Read a body that was read before, where its input can be rewound:
    Bottle and WebOb leave one in the environ. Empty where it cannot."""
    try:
        stream.seek(0)
    except Exception:
        return b""
    return _read_stream(stream, length)


def _too_large(max_bytes: int) -> errors.BodyError:
    return errors.BodyError(
        "body_too_large",
        f"The body is larger than {max_bytes} bytes, the max_body_bytes of this app.",
        status=413,
    )


def _is_concurrent(environ: Environ) -> bool:
    return bool(environ.get("wsgi.multithread", True) or environ.get("wsgi.multiprocess", True))
