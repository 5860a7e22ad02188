"""Compare and classify the URLs that the page displays."""

from __future__ import annotations

import ipaddress
import typing as t
import urllib.parse

from .. import _protocol as p
from .._security import origins
from .._settings import Settings

CLOUD_ORIGINS = (p.CLOUD_API_ORIGIN, p.CLOUD_EVENT_API_ORIGIN)
#: The longest address of the page that is displayed, in characters.
MAX_ADDRESS = 2000

#: The names that container engines give to the host machine.
_HOST_MACHINE = ("host.docker.internal", "host.containers.internal", "gateway.docker.internal")
_RESERVED = (".localhost", ".local", ".test", ".internal", ".home.arpa", ".lan", ".example")


def page_address(text: str) -> t.Optional[str]:
    """Return the text if it is the URL of a page; None otherwise."""
    try:
        origins.url(text)
    except ValueError:
        return None
    return text if len(text) <= MAX_ADDRESS and text.isprintable() else None


def host_of(url: str) -> str:
    """Return the host, without a port; empty if there is none."""
    return urllib.parse.urlsplit(url).hostname or ""


def is_same(url: str, other: t.Optional[str]) -> bool:
    """Return True if two URLs are equal but for a slash at the end."""
    return other is not None and url.rstrip("/") == other.rstrip("/")


def is_local(url: str) -> bool:
    """Return True if the host is the machine that resolves it."""
    host = host_of(url)
    address = _ip(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def shares_localhost(settings: Settings) -> bool:
    """Return True if localhost is the same machine for the server and the
    browser. True for Inngest Cloud too, which is a problem of its own."""
    origin = settings.api_origin
    return is_local(origin) or host_of(origin) in _HOST_MACHINE or origin in CLOUD_ORIGINS


def is_public(url: str) -> bool:
    """Return True if the host may be reachable from the internet."""
    host = host_of(url)
    address = _ip(host)
    if address is not None:
        return address.is_global
    return "." in host.rstrip(".") and not host.endswith(_RESERVED)


def _ip(host: str) -> t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address, None]:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
