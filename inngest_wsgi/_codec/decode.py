"""Decode the body of a call into a :class:`~inngest_wsgi._messages.Call`
(PROTOCOL section 6)."""

from __future__ import annotations

import re
import typing as t

from .. import _protocol as p, errors
from .._messages import Call, Request
from . import json as _json

#: The run ids that cannot change the path of a URL. The server's are ULIDs.
RUN_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")

#: The names of tracing headers, and their keys in :attr:`Request.headers`.
_TRACE_HEADERS = tuple(
    (name, name.lower()) for name in (p.HEADER_TRACEPARENT, p.HEADER_TRACESTATE)
)


def json_object(body: bytes) -> t.Dict[str, t.Any]:
    """Decode a body that must be a JSON object.

    :raises errors.BodyError: it is not JSON, or not an object
    """
    try:
        value = _json.loads(body)
    except ValueError as error:
        raise errors.BodyError("body_not_json", f"The body is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise errors.BodyError("body_invalid", "The body must be a JSON object.")
    return value


def call(request: Request) -> Call:
    """Decode a call. Optional fields that are missing get their default;
    unknown fields are ignored.

    :raises errors.QueryError: the query has no ``fnId``
    :raises errors.BodyError: the body is not JSON, or a field is missing or
        has the wrong type
    """
    fn_id = request.query.get(p.QUERY_FN_ID)
    if not fn_id:
        raise errors.QueryError("The query has no fnId, so there is no function to run.")
    target = request.query.get(p.QUERY_STEP_ID) or p.STEP
    whole = json_object(request.body)
    body = _read(whole, "", _BODY_FIELDS)
    ctx = _read(body["ctx"], "ctx.", _CTX_FIELDS)
    use_api = body["use_api"] or ctx["use_api"]
    event, events = body["event"], body["events"] or []
    _check_objects(events)
    if event is None and events:
        event = events[0]
    if event is None and not use_api:
        raise errors.BodyError("body_invalid", "The body has neither event nor events.")
    steps = None
    if not use_api:
        steps = _read(whole, "", _STEPS_FIELD)["steps"] or {}
        events = events or [event]
    return Call(
        fn_id=fn_id,
        target=None if target == p.STEP else target,
        run_id=ctx["run_id"],
        attempt=ctx["attempt"],
        max_attempts=ctx["max_attempts"],
        plan_only=ctx["disable_immediate_execution"],
        event={} if event is None else event,
        events=None if use_api else events,
        steps=steps,
        request_id=ctx["request_id"],
        job_id=ctx["job_id"],
        function_uuid=ctx["fn_id"] or None,
        queue_item=ctx["qi_id"] or None,
        generation=ctx["generation_id"],
        trace=_trace(request.headers),
    )


def fetched(call: Call, events: t.Any, steps: t.Any) -> Call:
    """Complete a call with the events and memos that had to be fetched
    (``use_api``).

    :raises errors.ApiError: an answer of the server has the wrong type
    """
    if (
        not isinstance(events, list)
        or not events
        or not all(isinstance(event, dict) for event in events)
    ):
        raise errors.ApiError("The run's events are not a list of JSON objects.")
    if not isinstance(steps, dict):
        raise errors.ApiError("The run's steps are not a JSON object.")
    return call._replace(event=events[0], events=events, steps=steps)


class _Field(t.NamedTuple):
    """A field of a JSON object: its type, and its default if it is missing or
    ``null``."""

    name: str
    kind: type
    default: t.Any = None
    required: bool = False


_BODY_FIELDS = (
    _Field("ctx", dict, required=True),
    _Field("use_api", bool, default=False),
    _Field("event", dict),
    _Field("events", list),
)
#: Not read if the memos are to be fetched.
_STEPS_FIELD = (_Field("steps", dict),)
_CTX_FIELDS = (
    _Field("run_id", str, required=True),
    _Field("attempt", int, default=0),
    _Field("max_attempts", int),
    _Field("disable_immediate_execution", bool, default=False),
    _Field("use_api", bool, default=False),
    _Field("request_id", str),
    _Field("job_id", str),
    _Field("fn_id", str),
    _Field("qi_id", str),
    _Field("generation_id", int),
)
_JSON_NAMES = {
    bool: "true or false",
    dict: "a JSON object",
    int: "a whole number",
    list: "a JSON list",
    str: "a string",
}


def _read(value: t.Dict[str, t.Any], path: str, fields: t.Sequence[_Field]) -> t.Dict[str, t.Any]:
    """Read fields of a JSON object, and check their types.

    :param path: stands before a field's name in an error, for example
        ``"ctx."``
    :raises errors.BodyError: a field is missing or has the wrong type
    """
    found = {}
    for name, kind, default, required in fields:
        item = value.get(name)
        if type(item) is kind:
            found[name] = item
            continue
        if item is None:
            if required:
                raise errors.BodyError("body_invalid", f"The body has no {path}{name}.")
            item = default
        # True is an int in Python
        elif not isinstance(item, kind) or (kind is int and isinstance(item, bool)):
            raise errors.BodyError("body_invalid", f"{path}{name} must be {_JSON_NAMES[kind]}.")
        found[name] = item
    return found


def _check_objects(events: t.List[t.Any]) -> None:
    for event in events:
        if not isinstance(event, dict):
            raise errors.BodyError("body_invalid", "events must be a list of JSON objects.")


def _trace(headers: t.Mapping[str, str]) -> t.Tuple[t.Tuple[str, str], ...]:
    found = []
    for name, key in _TRACE_HEADERS:
        if key in headers:
            found.append((name, headers[key]))
    return tuple(found)
