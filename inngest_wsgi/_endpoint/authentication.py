"""Authenticate and authorize a request (PROTOCOL sections 2, 3 and 5)."""

from __future__ import annotations

import time
import typing as t

from .. import _protocol as p, errors
from .._messages import Request
from .._security.signing import SigningKey
from .._settings import Settings

_SIGNATURE = p.HEADER_SIGNATURE.lower()
_SERVER_KIND = p.HEADER_SERVER_KIND.lower()
_SYNC_KIND = p.HEADER_SYNC_KIND.lower()

_OTHER_MODE = {
    p.CLOUD: f"Set {p.ENV_DEV}=1 in the application to develop with a dev server.",
    p.DEV: f"Unset {p.ENV_DEV} and is_production in the application to run it in cloud mode.",
}


class Caller(t.NamedTuple):
    """The sender of a request, and what they may have.

    :ivar trusted: True if the response may say what is served here: always in
        dev mode, and in cloud mode if the request has a valid signature
    :ivar key: the key that the request is signed with, which signs the
        response too; None if it has no valid signature
    :ivar authenticated: whether the signature is valid; None without one
    :ivar refusal: why the request is refused; None if it is not
    """

    trusted: bool
    key: t.Optional[SigningKey] = None
    authenticated: t.Optional[bool] = None
    refusal: t.Optional[errors.RequestError] = None


def authenticate(request: Request, settings: Settings) -> Caller:
    """Authenticate and authorize a request. Raises nothing: see
    :attr:`Caller.refusal`."""
    header = request.headers.get(_SIGNATURE)
    in_band = request.method == "PUT" and wants_in_band(request, settings)
    is_dev = settings.is_dev
    key: t.Optional[SigningKey] = None
    refusal: t.Optional[errors.RequestError] = None
    if header is not None or not (is_dev or request.method == "PUT") or in_band:
        try:
            # an in-band sync is signed over the canonical form of its body
            key = settings.keyring.verify(header, request.body, time.time(), canonicalize=in_band)
        except errors.SignatureError as problem:
            if not is_dev or (in_band and settings.keyring.keys):
                refusal = problem
    elif not is_dev:
        refusal = _unsigned_sync(request, settings)
    trusted = is_dev or key is not None
    if refusal is None and key is None and is_dev and request.method != "GET":
        refusal = _from_a_browser(request, settings)
    if refusal is None and request.method != "POST":
        refusal = _from_another_kind_of_server(request, settings, trusted)
    authenticated = None if header is None else key is not None
    return Caller(trusted, key, authenticated, refusal)


def wants_in_band(request: Request, settings: Settings) -> bool:
    """Return True if a PUT asks for an in-band sync and may have one."""
    return request.headers.get(_SYNC_KIND) == p.IN_BAND and settings.allow_in_band_sync


def _unsigned_sync(request: Request, settings: Settings) -> t.Optional[errors.RequestError]:
    """Refuse an unsigned PUT in cloud mode unless the address is configured.

    The caller chose the Host header, and would choose where Inngest sends
    every call from then on. The path may be left to where we are mounted, or
    to where Inngest looks first, but not to the caller.
    """
    if not settings.enable_unauthed_sync:
        return errors.ForbiddenError(
            "The request is not signed, and a sync of this app must be. The page of a self-hosted "
            "Inngest server signs none: start the server with -u and the app's URL instead, or "
            f"unset {p.ENV_ENABLE_UNAUTHED_SYNC} in the app."
        )
    if settings.serve_origin is None:
        return errors.ForbiddenError(
            "The request is not signed, as the page of a self-hosted Inngest server sends it, and "
            "whoever sends one may sync this app only to an address that the app itself states: "
            f"set {p.ENV_SERVE_ORIGIN} (serve_origin of serve()) to the origin at which the "
            "server reaches the app, for example http://app:8000. Or start the server with -u and "
            "the app's URL: it signs the sync then, as the Inngest dashboard does."
        )
    path, mount = request.address.path, request.address.mount
    # the mount answered, with a slash at its end or without
    allowed = (mount, mount + "/") if mount else (p.DEFAULT_SERVE_PATH,)
    if settings.serve_path is None and path not in allowed:
        return errors.ForbiddenError(
            "An unsigned request may sync this app only at the path where it is mounted or, "
            f"where it is not mounted, at {p.DEFAULT_SERVE_PATH}. Set serve_path, or the "
            f"environment variable {p.ENV_SERVE_PATH}, if its path is another one."
        )
    return None


def _from_a_browser(request: Request, settings: Settings) -> t.Optional[errors.RequestError]:
    """Refuse a request that a web page makes in dev mode.

    Nothing need be signed there, and a page of any origin can have a browser
    send a POST. The browser says so in headers that no page can leave out.
    The page of dev mode is checked by itself.
    """
    if settings.landing_page and p.QUERY_LANDING in request.query and request.method == "POST":
        return None
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        return errors.BrowserError(
            "The request has an Origin or Sec-Fetch-Site header: it is from a page in a "
            "browser, which may not call functions or sync the app. Use the page of this "
            "endpoint, the dev server, or curl; a proxy that adds these headers must not."
        )
    return None


def _from_another_kind_of_server(
    request: Request, settings: Settings, trusted: bool
) -> t.Optional[errors.RequestError]:
    """Refuse a GET or PUT of a dev server in cloud mode, and the reverse."""
    kind = request.headers.get(_SERVER_KIND)
    if kind not in (p.CLOUD, p.DEV) or kind == settings.mode:
        return None
    if not trusted:
        return errors.ServerKindError("The request is from another kind of server.")
    return errors.ServerKindError(
        f"The request is from a {kind} server, but this application is in {settings.mode} mode. "
        f"{_OTHER_MODE[settings.mode]}"
    )
