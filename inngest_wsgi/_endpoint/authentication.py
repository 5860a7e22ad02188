"""Who asks, and what they may ask (PROTOCOL sections 2 and 3)."""

from __future__ import annotations

import time
import typing as t

from .. import _protocol as p, errors
from .._messages import Request
from .._security.signing import Keyring, SigningKey
from .._settings import Settings
from . import sync

_WAY_OUT = {
    p.CLOUD: "Set {}=1 in the application to develop with a dev server.".format(p.ENV_DEV),
    p.DEV: "Unset {} and is_production in the application to run it in cloud mode.".format(
        p.ENV_DEV
    ),
}


class Caller:
    """Who asks. Until a signature was verified, nobody is told what runs
    here, save in dev mode.

    :ivar key: what the request is signed with; None where it need not be
        signed, and is not
    :ivar trusted: whether they may be told what runs here
    """

    __slots__ = ("key", "trusted", "_settings", "_keyring")

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self.key: t.Optional[SigningKey] = None
        self.trusted = settings.is_dev
        self._settings = settings
        self._keyring = keyring

    def identify(self, request: Request) -> None:
        """Find the key that the request is signed with.

        :raises errors.SignatureError: it must be signed, and is not
        :raises errors.ForbiddenError: it may not ask for this unsigned
        """
        self.key = self._authenticate(request)
        self.trusted = self.trusted or self.key is not None

    def _authenticate(self, request: Request) -> t.Optional[SigningKey]:
        in_band = request.method == "PUT" and sync.is_in_band(request, self._settings)
        signature = request.headers.get(p.HEADER_SIGNATURE.lower())
        if self._settings.is_dev and not (in_band and self._keyring.keys):
            return self._key_of(request, signature)
        if signature is None and request.method == "PUT" and not in_band:
            sync.check_unsigned(request, self._settings)
            return None
        return self._keyring.verify(signature, request.body, time.time(), canonicalize=in_band)

    def _key_of(self, request: Request, signature: t.Optional[str]) -> t.Optional[SigningKey]:
        """The key of a request that need not be signed, but may be."""
        if signature is None or not self._keyring.keys:
            return None
        try:
            return self._keyring.verify(signature, request.body, time.time())
        except errors.SignatureError:
            return None

    def check_no_page(self, request: Request) -> None:
        """In dev mode nothing need be signed, and a page of any origin can
        have a browser send a POST; the browser says so, and lets no page
        prevent it.

        :raises errors.BrowserError: a page in a browser asks
        """
        if self.key is not None or not self._settings.is_dev:
            return
        if "origin" in request.headers or "sec-fetch-site" in request.headers:
            raise errors.BrowserError(
                "The request has an Origin or Sec-Fetch-Site header: it is from a page in a "
                "browser, which may not call functions or sync the app. Use the page of this "
                "endpoint, the dev server, or curl; a proxy that adds these headers must not."
            )

    def check_server_kind(self, request: Request) -> None:
        """
        :raises errors.ServerKindError: the request is from a server of the
            other mode
        """
        kind = request.headers.get(p.HEADER_SERVER_KIND.lower())
        if kind not in (p.CLOUD, p.DEV) or kind == self._settings.mode:
            return
        if not self.trusted:
            raise errors.ServerKindError("The request is from another kind of server.")
        raise errors.ServerKindError(
            "The request is from a {} server, but this application is in {} mode. {}".format(
                kind, self._settings.mode, _WAY_OUT[self._settings.mode]
            )
        )
