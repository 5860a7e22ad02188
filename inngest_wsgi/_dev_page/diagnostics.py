"""What is wrong with the set-up of an app in dev mode, as far as it can be
seen from within, and the way to mend it."""

from __future__ import annotations

import ipaddress
import shlex
import typing as t
import urllib.parse

from .. import _protocol as p
from .._settings import Settings
from .descriptions import Parts

#: It cannot work so; it may not work so; good to know.
ERROR, WARNING, NOTE = "error", "warning", "note"

_CLOUD_ORIGINS = (p.CLOUD_API_ORIGIN, p.CLOUD_EVENT_API_ORIGIN)
#: Names that containers have for the machine that they are on.
_OUTSIDE = ("host.docker.internal", "host.containers.internal", "gateway.docker.internal")
_COMMAND = "npx inngest-cli@latest dev -u {}"


class Problem(t.NamedTuple):
    """Something that is wrong, or may be; both sentences have code at every
    second place.

    :ivar what: what it is
    :ivar mend: what to do
    """

    level: str
    what: Parts
    mend: Parts


class Seen(t.NamedTuple):
    """What one request tells of the set-up.

    :ivar told: the address that the server is given with a sync
    :ivar came: the address at which the request came in; None where it does
        not tell
    :ivar here: the address that the browser shows; None where it is not known
    :ivar concurrent: whether others are answered meanwhile
    """

    told: t.Optional[str]
    came: t.Optional[str]
    here: t.Optional[str]
    concurrent: bool


class Asked(t.NamedTuple):
    """What came of asking a server for anything at all.

    :ivar status: of its answer; None where there was none
    :ivar kind: the kind of server that it says it is
    :ivar words: what went wrong
    """

    origin: str
    status: t.Optional[int]
    kind: t.Optional[str]
    words: str
    ms: int


def problems(
    settings: Settings,
    seen: Seen,
    events: t.Iterable[str],
    refused: t.Optional[str],
) -> t.List[Problem]:
    """What can be told without asking the server.

    :param events: the names of the events that run functions
    :param refused: why the last sync failed, if it did
    """
    found: t.List[Problem] = []
    if refused is not None:
        found.append(
            Problem(
                ERROR,
                ["The last sync failed: {}.".format(refused.rstrip("."))],
                ["Put that right, then sync the app again."],
            )
        )
    found += _origins(settings)
    found += _addresses(settings, seen)
    found += _keys(settings)
    if settings.env is not None and settings.api_origin not in _CLOUD_ORIGINS:
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
                    ["The event ", '"{}"'.format(name), " has white space around its name."],
                    ["Take it out where the function is declared, unless it is sent so too."],
                )
            )
    if not seen.concurrent:
        found.append(
            Problem(
                NOTE,
                ["This process answers one request at a time: a step that runs keeps it waiting."],
                ["Give the WSGI server threads, for example ", "gunicorn --threads 4", "."],
            )
        )
    return found


def of_servers(
    settings: Settings, asked: t.Sequence[Asked], told: t.Optional[str]
) -> t.List[Problem]:
    """What asking the servers has shown.

    :param asked: the API and, if that is another origin, the event API
    """
    found = []
    for one in asked:
        if one.status is None:
            found.append(_unreachable(one, told))
        elif one.origin != settings.api_origin:
            # of the event API nothing is known but that it answers
            continue
        elif one.kind == p.CLOUD:
            found.append(
                Problem(
                    ERROR,
                    [
                        "The server at ",
                        one.origin,
                        " is no dev server, and its requests to this app are refused in dev mode.",
                    ],
                    [
                        "Run a dev server; or, to use this server, unset ",
                        p.ENV_DEV,
                        " and set ",
                        p.ENV_BASE_URL,
                        " and the keys.",
                    ],
                )
            )
        elif one.kind is None and one.status in (404, 405, 501):
            found.append(
                Problem(
                    WARNING,
                    ["What answers at ", one.origin, " does not seem to be an Inngest server."],
                    ["Set ", p.ENV_DEV, " to the address of the dev server."],
                )
            )
    return found


