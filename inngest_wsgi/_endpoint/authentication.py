"""Authenticate and authorize a request (PROTOCOL sections 2, 3 and 5)."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .. import _protocol as p, errors
from .._messages import Environ, Request, environ_key
from .._security.signing import SIGNATURE, WINDOW_S, SigningKey, problem_of
from .._settings import Settings
from . import redirects
from .request import read_body, read_head

_SIGNATURE = environ_key(p.HEADER_SIGNATURE)

_OTHER_MODE = {
    p.CLOUD: f"Set {p.ENV_DEV}=1 in the application to develop with a dev server.",
    p.DEV: f"Unset {p.ENV_DEV} and is_production in the application to run it in cloud mode.",
}


@dataclasses.dataclass
class Caller:
    """The sender of a request, and what they may have.

    :ivar trusted: True if the response may say what is served here: always in
        dev mode, and in cloud mode if the request has a valid signature
    :ivar key: the key that the request is signed with, which signs the
        response too; None if it has no valid signature
    :ivar authenticated: whether the signature is valid; None without one
    :ivar refusal: why the request is refused; None if it is not
    :ivar signed_at: the time in the valid signature, as it stands there
    """

    trusted: bool
    key: t.Optional[SigningKey]
    authenticated: t.Optional[bool]
    refusal: t.Optional[errors.RequestError]
    signed_at: t.Optional[str]


def authenticate(environ: Environ, settings: Settings) -> t.Tuple[Request, Caller]:
    """Read a request, and authenticate and authorize it.

    Where a signature is required, nothing of the body is read before the
    signature's form and time are known to be right: a stranger who announces
    a body and does not send it would hold a thread of the server. Nothing is
    ever read of the body of a GET or a probe, which must not have one, unless
    it is another request that was redirected.

    :returns: the request, its body only where it is needed; and its sender.
        For a refused request see :attr:`Caller.refusal`
    :raises errors.BodyError: the body cannot be read, or is too large
    """
    request = read_head(environ, settings.max_body_bytes)
    header, method = environ.get(_SIGNATURE), request.method
    in_band = method == "PUT" and wants_in_band(request, settings)
    is_dev = settings.is_dev
    signature, key, signed_at = None, None, None
    refusal: t.Optional[errors.RequestError] = None
    # whether an invalid signature is tolerated
    lenient = is_dev and not (in_band and settings.keyring.keys)
    if header is not None or not (is_dev or method == "PUT") or in_band:
        now = time.time()
        signature = None if header is None else SIGNATURE.fullmatch(header)
        if signature is None or abs(now - int(signature[1])) > WINDOW_S:
            signature = None
            refusal = None if lenient else problem_of(header, now)
    elif not is_dev:
        refusal = _unsigned_sync(request, settings)
    bodiless = method == "GET" or request.query.get(p.QUERY_PROBE) == p.PROBE_TRUST
    if bodiless and redirects.what_it_was(request) is None:
        if refusal is None and request.has_body:
            # signed over its body alone, it may be another request that
            # somebody has recorded
            refusal = errors.BodyError("body_unexpected", "A GET or a probe must not have a body.")
    elif refusal is None and (signature is not None or in_band or (is_dev and method == "POST")):
        request.body = read_body(request, settings.max_body_bytes)
    if signature is not None and refusal is None:
        stamp, mac = signature.groups()
        try:
            # an in-band sync is signed over the canonical form of its body
            key = settings.keyring.verify(stamp, mac, request.body, canonicalize=in_band)
            signed_at = stamp
        except errors.SignatureError as problem:
            refusal = None if lenient else problem
    trusted = is_dev or key is not None
    if refusal is None and key is None and is_dev and method != "GET":
        refusal = _from_a_browser(request, settings)
    if refusal is None and method != "POST":
        refusal = _from_another_kind_of_server(request, settings, trusted)
    authenticated = None if header is None else key is not None
    return request, Caller(trusted, key, authenticated, refusal, signed_at)


def wants_in_band(request: Request, settings: Settings) -> bool:
    """Return True if a PUT asks for an in-band sync and may have one."""
    return request.header(p.HEADER_SYNC_KIND) == p.IN_BAND and settings.allow_in_band_sync


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
    if (
        request.header(p.HEADER_ORIGIN) is not None
        or request.header(p.HEADER_SEC_FETCH_SITE) is not None
    ):
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
    kind = request.header(p.HEADER_SERVER_KIND)
    if kind not in (p.CLOUD, p.DEV) or kind == settings.mode:
        return None
    if not trusted:
        return errors.ServerKindError("The request is from another kind of server.")
    return errors.ServerKindError(
        f"The request is from a {kind} server, but this application is in {settings.mode} mode. "
        f"{_OTHER_MODE[settings.mode]}"
    )
