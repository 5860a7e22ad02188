"""Answer the requests of the page of dev mode.

The page is one static file. It gets what it displays from its own address,
with the query parameter ``landing``.
"""

from __future__ import annotations

import functools
import platform
import re
import time
import typing as t

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from .. import _protocol as p, errors
from .._codec import encode, json as _json
from .._endpoint import sync as _sync
from .._endpoint.address import our_url
from .._execution.middleware_sender import MiddlewareSender
from .._execution.middleware_stack import Stack
from .._logs import log as _log
from .._messages import Call, Request, Response
from .._server_api.client import Http
from .._server_api.events import EventApi
from .._server_api.retry import Retry
from .._settings import Settings
from ..client import Inngest
from ..event import Event
from ..function import Function
from . import descriptions, diagnostics, guard, hosts, servers
from .runs import Runs
from .static import PAGE_HEADERS, page_response
from .tokens import Tokens

__all__ = ["Landing"]

_EVENT_FIELDS = frozenset(("name", "data", "id", "ts", "user", "v"))
_EVENT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
#: The longest Accept header that is parsed, in characters; no browser's is
#: longer. The time to parse one may grow with the square of its length.
_MAX_ACCEPT = 1000
#: One attempt: the user waits for it, and can repeat it.
_SEND_RETRY = Retry(attempts=1)
_SEND_DEADLINE_S = 10.0

Body = t.Dict[str, t.Any]


class Landing:
    """The page of one endpoint in dev mode.

    :param functions: with the failure handlers
    :ivar headers: those of all its responses, errors too
    """

    headers = PAGE_HEADERS

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
        self._event_api = EventApi(settings, http)
        self._client = client
        self._tokens = Tokens()
        self._page = page_response()
        self._queries = {
            "state": self._state,
            "server": self._server,
            "runs": self._event_runs,
        }
        self._actions = {"sync": self._sync, "send": self._send}
        names = {f.full_id(settings.app_id): f.name for f in functions}
        self._runs = Runs(settings.api_origin, names, http)
        #: the last sync that this process made
        self._last_sync: t.Optional[Body] = None

    def answers(self, request: Request) -> bool:
        """Return True if a request is for the page, or made by it."""
        if p.QUERY_LANDING in request.query:
            return request.method in ("GET", "POST")
        return request.method == "GET" and _prefers_html(request.header(p.HEADER_ACCEPT) or "")

    def respond(self, request: Request) -> Response:
        """Answer a request, without :attr:`headers`.

        :raises errors.PageError: the request may not come from the page
        :raises errors.BodyError: the request is not valid
        """
        part = request.query.get(p.QUERY_LANDING)
        if part is None:
            return self._page
        guard.check_origin(request, self._settings)
        if request.method == "GET" and part in self._queries:
            body = self._queries[part](request)
        elif request.method == "POST" and part in self._actions:
            body = self._actions[part](request, guard.action_body(request, self._tokens))
        else:
            raise errors.PageError("landing_unknown", "There is no such part of the page.", 404)
        return encode.document(200, body)

    def saw(self, call: Call) -> None:
        """Remember the function of a call's run, to display it."""
        self._runs.saw(call)

    def synced(self, response: Response) -> Body:
        """Remember the result of a sync, whoever requested it, and return it."""
        result = _json.loads(response.body)
        sync = {
            "at": int(time.time() * 1000),
            "ok": response.status == 200,
            "message": result["message"],
            "modified": result["modified"],
        }
        self._last_sync = sync
        return sync

    # -- queries ---------------------------------------------------------

    @functools.cached_property
    def _described(self) -> t.List[Body]:
        return descriptions.functions(self._functions, self._settings.app_id)

    def _state(self, request: Request) -> Body:
        """Describe the app, its functions and the problems of its set-up."""
        settings = self._settings
        facts = self._facts(request)
        last = self._last_sync
        triggers = [x for f in self._described for x in f["triggers"]]
        events = [x["event"] for x in triggers if x["event"] is not None]
        sync_error = last["message"] if last is not None and not last["ok"] else None
        found = diagnostics.problems(settings, facts, events, sync_error)
        return {
            "token": self._tokens.make(),
            "app": {"id": settings.app_id, "version": settings.app_version},
            "mode": settings.mode,
            "env": settings.env,
            "url": facts.sync_url,
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
        """Probe the servers."""
        statuses = servers.probe(self._settings, self._http)
        found = servers.problems(self._settings, statuses, self._facts(request).sync_url)
        return {
            "servers": [
                {"origin": one.origin, "reached": one.status is not None, "ms": one.ms}
                for one in statuses
            ],
            "problems": [problem._asdict() for problem in found],
        }

    def _event_runs(self, request: Request) -> Body:
        """Fetch the runs of an event."""
        event_id = request.query.get("event", "")
        if not _EVENT_ID.fullmatch(event_id):
            raise errors.BodyError("body_invalid", "event must be the id of an event.")
        try:
            found = self._runs.of_event(event_id)
        except errors.ApiError as error:
            return {"runs": [], "error": error.message}
        return {"runs": [run._asdict() for run in found], "error": None}

    # -- actions ---------------------------------------------------------

    def _sync(self, request: Request, body: Body) -> Body:
        response = _sync.out_of_band(
            request, self._settings, self._functions, self._http, trusted=True
        )
        # not self._last_sync: another request may have replaced it by now
        return self.synced(response)

    def _send(self, request: Request, body: Body) -> Body:
        """Send a test event."""
        stack = Stack(self._client.middleware, self._client, request.raw)
        try:
            sender = MiddlewareSender(
                self._event_api,
                stack,
                retry=_SEND_RETRY,
                deadline_s=_SEND_DEADLINE_S,
            )
            return {"ids": sender.send_events(_decode_event(body.get("event"))), "error": None}
        except errors.ApiError as error:
            _log.error("The page's test event was not accepted: %s", error)
            ids = error.ids if isinstance(error, errors.SendEventsError) else []
            return {"ids": ids, "error": error.message}
        finally:
            stack.close()

    def _facts(self, request: Request) -> diagnostics.RequestFacts:
        address = request.address
        try:
            sync_url: t.Optional[str] = our_url(address, self._settings)
        except errors.AddressError:
            sync_url = None
        request_url = None if address.origin is None else address.origin + address.path
        browser_url = hosts.page_address(request.query.get("here", ""))
        return diagnostics.RequestFacts(sync_url, request_url, browser_url, request.concurrent)


def _prefers_html(accept: str) -> bool:
    # first a quick test: most requests are from servers
    if len(accept) > _MAX_ACCEPT or "text/" not in accept.lower():
        return False
    offered = parse_accept_header(accept, MIMEAccept)
    return offered.quality("text/html") > offered.quality("application/json")


def _decode_event(wire: t.Any) -> Event:
    """Decode the event of a ``send``.

    :raises errors.BodyError: names the fault
    """
    if not isinstance(wire, dict):
        raise errors.BodyError("body_invalid", "The event must be a JSON object.")
    unknown = sorted(set(wire) - _EVENT_FIELDS)
    if unknown:
        raise errors.BodyError(
            "body_invalid",
            f"An event has no field {unknown[0][:100]!r}; put it into data.",
        )
    try:
        return Event.from_wire(wire)
    except ValueError as error:
        raise errors.BodyError("body_invalid", f"{error}.") from None
