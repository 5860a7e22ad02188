"""PUT: sync, out-of-band and in-band (PROTOCOL section 5)."""

from __future__ import annotations

import typing as t
import urllib.parse

from .. import _protocol as p, errors
from .._codec import decode, encode, json as _json
from .._logs import log as _log
from .._messages import Address, Request, Response
from .._security import origins
from .._server_api.client import Http
from .._server_api.retry import Retry
from .._settings import Settings
from ..function import Function
from . import introspection
from .address import our_url

_KINDS = (p.CLOUD, p.DEV)
_NO_SERVER = (
    "What answers at {} is no Inngest server, or something stands before it: its answer does "
    "not say that the functions are registered."
)

Functions = t.Sequence[Function[t.Any]]


def out_of_band(
    request: Request, settings: Settings, functions: Functions, http: Http, trusted: bool
) -> Response:
    """Register the functions with the server, and answer with the outcome.

    :param trusted: whether the caller may read why a registration failed
    """
    url = our_url(request.address, settings)
    declared = registrations(functions, settings, url)
    registration = {
        "url": url,
        "deployType": "ping",
        "framework": p.FRAMEWORK,
        "appName": settings.app_id,
        "sdk": f"{p.LANGUAGE}:v{p.VERSION}",
        "v": p.REGISTER_VERSION,
        "capabilities": introspection.CAPABILITIES,
        "functions": declared,
    }
    if settings.app_version is not None:
        registration["appVersion"] = settings.app_version
    # nothing that a stranger sends is passed on
    deploy_id = request.query.get(p.QUERY_DEPLOY_ID) if trusted else None
    kind = request.header(p.HEADER_SERVER_KIND)
    try:
        answer = http.api(
            "POST",
            p.PATH_REGISTER,
            body=_json.dumps(registration),
            query=[(p.QUERY_DEPLOY_ID, deploy_id)] if deploy_id else (),
            headers=[(p.HEADER_EXPECTED_SERVER_KIND, kind)] if kind in _KINDS else (),
            retry=Retry(attempts=1 + settings.sync_retries),
            deadline_s=settings.sync_timeout,
        )
        body = answer.json()
        if answer.status != 200 or (isinstance(body, dict) and body.get("error")):
            raise errors.RegistrationError(_explained(answer.error(), declared), answer.status)
        if not isinstance(body, dict) or not (body.get("ok") is True or "modified" in body):
            raise errors.RegistrationError(_NO_SERVER.format(settings.api_origin))
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
    """Answer an in-band sync: with the functions themselves."""
    url = our_url(_signed_address(request.body) or request.address, settings)
    body = {
        "app_id": settings.app_id,
        "capabilities": introspection.CAPABILITIES,
        "env": settings.env,
        "framework": p.FRAMEWORK,
        "functions": registrations(functions, settings, url),
        "inspection": introspection.describe(settings, len(functions), True),
        "platform": settings.platform,
        "sdk": f"{p.LANGUAGE}:v{p.VERSION}",
        "sdk_author": p.SDK_AUTHOR,
        "sdk_language": p.LANGUAGE,
        "sdk_version": p.VERSION,
        "url": url,
    }
    if settings.app_version is not None:
        body["appVersion"] = settings.app_version
    return _synced(p.IN_BAND, 200, body)


def registrations(
    functions: Functions, settings: Settings, url: str
) -> t.List[t.Dict[str, t.Any]]:
    """Return the functions in the form in which the server registers them.

    :param url: the endpoint's, without a query
    """
    found = []
    for function in functions:
        query = urllib.parse.urlencode(
            [(p.QUERY_FN_ID, function.full_id(settings.app_id)), (p.QUERY_STEP_ID, p.STEP)]
        )
        default = settings.checkpointing
        found.append(function.registration(settings.app_id, f"{url}?{query}", default))
    return found


def _explained(refusal: str, functions: t.Sequence[t.Dict[str, t.Any]]) -> str:
    """Add to the server's refusal which functions it may mean: it does not say
    (W55, W79)."""
    if not refusal.startswith(p.ERROR_INVALID_FUNCTION):
        return refusal
    # only for a sync that was refused
    from . import suspicions

    return f"{refusal.rstrip('.')}. {suspicions.summary(functions)}"


def _signed_address(body: bytes) -> t.Optional[Address]:
    """Return the address in the body of an in-band sync; None if there is none.

    :raises errors.BodyError: the body's ``url`` is not a URL that can be called
    """
    url = decode.json_object(body).get("url")
    if url is None or url == "":
        return None
    try:
        if not isinstance(url, str):
            raise ValueError("must be text")
        found = origins.url(url)
    except ValueError as error:
        raise errors.BodyError("body_invalid", f"url: {error}.") from None
    return Address(found.origin, found.path)


def _synced(kind: str, status: int, body: t.Mapping[str, t.Any]) -> Response:
    return encode.document(status, body).adding((p.HEADER_SYNC_KIND, kind))
