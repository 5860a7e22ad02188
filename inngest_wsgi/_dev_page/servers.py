"""Probe the servers that the settings name, and explain what is wrong with
their answers."""

from __future__ import annotations

import shlex
import time
import typing as t

from .. import _protocol as p, errors
from .._server_api.client import Http
from .._settings import Settings
from . import hosts
from .diagnostics import ERROR, WARNING, Problem

#: The id of an event that does not exist.
_NO_EVENT = "0" * 26
_START_COMMAND = "npx inngest-cli@latest dev -u {}"


class ServerStatus(t.NamedTuple):
    """The result of a probe.

    :ivar status: the HTTP status of the answer; None without an answer
    :ivar kind: ``X-Inngest-Server-Kind`` of the answer
    :ivar error: why there was no answer
    :ivar ms: the time that the probe took, in milliseconds
    """

    origin: str
    status: t.Optional[int]
    kind: t.Optional[str]
    error: str
    ms: int


def probe(settings: Settings, http: Http) -> t.List[ServerStatus]:
    """Probe the API and, if it has another origin, the event API."""
    found = [_probe(http, settings.api_origin, p.PATH_EVENT_RUNS.format(_NO_EVENT))]
    if settings.event_api_origin != settings.api_origin:
        found.append(_probe(http, settings.event_api_origin, "/"))
    return found


def _probe(http: Http, origin: str, path: str) -> ServerStatus:
    started = time.monotonic()
    status, kind, problem = None, None, ""
    try:
        answer = http.probe(origin + path)
        status, kind = answer.status, answer.kind
    except errors.ApiError as error:
        problem = error.message + "."
    ms = round((time.monotonic() - started) * 1000)
    return ServerStatus(origin, status, kind, problem, ms)


def problems(
    settings: Settings, statuses: t.Sequence[ServerStatus], sync_url: t.Optional[str]
) -> t.List[Problem]:
    """Explain what is wrong with the servers.

    :param sync_url: the address of the endpoint, as a sync registers it; None
        if it is not known
    """
    found = []
    for server in statuses:
        if server.status is None:
            found.append(_unreachable(server, sync_url))
        elif server.origin != settings.api_origin:
            # the event API's answer to this request is not defined
            continue
        elif server.kind == p.CLOUD:
            found.append(
                Problem(
                    ERROR,
                    [
                        "The server at ",
                        server.origin,
                        " is not a dev server, and dev mode refuses its requests to this app.",
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
        elif server.kind is None and server.status in (404, 405, 501):
            found.append(
                Problem(
                    WARNING,
                    ["The server at ", server.origin, " does not seem to be an Inngest server."],
                    ["Set ", p.ENV_DEV, " to the address of the dev server."],
                )
            )
    return found


def _unreachable(server: ServerStatus, sync_url: t.Optional[str]) -> Problem:
    if not hosts.is_local(server.origin):
        return Problem(
            ERROR,
            [server.error],
            ["Start the server there, or set ", p.ENV_DEV, " to the address of one that runs."],
        )
    # quoted: the request's sender chose the address, and users copy the command
    address = shlex.quote(sync_url or "<the address of this page>")
    return Problem(
        ERROR,
        [server.error],
        [
            "Start one with ",
            _START_COMMAND.format(address),
            ". If it runs elsewhere, set ",
            p.ENV_DEV,
            " to its address: within a container, localhost is the container itself, and the "
            "machine outside may be ",
            "http://host.docker.internal:8288",
            ".",
        ],
    )
