"""Parse and check origins, URLs and paths."""

from __future__ import annotations

import ipaddress
import re
import typing as t
import urllib.parse

from .. import _protocol as p, errors

#: The longest path of an endpoint, in characters. A sync sends it once for
#: each function.
MAX_PATH = 1000
#: The characters that need no escape in a path, beside letters, digits and
#: ``-._`` (RFC 3986 section 3.3).
PATH_SAFE = "/:@!$&'()*+,;=~"

_PORTS = {"http": 80, "https": 443}
#: A host and an optional port, in lower case. Host names have no underscore,
#: but containers' names do.
_HOST = re.compile(
    r"(?:([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)|\[([0-9a-f:.]+)(%25[a-z0-9._~-]+)?\])"
    r"(?::([0-9]{0,5}))?"
)
#: urlsplit() would drop some of these, and browsers take a backslash for a
#: slash.
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Url(t.NamedTuple):
    """A URL of http or https.

    :ivar origin: in lower case, without the scheme's default port; with the
        user, if there is one
    :ivar path: percent-encoded
    :ivar has_more: whether there is a query or a fragment
    """

    origin: str
    path: str
    has_more: bool


def origin_of(scheme: str, host: str) -> t.Optional[str]:
    """Return the origin in its one form; None if the scheme is not http or
    https, or the host is malformed.

    :param host: a name or an address, with an optional port
    """
    scheme = scheme.lower()
    found = _HOST.fullmatch(host.lower())
    if found is None or scheme not in _PORTS:
        return None
    name, address, zone, port_text = found.groups()
    port = int(port_text or _PORTS[scheme])
    if not 0 < port < 65536:
        return None
    if address is not None:
        try:
            name = "[{}{}]".format(ipaddress.IPv6Address(address), zone or "")
        except ValueError:
            return None
    shown = "" if port == _PORTS[scheme] else f":{port}"
    return f"{scheme}://{name}{shown}"


def url(text: str) -> Url:
    """Parse a URL. A user and password in it are kept.

    :raises ValueError: describes the fault, without the URL if it may contain
        a password
    """
    shown = "it" if "@" in text else repr(text)
    if _NOT_IN_URL.search(text):
        raise ValueError(f"{shown} has characters that a URL must have percent-encoded")
    try:
        parts = urllib.parse.urlsplit(text)
        user, at, host = parts.netloc.rpartition("@")
        origin = origin_of(parts.scheme, host)
    except ValueError as error:
        raise ValueError(f"{shown} is not a URL: {error}") from None
    if parts.scheme not in _PORTS or not host:
        raise ValueError(
            f'{shown} is not a full URL; it must begin with "https://" or "http://" and a host, '
            'for example "https://example.com"'
        )
    if origin is None:
        raise ValueError(
            f"{shown} is not a URL that can be called: its host or port is malformed. A name that "
            "is "
            'not ASCII must be written as "xn--..."'
        )
    if _BAD_ESCAPE.search(parts.path):
        raise ValueError(f"{shown} has a % that two hexadecimal digits do not follow")
    path = urllib.parse.quote(parts.path, safe=PATH_SAFE + "%")
    if at:
        origin = origin.replace("://", f"://{user}@", 1)
    return Url(origin, path, bool(parts.query or parts.fragment))


def path_problem(path: str) -> t.Optional[str]:
    """Describe why a path cannot be an endpoint's; None if it can."""
    if len(path) > MAX_PATH:
        return f"it has more than {MAX_PATH} characters"
    # a proxy may resolve the dots of a call differently
    if not {".", ".."}.isdisjoint(map(urllib.parse.unquote, path.split("/"))):
        return "it has . or .. in it"
    return None


def is_bare_host(text: str) -> bool:
    """Return True for the address of a host without ``http://`` or
    ``https://``.

    A word without a dot or a colon may be a mistake, so it is none; the
    official Python SDK draws the line there too.
    """
    return "://" not in text and not text.startswith("/") and ("." in text or ":" in text)


def origin_setting(name: str, value: object, scheme: str = "https") -> str:
    """Return the origin that a setting gives, with its path if it has one,
    without a slash at the end.

    :param name: the setting's, for the error
    :param scheme: the scheme of a value that has none
    :raises errors.SettingsError: the value is not an origin
    """
    if not isinstance(value, str):
        raise errors.SettingsError(name, f"must be a URL, not {value!r}")
    text = value.strip()
    if is_bare_host(text):
        text = f"{scheme}://{text}"
    try:
        found = url(text)
    except ValueError as error:
        raise errors.SettingsError(name, str(error)) from None
    if "@" in found.origin:
        raise errors.SettingsError(name, "must be an address alone, without a user")
    if found.has_more:
        raise errors.SettingsError(name, "must be an address alone, without a query or a fragment")
    return found.origin + found.path.rstrip("/")


def path_setting(name: str, value: object) -> str:
    """Return the path that a setting gives, percent-encoded.

    :param name: the setting's, for the error
    :raises errors.SettingsError: the value is not a path
    """
    if (
        not isinstance(value, str)
        or not value.startswith("/")
        or value.startswith("//")
        or set(value) & set("?# ")
    ):
        raise errors.SettingsError(
            name,
            f"{value!r} is not a path; it must begin with a slash and have no query, for "
            f'example "{_suggested_path(value)}"',
        )
    problem, quoted = path_problem(value), ""
    if problem is None and _BAD_ESCAPE.search(value):
        problem = "a % in it is not followed by two hexadecimal digits"
    try:
        quoted = urllib.parse.quote(value, safe=PATH_SAFE + "%")
    except UnicodeError:
        problem = "it has a character without a form in UTF-8"
    if problem is not None:
        raise errors.SettingsError(name, f"cannot be the path of an endpoint: {problem}")
    return quoted


def _suggested_path(value: object) -> str:
    """Return the path that was probably meant; the usual one if that is not
    clear."""
    path = re.split("[?#]", value)[0].strip().strip("/") if isinstance(value, str) else ""
    # repr() would show it otherwise than it is to be written
    return f"/{path}" if re.fullmatch(r"[A-Za-z0-9._~/-]+", path) else p.DEFAULT_SERVE_PATH
