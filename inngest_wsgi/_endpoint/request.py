"""Read a request from a WSGI environ (PEP 3333)."""

from __future__ import annotations

import typing as t
import urllib.parse

from .. import _protocol as p, errors
from .._messages import Address, Environ, Request
from .address import address_of

#: The largest body that is read, in bytes. The server sends at most 4 MB and
#: lets the application fetch the rest (PROTOCOL section 6).
MAX_BODY_BYTES = 8 * 1024 * 1024

#: The environ's key of each header that is read, and the header in lower case.
_HEADERS = tuple(
    ("HTTP_" + name.upper().replace("-", "_"), name.lower())
    for name in (
        p.HEADER_ACCEPT,
        p.HEADER_ORIGIN,
        p.HEADER_REFERER,
        p.HEADER_SEC_FETCH_SITE,
        p.HEADER_SERVER_KIND,
        p.HEADER_SIGNATURE,
        p.HEADER_SYNC_KIND,
        p.HEADER_TRACEPARENT,
        p.HEADER_TRACESTATE,
    )
) + (("CONTENT_TYPE", p.HEADER_CONTENT_TYPE.lower()),)
#: Stands in a request whose address nothing asks for.
_NO_ADDRESS = Address()


def read_request(environ: Environ) -> Request:
    """Read a whole request, its body included.

    :raises errors.BodyError: the body cannot be read, or is too large
    """
    method = environ["REQUEST_METHOD"]
    query = dict(reversed(urllib.parse.parse_qsl(environ.get("QUERY_STRING") or "")))
    headers = {}
    for key, name in _HEADERS:
        if key in environ:
            headers[name] = environ[key]
    landing = p.QUERY_LANDING in query
    # a GET with a query may be a call that was redirected
    redirected = method in ("GET", "HEAD") and (query or "HTTP_REFERER" in environ)
    needs_address = method == "PUT" or landing or redirected
    return Request(
        # RFC 9110, 9.3.2: HEAD is GET, and its body is left out of the answer
        method="GET" if method == "HEAD" else method,
        query=query,
        headers=headers,
        body=_read_body(environ),
        address=address_of(environ) if needs_address else _NO_ADDRESS,
        raw=environ,
        concurrent=not landing or _is_concurrent(environ),
    )


def _read_body(environ: Environ) -> bytes:
    stated = (environ.get("CONTENT_LENGTH") or "").strip()
    if environ.get("wsgi.input_terminated"):
        # the server ends the input with the body, chunked or not
        length = MAX_BODY_BYTES + 1
    elif not stated:
        if "HTTP_TRANSFER_ENCODING" in environ:
            raise errors.BodyError(
                "length_required", "The request must have a Content-Length.", status=411
            )
        return b""
    elif not (stated.isascii() and stated.isdigit()):
        raise errors.BodyError("body_invalid", "The Content-Length is not a number.")
    else:
        length = int(stated[:20])
        if length > MAX_BODY_BYTES:
            raise _too_large()
    body = _read_stream(environ["wsgi.input"], length)
    if len(body) > MAX_BODY_BYTES:
        raise _too_large()
    if stated.isdigit() and len(body) < int(stated[:20]):
        raise errors.BodyError("body_unreadable", "The body ended before its Content-Length.")
    return body


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


def _too_large() -> errors.BodyError:
    return errors.BodyError(
        "body_too_large", f"The body is larger than {MAX_BODY_BYTES} bytes.", status=413
    )


def _is_concurrent(environ: Environ) -> bool:
    return bool(environ.get("wsgi.multithread", True) or environ.get("wsgi.multiprocess", True))
