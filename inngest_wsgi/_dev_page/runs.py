"""Fetch the runs of an event from the server.

A server's list of the runs of an event gives each the status of its last step:
``Completed`` between two steps of a run that may yet fail, ``Failed`` between
two attempts. So the list says which runs there are, and each run is asked for
by itself. Both answers are kept by the server, for 15 and for 3 seconds, by
their URL: no URL is asked for twice.
"""

from __future__ import annotations

import json
import threading
import time
import typing as t
import urllib.parse

from .. import _protocol as p, errors
from .._codec import decode
from .._messages import Call
from .._server_api.client import Http
from .._server_api.response import Answer
from .._server_api.retry import Retry

#: One attempt: the page asks again anyway.
_RETRY = Retry(attempts=1)
#: The limit for one request, in seconds.
_DEADLINE_S = 10.0
#: The longest output of a run that is displayed, in characters.
_MAX_OUTPUT = 10000
#: The number of runs whose function is remembered, the last ones.
_MAX_KNOWN = 500

_RUNNING = "Running"
_SKIPPED = "Skipped"
_ENDED = ("Completed", "Failed", "Cancelled", _SKIPPED)


class Run(t.NamedTuple):
    """A run.

    :ivar function: the function's name; None if this process got no call of
        the run
    :ivar output: as JSON text
    :ivar error: the error of a failed run; None otherwise
    :ivar page: the address of the run's page at the server; None if the
        server has no pages
    """

    id: str
    function: t.Optional[str]
    status: str
    ended: bool
    output: str
    error: t.Optional[str]
    page: t.Optional[str]


class Runs:
    """Fetches runs from one server.

    :param names: the functions' names by their ids
    """

    def __init__(self, api_origin: str, names: t.Mapping[str, str], http: Http) -> None:
        self._api_origin = api_origin
        self._names = names
        self._http = http
        self._lock = threading.Lock()
        self._known: t.Dict[str, str] = {}
        #: the runs that have ended, by their ids
        self._ended: t.Dict[str, t.Dict[str, t.Any]] = {}
        self._has_pages = False

    def saw(self, call: Call) -> None:
        """Remember the function of a call's run: in the server's answers,
        functions have other ids."""
        if not decode.RUN_ID.fullmatch(call.run_id):
            # it may have any length, and no run of a server has such an id
            return
        with self._lock:
            self._known.pop(call.run_id, None)
            self._known[call.run_id] = call.fn_id
            if len(self._known) > _MAX_KNOWN:
                del self._known[next(iter(self._known))]

    def of_event(self, event_id: str) -> t.List[Run]:
        """Fetch the runs that an event has started so far.

        :raises errors.ApiError: the server did not answer, or not with runs
        """
        found = self._get(p.PATH_EVENT_RUNS.format(event_id))
        if not isinstance(found, list):
            raise errors.ApiError("The server's answer is not a list of runs.")
        return [self._run(run) for run in found if isinstance(run, dict)]

    def _get(self, path: str) -> t.Any:
        answer: Answer = self._http.api(
            "GET",
            path,
            query=[("at", str(time.time_ns()))],
            retry=_RETRY,
            deadline_s=_DEADLINE_S,
        )
        body = answer.json()
        if answer.status != 200 or not isinstance(body, dict):
            raise errors.ApiError(f"The runs cannot be fetched: {answer.error()}", answer.status)
        return body.get("data")

    def _run(self, run: t.Dict[str, t.Any]) -> Run:
        run_id = str(run.get("run_id"))
        is_id = decode.RUN_ID.fullmatch(run_id) is not None
        if is_id:
            run = self._newest(run_id, run)
        status, output = str(run.get("status")), run.get("output")
        ended = _has_ended(run)
        if status in _ENDED and not ended:
            status = _RUNNING
        function = self._known.get(run_id)
        return Run(
            id=run_id,
            function=None if function is None else self._names.get(function, function),
            status=status,
            ended=ended,
            output=_output(output),
            error=_error(output) if status == "Failed" else None,
            page=self._page(run_id) if is_id else None,
        )

    def _newest(self, run_id: str, listed: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        with self._lock:
            found = self._ended.get(run_id)
        if found is not None:
            return found
        try:
            newest = self._get(p.PATH_RUN_V1 + run_id)
        except errors.ApiError as error:
            if error.http_status is None:
                raise
            return listed
        if not isinstance(newest, dict):
            return listed
        if _has_ended(newest):
            with self._lock:
                self._ended[run_id] = newest
                if len(self._ended) > _MAX_KNOWN:
                    del self._ended[next(iter(self._ended))]
        return newest

    def _page(self, run_id: str) -> t.Optional[str]:
        query = urllib.parse.urlencode({"runID": run_id})
        address = f"{self._api_origin}/run?{query}"
        if not self._has_pages:
            try:
                answer = self._http.probe(address)
            except errors.ApiError:
                return None
            # probed again while False: another server may take this one's place
            self._has_pages = answer.status == 200 and answer.content_type == "text/html"
        return address if self._has_pages else None


def _has_ended(run: t.Mapping[str, t.Any]) -> bool:
    """Return True if a run's status is its last: it then has the time of its
    end too, unless it never began."""
    status = run.get("status")
    return status == _SKIPPED or (status in _ENDED and bool(run.get("ended_at")))


def _output(value: t.Any) -> str:
    """Write a run's output as text here: JavaScript would round its numbers."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) <= _MAX_OUTPUT:
        return text
    return f"{text[:_MAX_OUTPUT]}\n... ({len(text)} characters in all)"


def _error(output: t.Any) -> str:
    if isinstance(output, dict) and isinstance(output.get("message"), str):
        return "{}: {}".format(output.get("name") or "Error", output["message"])[:_MAX_OUTPUT]
    return output[:_MAX_OUTPUT] if isinstance(output, str) else "The run has no error message."
