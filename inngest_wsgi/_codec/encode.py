"""Encode outcomes, ops and errors into an unsigned
:class:`~inngest_wsgi._messages.Response`, within the server's limits (PROTOCOL
section 6)."""

from __future__ import annotations

import dataclasses
import typing as t

from .. import _protocol as p, errors
from .._messages import Call, Failed, Headers, Op, Outcome, Response, Returned, UserError
from . import json as _json

#: The largest response that the server reads, and the largest output of one
#: step that it stores, in bytes (PROTOCOL section 6).
MAX_RESPONSE_BYTES = 8 * 1024 * 1024
MAX_STEP_BYTES = 4 * 1024 * 1024

#: The limit for the last chunk of a stream: the server counts the keep-alive
#: spaces too, 4 a second at most, for the two hours that a call may last.
MAX_STREAM_BYTES = MAX_RESPONSE_BYTES - 2 * 3600 * 4

#: The limit for a list of ops, streamed or not: a stream's last chunk also
#: contains the headers of the response.
MAX_OPS_BYTES = MAX_STREAM_BYTES - 64 * 1024

#: The limit for the arguments of a step, in bytes of JSON. Larger ones are
#: not reported.
MAX_INPUT_BYTES = 64 * 1024

#: The wrapper of an output, which the server counts too.
_WRAPPER_BYTES = len(b'{"data":}')

_JSON_TYPE = (p.HEADER_CONTENT_TYPE, "application/json")

#: The most ids of events that fit into the output of one step: ULIDs, each
#: with its quotes and a comma.
MAX_IDS = (MAX_STEP_BYTES - _WRAPPER_BYTES - 1) // len(b'"01M894QKEWVWE1MTEVAJMMAR1M",')


def outcome(result: Outcome, fn_id: str) -> Response:
    """Encode the outcome of a call.

    :param fn_id: the function's id, for the error message
    :raises errors.OutputError: the ops exceed the server's limit
    """
    headers: Headers = [_JSON_TYPE]
    if isinstance(result, Returned):
        return Response(200, headers, result.data)
    if isinstance(result, Failed):
        _add_retry_headers(headers, result.retriable, result.retry_after)
        body = _json.dumps(_error(result.error))
        return Response(500 if result.retriable else 400, headers, body)
    if result.retriable is not None:
        _add_retry_headers(headers, result.retriable, result.retry_after)
    return Response(206, headers, _ops(result.ops, fn_id))


def error(problem: errors.Error) -> Response:
    """Encode an error that is not the function's own. The functions' and the
    steps' own come in an :class:`~inngest_wsgi._messages.Outcome`."""
    body = {
        "code": problem.code,
        "name": type(problem).__name__,
        "message": problem.message,
    }
    response = document(problem.status, body)
    if not problem.retriable:
        return response.adding((p.HEADER_NO_RETRY, "true"))
    if isinstance(problem, errors.MiddlewareError) and problem.header is not None:
        return response.adding((p.HEADER_RETRY_AFTER, problem.header))
    return response


def checkpoint(call: Call, ops: t.Sequence[Op], began_ms: int, now_ms: int) -> bytes:
    """Encode the body of a checkpoint (PROTOCOL section 9, W45).

    :param began_ms: when the call began, in milliseconds since the epoch
    """
    fields: t.Dict[str, t.Any] = {
        "run_id": call.run_id,
        "fn_id": call.function_uuid,
        "qi_id": call.queue_item,
        "request_started_at": began_ms,
        "ts": now_ms,
    }
    if call.request_id is not None:
        fields["request_id"] = call.request_id
    if call.generation is not None:
        fields["generation_id"] = call.generation
    return b'%b,"steps":[%b]}' % (_json.dumps(fields)[:-1], b",".join(map(_op, ops)))


def document(status: int, body: t.Mapping[str, t.Any]) -> Response:
    """Make a response with a JSON object."""
    headers: Headers = [(p.HEADER_CONTENT_TYPE, "application/json")]
    return Response(status, headers, _json.dumps(body))


def stream_head() -> Response:
    """Make the status and headers of a streamed response (PROTOCOL section
    7)."""
    headers: Headers = [
        (p.HEADER_CONTENT_TYPE, "application/json"),
        # without it nginx would buffer the spaces until the end
        (p.HEADER_ACCEL_BUFFERING, "no"),
    ]
    return Response(201, headers, b"")


def streamed(response: Response) -> bytes:
    """Encode a response as the last chunk of a stream (PROTOCOL section 7).
    Only the whole chunk is JSON, so that the server does not take a broken
    stream for a result.

    :raises errors.OutputError: it exceeds the server's limit
    """
    fields = {
        "status": response.status,
        "headers": dict(response.headers),
        "body": response.body.decode("utf-8"),
    }
    text = _json.dumps(fields)
    if len(text) > MAX_STREAM_BYTES and response.body[:1] != b'"':
        # in a JSON string each quote and backslash of the body is escaped; the
        # server also takes the body as JSON (W31), unless that is a string,
        # which it would decode
        fields["body"] = 0
        text = _json.dumps(fields)[: -len("0}")] + b"%b}" % response.body
    if len(text) > MAX_STREAM_BYTES:
        raise errors.OutputError(
            f"The answer to the call has {len(text)} bytes when it is streamed, and "
            f"{MAX_STREAM_BYTES} can be sent. Store the output elsewhere and return a reference "
            "to it."
        )
    return text


