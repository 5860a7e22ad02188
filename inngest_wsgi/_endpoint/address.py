"""Where a request came to: our own address, read off a WSGI environ."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from .._messages import Address
from .._security import origins

Environ = t.Mapping[str, t.Any]


def of(environ: Environ) -> Address:
    """Our address, as this request came to it (PEP 3333, URL Reconstruction),
    in one form however it was written."""
    mount = _path(environ, "SCRIPT_NAME").rstrip("/")
    path = _path(environ, "PATH_INFO")
    if mount and path == "/" and not _came_with_slash(environ):
        path = ""
    return Address(_host_origin(environ), mount + path or "/", mount)


def _host_origin(environ: Environ) -> t.Optional[str]:
    host = environ.get("HTTP_HOST")
    if not host:
        host = environ.get("SERVER_NAME") or ""
        if ":" in host and not host.startswith("["):
            host = "[{}]".format(host)
        host = "{}:{}".format(host, environ.get("SERVER_PORT") or "")
    # a zone means something on the client's machine alone
    return None if "%" in host else origins.of(environ["wsgi.url_scheme"], host)


def _came_with_slash(environ: Environ) -> bool:
    """Whether a request to the mount itself had the slash that it has here.

    Bottle and Pyramid put one there. To add it, or to take it off, would
    register an address from which a framework may redirect (W73).
    """
    for name in ("bottle.raw_path", "RAW_URI", "REQUEST_URI"):
        if environ.get(name):
            return bool(re.match("[^?#]*/(?![^?#])", environ[name]))
    # wsgiref tells of neither; Pyramid leaves this key of WebOb's
    return "webob.is_body_seekable" not in environ


def _path(environ: Environ, name: str) -> str:
    """A path of the environ, percent-encoded; empty, or with a slash at its
    beginning and no slash doubled."""
    # where a path is empty the server may leave it out
    text = environ.get(name) or ""
    quoted = [
        urllib.parse.quote(_path_bytes(segment, "bottle.raw_path" in environ), origins.PATH_SAFE)
        for segment in text.split("/")
        if segment
    ]
    end = "/" if text.endswith("/") else ""
    return "/" + "/".join(quoted) + end if quoted else end


def _path_bytes(segment: str, bottle: bool) -> bytes:
    """The bytes that a part of a path had in the request. WSGI gives them as
    Latin-1; Bottle decodes what it has routed by as UTF-8."""
    try:
        found = segment.encode("latin-1")
        if bottle:
            found.decode("utf-8")
    except UnicodeError:
        return segment.encode("utf-8")
    return found
