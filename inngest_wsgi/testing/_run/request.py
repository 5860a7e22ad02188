"""Build the request of a call: URL, headers and body (W1 to W7, W18)."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from ... import _protocol
from .._model.state import Config
from .._wire import ids, randomness
from .._wire.canonical import canonical, joined
from .._wire.signing import SigningKey
from .items import Call

_ACCOUNT_ID = "00000000-0000-4000-a000-000000000000"

#: The largest body of a call in bytes; a larger one is sent with ``use_api``.
BODY_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class CallRequest:
    """The request of a call, ready to be sent."""

    url: str
    headers: t.List[t.Tuple[str, str]]
    body: bytes
    #: Ids of the steps whose memos the call carries.
    known: t.FrozenSet[str]
    #: The run's configuration when the request was built.
    config: Config


@functools.lru_cache(maxsize=1024)
def call_url(registered: str, function_id: str, step_id: str) -> str:
    """Return the registered URL with a call's query, keys sorted (W1)."""
    parts = urlsplit(registered)
    ours = {_protocol.QUERY_FN_ID: function_id, _protocol.QUERY_STEP_ID: step_id}
    query = [
        pair
        for pair in parse_qsl(parts.query, keep_blank_values=True)
        if pair[0] not in ours and pair[0] != _protocol.QUERY_DEPLOY_ID
    ]
    query = sorted(query + list(ours.items()), key=lambda pair: pair[0])
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


def build_call(
    call: Call, now: float, body_limit: int, key: t.Optional[SigningKey]
) -> CallRequest:
    """Build the request of a call (W2 to W7, W18), signed if there is a key."""
    run = call.run
    function = run.function
    fn_id = ids.function_uuid(function.function_id)
    request_id = ids.ulid(int(now * 1000))
    config = call.config
    body = _encode_body(call, config, fn_id, request_id, body_limit)
    headers = [
        ("User-Agent", "Inngest"),
        ("Connection", "close"),
        ("Content-Length", str(len(body))),
        ("Account-Id", _ACCOUNT_ID),
        ("Content-Type", "application/json"),
        (_protocol.HEADER_TRACEPARENT, f"00-{run.trace_id}-{randomness.token_hex(8)}-01"),
        (_protocol.HEADER_TRACESTATE, _tracestate(fn_id, ids.app_uuid(function.app_id))),
        ("X-Inngest-Generation-Id", str(call.generation)),
        ("X-Inngest-Job-Id", call.job_id),
        (_protocol.HEADER_REQ_VERSION, str(config.version)),
    ]
    if key is not None:
        headers.append((_protocol.HEADER_SIGNATURE, key.sign(body)))
    headers += [
        ("X-Inngest-Step-Id", call.step_id),
        ("X-Request-Id", request_id),
        (_protocol.HEADER_RUN_ID, run.run_id),
        ("Accept-Encoding", "gzip"),
    ]
    url = call_url(function.url, function.function_id, call.step_id)
    return CallRequest(url, headers, body, frozenset(run.memos), config)


def _encode_body(
    call: Call, config: Config, fn_id: str, request_id: str, body_limit: int
) -> bytes:
    run = call.run
    ctx: t.Dict[str, t.Any] = {
        "attempt": call.attempt,
        "disable_immediate_execution": config.disable,
        "env": "",
        "fn_id": fn_id,
        "generation_id": call.generation,
        "job_id": call.job_id,
        "max_attempts": run.function.max_attempts,
        "qi_id": ids.queue_item_id(call.job_id),
        "request_id": request_id,
        "run_id": run.run_id,
        "stack": {"current": call.current, "stack": list(run.stack)},
        "step_id": _protocol.STEP,
        "use_api": False,
    }
    events = [event.encoded() for event in run.events]
    # What does not change between the calls of a run is encoded once.
    body = {
        "ctx": canonical(ctx),
        "defers": b"{}",
        "event": events[0],
        "events": b"[%b]" % b",".join(events),
        "steps": joined(run.encoded_steps()),
        "use_api": b"false",
        "version": canonical(config.version),
    }
    encoded = joined(body)
    if len(encoded) > body_limit:
        # The steps go first; the events only if that was not enough (W18).
        body["ctx"] = canonical({**ctx, "use_api": True})
        body["use_api"] = b"true"
        body["steps"] = b"{}"
        encoded = joined(body)
        if len(encoded) > body_limit:
            body["events"] = b"[]"
            encoded = joined(body)
    return encoded


def _tracestate(fn_id: str, app_id: str) -> str:
    traceparent = f"00-{randomness.token_hex(16)}-{randomness.token_hex(8)}-01"
    reference = quote(f'{{"tp":"{traceparent}","ts":""}}', safe="")
    return f"inngest@traceref={reference},inngest@fn={fn_id},inngest@app={app_id}"
