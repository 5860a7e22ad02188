"""Read the messages that apps publish to channels (W66)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import typing as t
from dataclasses import dataclass

from .._wire import ids
from .._wire.canonical import loads

_ACCOUNT_ID = "00000000-0000-4000-a000-000000000000"
_ENVIRONMENT_ID = "00000000-0000-4000-b000-000000000000"
#: Seconds for which a token is good.
_LIFETIME = 60
_SECRET = secrets.token_bytes(32)

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


def subscription_token(topics: t.Any, now: float) -> str:
    """Return the token (a JWT, RFC 7519) with which a client would subscribe. There
    is nothing here that it could subscribe to.

    :param topics: ``channel``, ``name`` and ``kind`` of each.
    :param now: unix seconds by the server's clock.
    :raise ValueError: the topics are not a list of objects.
    """
    if not isinstance(topics, list) or not all(isinstance(topic, dict) for topic in topics):
        raise ValueError("not a list of topics")
    claims = {
        "iss": "rt.inngest.com",
        "sub": _ACCOUNT_ID,
        "exp": int(now) + _LIFETIME,
        "iat": int(now),
        "jti": ids.ulid(int(now * 1000)),
        "env": _ENVIRONMENT_ID,
        "topics": [
            {
                "kind": topic.get("kind", ""),
                "env_id": _ENVIRONMENT_ID,
                "channel": topic.get("channel", ""),
                "name": topic.get("name", ""),
            }
            for topic in topics
        ],
        "publish": False,
    }
    signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    signature = hmac.new(_SECRET, signed.encode("ascii"), hashlib.sha256).digest()
    return f"{signed}.{_base64(signature)}"


def _encoded(value: t.Dict[str, t.Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode("utf-8"))


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")
