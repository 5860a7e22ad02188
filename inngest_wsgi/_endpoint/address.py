"""Find our own address: the one that is registered with the server, and the
one in the WSGI environ of a request."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from .. import _protocol as p, errors
from .._messages import Address, Environ
from .._security import origins
from .._settings import Settings


def address_of(environ: Environ) -> Address:
    """Return the address to which this request came, in one form however it
    was written (PEP 3333, URL Reconstruction)."""
    mount = _path(environ, "SCRIPT_NAME").rstrip("/")
    path = _path(environ, "PATH_INFO")
    if mount and path == "/" and not _came_with_slash(environ):
        path = ""
    return Address(_host_origin(environ), mount + path or "/", mount)


def our_url(address: Address, settings: Settings) -> str:
    """Return the URL that the server is to call, without a query: the
    configured origin and path, and otherwise those of a request.

    :raises errors.AddressError: neither the settings nor the request have it
    """
    origin, path = settings.serve_origin or address.origin, settings.serve_path
    if origin is None:
        raise errors.AddressError(
            "The request does not tell this app's address: its Host header is missing or is "
            "not a host with perhaps a port, or its scheme is not http or https. Set "
            f"serve_origin, or the environment variable {p.ENV_SERVE_ORIGIN}."
        )
    if path is None:
        path = address.path
        problem = origins.path_problem(path)
        if problem is not None:
            raise errors.AddressError(
                f"The path of the request is not one to be called by: {problem}. Set serve_path, "
                f"or the environment variable {p.ENV_SERVE_PATH}."
            )
    return origin + path


def _host_origin(environ: Environ) -> t.Optional[str]:
    host = environ.get("HTTP_HOST")
    if not host:
        host = environ.get("SERVER_NAME") or ""
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        host = "{}:{}".format(host, environ.get("SERVER_PORT") or "")
    # an IPv6 zone is valid on the client's machine only
    return None if "%" in host else origins.origin_of(environ["wsgi.url_scheme"], host)


def _came_with_slash(environ: Environ) -> bool:
    """Return True if a request to the mount itself had a slash at its end.

    Bottle and Pyramid add one to PATH_INFO. The registered address must have a
    slash at its end exactly if the request had one; otherwise the framework may
    redirect the calls (W73).
    """
    for name in ("bottle.raw_path", "RAW_URI", "REQUEST_URI"):
        if environ.get(name):
            return bool(re.match("[^?#]*/(?![^?#])", environ[name]))
    # wsgiref tells of neither; Pyramid leaves this key of WebOb's
    return "webob.is_body_seekable" not in environ


def _path(environ: Environ, name: str) -> str:
    """Return a path of the environ, percent-encoded: empty, or beginning with
    a slash and without doubled slashes."""
    # a server may leave out a path that is empty
    text = environ.get(name) or ""
    quoted = [
        urllib.parse.quote(_path_bytes(segment, "bottle.raw_path" in environ), origins.PATH_SAFE)
        for segment in text.split("/")
        if segment
    ]
    end = "/" if text.endswith("/") else ""
    return "/" + "/".join(quoted) + end if quoted else end


def _path_bytes(segment: str, bottle: bool) -> bytes:
    """Return the bytes that a segment of a path had in the request.

    WSGI decodes them as Latin-1. Bottle decodes the part by which it routes
    as UTF-8."""
    try:
        found = segment.encode("latin-1")
        if bottle:
            found.decode("utf-8")
    except UnicodeError:
        return segment.encode("utf-8")
    return found
