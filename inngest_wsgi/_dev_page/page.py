"""The page of dev mode: what a browser that opens the endpoint is shown, and
what the page may ask and do.

The page is one static file; it asks for everything it shows at its own
address, with the query parameter ``landing``.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import logging
import pathlib
import platform
import re
import time
import typing as t

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from .. import _protocol as p, errors
from .._codec import decode, encode, json as _json
from .._endpoint import sync as _sync
from .._messages import Call, Headers, Request, Response
from .._security import origins
from .._security.signing import Tokens
from .._server_api.client import Http, Retry
from .._server_api.events import Sender
from .._settings import Settings
from ..client import Inngest
from ..event import Event
from ..function import Function
from ..middleware import Stack
from . import descriptions, diagnostics
from .runs import Runs

#: How long a token of the page is good, in seconds.
TOKEN_AGE_S = 3600
#: A page may collect the tokens of so many processes; each has its own secret.
MAX_TOKENS = 16

#: The longest address of itself that the page is believed, in characters.
MAX_ADDRESS = 2000

_EVENT_FIELDS = frozenset(("name", "data", "id", "ts", "user", "v"))
_EVENT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
#: An event that nobody has sent.
_NO_EVENT = "0" * 26
#: No browser's Accept header is longer, in characters; how long one takes to
#: read may grow with the square of this.
_MAX_ACCEPT = 1000
#: Somebody waits for it, and can send it again.
_SEND_RETRY = Retry(attempts=1)
_SEND_DEADLINE_S = 10.0

#: Of every answer to the page, errors too.
PAGE_HEADERS: Headers = [
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Vary", "Accept"),
    ("X-Content-Type-Options", "nosniff"),
]

_log = logging.getLogger("inngest_wsgi")

Body = t.Dict[str, t.Any]


class Landing:
    """The page, for one endpoint in dev mode.

    :param functions: with the failure handlers
    """

    def __init__(
        self,
        settings: Settings,
        functions: t.Sequence[Function[t.Any]],
        http: Http,
        client: Inngest,
    ) -> None:
        self._settings = settings
        self._functions = functions
        self._http = http
        self._client = client
        self._tokens = Tokens("inngest_wsgi landing page", TOKEN_AGE_S)
        self._page = page()
        self._asks = {"state": self._state, "server": self._server, "runs": self._event_runs}
        self._acts = {"sync": self._sync, "send": self._send}
        names = {f.full_id(settings.app_id): f.name for f in functions}
        self._runs = Runs(settings.api_origin, names, http)
        #: as far as this process knows
        self._last_sync: t.Optional[Body] = None

    def answers(self, request: Request) -> bool:
        """Whether a request is for the page, or from it."""
        if p.QUERY_LANDING in request.query:
            return request.method in ("GET", "POST")
        return request.method == "GET" and _prefers_html(request.headers.get("accept", ""))

    def respond(self, request: Request) -> Response:
        """Answer it, but for :data:`PAGE_HEADERS`.

        :raises errors.PageError: it is not from the page
        :raises errors.BodyError: it is, but not in order
        """
        wanted = request.query.get(p.QUERY_LANDING)
        if wanted is None:
            return self._page
        ask = self._asks.get(wanted) if request.method == "GET" else None
        act = self._acts.get(wanted) if request.method == "POST" else None
        _check_origin(request, self._settings)
        if ask is not None:
            body = ask(request)
        elif act is not None:
            body = act(request, self._checked(request))
        else:
            raise errors.PageError("landing_unknown", "There is no such part of the page.", 404)
        return encode.document(200, body)

    def saw(self, call: Call) -> None:
        """Remember a call, for what the page says of its run."""
        self._runs.saw(call)

    def synced(self, response: Response) -> Body:
        """What came of a sync; it is remembered, whoever asked for it."""
        said = _json.loads(response.body)
        sync = {
            "at": int(time.time() * 1000),
            "ok": response.status == 200,
            "message": said["message"],
            "modified": said["modified"],
        }
        self._last_sync = sync
        return sync

    # -- what the page asks ----------------------------------------------

    @functools.cached_property
    def _described(self) -> t.List[Body]:
        return descriptions.functions(self._functions, self._settings.app_id)

    def _state(self, request: Request) -> Body:
        settings = self._settings
        seen = self._seen(request)
        last = self._last_sync
        triggers = [x for f in self._described for x in f["triggers"]]
        events = [x["event"] for x in triggers if x["event"] is not None]
        refused = last["message"] if last is not None and not last["ok"] else None
        found = diagnostics.problems(settings, seen, events, refused)
        return {
            "token": self._tokens.make(),
            "app": {"id": settings.app_id, "version": settings.app_version},
            "mode": settings.mode,
            "env": settings.env,
            "url": seen.told,
            "api_origin": settings.api_origin,
            "event_api_origin": settings.event_api_origin,
            "keys": {
                "event": settings.event_key is not None,
                "signing": settings.signing_key is not None,
                "fallback": settings.signing_key_fallback is not None,
            },
            "sdk": {"name": p.SDK_NAME, "version": p.VERSION},
            "python": platform.python_version(),
            "functions": self._described,
            "problems": [problem._asdict() for problem in found],
            "sync": last,
        }

    def _server(self, request: Request) -> Body:
        settings = self._settings
        asked = [self._ask(settings.api_origin, p.PATH_EVENT_RUNS.format(_NO_EVENT))]
        if settings.event_api_origin != settings.api_origin:
            asked.append(self._ask(settings.event_api_origin, "/"))
        found = diagnostics.of_servers(settings, asked, self._seen(request).told)
        return {
            "servers": [
                {"origin": one.origin, "reached": one.status is not None, "ms": one.ms}
                for one in asked
            ],
            "problems": [problem._asdict() for problem in found],
        }

    def _ask(self, origin: str, path: str) -> diagnostics.Asked:
        started = time.monotonic()
        status, kind, words = None, None, ""
        try:
            answer = self._http.look(origin + path)
            status, kind = answer.status, answer.kind
        except errors.ApiError as error:
            words = error.message + "."
        ms = round((time.monotonic() - started) * 1000)
        return diagnostics.Asked(origin, status, kind, words, ms)

    def _sync(self, request: Request, body: Body) -> Body:
        answer = _sync.out_of_band(
            request, self._settings, self._functions, self._http, trusted=True
        )
        # not the last one that is remembered: that may be another's by now
        return self.synced(answer)

    def _send(self, request: Request, body: Body) -> Body:
        stack = Stack(self._client.middleware, self._client, request.raw)
        try:
            sender = Sender(
                self._settings,
                self._http,
                stack,
                retry=_SEND_RETRY,
                deadline_s=_SEND_DEADLINE_S,
            )
            return {"ids": sender.send_events(_event(body.get("event"))), "error": None}
        except errors.ApiError as error:
            _log.error("The page's test event was not accepted: %s", error)
            ids = error.ids if isinstance(error, errors.SendEventsError) else []
            return {"ids": ids, "error": error.message}
        finally:
            stack.close()

    def _event_runs(self, request: Request) -> Body:
        event_id = request.query.get("event", "")
        if not _EVENT_ID.fullmatch(event_id):
            raise errors.BodyError("body_invalid", "The event id is not one.")
        try:
            found = self._runs.of_event(event_id)
        except errors.ApiError as error:
            return {"runs": [], "error": error.message}
        return {"runs": [run._asdict() for run in found], "error": None}

    # -- who asks --------------------------------------------------------

    def _checked(self, request: Request) -> Body:
        """The body of an action, if the page asks for it."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # no form can send it, and no script of another origin without asking
            raise errors.PageError(
                "content_type", "An action of the page must be application/json.", 415
            )
        body = decode.json_object(request.body)
        tokens = body.get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(x, str) for x in tokens):
            raise errors.BodyError("body_invalid", "tokens must be a list of strings.")
        self._tokens.check(tokens[-MAX_TOKENS:])
        return body

    def _seen(self, request: Request) -> diagnostics.Seen:
        address = request.address
        try:
            told: t.Optional[str] = _sync.our_url(address, self._settings)
        except errors.AddressError:
            told = None
        came = None if address.origin is None else address.origin + address.path
        here = _web_address(request.query.get("here", ""))
        return diagnostics.Seen(told, came, here, request.concurrent)


