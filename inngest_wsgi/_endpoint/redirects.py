"""Requests of the server that a redirect has turned into a GET.

A server follows 301, 302 and 303 with a GET that keeps the query, the body
and the signature of the POST or PUT, and adds a ``Referer`` (W73). To answer
such a GET as if it were one would complete a run that never ran.
"""

from __future__ import annotations

import typing as t

from .. import _protocol as p, errors
from .._messages import Request
from .._settings import Settings
from .address import our_url

_MESSAGE = (
    "{} came as a GET: something before this app redirects it{} with 301, 302 or 303. Nothing was "
    "done. Register the address that the redirect leads to{}: sync the app by that address, or "
    "set serve_origin and serve_path ({} and {}). A redirect with 307 or 308 would do, too."
)
#: The address of the endpoint is the same with a slash at its end.
_SLASH = (
    "{} came as a GET: something before this app redirects it with 301, 302 or 303, from {} to "
    "the same address with or without a slash at its end. Nothing was done. Mount the endpoint so "
    "that it gets both forms, as Werkzeug's DispatcherMiddleware does before the application. A "
    "redirect with 307 or 308 would do, too."
)


def what_it_was(request: Request) -> t.Optional[str]:
    """Return what a GET was before a redirect; None if it was none, or is no
    GET. Nothing of its body need be read."""
    if request.method != "GET":
        return None
    fn_id = request.query.get(p.QUERY_FN_ID)
    if fn_id is not None:
        return f"A call of function {fn_id[:200]!r}"
    if p.QUERY_STEP_ID in request.query:
        return "A call"
    if p.QUERY_PROBE in request.query:
        return "A probe"
    if request.has_body and request.header(p.HEADER_REFERER) is not None:
        return "A sync"
    return None


def check(request: Request, settings: Settings) -> None:
    """Refuse a GET that was a POST or a PUT before a redirect.

    :raises errors.RedirectedError: names the redirect and the way out
    """
    what = what_it_was(request)
    if what is not None:
        came_by, leads_to = _came_by(request), _leads_to(request, settings)
        if came_by is not None and came_by == leads_to:
            raise errors.RedirectedError(_SLASH.format(what, came_by))
        raise errors.RedirectedError(
            _MESSAGE.format(
                what,
                "" if came_by is None else f", from {came_by},",
                "" if leads_to is None else f", {leads_to}",
                p.ENV_SERVE_ORIGIN,
                p.ENV_SERVE_PATH,
            )
        )


def _came_by(request: Request) -> t.Optional[str]:
    """Return the address that was registered, without its query, in ASCII and
    on one line: a stranger may have written it."""
    referer = (request.header(p.HEADER_REFERER) or "").partition("?")[0]
    return ascii(referer[:500]).strip("'") or None


def _leads_to(request: Request, settings: Settings) -> t.Optional[str]:
    try:
        return our_url(request.address, settings)
    except errors.AddressError:
        return None
