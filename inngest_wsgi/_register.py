"""PUT: sync, out-of-band and in-band (PROTOCOL section 5)."""

from __future__ import annotations

import logging
import typing as t
import urllib.parse

from . import _decode, _encode, _introspect, _json, errors
from . import _protocol as p
from ._http import REGISTER_RETRY, Http
from ._messages import Request, Response
from ._settings import Settings
from .function import Function

_log = logging.getLogger("inngest_wsgi")

_KINDS = (p.CLOUD, p.DEV)

Functions = t.Sequence[Function[t.Any]]


def is_in_band(request: Request, settings: Settings) -> bool:
    """Whether the request asks for an in-band sync, and may."""
    wanted = request.headers.get(p.HEADER_SYNC_KIND.lower()) == p.IN_BAND
    return wanted and settings.allow_in_band_sync


def check_unsigned(settings: Settings) -> None:
    """Whether an unsigned PUT may start an out-of-band sync in cloud mode.

    Not unless the address is configured: the caller chose the Host header,
    and would choose where Inngest sends every call from then on.

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


def out_of_band(
    request: Request, settings: Settings, functions: Functions, http: Http, trusted: bool
) -> Response:
    """Register the functions with the server, and answer what came of it.

    :param trusted: whether the caller may read what went wrong
    """
    url = _our_url(request, settings, None)
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
    deploy_id = request.query.get(p.QUERY_DEPLOY_ID)
    kind = request.headers.get(p.HEADER_SERVER_KIND.lower())
    try:
        answer = http.api(
            "POST",
            p.PATH_REGISTER,
            body=_json.dumps(registration),
            query=[(p.QUERY_DEPLOY_ID, deploy_id)] if deploy_id else (),
            headers=[(p.HEADER_EXPECTED_SERVER_KIND, kind)] if kind in _KINDS else (),
            retry=REGISTER_RETRY,
        )
        if answer.status != 200:
            raise errors.RegistrationError(answer.error(), answer.status)
    except errors.ApiError as error:
        _log.error("Sync of app %s failed: %s", settings.app_id, error)
        message = error.message if trusted else "The sync failed; see the application's log."
        return _synced(p.OUT_OF_BAND, 500, {"message": message, "modified": False})
    body = answer.json()
    modified = isinstance(body, dict) and body.get("modified") is True
    _log.info("Synced app %s with %d functions to %s", settings.app_id, len(functions), url)
    return _synced(
        p.OUT_OF_BAND, 200, {"message": "Successfully registered", "modified": modified}
    )


def in_band(request: Request, settings: Settings, functions: Functions) -> Response:
    """Answer with the functions themselves."""
    wanted = _decode.json_object(request.body).get("url")
    url = _our_url(request, settings, wanted if isinstance(wanted, str) else None)
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


def _our_url(request: Request, settings: Settings, signed_url: t.Optional[str]) -> str:
    """Where the server is to call: what is configured, before what a signed
    request says, before where the request came in. Without a query."""
    base = urllib.parse.urlsplit(signed_url or request.url or "")
    origin = settings.serve_origin or "{0.scheme}://{0.netloc}".format(base)
    return origin + (settings.serve_path or base.path)


def _synced(kind: str, status: int, body: t.Mapping[str, t.Any]) -> Response:
    return _encode.document(status, body).adding((p.HEADER_SYNC_KIND, kind))
