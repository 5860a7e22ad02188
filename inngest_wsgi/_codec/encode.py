"""An outcome becomes an unsigned :class:`~._messages.Response` (PROTOCOL
section 6)."""

from __future__ import annotations

import typing as t

from .. import _protocol as p, errors
from .._messages import Failed, Headers, Op, Outcome, Response, Returned, UserError
from . import json as _json

#: The largest answer that the server reads, and the largest output of one
#: step that it keeps, in bytes (PROTOCOL section 6).
MAX_RESPONSE_BYTES = 8 * 1024 * 1024
MAX_STEP_BYTES = 4 * 1024 * 1024

#: The same, less what the spaces of a stream may take: 4 of them a second, for
#: the two hours that a call may last.
MAX_STREAM_BYTES = MAX_RESPONSE_BYTES - 2 * 3600 * 4

#: The largest list of ops that is answered: streamed it is the same, and so it
#: leaves room for the headers that stand around it then.
MAX_OPS_BYTES = MAX_STREAM_BYTES - 64 * 1024

#: The most of a step's arguments that is reported, in bytes of JSON.
MAX_INPUT_BYTES = 64 * 1024

#: The server counts what it keeps, with the wrapper that it puts around it.
_WRAPPER_BYTES = len(b'{"data":}')

#: As many ids of events as fit into the output of one step: ULIDs, each with
#: its quotes and a comma.
MAX_IDS = (MAX_STEP_BYTES - _WRAPPER_BYTES - 1) // len(b'"01M894QKEWVWE1MTEVAJMMAR1M",')


def outcome(result: Outcome, fn_id: str) -> Response:
    """The answer to a call.

    :param fn_id: of the function, for a message
    :raises errors.OutputError: the ops are larger than the server takes
    """
    headers: Headers = [(p.HEADER_CONTENT_TYPE, "application/json")]
    if isinstance(result, Returned):
        return Response(200, headers, result.data)
    if isinstance(result, Failed):
        _say_retry(headers, result.retriable, result.retry_after)
        body = _json.dumps(_error(result.error))
        return Response(500 if result.retriable else 400, headers, body)
    if result.retriable is not None:
        _say_retry(headers, result.retriable, result.retry_after)
    return Response(206, headers, _ops(result.ops, fn_id))


def error(problem: errors.Error) -> Response:
    """The answer to a request that ended before a function ran."""
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


def document(status: int, body: t.Mapping[str, t.Any]) -> Response:
    """An answer that is a JSON object."""
    headers: Headers = [(p.HEADER_CONTENT_TYPE, "application/json")]
    return Response(status, headers, _json.dumps(body))


def stream_head() -> Response:
    """What comes before a stream (PROTOCOL section 7)."""
    headers: Headers = [
        (p.HEADER_CONTENT_TYPE, "application/json"),
        # nginx would hold the spaces back until the end
        (p.HEADER_ACCEL_BUFFERING, "no"),
    ]
    return Response(201, headers, b"")


def streamed(response: Response) -> bytes:
    """An answer as the last chunk of a stream (PROTOCOL section 7). It is JSON
    only when it is whole.

    :raises errors.OutputError: larger than the server reads
    """
    head = _json.dumps({"status": response.status, "headers": dict(response.headers)})[:-1]
    text = b'%b,"body":%b}' % (head, _json.dumps(response.body.decode("utf-8")))
    if len(text) > MAX_STREAM_BYTES and response.body[:1] != b'"':
        # as text, each quote and backslash of it takes two bytes more; as JSON
        # it is understood as well (W31), but for a string: that is always text
        text = b'%b,"body":%b}' % (head, response.body)
    if len(text) > MAX_STREAM_BYTES:
        raise errors.OutputError(
            "The answer to the call has {} bytes when it is streamed; the server takes {} at "
            "the most. Store the output elsewhere and return a reference to it.".format(
                len(text), MAX_STREAM_BYTES
            )
        )
    return text


def step_output(value: t.Any, what: str) -> bytes:
    """The JSON text of what a step returned.

    :param what: which step this is, for the message
    :raises errors.OutputError: it is not JSON, or larger than the server takes
    """
    return _output(value, what, MAX_STEP_BYTES - _WRAPPER_BYTES)


def function_output(value: t.Any, what: str) -> bytes:
    """The JSON text of what a function returned; otherwise as
    :func:`step_output`."""
    return _output(value, what, MAX_RESPONSE_BYTES)


def step_input(args: t.Tuple[t.Any, ...]) -> t.Optional[t.List[t.Any]]:
    """The arguments of a step as JSON; None where they are not, or a
    burden."""
    try:
        text = _json.dumps(args)
    except Exception:  # objects may raise anything when they are looked at
        return None
    if len(text) > MAX_INPUT_BYTES:
        return None
    found: t.List[t.Any] = _json.loads(text)
    return found


def _output(value: t.Any, what: str, limit: int) -> bytes:
    try:
        text = _json.dumps(value)
    except errors.OutputError as problem:
        raise errors.OutputError(
            "The output of {} cannot be sent: {}.".format(what, problem)
        ) from None
    if len(text) > limit:
        raise errors.OutputError(
            "The output of {} has {} bytes as JSON; the server takes {} at the most. "
            "Store it elsewhere and return a reference to it.".format(what, len(text), limit)
        )
    return text


def _say_retry(headers: Headers, retriable: bool, retry_after: t.Optional[str]) -> None:
    headers.append((p.HEADER_NO_RETRY, "false" if retriable else "true"))
    if retriable and retry_after is not None:
        headers.append((p.HEADER_RETRY_AFTER, retry_after))


def _ops(ops: t.Sequence[Op], fn_id: str) -> bytes:
    """The ops as a JSON list that the server takes (W72). Where it would be
    too large, inputs are left out, the largest first: they are only shown to
    people."""
    texts = [_op(op) for op in ops]
    too_many = sum(map(len, texts)) + len(texts) + 1 - MAX_OPS_BYTES
    if too_many > 0:
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
        # what the server carries out is told by its opts
        return op
    return op._replace(opts={k: v for k, v in op.opts.items() if k != "input"})


def _too_large(ops: t.Sequence[Op], texts: t.Sequence[bytes], fn_id: str) -> errors.OutputError:
    size, user_id = max((len(text), op.id.user_id) for text, op in zip(texts, ops))
    if len(ops) == 1:
        found = "step {!r} has {} bytes as JSON".format(user_id, size)
    else:
        found = "{} steps side by side have {} bytes as JSON, step {!r} the most, {}".format(
            len(ops), sum(map(len, texts)), user_id, size
        )
    return errors.OutputError(
        "What function {} came to cannot be sent: {}; the server takes {} at the most. Store the "
        "data elsewhere and pass a reference to it.".format(fn_id, found, MAX_OPS_BYTES)
    )


def _op(op: Op) -> bytes:
    fields: t.Dict[str, t.Any] = {
        "op": op.op,
        "id": op.id.hashed,
        "displayName": op.id.user_id,
        "name": op.name,
        "userland": {"id": op.id.user_id, "index": op.id.repeat},
    }
    if op.opts is not None:
        fields["opts"] = op.opts
    if op.timing is not None:
        fields["timing"] = {"a": op.timing[0], "b": op.timing[1]}
    if op.error is not None:
        fields["error"] = _error(op.error)
    # data is JSON text already
    return b'%b,"data":%b}' % (_json.dumps(fields)[:-1], op.data)


def _error(problem: UserError) -> t.Dict[str, t.Any]:
    fields = problem._asdict()
    return {name: value for name, value in fields.items() if value is not None}
