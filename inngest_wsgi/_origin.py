"""Addresses as settings give them: an origin, and a path."""

from __future__ import annotations

import re
import urllib.parse

from . import errors

_PRINTABLE = re.compile(r"[\x20-\x7e]+")


def origin(name: str, value: object) -> str:
    """A URL that is an origin, perhaps with a path in front of ours, without a
    slash at its end.

    :param name: of the setting
    :raises errors.SettingsError: it is none
    """
    if not isinstance(value, str):
        raise errors.SettingsError(name, "must be a URL, not {!r}".format(value))
    text = value.strip()
    if "@" in text:
        # not shown: there may be a password in it
        raise errors.SettingsError(name, "must be an address alone, without a user")
    try:
        parts = urllib.parse.urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise errors.SettingsError(name, "{!r} is not a URL: {}".format(text, error)) from None
    if parts.scheme not in ("http", "https") or not host:
        raise errors.SettingsError(
            name,
            '{!r} is not a full URL; it must begin with "https://" or "http://", for '
            'example "https://example.com"'.format(text),
        )
    if not _PRINTABLE.fullmatch(text) or " " in text:
        raise errors.SettingsError(
            name, "{!r} has characters that a URL must have percent-encoded".format(text)
        )
    if parts.query or parts.fragment:
        raise errors.SettingsError(name, "must be an address alone: no query, no fragment")
    return text.rstrip("/")


def path(name: str, value: object) -> str:
    """A path, percent-encoded.

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
    return urllib.parse.quote(value, safe="/%:@!$&'()*+,;=~-._")
