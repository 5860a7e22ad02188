"""PUT: sync, out-of-band and in-band (PROTOCOL section 5)."""

from __future__ import annotations

import logging
import re
import typing as t
import urllib.parse

from . import _decode, _encode, _introspect, _json, errors
from . import _protocol as p
from ._http import Http, Retry
from ._messages import Address, Request, Response
from ._settings import Settings
from .function import Function

_log = logging.getLogger("inngest_wsgi")

#: The longest path that is taken from a request: it is sent once a function.
MAX_PATH = 1000

_KINDS = (p.CLOUD, p.DEV)
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")
_NOT_JSON = (
    "What answers at {} is no Inngest server, or something stands before it: its answer to "
    "the sync is not a JSON object."
)

Functions = t.Sequence[Function[t.Any]]


def is_in_band(request: Request, settings: Settings) -> bool:
    """Whether the request asks for an in-band sync, and may."""
    wanted = request.headers.get(p.HEADER_SYNC_KIND.lower()) == p.IN_BAND
    return wanted and settings.allow_in_band_sync


def check_unsigned(request: Request, settings: Settings) -> None:
    """Whether an unsigned PUT may start an out-of-band sync in cloud mode.

    Not unless the address is configured: the caller chose the Host header,
    and would choose where Inngest sends every call from then on. The path may
    be left to where we are mounted, which the caller did not choose, but not
    to what the caller wrote behind it.

    :raises errors.ForbiddenError: says what to set
    """
    if not settings.enable_unauthed_sync:
        raise errors.ForbiddenError("A sync must be signed.")
    if settings.serve_origin is None:
        raise errors.ForbiddenError(
            "An unsigned request may sync this app only to an address that the app itself "
            "states: set serve_origin, or the environment variable {}. Or sync from the "
            "Inngest dashboard, which signs its requests.".format(p.ENV_SERVE_ORIGIN)
        )
    if settings.serve_path is None and request.address.mount not in ("", request.address.path):
        raise errors.ForbiddenError(
            "An unsigned request may sync this app only at the path where it is mounted. Set "
            "serve_path, or the environment variable {}, if its path is another "
            "one.".format(p.ENV_SERVE_PATH)
        )


def out_of_band(
    request: Request, settings: Settings, functions: Functions, http: Http, trusted: bool
) -> Response:
    """Register the functions with the server, and answer what came of it.

    :param trusted: whether the caller may read what went wrong
    """
    url = our_url(request.address, settings)
    registration = {
        "url": url,
        "deployType": "ping",
        "framework": p.FRAMEWORK,
        "appName": settings.app_id,
        "sdk": "{}:v{}".format(p.LANGUAGE, p.VERSION),
        "v": p.REGISTER_VERSION,
        "capabilities": _introspect.CAPABILITIES,
        "functions": registrations(functions, settings.app_id, url),
    }
    if settings.app_version is not None:
        registration["appVersion"] = settings.app_version
    # the words of a stranger stay here
    deploy_id = request.query.get(p.QUERY_DEPLOY_ID) if trusted else None
    kind = request.headers.get(p.HEADER_SERVER_KIND.lower())
    try:
        answer = http.api(
            "POST",
            p.PATH_REGISTER,
            body=_json.dumps(registration),
            query=[(p.QUERY_DEPLOY_ID, deploy_id)] if deploy_id else (),
            headers=[(p.HEADER_EXPECTED_SERVER_KIND, kind)] if kind in _KINDS else (),
            retry=Retry(attempts=1 + settings.sync_retries),
        )
        if answer.status != 200:
            raise errors.RegistrationError(answer.error(), answer.status)
        body = answer.json()
        if not isinstance(body, dict):
            raise errors.RegistrationError(_NOT_JSON.format(settings.api_origin))
    except errors.ApiError as error:
        _log.error("Sync of app %s failed: %s", settings.app_id, error)
        message = error.message if trusted else "The sync failed; see the application's log."
        return _synced(p.OUT_OF_BAND, 500, {"message": message, "modified": False})
    modified = body.get("modified") is True
    _log.info("Synced app %s with %d functions to %s", settings.app_id, len(functions), url)
    return _synced(
        p.OUT_OF_BAND, 200, {"message": "Successfully registered", "modified": modified}
    )


def in_band(request: Request, settings: Settings, functions: Functions) -> Response:
    """Answer with the functions themselves."""
    url = our_url(_signed_address(request.body) or request.address, settings)
    body = {
        "app_id": settings.app_id,
        "capabilities": _introspect.CAPABILITIES,
        "env": settings.env,
        "framework": p.FRAMEWORK,
        "functions": registrations(functions, settings.app_id, url),
        "inspection": _introspect.describe(settings, len(functions), True),
        "platform": settings.platform,
        "sdk": "{}:v{}".format(p.LANGUAGE, p.VERSION),
        "sdk_author": p.SDK_AUTHOR,
        "sdk_language": p.LANGUAGE,
        "sdk_version": p.VERSION,
        "url": url,
    }
    if settings.app_version is not None:
        body["appVersion"] = settings.app_version
    return _synced(p.IN_BAND, 200, body)


def registrations(functions: Functions, app_id: str, url: str) -> t.List[t.Dict[str, t.Any]]:
    """The functions as the server registers them.

    :param url: of this endpoint
    """
    found = []
    for function in functions:
        query = urllib.parse.urlencode(
            [(p.QUERY_FN_ID, function.full_id(app_id)), (p.QUERY_STEP_ID, p.STEP)]
        )
        found.append(function.registration(app_id, "{}?{}".format(url, query)))
    return found


def our_url(address: Address, settings: Settings) -> str:
    """Where the server is to call: what is configured, before an address that
    a request tells. Without a query.

    :raises errors.AddressError: neither says it
    """
    origin, path = settings.serve_origin or address.origin, settings.serve_path
    if origin is None:
        raise errors.AddressError(
            "The request does not tell this app's address: its Host header is missing or is "
            "not a host with perhaps a port, or its scheme is not http or https. Set "
            "serve_origin, or the environment variable {}.".format(p.ENV_SERVE_ORIGIN)
        )
    if path is None:
        path = address.path
        # what stands before us may resolve the dots of a call differently
        if len(path) > MAX_PATH or not {".", ".."}.isdisjoint(path.split("/")):
            raise errors.AddressError(
                "The path of the request is not one to be called by: it has . or .. in it, "
                "or more than {} characters. Set serve_path, or the environment variable "
                "{}.".format(MAX_PATH, p.ENV_SERVE_PATH)
            )
    return origin + path


def _signed_address(body: bytes) -> t.Optional[Address]:
    """The address at which we are called, as the body of an in-band sync has
    it; None where it has none.

    :raises errors.BodyError: it is no such URL
    """
    url = _decode.json_object(body).get("url")
    if url is None or url == "":
        return None
    try:
        # urlsplit() would leave some of these out
        if not isinstance(url, str) or _NOT_IN_URL.search(url):
            raise ValueError(url)
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError(url)
    except ValueError:
        raise errors.BodyError(
            "body_invalid", 'url must be a full URL that begins with "https://" or "http://".'
        ) from None
    path = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~")
    return Address("{0.scheme}://{0.netloc}".format(parts), path)


def _synced(kind: str, status: int, body: t.Mapping[str, t.Any]) -> Response:
    return _encode.document(status, body).adding((p.HEADER_SYNC_KIND, kind))
