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

_TRACE_HEADERS = (p.HEADER_TRACEPARENT, p.HEADER_TRACESTATE)


def json_object(body: bytes) -> t.Dict[str, t.Any]:
    """Decode a body that must be a JSON object.

    :raises errors.BodyError: it is not JSON, or not an object
    """
    try:
        value = _json.loads(body)
    except ValueError as error:
        raise errors.BodyError(
            "body_not_json", "The body is not JSON: {}.".format(error)
        ) from None
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
    target: t.Optional[str] = request.query.get(p.QUERY_STEP_ID) or p.STEP
    body = _Fields(json_object(request.body), "")
    ctx = _Fields(body.required("ctx", dict), "ctx.")
    use_api = body.optional("use_api", bool, False) or ctx.optional("use_api", bool, False)
    events, event = _events(body)
    if event is None and not use_api:
        raise errors.BodyError("body_invalid", "The body has neither event nor events.")
    return Call(
        fn_id=fn_id,
        target=None if target == p.STEP else target,
        run_id=ctx.required("run_id", str),
        attempt=ctx.optional("attempt", int, 0),
        max_attempts=ctx.optional("max_attempts", int, None),
        plan_only=ctx.optional("disable_immediate_execution", bool, False),
        event={} if event is None else event,
        events=None if use_api else events or [event or {}],
        steps=None if use_api else body.optional("steps", dict, {}),
        request_id=ctx.optional("request_id", str, None),
        job_id=ctx.optional("job_id", str, None),
        trace=tuple(
            (name, request.headers[name.lower()])
            for name in _TRACE_HEADERS
            if name.lower() in request.headers
        ),
    )


def fetched(call: Call, events: t.Any, steps: t.Any) -> Call:
    """Complete a call with the events and memos that had to be fetched
    (``use_api``).

    :raises errors.ApiError: an answer of the server has the wrong type
    """
    if not isinstance(events, list) or not events or not _all_objects(events):
        raise errors.ApiError("The run's events are not a list of JSON objects.")
    if not isinstance(steps, dict):
        raise errors.ApiError("The run's steps are not a JSON object.")
    return call._replace(event=events[0], events=events, steps=steps)


def _events(
    body: "_Fields",
) -> t.Tuple[t.List[t.Dict[str, t.Any]], t.Optional[t.Dict[str, t.Any]]]:
    events = body.optional("events", list, [])
    if not _all_objects(events):
        raise errors.BodyError("body_invalid", "events must be a list of JSON objects.")
    event = body.optional("event", dict, None)
    return events, event if event is not None else events[0] if events else None


def _all_objects(values: t.List[t.Any]) -> bool:
    return all(isinstance(value, dict) for value in values)


class _Fields:
    """Reads fields of a JSON object and checks their types.

    :param path: stands before a field's name in an error, for example
        ``"ctx."``
    """

    __slots__ = ("_object", "_path")

    def __init__(self, value: t.Dict[str, t.Any], path: str) -> None:
        self._object = value
        self._path = path

    def required(self, name: str, kind: type) -> t.Any:
        if self._object.get(name) is None:
            raise errors.BodyError(
                "body_invalid", "The body has no {}{}.".format(self._path, name)
            )
        return self.optional(name, kind, None)

    def optional(self, name: str, kind: type, default: t.Any) -> t.Any:
        value = self._object.get(name)
        if value is None:
            return default
        # True is an int in Python
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise errors.BodyError(
                "body_invalid",
                "{}{} must be {}.".format(self._path, name, _JSON_NAMES[kind]),
            )
        return value


_JSON_NAMES = {
    bool: "true or false",
    dict: "a JSON object",
    int: "a whole number",
    list: "a JSON list",
    str: "a string",
}
