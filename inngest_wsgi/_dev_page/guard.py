"""Refuse requests that do not come from the endpoint's own page."""

from __future__ import annotations

import typing as t

from .. import _protocol as p, errors
from .._codec import decode
from .._messages import Request
from .._settings import Settings
from .tokens import Tokens


def check_origin(request: Request, settings: Settings) -> None:
    """Refuse requests from pages of other origins. A POST must also name its
    origin, as browsers do and no script can prevent or change.

    :raises errors.PageError: the request is from another origin, or does not
        name one
    """
    is_action = request.method == "POST"
    site = request.header(p.HEADER_SEC_FETCH_SITE)
    origin = request.header(p.HEADER_ORIGIN)
    if site is not None:
        if site == "same-origin" or (site == "none" and not is_action):
            return
    elif origin is not None:
        ours = [x for x in (request.address.origin, settings.serve_origin) if x is not None]
        if origin in ours:
            return
    elif not is_action:
        return
    raise errors.PageError(
        "origin_refused",
        "The request is from a page of {}, and only the app's own page may make it. Open the "
        "page again at the app's own address; if a proxy stands before the app, set {} to the "
        "address that the browser shows.".format(
            "another origin" if site or origin else "an origin that it does not name",
            p.ENV_SERVE_ORIGIN,
        ),
    )


def action_body(request: Request, tokens: Tokens) -> t.Dict[str, t.Any]:
    """Decode the body of an action, and check its tokens.

    :raises errors.PageError: it is not JSON by its type, or has no valid token
    :raises errors.BodyError: it is not valid
    """
    content_type = (request.header(p.HEADER_CONTENT_TYPE) or "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        # forms cannot send JSON, nor can scripts of other origins without a
        # CORS preflight
        raise errors.PageError(
            "content_type", "An action of the page must be application/json.", 415
        )
    body = decode.json_object(request.body)
    found = body.get("tokens")
    if not isinstance(found, list) or not all(isinstance(x, str) for x in found):
        raise errors.BodyError("body_invalid", "tokens must be a list of strings.")
    tokens.check(found)
    return body