def step_output(value: t.Any, fn_id: str, user_id: str) -> bytes:
    """Encode the output of a step as JSON.

    :param fn_id: the function, for the error message
    :param user_id: the step
    :raises errors.OutputError: it is not JSON, or exceeds the server's limit
    """
    try:
        return _output(value, MAX_STEP_BYTES - _WRAPPER_BYTES)
    except errors.OutputError as problem:
        what = f"step {user_id!r} of function {fn_id}"
        raise errors.OutputError(f"The output of {what} {problem}") from None


def function_output(value: t.Any, fn_id: str) -> bytes:
    """Encode the output of a function as JSON; otherwise as
    :func:`step_output`."""
    try:
        return _output(value, MAX_RESPONSE_BYTES)
    except errors.OutputError as problem:
        raise errors.OutputError(f"The output of function {fn_id} {problem}") from None


def step_input(args: t.Tuple[t.Any, ...]) -> t.Optional[t.List[t.Any]]:
    """Return the arguments of a step as JSON values; None if they are not
    JSON, or too large."""
    try:
        text = _json.dumps(args)
    except Exception:  # the user's objects may raise anything
        return None
    if len(text) > MAX_INPUT_BYTES:
        return None
    found: t.List[t.Any] = _json.loads(text)
    return found


def _output(value: t.Any, limit: int) -> bytes:
    try:
        text = _json.dumps(value)
    except errors.OutputError as problem:
        raise errors.OutputError(f"cannot be sent: {problem}.") from None
    if len(text) > limit:
        raise errors.OutputError(
            f"has {len(text)} bytes as JSON; the server takes {limit} at the most. Store it "
            "elsewhere and return a reference to it."
        )
    return text


def _add_retry_headers(headers: Headers, retriable: bool, retry_after: t.Optional[str]) -> None:
    headers.append((p.HEADER_NO_RETRY, "false" if retriable else "true"))
    if retriable and retry_after is not None:
        headers.append((p.HEADER_RETRY_AFTER, retry_after))


def _ops(ops: t.Sequence[Op], fn_id: str) -> bytes:
    """Encode ops as a JSON list within the server's limit (W72). If it is too
    large, inputs of steps are left out, the largest first: they are only
    displayed."""
    texts = list(map(_op, ops))
    body = b"[%b]" % b",".join(texts)
    too_many = len(body) - MAX_OPS_BYTES
    if too_many <= 0:
        return body
    without = [_op(_without_input(op)) for op in ops]
    savings = [len(text) - len(short) for text, short in zip(texts, without)]
    for n in sorted(range(len(ops)), key=savings.__getitem__, reverse=True):
        if too_many <= 0 or not savings[n]:
            break
        texts[n] = without[n]
        too_many -= savings[n]
    if too_many > 0:
        raise _too_large(ops, texts, fn_id)
    return b"[%b]" % b",".join(texts)


def _without_input(op: Op) -> Op:
    if not op.op.startswith("Step") or not op.opts:
        # the server needs the opts of the ops that it carries out
        return op
    return dataclasses.replace(op, opts={k: v for k, v in op.opts.items() if k != "input"} or None)


def _too_large(ops: t.Sequence[Op], texts: t.Sequence[bytes], fn_id: str) -> errors.OutputError:
    size, user_id = max((len(text), op.id.user_id) for text, op in zip(texts, ops))
    if len(ops) == 1:
        found = f"step {user_id!r} has {size} bytes as JSON"
    else:
        total = sum(map(len, texts))
        found = (
            f"{len(ops)} parallel steps have {total} bytes as JSON, "
            f"of which step {user_id!r} has {size}"
        )
    return errors.OutputError(
        f"The steps of function {fn_id} cannot be reported: {found}; {MAX_OPS_BYTES} "
        "can be sent. Store the data elsewhere and pass a reference to it."
    )


_OP_HEAD = b'{"op":"%b","id":%b,"displayName":%b,"name":%b,"userland":{"id":%b,"index":%d}'


def _op(op: Op) -> bytes:
    # the form of each op is the same; only what varies goes through the encoder
    step = op.id
    user_text = _json.text(step.user_id)
    head = _OP_HEAD % (
        op.op.encode("ascii"),
        _json.text(step.hashed),
        user_text,
        user_text if op.name == step.user_id else _json.text(op.name),
        user_text,
        step.repeat,
    )
    opts = b"" if op.opts is None else b',"opts":' + _json.dumps(op.opts)
    timing = b"" if op.timing is None else b',"timing":{"a":%d,"b":%d}' % op.timing
    error = b"" if op.error is None else b',"error":' + _json.dumps(_error(op.error))
    # data is JSON text already
    return b'%b%b%b%b,"data":%b}' % (head, opts, timing, error, op.data)


def _error(problem: UserError) -> t.Dict[str, t.Any]:
    fields = problem._asdict()
    return {name: value for name, value in fields.items() if value is not None}
