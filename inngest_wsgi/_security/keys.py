"""Check the form of keys. No error message shows a key, not even a wrong one."""

from __future__ import annotations

import functools
import re

from .. import _protocol as p, errors
from .._logs import log as _log

#: A signing key: an optional prefix, and the secret.
SIGNING_KEY = re.compile(r"(signkey-[A-Za-z0-9_]+-)?((?:[0-9a-fA-F]{2})+)")
#: Shorter secrets, in hexadecimal digits, can be found by trying.
SAFE_DIGITS = 32
SIGNING_KEY_PREFIX = "signkey-"
#: The prefix of the key of all branch environments: the environment's name is
#: needed too.
BRANCH_KEY_PREFIX = "signkey-branch-"

#: White space, a byte order mark, a zero-width space: copied along unnoticed.
_INVISIBLE = re.compile("\\A[\\s\ufeff\u200b]+|[\\s\ufeff\u200b]+\\Z")
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"
_HEX = re.compile(r"[0-9a-fA-F]*")
#: The form of Inngest Cloud's event keys; a dev server takes any.
_EVENT_KEY = re.compile(r"[A-Za-z0-9_-]{20,}")

_COPY_AGAIN = "Copy it again from the Inngest dashboard"
_PRINTABLE = re.compile(r"[\x20-\x7e]+")


def stripped(text: str) -> str:
    """Return the text without white space and invisible characters at its
    ends."""
    return _INVISIBLE.sub("", text)


def event_key(name: str, value: object) -> str:
    """Return an event key, stripped.

    :param name: the setting's, for the error
    :raises errors.SettingsError: the value cannot be an event key
    """
    key = _stripped_key(name, value)
    if key.startswith(SIGNING_KEY_PREFIX):
        # an event key becomes a part of a URL, which is logged in many places
        raise errors.SettingsError(
            name,
            f"is a signing key, which belongs in {p.ENV_SIGNING_KEY}. Copy the event key from "
            "the Inngest dashboard",
        )
    if not _PRINTABLE.fullmatch(key):
        raise errors.SettingsError(name, "must be printable ASCII text. " + _COPY_AGAIN)
    return key


def signing_key(name: str, value: object) -> str:
    """Return a signing key, stripped.

    :param name: the setting's, for the error
    :raises errors.SettingsError: the value is not a signing key; the message
        describes the difference
    """
    key = _stripped_key(name, value)
    if not SIGNING_KEY.fullmatch(key):
        raise errors.SettingsError(name, f"{_describe_fault(key)}. {_COPY_AGAIN}")
    if len(key.rpartition("-")[2]) < SAFE_DIGITS:
        _warn_of_short_key(name, key)
    return key


@functools.lru_cache(maxsize=None)
def _warn_of_short_key(name: str, key: str) -> None:
    """Warn of a key that can be guessed, once for each setting and key: the
    settings are read for the client and for each endpoint."""
    _log.warning(
        "%s has fewer than %d hexadecimal digits after its prefix. Who records one signed "
        "request can find so short a key by trying all. Use a key from the Inngest dashboard; "
        "for a server of your own, one that 'openssl rand -hex 32' makes.",
        name,
        SAFE_DIGITS,
    )


def _stripped_key(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise errors.SettingsError(name, f"must be a str, not {type(value).__name__}")
    key = stripped(value)
    if not key:
        raise errors.SettingsError(name, "is empty; leave it out, or set it. " + _COPY_AGAIN)
    if key[0] in _QUOTES or key[-1] in _QUOTES:
        raise errors.SettingsError(
            name,
            "begins or ends with a quotation mark; the key is the text between the marks. Not "
            "every reader of .env files removes them",
        )
    return key


def _describe_fault(key: str) -> str:
    """Describe how a text differs from a signing key."""
    head, _, secret = key.rpartition("-")
    has_prefix = key.lower().startswith(SIGNING_KEY_PREFIX)
    is_hex = (has_prefix or not head) and _HEX.fullmatch(secret) is not None
    if re.search(r"\s", key):
        return "has white space within it"
    if is_hex and head.count("-") > 1:
        return (
            "has more than two dashes; servers take all that follows the second one for the "
            'secret. Inngest\'s prefixes are "signkey-prod-", "signkey-test-" and '
            f'"{BRANCH_KEY_PREFIX}"'
        )
    if is_hex and len(secret) % 2:
        return "has an odd number of hexadecimal digits; a signing key has an even number"
    if not has_prefix and not is_hex and _EVENT_KEY.fullmatch(key):
        return f"is not a signing key; it may be an event key, which belongs in {p.ENV_EVENT_KEY}"
    return (
        'is not a signing key, which looks like "signkey-prod-" followed by an even number of '
        "hexadecimal digits"
    )
