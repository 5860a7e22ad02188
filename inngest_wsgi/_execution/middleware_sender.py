"""Send events and signals, with the middleware's hooks around the events."""

from __future__ import annotations

import typing as t

from .. import errors
from .._logs import log
from .._messages import Idempotency
from .._server_api.events import EventApi, TraceHeaders
from .._server_api.retry import SEND_RETRY, Retry
from ..event import Event, event_list
from ..middleware import SendEventsResult
from .middleware_stack import Stack


class MiddlewareSender:
    """Sends on behalf of one call, or of the client.

    :param api: the event API of the client or endpoint
    :param stack: the middleware of the call, or of the client
    :param trace: tracing headers to pass on
    :param retry: the policy for each request with events
    :param deadline_s: the limit for the attempts of each such request
        together, in seconds
    """

    def __init__(
        self,
        api: EventApi,
        stack: Stack,
        trace: TraceHeaders = (),
        retry: Retry = SEND_RETRY,
        deadline_s: t.Optional[float] = None,
    ) -> None:
        self._api = api
        self._stack = stack
        self._trace = trace
        self._retry = retry
        self._deadline_s = deadline_s

    def send_events(
        self,
        events: t.Union[Event, t.Sequence[Event]],
        idempotency: t.Optional[Idempotency] = None,
    ) -> t.List[str]:
        """Send events. :meth:`inngest_wsgi.Inngest.send` lists the errors.

        :param idempotency: given where the same events may be sent again
        :returns: the ids that the server gave them, in their order
        """
        batch = event_list(events)
        self._api.check_key()
        self._stack.forward("before_send_events", batch)
        try:
            ids = self._api.send_events(
                batch, idempotency, self._trace, self._retry, self._deadline_s
            )
        except errors.SendEventsError as error:
            self._report_failure(SendEventsResult(error.ids, error.message))
            raise errors.SendEventsError(
                f"{len(error.ids)} of {len(batch)} events were accepted: {error.message}",
                error.ids,
                error.http_status,
                error.too_large,
            ) from None
        except errors.Error as error:
            self._report_failure(SendEventsResult(error=error.message))
            raise
        self._stack.backward("after_send_events", SendEventsResult(ids))
        return ids

    def send_signal(self, signal: str, data: t.Any) -> t.Optional[str]:
        """Send a signal; otherwise as
        :meth:`inngest_wsgi._server_api.events.EventApi.send_signal`."""
        return self._api.send_signal(signal, data, self._trace)

    def _report_failure(self, result: SendEventsResult) -> None:
        """Tell the middleware. A hook's own error is only logged, because the
        failure itself is raised."""
        try:
            self._stack.backward("after_send_events", result)
        except errors.MiddlewareError as error:
            log.error("%s", error, exc_info=error)
