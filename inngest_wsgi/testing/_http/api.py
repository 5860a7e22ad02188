"""Serve the HTTP API: events, registration, signals, and data about runs.

A WSGI application over a :class:`Store`; the answers are those
recorded from a real server.
"""

from __future__ import annotations

import json
import logging
import typing as t

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from ... import _protocol
from .._flow.bulk import CancellationRefused
from .._model import registry, settings
from .._model.messages import read_message, subscription_token
from .._model.state import RunState
from .._run import checkpoints
from .._store import Store
from .._wire import ids, randomness
from .._wire.canonical import loads
from .._wire.times import rfc3339

logger = logging.getLogger("inngest_wsgi.testing")

_ENVIRONMENT_ID = "00000000-0000-4000-b000-000000000000"
#: What needs no signing key.
_OPEN = ("events", "no_key")
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


class Api:
    """The WSGI application of the API.

    :param store: the apps, events and runs to serve.
    """

    #: The same rules for each server: to compile them takes longer than most tests.
    _compiled: t.ClassVar[t.Optional[Map]] = None

    def __init__(self, store: Store) -> None:
        self._store = store
        self._views: t.Dict[str, t.Callable[..., Response]] = {
            "events": self._events,
            "no_key": self._no_key,
            "register": self._register,
            "batch": self._batch,
            "actions": self._actions,
            "run": self._run,
            "cancel": self._cancel,
            "signal": self._signal,
            "checkpoint": self._checkpoint,
            "event_runs": self._event_runs,
            "publish": self._publish,
            "token": self._token,
            "cancel_many": self._cancel_many,
            "cancellations": self._cancellations,
            "forget_cancellation": self._forget_cancellation,
        }
        self._rules = Api._compiled or Map(
            [
                Rule("/e/", endpoint="no_key", methods=["POST"]),
                Rule("/e/<key>", endpoint="events", methods=["POST"]),
                Rule(_protocol.PATH_REGISTER, endpoint="register", methods=["POST"]),
                Rule("/v0/runs/<run_id>/batch", endpoint="batch", methods=["GET"]),
                Rule("/v0/runs/<run_id>/actions", endpoint="actions", methods=["GET"]),
                Rule("/v1/runs/<run_id>", endpoint="run", methods=["GET"]),
                Rule("/v1/runs/<run_id>", endpoint="cancel", methods=["DELETE"]),
                Rule(_protocol.PATH_SIGNALS, endpoint="signal", methods=["POST"]),
                Rule(
                    _protocol.PATH_CHECKPOINT.format("<run_id>"),
                    endpoint="checkpoint",
                    methods=["POST"],
                ),
                Rule("/v1/events/<event_id>/runs", endpoint="event_runs", methods=["GET"]),
                Rule("/v1/realtime/publish", endpoint="publish", methods=["POST"]),
                Rule("/v1/realtime/token", endpoint="token", methods=["POST"]),
                Rule("/v1/cancellations", endpoint="cancel_many", methods=["POST"]),
                Rule("/v1/cancellations", endpoint="cancellations", methods=["GET"]),
                Rule("/v1/cancellations/<id>", endpoint="forget_cancellation", methods=["DELETE"]),
            ],
            strict_slashes=False,
            merge_slashes=False,
        )
        Api._compiled = self._rules

    def __call__(self, environ: t.Dict[str, t.Any], start_response: t.Any) -> t.Iterable[bytes]:
        request = Request(environ)
        try:
            endpoint, arguments = self._rules.bind_to_environ(environ).match()
            refusal = None if endpoint in _OPEN else self._refuse(request)
            response = refusal or self._views[endpoint](request, **arguments)
        except MethodNotAllowed as error:
            response = _error(405, "method not allowed")
            response.headers["Allow"] = ", ".join(error.valid_methods or ())
        except NotFound:
            response = _error(404, "the local server has no such path")
        except HTTPException as error:
            response = _error(error.code or 500, error.name)
        except Exception:
            logger.exception("the local server failed to answer a request")
            response = _error(500, "an internal error of the local server")
        response.headers[_protocol.HEADER_SERVER_KIND] = self._store.kind
        return response(environ, start_response)

    # -- events (PROTOCOL section 8) -----------------------------------------

    def _events(self, request: Request, key: str) -> Response:
        if not self._store.accepts_event_key(key):
            refusal = {"status": 401, "message": "", "error": "Event key not found"}
            return _json(refusal, 401, _JSON)
        seed = ids.parse_seed(request.headers.get(_protocol.HEADER_EVENT_ID_SEED, ""))
        text = request.get_data().decode("utf-8", "replace")
        accepted, error = self._store.accept_events(text, seed)
        if error is None:
            return _json({"ids": accepted or [""], "status": 200})
        return _json({"ids": accepted or [""], "status": 400, "error": error}, 400)

    def _no_key(self, request: Request) -> Response:
        response = Response(status=303)
        response.headers["Location"] = "/e"
        response.autocorrect_location_header = False
        return response

    # -- registration (PROTOCOL section 5) -----------------------------------

    def _register(self, request: Request) -> Response:
        expected = request.headers.get(_protocol.HEADER_EXPECTED_SERVER_KIND)
        if expected and expected != self._store.kind:
            text = f"Expected server kind {self._store.kind}, got {expected}"
            return _json({"error": text}, 400)
        try:
            registration = registry.read_registration(request.get_data())
        except settings.RegistrationRefused as refused:
            logger.warning("refused a registration: %s", refused)
            return _json(refused.body, 400)
        modified = self._store.register(registration)
        return _json(
            {
                "ok": True,
                "modified": modified,
                "sync_id": randomness.uuid4(),
                "app_id": ids.app_uuid(registration.app_id),
            }
        )

    # -- reading back ----------------------------------------------------------

    def _batch(self, request: Request, run_id: str) -> Response:
        return self._state(request, run_id, lambda run: [event.stored() for event in run.events])

    def _actions(self, request: Request, run_id: str) -> Response:
        return self._state(request, run_id, lambda run: run.steps)

    def _state(
        self, request: Request, run_id: str, read: t.Callable[[RunState], t.Any]
    ) -> Response:
        if not ids.is_ulid(run_id):
            return _error(400, "The run ID specified is invalid", _TEXT)
        with self._store.changed:
            run = self._store.runs.by_id.get(run_id)
            if run is not None and not run.ended:
                return _json(read(run))
        return _error(410, f"runtime state is no longer available for runID: {run_id}", _TEXT)

    def _run(self, request: Request, run_id: str) -> Response:
        with self._store.changed:
            run = self._store.runs.by_id.get(run_id)
            if run is not None:
                return self._with_metadata(_describe(run))
        # A real server says so with an HTTP 200 (W65).
        missing = {"error": f"Unable to load function run: {run_id}", "data": None, "status": 500}
        return _json(missing, 200, _JSON)

    def _cancel(self, request: Request, run_id: str) -> Response:
        with self._store.changed:
            run = self._store.runs.by_id.get(run_id)
            if run is None:
                return _error(404, f"run not found: {run_id}")
            self._store.runs.cancel(run, "by a request")
        return Response("", 200, content_type=_JSON)

    def _signal(self, request: Request) -> Response:
        try:
            body = loads(request.get_data())
            name = body["signal"]
            if not isinstance(name, str):
                raise ValueError("the signal is not a string")
        except (ValueError, KeyError, TypeError) as error:
            return _error(400, f"Invalid request: {error}")
        with self._store.changed:
            run = self._store.runs.signal(name, body.get("data"))
        if run is None:
            return _error(404, "No signal found")
        now = rfc3339(self._store.runs.now())
        return _json({"data": {"run_id": run.run_id}, "metadata": {"fetched_at": now}}, 200, _JSON)

    def _checkpoint(self, request: Request, run_id: str) -> Response:
        try:
            checkpoint = checkpoints.read(request.get_data())
            with self._store.changed:
                runs = self._store.runs
                run = runs.by_id.get(checkpoint.run_id)
                checkpoints.apply(runs, run, checkpoint, self._store.detect_stale)
        except checkpoints.CheckpointRefused as refused:
            body = {"error": str(refused), "data": refused.data, "status": refused.status}
            return _json(body, refused.status, _JSON)
        return Response("", 200, content_type=_JSON)

    def _event_runs(self, request: Request, event_id: str) -> Response:
        with self._store.changed:
            runs = [_describe(run) for run in self._store.runs_of(event_id)]
        return self._with_metadata(runs)

    def _publish(self, request: Request) -> Response:
        with self._store.changed:
            self._store.published.append(read_message(request.args, request.get_data()))
            self._store.changed.notify_all()
        response = Response("", 200)
        response.headers.remove("Content-Type")
        return response

    def _token(self, request: Request) -> Response:
        try:
            token = subscription_token(loads(request.get_data()), self._store.runs.now())
        except ValueError:
            return _error(400, "Invalid request: must provide a list of topics")
        return _json({"jwt": token}, 201, _JSON)

    # -- many runs at once -----------------------------------------------------

    def _cancel_many(self, request: Request) -> Response:
        try:
            body = loads(request.get_data())
        except ValueError:
            return _error(400, "Invalid cancellation request")
        store = self._store
        try:
            with store.changed:
                made = store.cancellations.create(store.runs, store.functions(), body)
        except CancellationRefused as refused:
            return _error(refused.status, str(refused))
        return self._with_metadata(made, False)

    def _cancellations(self, request: Request) -> Response:
        with self._store.changed:
            return self._with_metadata(self._store.cancellations.made, False)

    def _forget_cancellation(self, request: Request, id: str) -> Response:
        try:
            with self._store.changed:
                self._store.cancellations.delete(id)
        except CancellationRefused as refused:
            return _error(refused.status, str(refused))
        return self._with_metadata({"ok": True}, False)

    def _with_metadata(self, data: t.Any, cached: bool = True) -> Response:
        now = rfc3339(self._store.runs.now())
        metadata = {"fetched_at": now, "cached_until": now} if cached else {"fetched_at": now}
        return _json({"data": data, "metadata": metadata}, 200, _JSON)

    def _refuse(self, request: Request) -> t.Optional[Response]:
        key = self._store.key
        header = request.headers.get(_protocol.HEADER_AUTHORIZATION)
        if key is None or key.accepts(header):
            return None
        response = Response("Authentication failed\n", 401, content_type=_TEXT)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _describe(run: RunState) -> t.Dict[str, t.Any]:
    described = {
        "run_id": run.run_id,
        "run_started_at": rfc3339(run.began),
        "function_id": ids.function_uuid(run.function.function_id),
        "function_version": 0,
        "environment_id": _ENVIRONMENT_ID,
        "event_id": run.events[0].internal_id,
        "status": run.status,
        "output": run.output,
    }
    if run.finished is not None:
        described["ended_at"] = rfc3339(run.finished)
    return described


def _json(value: t.Any, status: int = 200, content_type: str = _TEXT) -> Response:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"
    return Response(text.encode("utf-8", "replace"), status, content_type=content_type)


def _error(status: int, text: str, content_type: str = _JSON) -> Response:
    return _json({"error": text, "data": None, "status": status}, status, content_type)
