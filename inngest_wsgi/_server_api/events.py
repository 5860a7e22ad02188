"""Send events and signals to the server (PROTOCOL sections 8 and 10)."""

from __future__ import annotations

import base64
import hashlib
import os
import time
import typing as t

from .. import _protocol as p, errors
from .._codec import json as _json
from .._messages import Idempotency
from .._settings import Settings
from ..event import Event
from .client import Http
from .response import Answer
from .retry import SEND_RETRY, SIGNAL_RETRY, Retry

#: The most events that the server takes in one request.
MAX_EVENTS = 5000
#: The largest event that any server takes, in bytes of JSON. Inngest's plans
#: may set a lower limit.
MAX_EVENT_BYTES = 3 * 1024 * 1024

TraceHeaders = t.Sequence[t.Tuple[str, str]]


class EventApi:
    """Encodes and sends events and signals."""

    def __init__(self, settings: Settings, http: Http) -> None:
        self._settings = settings
        self._http = http

    def check_key(self) -> None:
        """Require an event key in cloud mode.

        :raises errors.SettingsError: there is none
        """
        if self._settings.event_key is None and not self._settings.is_dev:
            raise errors.SettingsError(
                "event_key",
                "is missing, and the mode is cloud. Set the environment variable "
                f"{p.ENV_EVENT_KEY}; or, to develop without one, set {p.ENV_DEV}=1",
            )

    def send_events(
        self,
        events: t.Sequence[Event],
        idempotency: t.Optional[Idempotency] = None,
        trace: TraceHeaders = (),
        retry: Retry = SEND_RETRY,
        deadline_s: t.Optional[float] = None,
    ) -> t.List[str]:
        """Send events, in as many requests as the server's limit needs.

        :param idempotency: given where the same events may be sent again
        :param trace: tracing headers to pass on
        :param retry: the policy for each request
        :param deadline_s: the limit for the attempts of each request
            together, in seconds
        :returns: the ids that the server gave them, in their order
        :raises errors.SendEventsError: not all were accepted; its ``ids`` are
            those of the ones that were
        :raises errors.OutputError: an event is not JSON; none was sent
        """
        encoded = _encode(events, self._settings.stamps_events)
        ids: t.List[str] = []
        for first in range(0, len(encoded), MAX_EVENTS):
            batch = encoded[first : first + MAX_EVENTS]
            try:
                answer = self._http.event_api(
                    b"[%b]" % b",".join(batch),
                    seed=_id_seed(idempotency, first),
                    trace=trace,
                    retry=retry,
                    deadline_s=deadline_s,
                )
            except errors.ApiError as error:
                raise errors.SendEventsError(error.message, ids) from None
            accepted = _accepted_ids(answer)
            ids += accepted
            if answer.status != 200 or len(accepted) != len(batch):
                raise errors.SendEventsError(answer.error(), ids, answer.status)
        return ids

    def send_signal(self, signal: str, data: t.Any, trace: TraceHeaders = ()) -> t.Optional[str]:
        """Send a signal.

        :param trace: tracing headers to pass on
        :returns: the id of the run that waited for it; None if none did
        :raises errors.ApiError: the server did not accept it
        """
        answer = self._http.api(
            "POST",
            p.PATH_SIGNALS,
            body=_json.dumps({"signal": signal, "data": data}),
            headers=trace,
            retry=SIGNAL_RETRY,
        )
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise errors.ApiError(
                f"The signal {signal!r} was not accepted: {answer.error()}",
                answer.status,
            )
        body = answer.json()
        found = body.get("data") if isinstance(body, dict) else None
        return found.get("run_id") if isinstance(found, dict) else None


def _encode(events: t.Sequence[Event], stamp: bool) -> t.List[bytes]:
    """Encode and check every event, before any is sent.

    :param stamp: give those without a time the present one
    """
    stamped = {"ts": int(time.time() * 1000)} if stamp else {}
    encoded = []
    for event in events:
        try:
            text = _json.dumps(dict(stamped, **event.to_wire()))
        except errors.OutputError as error:
            raise errors.OutputError(f"Event {event.name!r} cannot be sent: {error}") from None
        if len(text) > MAX_EVENT_BYTES:
            raise errors.SendEventsError(
                f"event {event.name!r} has {len(text)} bytes; the server takes {MAX_EVENT_BYTES} "
                "at the most. Store the data elsewhere and send a reference to it",
                too_large=True,
            )
        encoded.append(text)
    return encoded


def _id_seed(idempotency: t.Optional[Idempotency], first: int) -> str:
    """Make the seed from which the server derives the ids of one request's
    events: the same seed gives the same ids at every attempt.

    :param first: the index of the request's first event among all of them
    """
    if idempotency is None:
        ts, entropy = int(time.time() * 1000), os.urandom(10)
    else:
        text = f"{idempotency.key} {first}"
        ts, entropy = idempotency.ts, hashlib.sha256(text.encode("utf-8")).digest()[:10]
    return "{},{}".format(ts, base64.b64encode(entropy).decode("ascii"))


def _accepted_ids(answer: Answer) -> t.List[str]:
    body = answer.json()
    ids = body.get("ids") if isinstance(body, dict) else None
    if not isinstance(ids, list):
        return []
    # where it accepted nothing, the server lists one empty id
    return [x for x in ids if isinstance(x, str) and x]
