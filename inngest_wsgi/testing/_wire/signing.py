"""Sign calls, and verify signatures and bearer tokens, as a server does.

Written against PROTOCOL section 3 with nothing but the standard library, and
kept apart from the SDK's own module, which it is there to check.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import typing as t

_PREFIX = re.compile(r"signkey-[^-]*-")
_HEADER = re.compile(r"t=(\d{1,18})&s=([0-9a-f]{64})\Z", re.ASCII)
_BEARER = re.compile(r"bearer +(\S+) *\Z", re.IGNORECASE)

#: How far a signature's time may be off, in seconds, either way.
TOLERANCE = 300


class SigningKey:
    """A signing key, with or without its ``signkey-<env>-`` prefix.

    :param text: the key. Its part after the prefix must be hex.
    :raise ValueError: it is not; the message does not quote the key.
    """

    def __init__(self, text: str) -> None:
        bare = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
        prefix = text[: len(text) - len(bare)]
        try:
            raw = bytes.fromhex(bare)
        except ValueError:
            raw = b""
        if not raw:
            raise ValueError(
                "a signing key is hex digits (an even number of them), "
                "with or without a signkey-<env>- prefix"
            )
        self._secret = bare.encode("ascii")
        self._hashed = hashlib.sha256(raw).hexdigest()
        #: The token by which an app proves that it has the key (W59).
        self.bearer: str = prefix + self._hashed

    def __repr__(self) -> str:
        # Keys end up in tracebacks and assertion messages; their text must not.
        return "<SigningKey>"

    def sign(self, body: bytes, at: t.Optional[int] = None) -> str:
        """Return the ``X-Inngest-Signature`` header for exactly these bytes.

        :param at: unix seconds; the real time if None.
        """
        stamp = int(time.time()) if at is None else at
        return f"t={stamp}&s={self._digest(body, str(stamp))}"

    def problem(
        self, header: t.Optional[str], body: bytes, at: t.Optional[float] = None
    ) -> t.Optional[str]:
        """Verify a signature over these bytes.

        :return: what is wrong with it; None if nothing is.

        :param at: unix seconds to judge the age by; the real time if None.
        """
        if not header:
            return "the answer to a signed call is not signed"
        match = _HEADER.match(header)
        if match is None:
            return "the signature of the answer is malformed"
        stamp, digest = match.groups()
        now = time.time() if at is None else at
        if abs(now - int(stamp)) > TOLERANCE:
            return "the time in the answer's signature is more than five minutes from now"
        if not hmac.compare_digest(digest, self._digest(body, stamp)):
            return (
                "the signature of the answer does not match its body and the server's signing key"
            )
        return None

    def accepts(self, authorization: t.Optional[str]) -> bool:
        """Return True if an ``Authorization`` header proves knowledge of this key.

        Accepts the hashed key with any prefix or none, and the plain key (W59).
        """
        match = _BEARER.match(authorization or "")
        if match is None:
            return False
        token = _PREFIX.sub("", match.group(1), count=1).encode("utf-8", "replace")
        hashed = hmac.compare_digest(token, self._hashed.encode("ascii"))
        return hmac.compare_digest(token, self._secret) or hashed

    def _digest(self, body: bytes, stamp: str) -> str:
        return hmac.new(self._secret, body + stamp.encode("ascii"), hashlib.sha256).hexdigest()
