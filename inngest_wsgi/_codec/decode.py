"""Decode the body of a call into a :class:`~inngest_wsgi._messages.Call`
(PROTOCOL section 6)."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .. import _protocol as p, errors
from .._messages import Call, Environ, Request, environ_key
from . import json as _json

#: The run ids that cannot change the path of a URL. The server's are ULIDs.
RUN_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")

#: The names of tracing headers, and their keys in an environ.
_TRACE_HEADERS = tuple(
    (name, environ_key(name)) for name in (p.HEADER_TRACEPARENT, p.HEADER_TRACESTATE)
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
    body = json_object(request.body)
    ctx, body_use_api, event, events = _read(body, _BODY_FIELDS)
    (
        run_id,
        attempt,
        max_attempts,
        plan_only,
        ctx_use_api,
        request_id,
        job_id,
        function_uuid,
        queue_item,
        generation,
    ) = _read(ctx, _CTX_FIELDS)
    for one in events:
        if type(one) is not dict:
            raise errors.BodyError("body_invalid", "events must be a list of JSON objects.")
    if event is None and events:
        event = events[0]
    steps: t.Optional[t.Dict[str, t.Any]] = None
    if body_use_api or ctx_use_api:
        # whatever the body has of the two, the whole of them is fetched
        events = None
    elif event is None:
        raise errors.BodyError("body_invalid", "The body has neither event nor events.")
    else:
        steps = body.get("steps")
        if type(steps) is not dict:
            steps = {} if steps is None else _refuse(steps, "steps", "", dict)
        events = events or [event]
    # by position, which takes half the time
    return Call(
        fn_id,
        None if target == p.STEP else target,
        run_id,
        attempt,
        max_attempts,
        plan_only,
        {} if event is None else event,
        events,
        steps,
        request_id,
        job_id,
        function_uuid or None,
        queue_item or None,
        generation,
        _trace(request.raw),
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
    return dataclasses.replace(call, event=events[0], events=events, steps=steps)


_REQUIRED: t.Any = object()

# The fields that are read of a JSON object: the name, the path of the object
# for an error, the type, and the default if the field is missing or null. They
# are tuples, and :func:`_read` returns their values in this order.
_Fields = t.Tuple[t.Tuple[str, str, type, t.Any], ...]
_BODY_FIELDS: _Fields = (
    ("ctx", "", dict, _REQUIRED),
    ("use_api", "", bool, False),
    ("event", "", dict, None),
    ("events", "", list, ()),
)
_CTX_FIELDS: _Fields = (
    ("run_id", "ctx.", str, _REQUIRED),
    ("attempt", "ctx.", int, 0),
    ("max_attempts", "ctx.", int, None),
    ("disable_immediate_execution", "ctx.", bool, False),
    ("use_api", "ctx.", bool, False),
    ("request_id", "ctx.", str, None),
    ("job_id", "ctx.", str, None),
    ("fn_id", "ctx.", str, None),
    ("qi_id", "ctx.", str, None),
    ("generation_id", "ctx.", int, None),
)
_JSON_NAMES = {
    bool: "true or false",
    dict: "a JSON object",
    int: "a whole number",
    list: "a JSON list",
    str: "a string",
}


def _read(value: t.Dict[str, t.Any], fields: _Fields) -> t.List[t.Any]:
    """Return the values of fields of a JSON object, after a check of their
    types.

    :raises errors.BodyError: a field is missing or has the wrong type
    """
    get = value.get
    return [
        # nearly each field has its type, or is left out
        item
        if type(item := get(name)) is kind
        else default
        if item is None and default is not _REQUIRED
        else _refuse(item, name, path, kind)
        for name, path, kind, default in fields
    ]


def _refuse(item: t.Any, name: str, path: str, kind: type) -> t.NoReturn:
    if item is None:
        raise errors.BodyError("body_invalid", f"The body has no {path}{name}.")
    raise errors.BodyError("body_invalid", f"{path}{name} must be {_JSON_NAMES[kind]}.")


def _trace(environ: Environ) -> t.Tuple[t.Tuple[str, str], ...]:
    return tuple([(name, environ[key]) for name, key in _TRACE_HEADERS if key in environ])
