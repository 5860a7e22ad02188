"""Read recorded runs, in the forms in which they can be had."""

from __future__ import annotations

import json
import os
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from .._model import state
from .._model.state import Event, RunState
from .._wire.signing import SigningKey
from .records import CallRecord
from .timeline import error_of

#: ``format`` of what :meth:`TestRun.to_json` returns.
FORMAT = "inngest-wsgi-run-1"
#: Seconds that a request for a run may take.
_TIMEOUT = 30.0

_NOT_ONE = (
    "this is no recorded run: it has neither the keys 'event' and 'steps' of a call's body, nor "
    "'events' and 'actions' as fetch_run() returns them, nor is it of run.to_json()"
)


class Recorded(t.NamedTuple):
    """A run that was recorded.

    :ivar function: the full id of the function; None if it is not recorded.
    :ivar memos: by the hashed ids of the steps.
    :ivar order: hashed ids in the order in which the steps ended; None if not recorded.
    :ivar names: the steps' ids by the hashed ones, of those that are recorded.
    :ivar together: pairs of steps that were reported in one answer; None if not recorded.
    :ivar status: of the run; None if it is not recorded, or had not ended.
    :ivar end: its output, or the name of its error; None if it is not recorded.
    :ivar has_end: True if ``end`` is recorded.
    """

    run_id: str
    function: t.Optional[str]
    events: t.List[Event]
    memos: t.Dict[str, t.Any]
    order: t.Optional[t.List[str]]
    names: t.Dict[str, str]
    together: t.Optional[t.Set[t.FrozenSet[str]]]
    status: t.Optional[str]
    end: t.Any
    has_end: bool


def read(given: t.Any) -> Recorded:
    """Read a recorded run.

    :param given: of ``run.to_json()``, of :func:`fetch_run`, the body of a call, a
        :class:`CallRecord`; or the path of a file with one of these as JSON.
    :raise ValueError: it is none of these.
    """
    if isinstance(given, (str, os.PathLike)):
        with open(given, encoding="utf-8") as file:
            given = json.load(file)
    if isinstance(given, CallRecord):
        given = given.request
    if hasattr(given, "to_json"):
        given = given.to_json()
    if not isinstance(given, dict):
        raise ValueError(_NOT_ONE)
    if given.get("format") == FORMAT:
        return _exported(given)
    if isinstance(given.get("actions"), dict) and isinstance(given.get("events"), list):
        return _fetched(given)
    if isinstance(given.get("ctx"), dict) and isinstance(given.get("event"), dict):
        return _called(given)
    raise ValueError(_NOT_ONE)


def exported(run: RunState, calls: t.Iterable[CallRecord]) -> t.Dict[str, t.Any]:
    """Return a run as JSON values, for :meth:`TestServer.replay`.

    :param calls: those of the run.
    """
    answers = [call.response for call in calls if call.status == 206]
    ops = [[op.get("id") for op in answer] for answer in answers if isinstance(answer, list)]
    end = error_of(run)["name"] if run.status == state.FAILED else run.output
    return {
        "format": FORMAT,
        "run_id": run.run_id,
        "function_id": run.function.function_id,
        "status": run.status,
        "end": end,
        "events": [event.sent() for event in run.events],
        "stack": list(run.stack),
        "steps": dict(run.memos),
        "names": {step: run.names[step] for step in run.stack if step in run.names},
        "groups": [group for group in ops if len(group) > 1],
    }


def _exported(given: t.Dict[str, t.Any]) -> Recorded:
    groups = [set(group) for group in given["groups"]]
    together = {frozenset((a, b)) for group in groups for a in group for b in group if a != b}
    status = given["status"]
    return Recorded(
        given["run_id"],
        given["function_id"],
        _events(given["events"]),
        dict(given["steps"]),
        list(given["stack"]),
        dict(given["names"]),
        together,
        None if status == "Running" else status,
        given["end"],
        status in ("Completed", "Failed"),
    )


def _fetched(given: t.Dict[str, t.Any]) -> Recorded:
    memos = dict(given["actions"])
    return Recorded(
        str(given.get("run_id") or ""), None, _events(given["events"]), memos, None, {}, None,
        None, None, False,
    )  # fmt: skip


def _called(given: t.Dict[str, t.Any]) -> Recorded:
    ctx, memos = given["ctx"], given.get("steps") or {}
    if given.get("use_api") or ctx.get("use_api"):
        raise ValueError(
            "the call has no steps in its body (use_api), because there are too many: use "
            "fetch_run() with its run id while the run goes on"
        )
    stack = (ctx.get("stack") or {}).get("stack")
    order = None
    if isinstance(stack, list):
        # a step with edited input is in the memos, and has not ended (W16)
        order = [step for step in stack if step in memos]
        order += [step for step in memos if step not in order]
    events = given.get("events") or [given["event"]]
    return Recorded(
        str(ctx.get("run_id") or ""), None, _events(events), dict(memos), order, {}, None, None,
        None, False,
    )  # fmt: skip


def _events(given: t.List[t.Any]) -> t.List[Event]:
    if not given or not all(isinstance(event, dict) and "name" in event for event in given):
        raise ValueError("the recorded run has no events, or one without a name")
    return [
        Event(
            str(event.get("id") or ""),
            event["name"],
            event.get("data") or {},
            str(event.get("id") or ""),
            event.get("ts") or 0,
            event.get("user"),
            event.get("v"),
        )
        for event in given
    ]


def fetch_run(
    base_url: str, run_id: str, signing_key: t.Optional[str] = None
) -> t.Dict[str, t.Any]:
    """Return the events and the steps of a run that goes on, from a real server.

    A server forgets these when the run ends (W18).

    :param base_url: of the server's API: ``https://api.inngest.com``, or
        ``http://127.0.0.1:8288`` of a dev server.
    :param signing_key: of the environment; a dev server needs none.
    :return: for :meth:`TestServer.replay`; it can be stored as JSON.
    :raise LookupError: the server does not have the run any more, or refused the key.
    """
    quoted = urllib.parse.quote(run_id, safe="")
    found: t.Dict[str, t.Any] = {"run_id": run_id}
    for name, part in (("events", "batch"), ("actions", "actions")):
        url = f"{base_url.rstrip('/')}/v0/runs/{quoted}/{part}"
        headers = {}
        if signing_key is not None:
            headers["Authorization"] = f"Bearer {SigningKey(signing_key).bearer}"
        try:
            request = urllib.request.Request(url, headers=headers)
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                found[name] = json.loads(answer.read().decode("utf-8"))
        except urllib.error.HTTPError as error:
            reasons = {
                401: "the signing key was refused",
                410: "a server keeps the steps of a run only while the run goes on",
            }
            reason = reasons.get(error.code, error.reason)
            raise LookupError(f"{url} was answered {error.code}: {reason}") from None
    return found
