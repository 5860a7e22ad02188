"""Sending events and signals to the server (PROTOCOL sections 8 and 10)."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import time
import typing as t

from .. import _protocol as p, errors
from .._codec import json as _json
from .._settings import Settings
from ..event import Event
from ..middleware import SendEventsResult, Stack
from ..step import Idempotency
from .client import SEND_RETRY, SIGNAL_RETRY, Http, Retry
from .response import Answer

_log = logging.getLogger("inngest_wsgi")

#: The most events that the server takes at once, and the largest one that any
#: server takes, in bytes of JSON. Inngest's plans may set a lower limit.
MAX_EVENTS = 5000
MAX_EVENT_BYTES = 3 * 1024 * 1024


class Sender:
    """Sends on behalf of one call, or of the client.

    :param stack: its middleware
    :param trace: tracing headers to pass on
    :param retry: of each request with events
    :param deadline_s: how long its attempts may take together, in seconds
    """

    def __init__(
        self,
        settings: Settings,
        http: Http,
        stack: Stack,
        trace: t.Sequence[t.Tuple[str, str]] = (),
        retry: Retry = SEND_RETRY,
        deadline_s: t.Optional[float] = None,
    ) -> None:
        self._settings = settings
        self._http = http
        self._stack = stack
        self._trace = trace
        self._retry = retry
        self._deadline_s = deadline_s

    def send_events(
        self,
        events: t.Union[Event, t.Sequence[Event]],
        idempotency: t.Optional[Idempotency] = None,
    ) -> t.List[str]:
        """Send events; what is raised is said in ``Inngest.send``.

        :param idempotency: makes the server derive the same ids at every attempt
        """
        batch = [events] if isinstance(events, Event) else list(events)
        for event in batch:
            if not isinstance(event, Event):
                raise TypeError("only Event objects can be sent, not {!r}".format(event))
        if self._settings.event_key is None and not self._settings.is_dev:
            raise errors.SettingsError(
                "event_key",
                "is missing, and the mode is cloud. Set the environment variable {}; or, to "
                "develop without one, set {}=1".format(p.ENV_EVENT_KEY, p.ENV_DEV),
            )
        self._stack.forward("before_send_events", batch)
        ids: t.List[str] = []
        try:
            encoded = _encoded(batch)
            for first in range(0, len(encoded), MAX_EVENTS):
                self._send(encoded[first : first + MAX_EVENTS], ids, _seed(idempotency, first))
        except errors.Error as error:
            self._tell(SendEventsResult(ids, error.message))
            if not isinstance(error, errors.SendEventsError):
                raise
            raise errors.SendEventsError(
                "{} of {} events were accepted: {}".format(len(ids), len(batch), error.message),
                ids,
                error.http_status,
                error.too_large,
            ) from None
        self._stack.backward("after_send_events", SendEventsResult(ids))
        return ids

    def _tell(self, result: SendEventsResult) -> None:
        """Of a failure, which is what is raised then."""
        try:
            self._stack.backward("after_send_events", result)
        except errors.MiddlewareError as error:
            _log.error("%s", error, exc_info=error)

    def _send(self, encoded: t.Sequence[bytes], ids: t.List[str], seed: str) -> None:
        """Send at most as many as the server takes; adds to the ids."""
        try:
            answer = self._http.event_api(
                b"[%b]" % b",".join(encoded),
                seed=seed,
                trace=self._trace,
                retry=self._retry,
                deadline_s=self._deadline_s,
            )
        except errors.ApiError as error:
            raise errors.SendEventsError(error.message) from None
        accepted = _accepted(answer)
        ids += accepted
        if answer.status != 200 or len(accepted) != len(encoded):
            raise errors.SendEventsError(answer.error(), http_status=answer.status)

    def send_signal(self, signal: str, data: t.Any) -> t.Optional[str]:
        """Send a signal.

        :returns: the id of the run that waited for it; None if none did
        :raises errors.ApiError: the server did not take it
        """
        answer = self._http.api(
            "POST",
            p.PATH_SIGNALS,
            body=_json.dumps({"signal": signal, "data": data}),
            headers=self._trace,
            retry=SIGNAL_RETRY,
        )
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise errors.ApiError(
                "The signal {!r} was not accepted: {}".format(signal, answer.error()),
                answer.status,
            )
        body = answer.json()
        found = body.get("data") if isinstance(body, dict) else None
        return found.get("run_id") if isinstance(found, dict) else None


def _encoded(batch: t.Sequence[Event]) -> t.List[bytes]:
    """Each event as JSON; all are looked at before any is sent."""
    now = int(time.time() * 1000)
    encoded = []
    for event in batch:
        try:
            text = _json.dumps(dict({"ts": now}, **event.to_wire()))
        except errors.OutputError as error:
            raise errors.OutputError(
                "Event {!r} cannot be sent: {}".format(event.name, error)
            ) from None
        if len(text) > MAX_EVENT_BYTES:
            raise errors.SendEventsError(
                "event {!r} has {} bytes; the server takes {} at the most. Store the data "
                "elsewhere and send a reference to it".format(
                    event.name, len(text), MAX_EVENT_BYTES
                ),
                too_large=True,
            )
        encoded.append(text)
    return encoded


def _seed(idempotency: t.Optional[Idempotency], first: int) -> str:
    """Return the seed from which the server derives the ids of the events: the
    same at every attempt if there is an idempotency key, else a random one.

    :param first: which of the events is the first of this request
    """
    if idempotency is None:
        ts, entropy = int(time.time() * 1000), os.urandom(10)
    else:
        text = "{} {}".format(idempotency.key, first)
        ts, entropy = idempotency.ts, hashlib.sha256(text.encode("utf-8")).digest()[:10]
    return "{},{}".format(ts, base64.b64encode(entropy).decode("ascii"))


def _accepted(answer: Answer) -> t.List[str]:
    body = answer.json()
    ids = body.get("ids") if isinstance(body, dict) else None
    if not isinstance(ids, list):
        return []
    # where it accepted nothing, the server lists one empty id
    return [x for x in ids if isinstance(x, str) and x]