def page() -> Response:
    """The page itself, with the policy that lets its own script and style in
    and nothing else."""
    body = (pathlib.Path(__file__).parent / "page.html").read_bytes()
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src {}".format(_hashes(body, b"script")),
            "style-src {}".format(_hashes(body, b"style")),
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    headers = [
        (p.HEADER_CONTENT_TYPE, "text/html; charset=utf-8"),
        ("Content-Security-Policy", policy),
    ]
    return Response(200, headers, body)


def _hashes(body: bytes, element: bytes) -> str:
    blocks = re.findall(b"<%b>(.*?)</%b>" % (element, element), body, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(block).digest()).decode() for block in blocks]
    return " ".join("'sha256-{}'".format(digest) for digest in digests)


def _prefers_html(accept: str) -> bool:
    # most of those who ask are servers, and this is quick
    if len(accept) > _MAX_ACCEPT or "text/" not in accept.lower():
        return False
    offered = parse_accept_header(accept, MIMEAccept)
    return offered.quality("text/html") > offered.quality("application/json")


def _check_origin(request: Request, settings: Settings) -> None:
    """Whether a request may be from our own page.

    :raises errors.PageError: it is from a page of another origin, or does not
        say from which
    """
    acts = request.method == "POST"
    # a browser lets no script set either of these
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        if site == "same-origin" or (site == "none" and not acts):
            return
    elif origin is not None:
        ours = [x for x in (request.address.origin, settings.serve_origin) if x is not None]
        if origin in ours:
            return
    elif not acts:
        return
    raise errors.PageError(
        "origin_refused",
        "The request is from a page of {}. What the page of this app does, it does only for "
        "itself: open it anew at the app's own address, and if a proxy stands before it, set "
        "{} to the address that the browser shows.".format(
            "another origin" if site or origin else "an origin that it does not name",
            p.ENV_SERVE_ORIGIN,
        ),
    )


def _web_address(text: str) -> t.Optional[str]:
    """The text, if it is the address of a page."""
    try:
        origins.url(text)
    except ValueError:
        return None
    return text if len(text) <= MAX_ADDRESS and text.isprintable() else None


def _event(wire: t.Any) -> Event:
    """The event that the page wants to be sent.

    :raises errors.BodyError: says what is wrong with it
    """
    if not isinstance(wire, dict):
        raise errors.BodyError("body_invalid", "The event must be a JSON object.")
    unknown = sorted(set(wire) - _EVENT_FIELDS)
    if unknown:
        raise errors.BodyError(
            "body_invalid",
            "An event has no {!r}; what is about it goes into data.".format(unknown[0][:100]),
        )
    try:
        return Event.from_wire(wire)
    except ValueError as error:
        raise errors.BodyError("body_invalid", "{}.".format(error)) from None
