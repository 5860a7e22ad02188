"""Keep what the server received and asked, for a test to look at."""

from __future__ import annotations

import datetime
import json
import typing as t

from .._model.state import Event
from .._run.request import CallRequest
from .._wire.answers import Answer
from .durations import utc


class SentEvent(t.NamedTuple):
    """An event that the server accepted."""

    name: str
    data: t.Dict[str, t.Any]
    id: str
    #: Milliseconds since the epoch.
    ts: int
    user: t.Dict[str, t.Any]
    v: t.Optional[str]


def sent_event(event: Event) -> SentEvent:
    """Return what a test sees of an event."""
    return SentEvent(event.name, event.data, event.id, event.ts, event.user or {}, event.v)


class CallRecord:
    """A call of a function, and the answer.

    :ivar at: when it was made, by the server's clock (UTC).
    :ivar run_id: of the run that was called.
    :ivar url: of the request.
    :ivar request_headers: names and values.
    :ivar request_body: as sent.
    :ivar status: of the answer; None if there was none.
    :ivar headers: of the answer, their names in lower case.
    :ivar response_body: as received.
    """

    def __init__(
        self, at: float, run_id: str, request: CallRequest, answer: t.Optional[Answer]
    ) -> None:
        self.at: datetime.datetime = utc(at)
        self.run_id = run_id
        self.url: str = request.url
        self.request_headers: t.List[t.Tuple[str, str]] = list(request.headers)
        self.request_body: bytes = request.body
        self.status: t.Optional[int] = None if answer is None else answer.status
        self.headers: t.Dict[str, str] = {} if answer is None else answer.headers
        self.response_body: bytes = b"" if answer is None else answer.body

    @property
    def request(self) -> t.Any:
        """The body of the request, read as JSON; None if it is not JSON."""
        return _read(self.request_body)

    @property
    def response(self) -> t.Any:
        """The body of the answer, read as JSON; None if it is not JSON."""
        return _read(self.response_body)

    def __repr__(self) -> str:
        return f"<POST {self.url}: {self.status}>"


def _read(body: bytes) -> t.Any:
    try:
        return json.loads(body.decode("utf-8"))
    except ValueError:
        return None
