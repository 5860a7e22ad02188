"""Read the messages that apps publish to channels (W66)."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from .._wire.canonical import loads

#: Bytes of a message; what is longer is cut off.
MESSAGE_LIMIT = 512 * 1024


@dataclass(frozen=True)
class Message:
    """A message that an app published; nobody is sent it."""

    #: Name of the channel; empty if the app named none.
    channel: str
    #: Name of the topic; empty if the app named none.
    topic: str
    #: The JSON value; what is not JSON is a string.
    data: t.Any
    #: Id of the run that published it, if the app said so.
    run_id: t.Optional[str] = None


def read_message(query: t.Mapping[str, str], body: bytes) -> Message:
    """Read ``POST /v1/realtime/publish``. Nothing is refused.

    :param query: the parameters of the URL.
    """
    body = body[:MESSAGE_LIMIT]
    try:
        data = loads(body)
    except ValueError:
        data = json.loads(json.dumps(body.decode("utf-8", "replace")))
    return Message(
        query.get("channel", ""), query.get("topic", ""), data, query.get("run_id") or None
    )
