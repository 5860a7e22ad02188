"""HTTP requests to the Inngest server's APIs: their keys and their retries."""

from __future__ import annotations

import errno
import os
import time
import typing as t
import urllib.parse

from .. import _protocol as p, errors
from .._security.keys import BRANCH_KEY_PREFIX
from .._security.signing import SigningKey
from .._settings import Settings
from . import body as _body
from .log_filter import MIN_SECRET_LENGTH, hide_event_key, let_logs_fail_nothing
from .response import Answer
from .retry import Deadline, Retry
from .transport import Pool, Transport, Unreachable

__all__ = ["Http", "Pool", "ServerProbe"]

_REFUSED = (401, 403)
_REDIRECTS = (301, 302, 303, 307, 308)
_KEY_REFUSED = (
    "The server at {0} does not accept the {1} of this application: compare {2} with what "
    "Inngest shows for this environment."
)
_NO_KEY = "The server at {0} requires {1}, and this application has none: set {2}."

_Pairs = t.Sequence[t.Tuple[str, str]]


class ServerProbe(t.NamedTuple):
    """The answer to a probe: a server is there, and its headers describe it.

    :ivar kind: ``X-Inngest-Server-Kind``; None if the header is missing
    :ivar content_type: in lower case, without parameters
    """

    status: int
    kind: t.Optional[str]
    content_type: str


