"""Signatures: of requests to us, of our answers, and the bearer of our own
requests (PROTOCOL section 3). And the tokens of the page of dev mode. The only
user of itsdangerous."""

from __future__ import annotations

import hashlib
import re
import secrets
import typing as t

from itsdangerous import BadData, HMACAlgorithm, SignatureExpired, URLSafeTimedSerializer

from .. import errors
from .._codec import jcs, json as _json
from .keys import SIGNING_KEY

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
        found: t.Dict[bytes, SigningKey] = {}
        for key in map(SigningKey, filter(None, keys)):
            # the same key twice need not be tried twice
            found.setdefault(key._secret, key)
        self.keys = tuple(found.values())

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
            yield jcs.canonical(_json.loads(body))
        except ValueError:
            return


class Tokens:
    """What a page must have been given by this process to act, or by one that
    was forked from the same.

    :param purpose: a token for another one is not good
    :param age_s: how long one is good, in seconds
    """

    def __init__(self, purpose: str, age_s: int) -> None:
        self._purpose = purpose
        self._age_s = age_s
        self._serializer = URLSafeTimedSerializer(
            secrets.token_bytes(32), salt=purpose, signer_kwargs={"digest_method": hashlib.sha256}
        )

    def make(self) -> str:
        """A token that is good from now on."""
        return str(self._serializer.dumps(self._purpose))

    def check(self, tokens: t.Sequence[str]) -> None:
        """Whether one of the tokens is good.

        :raises errors.PageError: none is; says why of the last
        """
        problem = errors.PageError("token_missing", "The request has no token. " + _RELOAD)
        for token in tokens:
            try:
                self._serializer.loads(token, max_age=self._age_s)
                return
            except SignatureExpired:
                problem = errors.PageError("token_expired", "The page is too old. " + _RELOAD)
            except (BadData, UnicodeError):
                # the latter of a lone surrogate, which JSON may have and no token has
                problem = errors.PageError(
                    "token_invalid",
                    "The page is from before a restart of the app, or from another of its "
                    "processes. " + _RELOAD,
                )
        raise problem


_RELOAD = "Nothing was done; reload the page and try again."
