"""Find problems of an app's set-up in dev mode, as far as the app itself can
see them, and advise how to solve them."""

from __future__ import annotations

import typing as t

from .. import _protocol as p
from .._settings import Settings
from . import hosts
from .descriptions import Parts

#: It cannot work; it may not work; it works.
ERROR, WARNING, NOTE = "error", "warning", "note"


class Problem(t.NamedTuple):
    """A problem, or a possible one. Both sentences are lists of text and code
    in turn.

    :ivar what: describes the problem
    :ivar advice: says what to do
    """

    level: str
    what: Parts
    advice: Parts


class RequestFacts(t.NamedTuple):
    """Facts about the set-up that a request shows.

    :ivar sync_url: the address that a sync registers; None if it is not known
    :ivar request_url: the address of the request, as the application sees it;
        None if it is not known
    :ivar browser_url: the address that the browser shows; None if it is not
        known
    :ivar concurrent: whether other requests are answered meanwhile
    """

    sync_url: t.Optional[str]
    request_url: t.Optional[str]
    browser_url: t.Optional[str]
    concurrent: bool


def problems(
    settings: Settings,
    facts: RequestFacts,
    events: t.Iterable[str],
    sync_error: t.Optional[str],
) -> t.List[Problem]:
    """Find the problems that need no request to a server.

    :param events: the names of the events that trigger functions
    :param sync_error: why the last sync failed; None if it did not
    """
    found: t.List[Problem] = []
    if sync_error is not None:
        found.append(
            Problem(
                ERROR,
                ["The last sync failed: {}.".format(sync_error.rstrip("."))],
                ["Correct that, then sync the app again."],
            )
        )
    found += _origin_problems(settings)
    found += _address_problems(settings, facts)
    found += _key_problems(settings)
    if settings.env is not None and settings.api_origin not in hosts.CLOUD_ORIGINS:
        found.append(
            Problem(
                NOTE,
                ["The branch environment ", settings.env, " is set, and a dev server has none."],
                ["Unset ", p.ENV_ENV, " while you develop with a dev server."],
            )
        )
    for name in events:
        if name != name.strip():
            found.append(
                Problem(
                    WARNING,
                    ["The event ", f'"{name}"', " has white space around its name."],
                    ["Take it out of the function's trigger, unless events are sent with it."],
                )
            )
    if not facts.concurrent:
        found.append(
            Problem(
                NOTE,
                ["This process answers one request at a time: a step that runs delays the page."],
                ["Give the WSGI server threads, for example ", "gunicorn --threads 4", "."],
            )
        )
    return found


def _origin_problems(settings: Settings) -> t.Iterator[Problem]:
    cloud = [
        origin
        for origin in sorted({settings.api_origin, settings.event_api_origin})
        if origin in hosts.CLOUD_ORIGINS
    ]
    if cloud:
        yield Problem(
            ERROR,
            ["The mode is dev, but requests go to Inngest Cloud at ", cloud[0], "."],
            [
                "Unset ",
                p.ENV_BASE_URL,
                ", ",
                p.ENV_API_BASE_URL,
                " and ",
                p.ENV_EVENT_API_BASE_URL,
                " to use a dev server; for Inngest Cloud, unset ",
                p.ENV_DEV,
                " and set the keys.",
            ],
        )
    elif settings.api_origin != settings.event_api_origin:
        yield Problem(
            WARNING,
            [
                "Events go to ",
                settings.event_api_origin,
                ", and the app is synced with ",
                settings.api_origin,
                ": unless they are one server, an event starts no run.",
            ],
            ["Set ", p.ENV_DEV, " to the server's address, and no other address."],
        )


def _address_problems(settings: Settings, facts: RequestFacts) -> t.Iterator[Problem]:
    sync_url, browser_url = facts.sync_url, facts.browser_url
    if sync_url is None:
        yield Problem(
            ERROR,
            ["The request does not contain the address of this app, so it cannot be synced."],
            ["Set ", p.ENV_SERVE_ORIGIN, ", for example to ", "http://localhost:8000", "."],
        )
        return
    configured = settings.serve_origin is not None or settings.serve_path is not None
    if browser_url is not None:
        if not configured and not hosts.is_same(browser_url, facts.request_url):
            yield _behind_a_proxy(browser_url, sync_url)
        elif configured and not hosts.is_same(browser_url, sync_url):
            yield _another_address_configured(browser_url, sync_url)
    if (
        settings.serve_origin is None
        and hosts.is_local(sync_url)
        and not hosts.shares_localhost(settings)
    ):
        yield Problem(
            WARNING,
            [
                "The server at ",
                settings.api_origin,
                " is told to call ",
                sync_url,
                ", which another machine or container takes for itself.",
            ],
            [
                "Set ",
                p.ENV_SERVE_ORIGIN,
                " to the address at which the server reaches this app, for example ",
                "http://app:8000",
                ".",
            ],
        )
    if hosts.is_public(browser_url or sync_url):
        yield Problem(
            WARNING,
            [
                "In dev mode no request needs a signature, and ",
                hosts.host_of(browser_url or sync_url),
                " may be open to everybody.",
            ],
            ["Outside of development, unset ", p.ENV_DEV, " and set the keys."],
        )


def _behind_a_proxy(browser_url: str, sync_url: str) -> Problem:
    return Problem(
        WARNING,
        [
            "This page is open at ",
            browser_url,
            ", but the application takes its address to be ",
            sync_url,
            ": something in between, such as a proxy, does not pass the address on.",
        ],
        [
            "If the server cannot reach that, set ",
            p.ENV_SERVE_ORIGIN,
            " and ",
            p.ENV_SERVE_PATH,
            ", or have the proxy send the address, and read it with ",
            "werkzeug.middleware.proxy_fix.ProxyFix",
            " around the application.",
        ],
    )


def _another_address_configured(browser_url: str, sync_url: str) -> Problem:
    return Problem(
        NOTE,
        ["This page is open at ", browser_url, ", and the server is told to call ", sync_url, "."],
        [
            "That is right if the server knows the app by that name, as another container "
            "does. Otherwise change ",
            p.ENV_SERVE_ORIGIN,
            " or ",
            p.ENV_SERVE_PATH,
            ".",
        ],
    )


def _key_problems(settings: Settings) -> t.Iterator[Problem]:
    key = settings.signing_key
    if key is None:
        return
    # without its prefix, the key is still the secret
    if settings.event_key in (key, key.rpartition("-")[2]):
        yield Problem(
            WARNING,
            ["The event key is the signing key, a secret that must not be sent with events."],
            ["Set ", p.ENV_EVENT_KEY, " to an event key; a dev server takes any word."],
        )
    if key == settings.signing_key_fallback:
        yield Problem(
            NOTE,
            ["The fallback key is the signing key itself, so it is no fallback."],
            ["Set ", p.ENV_SIGNING_KEY_FALLBACK, " to the other key of a rotation, or unset it."],
        )
