"""Signatures: of requests to us, of our answers, and the bearer of our own
requests (PROTOCOL section 3). The only user of itsdangerous."""

from __future__ import annotations

import hashlib
import re
import typing as t

from itsdangerous import HMACAlgorithm

from . import _jcs, _json, errors
from ._settings import SIGNING_KEY

#: How far a signature's time may be from ours, in seconds, either way.
WINDOW_S = 300
#: A sync says little; whoever sends more does not get it canonicalized before
#: we know who it is. In bytes.
MAX_CANONICALIZED = 64 * 1024

_HEADER = re.compile(r"t=([0-9]{1,15})&s=([0-9a-f]{64})", re.ASCII)
_hmac = HMACAlgorithm(hashlib.sha256)


class SigningKey:
    """One signing key, ``signkey-<env>-<hex>`` or the hex alone."""

    __slots__ = ("bearer", "hash", "_secret")

    def __init__(self, text: str) -> None:
        match = SIGNING_KEY.fullmatch(text)
        assert match is not None, "the settings let no other through"
        prefix, secret = match.group(1) or "", match.group(2)
        #: sha256 over the decoded key, as hexadecimal digits
        self.hash = hashlib.sha256(bytes.fromhex(secret)).hexdigest()
        #: what ``Authorization`` carries after ``Bearer``
        self.bearer = prefix + self.hash
        self._secret = secret.encode("ascii")

    def sign(self, body: bytes, now: float) -> str:
        """The value of ``X-Inngest-Signature`` for exactly these bytes.

        :param now: seconds since the epoch
        """
        timestamp = str(int(now))
        mac = _hmac.get_signature(self._secret, body + timestamp.encode("ascii"))
        return "t={}&s={}".format(timestamp, mac.hex())

    def signed(self, body: bytes, timestamp: str, mac: bytes) -> bool:
        """Whether ``mac`` is of this key, these bytes and this time."""
        value = body + timestamp.encode("ascii")
        return _hmac.verify_signature(self._secret, value, mac)


class Keyring:
    """The signing key and, during a rotation, the fallback key."""

    def __init__(self, *keys: t.Optional[str]) -> None:
        self.keys = tuple(SigningKey(key) for key in keys if key)

    def verify(
        self, header: t.Optional[str], body: bytes, now: float, canonicalize: bool = False
    ) -> SigningKey:
        """The key that a request is signed with.

        :param header: ``X-Inngest-Signature``
        :param body: the bytes as they arrived
        :param now: seconds since the epoch
        :param canonicalize: if the bytes do not verify, try their RFC 8785
            form: an in-band sync is signed over that
        :raises errors.SignatureError: says which check failed
        """
        if header is None:
            raise errors.SignatureError(
                "signature_missing", "The request has no X-Inngest-Signature header."
            )
        match = _HEADER.fullmatch(header)
        if match is None:
            raise errors.SignatureError(
                "signature_malformed", "The X-Inngest-Signature header is malformed."
            )
        timestamp, mac = match.group(1), bytes.fromhex(match.group(2))
        age = now - int(timestamp)
        if age > WINDOW_S:
            raise errors.SignatureError(
                "signature_expired", "The signature is more than 5 minutes old."
            )
        if age < -WINDOW_S:
            raise errors.SignatureError(
                "signature_early", "The signature is more than 5 minutes in the future."
            )
        for form in _forms(body, canonicalize):
            for key in self.keys:
                if key.signed(form, timestamp, mac):
                    return key
        raise errors.SignatureError(
            "signature_mismatch",
            "The signature does not match the body and the signing key of this application.",
        )


def _forms(body: bytes, canonicalize: bool) -> t.Iterator[bytes]:
    yield body
    if canonicalize and 0 < len(body) <= MAX_CANONICALIZED:
        try:
            yield _jcs.canonical(_json.loads(body))
        except ValueError:
            return
