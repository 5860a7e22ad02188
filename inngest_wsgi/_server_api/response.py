"""What the server answered to a request of ours, and what that says of what is
wrong: a line for a log, in which nothing stands that is not to be read."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from .. import _protocol as p
from .._codec import json as _json
from .._security import origins

#: As much as is quoted of what a server says, in characters.
MAX_WORDS = 500
#: As much as is looked at for it.
_MAX_LOOKED_AT = 64 * 1024
#: What stands where a key was.
_HIDDEN = "[key]"

_REDIRECTED = (
    "HTTP status {{}}, a redirect{{}}, which is not followed. "
    "Set {} to the address where the Inngest server itself answers.".format(p.ENV_BASE_URL)
)


class Answer(t.NamedTuple):
    """What the server answered.

    :ivar origin: of the server
    :ivar location: where it redirects to; None where it does not
    :ivar secrets: what is not to be quoted of it
    :ivar advice: what to look at, where it refuses our key
    """

    status: int
    body: bytes
    origin: str
    location: t.Optional[str] = None
    secrets: t.Tuple[str, ...] = ()
    advice: str = ""

    def json(self) -> t.Any:
        """The body as JSON; None where it is not (a 401 is text)."""
        try:
            return _json.loads(self.body)
        except ValueError:
            return None

    def error(self) -> str:
        """What is wrong, in the server's own words where it has any: one
        line."""
        if self.location is not None:
            # followed, a redirect would carry the key to another address
            return _REDIRECTED.format(self.status, _destination(self.location))
        body = self.json()
        said = body.get("error") or body.get("message") if isinstance(body, dict) else None
        if isinstance(said, str) and said.strip():
            text = self._quoted(said)
        else:
            # who says nothing in JSON may be another than the Inngest server
            text = "HTTP status {} from {}".format(self.status, self.origin)
            words = self._quoted(self.body.decode("utf-8", "replace"))
            if words and not words.startswith("<"):
                text = "{}: {}".format(text, words)
        return "{}. {}".format(text.rstrip("."), self.advice) if self.advice else text

    def _quoted(self, text: str) -> str:
        for secret in self.secrets:
            text = re.sub(re.escape(secret), _HIDDEN, text, flags=re.IGNORECASE)
        shown = "".join(char if char.isprintable() else " " for char in text[:_MAX_LOOKED_AT])
        words = " ".join(shown.split())
        return words if len(words) <= MAX_WORDS else words[:MAX_WORDS] + "..."


def _destination(location: str) -> str:
    """Only the origin: the rest of an address may hold a key."""
    try:
        parts = urllib.parse.urlsplit(location)
        origin = origins.of(parts.scheme, parts.netloc.rpartition("@")[2])
    except ValueError:
        origin = None
    return " to {}".format(origin[:MAX_WORDS]) if origin else ""
