"""The interface by which steps send events and signals to the server."""

from __future__ import annotations

import typing as t

from .._messages import Idempotency
from ..event import Event


class Sender(t.Protocol):
    """Sends on behalf of one call."""

    def send_events(
        self,
        events: t.Union[Event, t.Sequence[Event]],
        idempotency: t.Optional[Idempotency] = None,
    ) -> t.List[str]:
        """Send events; return their ids."""
        ...

    def send_signal(self, signal: str, data: t.Any) -> t.Optional[str]:
        """Send a signal; return the id of the run that waited for it."""
