"""Our own requests to the server. The only user of urllib3."""

from __future__ import annotations

import logging
import os
import random
import time
import typing as t
import urllib.parse

import urllib3

from . import _json, errors
from . import _protocol as p
from ._settings import Settings
from ._signing import Keyring

_Pairs = t.Sequence[t.Tuple[str, str]]


class Pool(t.Protocol):
    """What the ``http`` option must have: urllib3's ``request()``."""

    def request(self, method: str, url: str, **kwargs: t.Any) -> t.Any: ...


class Retry(t.NamedTuple):
    """When a request is tried again, and after how long.

    The wait doubles with each attempt and is drawn from its upper half, so
    that many clients that failed together do not return together.

    :ivar attempts: how often at the most, the first time included
    :ivar first_s: the longest wait before the second attempt, in seconds
    :ivar longest_s: no wait is longer than this, in seconds
    """

    attempts: int
    first_s: float = 0.2
    longest_s: float = 5.0

    def again(self, status: t.Optional[int]) -> bool:
        """Whether an answer with this status, or None for no answer, is one
        that another attempt may better."""
        return status is None or status == 429 or status >= 500

    def wait_s(self, attempt: int) -> float:
        """The wait after an attempt, counted from 1, in seconds."""
        longest = min(self.longest_s, self.first_s * 2 ** (attempt - 1))
        return random.uniform(longest / 2, longest)


#: PROTOCOL section 8.
SEND_RETRY = Retry(attempts=5)
#: A server that is busy answers a registration with 500.
REGISTER_RETRY = Retry(attempts=3)
#: Who waits for a signal is told at most once.
SIGNAL_RETRY = Retry(attempts=3)
#: A call whose state cannot be fetched is retried by the server anyway.
FETCH_RETRY = Retry(attempts=3)


class Answer(t.NamedTuple):
    """What the server answered."""

    status: int
    body: bytes

    def json(self) -> t.Any:
        """The body as JSON; None where it is not (a 401 is text)."""
        try:
            return _json.loads(self.body)
        except ValueError:
            return None

    def error(self) -> str:
        """The server's own words for what is wrong."""
        body = self.json()
        said = body.get("error") or body.get("message") if isinstance(body, dict) else None
        if not isinstance(said, str) or not said:
            said = self.body[:200].decode("utf-8", "replace").strip()
        return said or "HTTP status {}".format(self.status)


class Http:
    """The way to the server's two APIs.

    :param pool: anything with urllib3's ``request()``; None for a
        ``PoolManager`` of our own
    """

    def __init__(self, settings: Settings, pool: t.Optional[Pool] = None) -> None:
        self._settings = settings
        self._keyring = Keyring(settings.signing_key, settings.signing_key_fallback)
        self._pool = pool
        self._own: t.Optional[t.Tuple[int, Pool]] = None
        self._headers = {
            p.HEADER_CONTENT_TYPE: "application/json",
            p.HEADER_SDK: p.SDK_IDENTITY,
            p.HEADER_USER_AGENT: p.SDK_IDENTITY,
            p.HEADER_FRAMEWORK: p.FRAMEWORK,
        }
        if settings.env is not None:
            self._headers[p.HEADER_ENV] = settings.env
        if settings.platform is not None:
            self._headers[p.HEADER_PLATFORM] = settings.platform

    def api(
        self,
        method: str,
        path: str,
        *,
        retry: Retry,
        body: t.Optional[bytes] = None,
        query: _Pairs = (),
        headers: _Pairs = (),
    ) -> Answer:
        """A request to the API, with the signing key as its bearer. Where
        that is refused (401, 403), once more with the fallback key (PROTOCOL
        section 3).

        :raises errors.ApiError: there was no answer
        """
        url = self._settings.api_origin + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        merged = dict(self._headers, **dict(headers))
        if not self._keyring.keys:
            return self._attempts(method, url, body, merged, retry, "The Inngest API")
        for key in self._keyring.keys:
            merged[p.HEADER_AUTHORIZATION] = "Bearer " + key.bearer
            answer = self._attempts(method, url, body, merged, retry, "The Inngest API")
            if answer.status not in (401, 403):
                break
        return answer

    def event_api(self, body: bytes, *, seed: str, retry: Retry, trace: _Pairs = ()) -> Answer:
        """Send a JSON array of events (PROTOCOL section 8).

        :param seed: ``X-Inngest-Event-Id-Seed``, the same for every attempt
        :param trace: tracing headers to pass on
        :raises errors.ApiError: there was no answer
        """
        key = self._settings.event_key or p.NO_EVENT_KEY
        quoted = urllib.parse.quote(key, safe="")
        _hide.keys.add(quoted)
        url = self._settings.event_api_origin + p.PATH_EVENT + quoted
        merged = dict(self._headers, **dict(trace))
        merged[p.HEADER_EVENT_ID_SEED] = seed
        return self._attempts("POST", url, body, merged, retry, "The Inngest event API")

    def _attempts(
        self,
        method: str,
        url: str,
        body: t.Optional[bytes],
        headers: t.Mapping[str, str],
        retry: Retry,
        what: str,
    ) -> Answer:
        attempt = 1
        while True:
            status: t.Optional[int] = None
            try:
                # urllib3 would log the address of each of its own retries,
                # and the event key is a part of the address
                response = self._connected().request(
                    method,
                    url,
                    body=body,
                    headers=headers,
                    timeout=self._settings.request_timeout,
                    retries=False,
                    redirect=False,
                )
                status = response.status
                if attempt == retry.attempts or not retry.again(status):
                    return Answer(response.status, response.data)
            except urllib3.exceptions.HTTPError as error:
                if attempt == retry.attempts:
                    raise errors.ApiError(
                        "{} at {} cannot be reached: {}".format(
                            what, _origin_of(url), _reason(error)
                        )
                    ) from None
            time.sleep(retry.wait_s(attempt))
            attempt += 1

    def _connected(self) -> Pool:
        """The pool of this process: a socket that was opened before a fork
        must not be used on both sides of it."""
        if self._pool is not None:
            return self._pool
        pid = os.getpid()
        if self._own is None or self._own[0] != pid:
            _hide_event_keys()
            self._own = (pid, urllib3.PoolManager(maxsize=10))
        return self._own[1]


def _origin_of(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url))


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """urllib3's messages may quote the address, and with it the event key."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return "{} ({})".format(cause.strerror, type(error).__name__)
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time ({})".format(type(error).__name__)
    return type(error).__name__


class _HideEventKeys(logging.Filter):
    """urllib3 logs the path of each request at level DEBUG."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: t.Set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(self._without_keys, record.args))
        return True

    def _without_keys(self, value: t.Any) -> t.Any:
        if isinstance(value, str):
            for key in tuple(self.keys):
                value = value.replace(p.PATH_EVENT + key, p.PATH_EVENT + "...")
        return value


_hide = _HideEventKeys()


def _hide_event_keys() -> None:
    logging.getLogger("urllib3.connectionpool").addFilter(_hide)
