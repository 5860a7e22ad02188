"""The forms that keys have, and what is wrong with one that has none of them.
What is said of a key never shows it, not even a wrong one."""

from __future__ import annotations

import re

from .. import _protocol as p, errors

#: A signing key: the prefix, which may be left out, and the secret itself.
SIGNING_KEY = re.compile(r"(signkey-[A-Za-z0-9_]+-)?((?:[0-9a-fA-F]{2})+)")
SIGNING_KEY_PREFIX = "signkey-"
#: Of a branch environment, which the key alone does not name.
BRANCH_KEY_PREFIX = "signkey-branch-"

#: White space, a byte order mark, a zero-width space: nobody sees that they
#: were copied as well.
_INVISIBLE = re.compile("\\A[\\s\ufeff\u200b]+|[\\s\ufeff\u200b]+\\Z")
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"
_HEX = re.compile(r"[0-9a-fA-F]*")
#: What Inngest's event keys consist of.
_EVENT_KEY = re.compile(r"[A-Za-z0-9_-]{20,}")
_AGAIN = "Copy it again from the Inngest dashboard"
_PRINTABLE = re.compile(r"[\x20-\x7e]+")


def stripped(text: str) -> str:
    """The text without what nobody sees at its ends."""
    return _INVISIBLE.sub("", text)


def event_key(name: str, value: object) -> str:
    """An event key, without what is around it.

    :param name: of the setting
    :raises errors.SettingsError: it is none
    """
    key = _trimmed(name, value)
    if key.startswith(SIGNING_KEY_PREFIX):
        # sent as an event key, it would be a part of an address
        raise errors.SettingsError(
            name,
            "is a signing key, which belongs in {}. An event key is another one; copy it from "
            "the Inngest dashboard".format(p.ENV_SIGNING_KEY),
        )
    if not _PRINTABLE.fullmatch(key):
        raise errors.SettingsError(name, "must be text of printable ASCII. " + _AGAIN)
    return key


def signing_key(name: str, value: object) -> str:
    """A signing key, without what is around it.

    :param name: of the setting
    :raises errors.SettingsError: it is none; says what is wrong with it
    """
    key = _trimmed(name, value)
    if not SIGNING_KEY.fullmatch(key):
        raise errors.SettingsError(name, "{}. {}".format(_no_signing_key(key), _AGAIN))
    return key


def _trimmed(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise errors.SettingsError(name, "must be a str, not {}".format(type(value).__name__))
    key = stripped(value)
    if not key:
        raise errors.SettingsError(name, "is empty; leave it out, or set it. " + _AGAIN)
    if key[0] in _QUOTES or key[-1] in _QUOTES:
        raise errors.SettingsError(
            name,
            "has a quotation mark at its beginning or end; the key is what is between. Not "
            "everything that reads an .env file takes the quotation marks off",
        )
    return key


def _no_signing_key(key: str) -> str:
    """What is wrong with it."""
    head, _, secret = key.rpartition("-")
    has_prefix = key.lower().startswith(SIGNING_KEY_PREFIX)
    is_hex = (has_prefix or not head) and _HEX.fullmatch(secret) is not None
    if re.search(r"\s", key):
        return "has white space within it, and a key is one word"
    if is_hex and head.count("-") > 1:
        return (
            "has more than two dashes: servers take what follows the second one for the key "
            'itself. Inngest\'s prefixes are "signkey-prod-", "signkey-test-" and '
            '"{}"'.format(BRANCH_KEY_PREFIX)
        )
    if is_hex and len(secret) % 2:
        return "has an odd number of hexadecimal digits, and a key has an even one"
    if not has_prefix and not is_hex and _EVENT_KEY.fullmatch(key):
        return "is not a signing key; it may be an event key, which belongs in {}".format(
            p.ENV_EVENT_KEY
        )
    return (
        'is not a signing key; one looks like "signkey-prod-" followed by an even number of '
        "hexadecimal digits"
    )