class Http:
    """Makes requests to the server's API and event API.

    :param pool: an object with urllib3's ``request()``; None to use a
        ``PoolManager`` for each process
    :param sleep: waits some seconds between two attempts; ``time.sleep`` if None
    """

    def __init__(
        self,
        settings: Settings,
        pool: t.Optional[Pool] = None,
        sleep: t.Optional[t.Callable[[float], t.Any]] = None,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._secrets = _secrets(settings)
        self._transport = Transport(settings.request_timeout, pool)
        self._headers = dict(settings.sdk_headers, **{p.HEADER_CONTENT_TYPE: "application/json"})

    def api(
        self,
        method: str,
        path: str,
        *,
        retry: Retry,
        body: t.Optional[bytes] = None,
        query: _Pairs = (),
        headers: _Pairs = (),
        deadline_s: t.Optional[float] = None,
        max_bytes: int = _body.MAX_ANSWER_BYTES,
    ) -> Answer:
        """Make a request to the API, with the signing key as bearer token.

        If the server refuses the key (401, 403), repeat the request with the
        fallback key (PROTOCOL section 3), and if that is refused too, with
        the first one again: the server may have changed its key in between.

        :param deadline_s: the limit for all of that, in seconds
        :param max_bytes: the largest body of the answer, once decompressed
        :raises errors.ApiError: there was no answer, or it is too large
        """
        url = self._settings.api_origin + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        merged = dict(self._headers, **dict(headers))
        keys: t.Tuple[t.Optional[SigningKey], ...] = self._settings.keyring.keys or (None,)
        if len(keys) > 1:
            keys += keys[:1]
        deadline = Deadline(deadline_s)
        refused: t.Optional[Answer] = None
        for key in keys:
            if key is not None:
                merged[p.HEADER_AUTHORIZATION] = "Bearer " + key.bearer
            try:
                answer = self._attempts(
                    method, url, body, merged, retry, "The Inngest API", deadline, max_bytes
                )
            except errors.ApiError:
                if refused is None:
                    raise
                # the refusal is the more useful error
                break
            if answer.status not in _REFUSED:
                return answer
            refused = answer
            if deadline.is_over():
                break
        assert refused is not None
        return refused._replace(advice=self._signing_key_advice())

    def event_api(
        self,
        body: bytes,
        *,
        seed: str,
        retry: Retry,
        trace: _Pairs = (),
        deadline_s: t.Optional[float] = None,
    ) -> Answer:
        """Send a JSON array of events (PROTOCOL section 8).

        :param seed: ``X-Inngest-Event-Id-Seed``, the same for every attempt
        :param trace: tracing headers to pass on
        :param deadline_s: the limit for all attempts together, in seconds
        :raises errors.ApiError: there was no answer
        """
        key = self._settings.event_key or p.NO_EVENT_KEY
        quoted = urllib.parse.quote(key, safe="")
        hide_event_key(quoted)
        url = self._settings.event_api_origin + p.PATH_EVENT + quoted
        merged = dict(self._headers, **dict(trace))
        merged[p.HEADER_EVENT_ID_SEED] = seed
        answer = self._attempts(
            "POST", url, body, merged, retry, "The Inngest event API", Deadline(deadline_s)
        )
        if answer.status not in _REFUSED:
            return answer
        origin = self._settings.event_api_origin
        if self._settings.event_key is None:
            advice = _NO_KEY.format(origin, "an event key", p.ENV_EVENT_KEY)
        else:
            advice = _KEY_REFUSED.format(origin, "event key", p.ENV_EVENT_KEY)
        return answer._replace(advice=advice)

    def probe(self, url: str) -> ServerProbe:
        """Make one GET request without a key, to see whether a server is
        there.

        :raises errors.ApiError: there was no answer within a few seconds
        """
        try:
            response = self._transport.probe(url)
        except Exception as error:
            reason = str(error) if isinstance(error, Unreachable) else type(error).__name__
            raise errors.ApiError(
                f"The server at {_origin_of(url)} cannot be reached: {reason}"
            ) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        content_type = headers.get(p.HEADER_CONTENT_TYPE.lower(), "").partition(";")[0]
        return ServerProbe(
            response.status,
            headers.get(p.HEADER_SERVER_KIND.lower()),
            content_type.strip().lower(),
        )

    def _refused_advice(self, problem: Unreachable) -> str:
        """Return what to look at if nothing listens at the server's address."""
        if self._settings.is_dev and os.strerror(errno.ECONNREFUSED) in str(problem):
            return f". Is the Inngest Dev Server running, and {p.ENV_DEV} its address?"
        return ""

    def _signing_key_advice(self) -> str:
        settings = self._settings
        variables = p.ENV_SIGNING_KEY
        if settings.signing_key_fallback is not None:
            variables += " and " + p.ENV_SIGNING_KEY_FALLBACK
        if settings.keyring.keys:
            text = _KEY_REFUSED.format(settings.api_origin, "signing key", variables)
        else:
            text = _NO_KEY.format(settings.api_origin, "a signing key", variables)
        if settings.env is None and BRANCH_KEY_PREFIX in (settings.signing_key or ""):
            text += f" The key of a branch environment also needs {p.ENV_ENV}."
        return text

    def _attempts(
        self,
        method: str,
        url: str,
        body: t.Optional[bytes],
        headers: t.Mapping[str, str],
        retry: Retry,
        api_name: str,
        deadline: Deadline,
        max_bytes: int = _body.MAX_ANSWER_BYTES,
    ) -> Answer:
        let_logs_fail_nothing()
        attempt = 1
        while True:
            wait_s = retry.wait_s(attempt)
            try:
                response, content = self._transport.request(
                    method, url, body, headers, deadline, max_bytes
                )
                done = not retry.is_retriable(response.status) or retry.is_last(attempt)
                if done or deadline.is_over(wait_s):
                    return self._answer(url, response, content)
            except _body.BodyProblem as problem:
                raise errors.ApiError(
                    f"{api_name} at {_origin_of(url)} sent an answer that {problem}."
                ) from None
            except Unreachable as problem:
                if retry.is_last(attempt) or deadline.is_over(wait_s):
                    raise errors.ApiError(
                        f"{api_name} at {_origin_of(url)} cannot be reached: {problem}"
                        f"{self._refused_advice(problem)}"
                    ) from None
            except Exception as error:
                # urllib3 lets some pass, OverflowError for one
                raise errors.ApiError(
                    f"The request to {api_name[0].lower()}{api_name[1:]} at {_origin_of(url)} "
                    f"failed: {type(error).__name__}{_advice(error)}"
                ) from None
            # looked up now, for libraries that replace it, as gevent does
            (self._sleep or time.sleep)(wait_s)
            attempt += 1

    def _answer(self, url: str, response: t.Any, content: bytes) -> Answer:
        location = None
        if response.status in _REDIRECTS:
            location = response.headers.get("Location", "")
        return Answer(response.status, content, _origin_of(url), location, self._secrets)


def _advice(error: Exception) -> str:
    """Return what to do about an error that is not one of the network."""
    if isinstance(error, RecursionError):
        return (
            ". If gevent is in use, it has patched ssl after urllib3 was imported: call "
            "gevent.monkey.patch_all() first, with gunicorn's --preload in its configuration file"
        )
    return ""


def _secrets(settings: Settings) -> t.Tuple[str, ...]:
    """Return the texts to remove from error messages: a server may send our
    keys back."""
    found = [key.hash for key in settings.keyring.keys]
    key = settings.event_key
    if key is not None and len(key) >= MIN_SECRET_LENGTH:
        found += [key, urllib.parse.quote(key, safe="")]
    return tuple(found)


def _origin_of(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url))