def _unreachable(asked: Asked, told: t.Optional[str]) -> Problem:
    what = [asked.words]
    if not _is_local(asked.origin):
        return Problem(
            ERROR,
            what,
            ["Start the server there, or set ", p.ENV_DEV, " to the address of one that runs."],
        )
    return Problem(
        ERROR,
        what,
        [
            "Start one with ",
            # whoever called chose the address, and somebody will copy this
            _COMMAND.format(shlex.quote(told or "<the address of this page>")),
            ". If it runs elsewhere, set ",
            p.ENV_DEV,
            " to its address: within a container, localhost is the container itself, and the "
            "machine outside may be ",
            "http://host.docker.internal:8288",
            ".",
        ],
    )


def _origins(settings: Settings) -> t.Iterator[Problem]:
    cloud = [
        origin
        for origin in sorted({settings.api_origin, settings.event_api_origin})
        if origin in _CLOUD_ORIGINS
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


def _addresses(settings: Settings, seen: Seen) -> t.Iterator[Problem]:
    told = seen.told
    if told is None:
        yield Problem(
            ERROR,
            ["The address of this app cannot be told from the request, so it cannot be synced."],
            ["Set ", p.ENV_SERVE_ORIGIN, ", for example to ", "http://localhost:8000", "."],
        )
        return
    configured = settings.serve_origin is not None or settings.serve_path is not None
    here = seen.here
    if here is not None and not configured and not _same(here, seen.came):
        yield Problem(
            WARNING,
            [
                "This page is open at ",
                here,
                ", but the application takes its address to be ",
                told,
                ": something between, such as a proxy, does not say where it was called.",
            ],
            [
                "If the server cannot reach that, set ",
                p.ENV_SERVE_ORIGIN,
                " and ",
                p.ENV_SERVE_PATH,
                ", or make the proxy tell, with ",
                "werkzeug.middleware.proxy_fix.ProxyFix",
                " around the application.",
            ],
        )
    elif here is not None and configured and not _same(here, told):
        yield Problem(
            NOTE,
            ["This page is open at ", here, ", and the server is told to call ", told, "."],
            [
                "That is right if the server knows the app by that name, as another container "
                "does. Else change ",
                p.ENV_SERVE_ORIGIN,
                " or ",
                p.ENV_SERVE_PATH,
                ".",
            ],
        )
    if settings.serve_origin is None and _is_local(told) and not _knows_local(settings):
        yield Problem(
            WARNING,
            [
                "The server at ",
                settings.api_origin,
                " is told to call ",
                told,
                ", which to another machine or container is not this one.",
            ],
            [
                "Set ",
                p.ENV_SERVE_ORIGIN,
                " to where the server reaches this app, for example ",
                "http://app:8000",
                ".",
            ],
        )
    if _is_public(here or told):
        yield Problem(
            WARNING,
            [
                "In dev mode no request needs a signature, and ",
                _host(here or told),
                " may be open to everybody.",
            ],
            ["Do not leave it so: outside of development unset ", p.ENV_DEV, " and set the keys."],
        )


def _keys(settings: Settings) -> t.Iterator[Problem]:
    key = settings.signing_key
    if key is None:
        return
    # what is behind the prefix is the secret
    if settings.event_key in (key, key.rpartition("-")[2]):
        yield Problem(
            WARNING,
            ["The event key is the signing key, which is a secret and goes to no event API."],
            ["Set ", p.ENV_EVENT_KEY, " to an event key; a dev server takes any word."],
        )
    if key == settings.signing_key_fallback:
        yield Problem(
            NOTE,
            ["The fallback key is the signing key itself, so it is no fallback."],
            ["Set ", p.ENV_SIGNING_KEY_FALLBACK, " to the other key of a rotation, or unset it."],
        )


# -- addresses -----------------------------------------------------------


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or ""


def _same(one: str, other: t.Optional[str]) -> bool:
    return other is not None and one.rstrip("/") == other.rstrip("/")


def _is_local(url: str) -> bool:
    host = _host(url)
    address = _ip(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def _knows_local(settings: Settings) -> bool:
    """Whether localhost is at the server what it is to the browser; of Inngest
    Cloud worse is said already."""
    origin = settings.api_origin
    return _is_local(origin) or _host(origin) in _OUTSIDE or origin in _CLOUD_ORIGINS


def _is_public(url: str) -> bool:
    host = _host(url)
    address = _ip(host)
    if address is not None:
        return address.is_global
    reserved = (".localhost", ".local", ".test", ".internal", ".home.arpa", ".lan", ".example")
    return "." in host.rstrip(".") and not host.endswith(reserved)


def _ip(host: str) -> t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address, None]:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
