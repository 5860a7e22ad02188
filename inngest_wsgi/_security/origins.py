"""The forms of an address: origins and paths, and what is wrong with one."""

from __future__ import annotations

import ipaddress
import re
import typing as t
import urllib.parse

from .. import errors

#: The longest path that we are called by: it is sent once a function.
MAX_PATH = 1000
#: What a path may have as it is, beside letters and digits (RFC 3986, 3.3).
PATH_SAFE = "/:@!$&'()*+,;=~"

_PORTS = {"http": 80, "https": 443}
#: A host and perhaps a port, in lower case; an underscore is no part of a host
#: name, but of names that containers have.
_HOST = re.compile(
    r"(?:([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)|\[([0-9a-f:.]+)(%25[a-z0-9._~-]+)?\])"
    r"(?::([0-9]{0,5}))?"
)
#: What urlsplit() would leave out, or browsers take for a slash.
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Url(t.NamedTuple):
    """A URL that can be called.

    :ivar origin: in its one form: lower case, without a port that goes without
        saying; with the user, if there is one
    :ivar path: percent-encoded
    :ivar more: whether there is a query or a fragment
    """

    origin: str
    path: str
    more: bool


def of(scheme: str, host: str) -> t.Optional[str]:
    """The origin of a scheme and a host with perhaps a port; None where they
    are none."""
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
    shown = "" if port == _PORTS[scheme] else ":{}".format(port)
    return "{}://{}{}".format(scheme, name, shown)


def url(text: str) -> Url:
    """Take a URL apart. A user in it, and a password, stay where they are.

    :raises ValueError: it cannot be called; says why, and does not show it
        where there may be a password in it
    """
    shown = "it" if "@" in text else repr(text)
    if _NOT_IN_URL.search(text):
        raise ValueError("{} has characters that a URL must have percent-encoded".format(shown))
    try:
        parts = urllib.parse.urlsplit(text)
        user, at, host = parts.netloc.rpartition("@")
        origin = of(parts.scheme, host)
    except ValueError as error:
        raise ValueError("{} is not a URL: {}".format(shown, error)) from None
    if parts.scheme not in _PORTS or not host:
        raise ValueError(
            '{} is not a full URL; it must begin with "https://" or "http://" and a host, '
            'for example "https://example.com"'.format(shown)
        )
    if origin is None:
        raise ValueError(
            "{} is no URL that can be called: look at its host and its port; a name that is not "
            'ASCII is written as "xn--..."'.format(shown)
        )
    if _NO_ESCAPE.search(parts.path):
        raise ValueError("{} has a % that two hexadecimal digits do not follow".format(shown))
    path = urllib.parse.quote(parts.path, safe=PATH_SAFE + "%")
    if at:
        origin = origin.replace("://", "://{}@".format(user), 1)
    return Url(origin, path, bool(parts.query or parts.fragment))


def path_problem(path: str) -> t.Optional[str]:
    """Why a path is not one to be called by, if it is not."""
    if len(path) > MAX_PATH:
        return "it has more than {} characters".format(MAX_PATH)
    # what stands before us may resolve the dots of a call differently
    if not {".", ".."}.isdisjoint(map(urllib.parse.unquote, path.split("/"))):
        return "it has . or .. in it"
    return None


def setting(name: str, value: object) -> str:
    """An origin as a setting gives it, perhaps with a path in front of ours,
    without a slash at its end.

    :param name: of the setting
    :raises errors.SettingsError: it is none
    """
    if not isinstance(value, str):
        raise errors.SettingsError(name, "must be a URL, not {!r}".format(value))
    try:
        found = url(value.strip())
    except ValueError as error:
        raise errors.SettingsError(name, str(error)) from None
    if "@" in found.origin:
        raise errors.SettingsError(name, "must be an address alone, without a user")
    if found.more:
        raise errors.SettingsError(name, "must be an address alone: no query, no fragment")
    return found.origin + found.path.rstrip("/")


def setting_path(name: str, value: object) -> str:
    """A path as a setting gives it, percent-encoded.

    :param name: of the setting
    :raises errors.SettingsError: it is none
    """
    if (
        not isinstance(value, str)
        or not value.startswith("/")
        or value.startswith("//")
        or set(value) & set("?# ")
    ):
        raise errors.SettingsError(
            name,
            "{!r} is not a path; it must begin with a slash and have no query, for "
            'example "/api/inngest"'.format(value),
        )
    problem = path_problem(value)
    if problem is None and _NO_ESCAPE.search(value):
        problem = "a % in it is not followed by two hexadecimal digits"
    try:
        quoted = urllib.parse.quote(value, safe=PATH_SAFE + "%")
    except UnicodeError:
        problem = "it is not text that has a form in UTF-8"
    if problem is not None:
        raise errors.SettingsError(name, "is not a path to be called by: {}".format(problem))
    return quoted
