"""The server's answers to our requests, and one-line descriptions of what is
wrong with them. No key appears in a description."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from .. import _protocol as p
from .._codec import json as _json
from .._security import origins

#: The longest quotation of an answer in a description, in characters.
MAX_QUOTED = 500
#: The part of an answer that is searched for a quotation, in characters.
_MAX_SEARCHED = 64 * 1024
#: Stands in the place of a key.
_HIDDEN = "[key]"

_REDIRECTED = (
    "HTTP status {}, a redirect{}, which is not followed. "
    f"Set {p.ENV_BASE_URL} to the address where the Inngest server itself answers."
)


class Answer(t.NamedTuple):
    """An answer of the server.

    :ivar origin: the server's
    :ivar location: the target of a redirect; None if it is not a redirect
    :ivar secrets: texts that no description may contain
    :ivar advice: what to do, if the server refused our key
    """

    status: int
    body: bytes
    origin: str
    location: t.Optional[str] = None
    secrets: t.Tuple[str, ...] = ()
    advice: str = ""

    def json(self) -> t.Any:
        """Return the body as JSON; None if it is not (a 401 is plain text)."""
        try:
            return _json.loads(self.body)
        except ValueError:
            return None

    def error(self) -> str:
        """Describe what is wrong, in one line and in the server's own words
        if it gives any."""
        if self.location is not None:
            # to follow a redirect would send the key to another address
            return _REDIRECTED.format(self.status, _destination(self.location))
        body = self.json()
        message = body.get("error") or body.get("message") if isinstance(body, dict) else None
        if isinstance(message, str) and message.strip():
            text = self._quote(message)
        else:
            # an answer without JSON may be from a proxy, say
            text = f"HTTP status {self.status} from {self.origin}"
            quoted = self._quote(self.body.decode("utf-8", "replace"))
            if quoted and not quoted.startswith("<"):
                text = f"{text}: {quoted}"
        return "{}. {}".format(text.rstrip("."), self.advice) if self.advice else text

    def _quote(self, text: str) -> str:
        for secret in self.secrets:
            text = re.sub(re.escape(secret), _HIDDEN, text, flags=re.IGNORECASE)
        shown = "".join(char if char.isprintable() else " " for char in text[:_MAX_SEARCHED])
        line = " ".join(shown.split())
        return line if len(line) <= MAX_QUOTED else line[:MAX_QUOTED] + "..."


def _destination(location: str) -> str:
    """Name the origin of a redirect's target. The rest of the URL may contain
    a key."""
    try:
        parts = urllib.parse.urlsplit(location)
        origin = origins.origin_of(parts.scheme, parts.netloc.rpartition("@")[2])
    except ValueError:
        origin = None
    return f" to {origin[:MAX_QUOTED]}" if origin else ""
