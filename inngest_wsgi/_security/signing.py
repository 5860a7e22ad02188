"""Sign and verify: requests to us, our responses, the bearer tokens of our
own requests (PROTOCOL section 3), and tokens that expire. The only user of
itsdangerous."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import typing as t

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from .. import errors
from .._codec import jcs, json as _json
from .keys import SIGNING_KEY

#: The largest difference between a signature's time and ours, in seconds,
#: either way.
WINDOW_S = 300
#: The largest body that is canonicalized, in bytes. A sync's body is small,
#: and the work is done before the sender is known.
MAX_CANONICALIZED = 64 * 1024

#: The most bytes that hashlib hashes without releasing the GIL, and up to which
#: size a body is hashed in such pieces. Another thread takes the GIL as soon as
#: it is released, and to get it back costs more than to hash so little.
_PIECE = 2047
_SHORT = 16 * 1024

#: The form of ``X-Inngest-Signature``: the time, and the signature.
SIGNATURE = re.compile(r"t=([0-9]{1,15})&s=([0-9a-f]{64})", re.ASCII)


class SigningKey:
    """A signing key.

    :param text: ``signkey-<env>-<hex>``, or the hexadecimal digits alone

    :ivar hash: SHA-256 over the decoded key, as hexadecimal digits
    :ivar bearer: the token after ``Bearer`` in ``Authorization``
    """

    __slots__ = ("bearer", "hash", "_inner", "_outer", "_secret")

    def __init__(self, text: str) -> None:
        match = SIGNING_KEY.fullmatch(text)
        assert match is not None, "the settings have checked it"
        prefix, secret = match.group(1) or "", match.group(2)
        self.hash = hashlib.sha256(bytes.fromhex(secret)).hexdigest()
        self.bearer = prefix + self.hash
        self._secret = secret.encode("ascii")
        # HMAC (RFC 2104) is two hashes, each of the key and something else. Both
        # begin here, once; an object of hmac's would be made for each signature
        key = self._secret if len(self._secret) <= 64 else hashlib.sha256(self._secret).digest()
        key = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def sign(self, body: bytes, timestamp: str) -> str:
        """Make the value of ``X-Inngest-Signature`` for exactly these bytes.

        :param timestamp: whole seconds since the epoch
        """
        return f"t={timestamp}&s={self._mac(body, timestamp)}"

    def has_signed(self, body: bytes, timestamp: str, mac: str) -> bool:
        """Return True if ``mac`` was made with this key, for these bytes and
        this time."""
        return hmac.compare_digest(self._mac(body, timestamp), mac)

    def _mac(self, body: bytes, timestamp: str) -> str:
        """Return the HMAC of both together, as hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        size = len(body)
        if _PIECE < size <= _SHORT:
            for begin in range(0, size, _PIECE):
                inner.update(body[begin : begin + _PIECE])
        else:
            inner.update(body)
        # not joined with the body, which may be large and would be copied
        inner.update(timestamp.encode("ascii"))
        outer.update(inner.digest())
        return outer.hexdigest()


class Keyring:
    """The signing key and, during a rotation, the fallback key.

    :param keys: as text, each None if it is not set

    :ivar keys: those that are set, without duplicates
    """

    def __init__(self, *keys: t.Optional[str]) -> None:
        found: t.Dict[bytes, SigningKey] = {}
        for key in map(SigningKey, filter(None, keys)):
            found.setdefault(key._secret, key)
        self.keys = tuple(found.values())

    def verify(
        self, timestamp: str, mac: str, body: bytes, canonicalize: bool = False
    ) -> SigningKey:
        """Return the key that a request is signed with.

        :param timestamp: as the request's signature has it
        :param mac: the signature, as it stands there, in lower case
        :param body: the bytes as they arrived
        :param canonicalize: if the bytes do not verify, try their RFC 8785
            form, over which an in-band sync is signed
        :raises errors.SignatureError: no key made the signature
        """
        for key in self.keys:
            if key.has_signed(body, timestamp, mac):
                return key
        canonical = _canonical(body) if canonicalize else None
        if canonical is not None:
            for key in self.keys:
                if key.has_signed(canonical, timestamp, mac):
                    return key
        raise errors.SignatureError(
            "signature_mismatch",
            "The signature does not match the body and the signing key of this application.",
        )


def problem_of(header: t.Optional[str], now: float) -> errors.SignatureError:
    """Describe why a request is refused by its ``X-Inngest-Signature`` alone,
    whatever its body: it has none, or the form or the time is wrong.

    :param header: None if the request has none
    :param now: seconds since the epoch
    """
    if header is None:
        return errors.SignatureError(
            "signature_missing", "The request has no X-Inngest-Signature header."
        )
    match = SIGNATURE.fullmatch(header)
    if match is None:
        return errors.SignatureError(
            "signature_malformed", "The X-Inngest-Signature header is malformed."
        )
    if now > int(match.group(1)):
        return errors.SignatureError(
            "signature_expired", "The signature is more than 5 minutes old."
        )
    return errors.SignatureError(
        "signature_early", "The signature is more than 5 minutes in the future."
    )


def _canonical(body: bytes) -> t.Optional[bytes]:
    """Return the canonical form of a body; None if it has none."""
    if not 0 < len(body) <= MAX_CANONICALIZED:
        return None
    try:
        return jcs.canonical(_json.loads(body))
    except ValueError:
        return None


class TokenError(Exception):
    """A token is not valid: it was made for another purpose, with another
    secret, or not by a :class:`TokenSigner`."""


class TokenExpired(TokenError):
    """A token was valid, and is too old."""


class TokenSigner:
    """Makes and verifies tokens, with a secret that no other process has,
    save those that are forked from this one.

    :param purpose: a token for another purpose is not valid
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._serializer = URLSafeTimedSerializer(
            secrets.token_bytes(32), salt=purpose, signer_kwargs={"digest_method": hashlib.sha256}
        )

    def make(self) -> str:
        """Make a token, dated now."""
        return str(self._serializer.dumps(self._purpose))

    def verify(self, token: str, max_age_s: int) -> None:
        """Verify a token.

        :param max_age_s: the longest time since it was made, in seconds
        :raises TokenExpired: the token is older
        :raises TokenError: the token is not valid
        """
        try:
            self._serializer.loads(token, max_age=max_age_s)
        except SignatureExpired as error:
            raise TokenExpired(str(error)) from None
        except (BadData, UnicodeError) as error:
            # UnicodeError: a lone surrogate, which JSON may contain
            raise TokenError(str(error)) from None
